#pragma once
// The operating system's TCP as a byte_stream.

#include <etcdcoll/environment.hpp>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include <optional>
#include <vector>

namespace etcdcoll::detail {

class tcp_stream final : public byte_stream {
public:
    explicit tcp_stream(const asio::any_io_executor& executor);
    ~tcp_stream() override;

    asio::awaitable<void> connect(stream_target target, error_code& failure) override;
    asio::awaitable<std::size_t> read_some(asio::mutable_buffer into, error_code& failure) override;
    std::size_t write_now(asio::const_buffer from, error_code& failure) noexcept override;
    asio::awaitable<std::size_t> write(asio::const_buffer from, error_code& failure) override;
    bool quiet() noexcept override;
    void close() noexcept override;

private:
    using endpoints = std::vector<asio::ip::tcp::endpoint>;

    // Outlives the stream while the system resolves: a look-up cannot be interrupted, only no longer waited for.
    struct lookup;

    static void start_lookup(const std::shared_ptr<lookup>& pending, const stream_target& target);
    asio::awaitable<endpoints> resolve(stream_target target, error_code& failure);
    void keep_alive() noexcept;
    asio::awaitable<void> connect_one(asio::ip::tcp::endpoint address, bool last, error_code& failure);

    asio::ip::tcp::socket socket_;
    std::shared_ptr<lookup> lookup_;
    bool closed_ = false;
};

} // namespace etcdcoll::detail

#if defined(ETCDCOLL_HEADER_ONLY)
#include <etcdcoll/impl/tcp_stream.ipp>
#endif
