#pragma once
// A place in a line: a leased key, first when all that were created before it are gone. Mutex and election are lines.

#include <etcdcoll/impl/recipes/receipts.hpp>

namespace etcdcoll::detail {

/// "host, pid 123"
std::string process_label(const environment& system);

/// Given up in the background when it is destroyed, unless leave() has done so. What waits runs on the client's strand.
class place {
public:
    place(std::shared_ptr<receipts> book, std::string line, std::string key, etcd::revision created);
    ~place();
    place(const place&) = delete;
    place& operator=(const place&) = delete;

    const std::string& key() const noexcept { return key_; }
    etcd::revision created() const noexcept { return created_; }
    receipts& book() noexcept { return *book_; }
    const std::shared_ptr<receipts>& shared_book() const noexcept { return book_; }
    etcd::compare stands() const { return etcd::create_revision(key_) == created_; }

    /// True when it has come to be the first; false when the deadline came before. Throws lease_lost.
    asio::awaitable<bool> wait_first(time_point deadline);
    /// Throws lease_lost where it had been lost before.
    asio::awaitable<void> leave();
    /// Returns when the key is gone; throws closed when it was left.
    asio::awaitable<void> wait_gone();
    /// leave() was called, however it ended.
    bool leaving() const noexcept { return leaving_; }

private:
    void give_up() noexcept; // in the background

    std::shared_ptr<receipts> book_;
    std::string line_;
    std::string key_;
    etcd::revision created_;
    bool leaving_ = false; // by leave() or give_up()
};

/// What a line is called in its keys and in texts.
struct line_words {
    const char* kind;  ///< "mutex"
    const char* call;  ///< "lock"
    const char* first; ///< "held by"
};

/// Returns a place that is the first of the line; throws timed_out with the name of who is.
asio::awaitable<std::shared_ptr<place>> stand_in_line(std::shared_ptr<receipts> book, line_words words, std::string value, duration timeout);
/// Nothing when the line is empty.
asio::awaitable<std::optional<etcd::key_value>> first_in_line(etcd::client client, std::string line, call_options options);

// Hold the place while they run.
asio::awaitable<void> leave_place(std::shared_ptr<place> held);
/// Returns also when the lease is lost.
asio::awaitable<void> wait_place_lost(std::shared_ptr<place> held);

/// A line's place was asked for where there is none.
place& standing(const std::shared_ptr<place>& held, const char* what);

} // namespace etcdcoll::detail

#if defined(ETCDCOLL_HEADER_ONLY)
#include <etcdcoll/impl/recipes/place.ipp>
#endif
