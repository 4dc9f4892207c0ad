#pragma once
// A reply that comes in messages, one JSON object a line, to one complete request.

#include <etcdcoll/impl/etcd/client_core.hpp>

#include <deque>
#include <optional>
#include <utility>

namespace etcdcoll::detail {

/// Splits what comes in pieces into lines. No I/O.
class line_splitter {
public:
    /// Every line that `piece` completes goes to `take`, without its newline.
    template <class Take> void feed(std::string_view piece, Take&& take) {
        for (auto newline = piece.find('\n'); newline != std::string_view::npos; newline = piece.find('\n')) {
            const auto line = piece.substr(0, newline);
            if (begun_.empty()) {
                take(line);
            } else {
                begun_ += line;
                take(std::string_view(std::exchange(begun_, {})));
            }
            piece.remove_prefix(newline + 1);
        }
        begun_ += piece;
    }

    /// The line that has no end yet: 3.4 and 3.5 end an error without a newline.
    const std::string& rest() const noexcept { return begun_; }

private:
    std::string begun_;
};

/// All members are called on the client's strand.
class reply_stream {
public:
    /// Sends the request, to endpoint `at` or to one that can be reached, and does not wait for the reply.
    ///
    /// Errors:  those of a call, but for what etcd answers.
    static asio::awaitable<std::unique_ptr<reply_stream>> open(std::shared_ptr<client_core> core, call_spec spec, std::string body,
                                                               time_point deadline, std::size_t at = any_endpoint);

    /// The next message; nothing at the orderly end of the stream.
    ///
    /// Errors:  those of a call; a stream that ends in the middle is connection_failed, one that is silent until `deadline` timed_out.
    /// Cancel:  terminal; the stream is closed.
    asio::awaitable<std::optional<std::string>> next(time_point deadline);

    void close() noexcept { link_->close(); }

private:
    reply_stream(std::shared_ptr<client_core> core, call_spec spec, std::string body, std::size_t at)
        : core_(std::move(core)), spec_(spec), body_(std::move(body)), at_(at), started_(core_->now()) {}
    asio::awaitable<void> start(time_point deadline);
    asio::awaitable<void> read(time_point deadline);
    void keep(std::string_view piece);
    [[noreturn]] void fail(const attempt_result& why) const;

    std::shared_ptr<client_core> core_;
    call_spec spec_;
    std::string body_;
    std::size_t at_;
    time_point started_;
    std::size_t index_ = 0;
    std::uint64_t login_ = 0;
    int logins_ = 0;
    std::shared_ptr<http::connection> link_;
    line_splitter lines_;
    std::deque<std::string> ready_;
    bool ended_ = false;
};

} // namespace etcdcoll::detail

#if defined(ETCDCOLL_HEADER_ONLY)
#include <etcdcoll/impl/etcd/reply_stream.ipp>
#endif
