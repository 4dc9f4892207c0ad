#pragma once
// Lists a range of any size, a bounded part at a time, all of one revision.
//
//     etcd::pages all(client, etcd::prefix("x/"), 1000);
//     for (;;) {
//         auto page = co_await all.next();
//         if (page.empty()) break;
//         ...
//     }

#include <etcdcoll/etcd/client.hpp>

#include <cstdint>
#include <vector>

namespace etcdcoll::etcd {

/// One coroutine at a time may be in next(), and the object must outlive it. A copy goes on from where the original was.
class ETCDCOLL_API pages {
public:
    /// `page_size`: keys a page, at most; fewer, down to one, where pages would exceed about 4 MiB or take too long. Of `request` everything
    /// counts but `limit`; its revision, where it has one, is that of all pages. A serializable listing becomes a linearizable one where a
    /// member lags behind the first page. Throws errc::invalid_argument for a page size of 0, count_only, or any order but ascending by key.
    explicit pages(client through, range_request request, std::size_t page_size = 1000, call_options each = {});

    pages& keys_only(bool on = true);

    /// The next keys in byte order; nothing: that was all. All pages show the state at the revision of the first one, whatever is written
    /// meanwhile.
    ///
    /// Errors:  those of client::range(); next() may be called again and goes on where it was. compacted: the history was compacted behind
    ///          that revision before the last page was read, and what is left cannot be read as it was: begin anew with another object, or
    ///          go on at the newest revision with `pages(client, key_range(last_key + '\0', end))` where one state is not needed.
    /// Cancel:  terminal; next() may be called again.
    /// Cost:    one request a page, in memory one page. Of a request with a least or greatest mod or create revision etcd reads all of the rest
    ///          of the range for each page: better to leave those out, and to choose oneself.
    asio::awaitable<std::vector<key_value>> next();

    /// Of all pages; 0 before the first one.
    etcd::revision revision() const noexcept { return request_.revision; }
    /// Keys in the whole range; 0 before the first page.
    std::int64_t count() const noexcept { return count_; }
    /// True when the last page has been handed out.
    bool done() const noexcept { return done_; }

private:
    asio::awaitable<range_response> next_reply();

    client client_;
    range_request request_;
    std::int64_t page_size_;
    call_options options_;
    std::int64_t count_ = 0;
    bool begun_ = false;
    bool done_ = false;
};

} // namespace etcdcoll::etcd

#if defined(ETCDCOLL_HEADER_ONLY)
#include <etcdcoll/impl/etcd/pages.ipp>
#endif
