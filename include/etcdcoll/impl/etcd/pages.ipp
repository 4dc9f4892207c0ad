#pragma once

#include <etcdcoll/etcd/pages.hpp>
#include <etcdcoll/impl/etcd/client_core.hpp>

#include <algorithm>
#include <limits>

namespace etcdcoll::etcd {

namespace detail {

inline constexpr std::size_t page_bytes = 4 * 1024 * 1024; // of keys and values: 0.2 s of a server's time

// How many keys the next page may have, after one of `keys` that holds `bytes`. It grows by and by: the next keys may be larger ones.
ETCDCOLL_DECL std::int64_t next_page_size(std::int64_t page_size, std::size_t keys, std::size_t bytes) {
    const auto fits = static_cast<std::int64_t>(page_bytes / (bytes / keys + 1));
    return std::clamp<std::int64_t>(std::min<std::int64_t>(fits, 8 * static_cast<std::int64_t>(keys)), 1, page_size);
}

// What a smaller page may do better.
ETCDCOLL_DECL bool was_too_much(const error& failure) {
    return failure.reason() == errc::timed_out || failure.reason() == errc::too_large || failure.reason() == errc::bad_reply;
}

// What the same page may do better, later.
ETCDCOLL_DECL bool was_out_of_reach(const error& failure) {
    return failure.reason() == errc::connection_failed || failure.reason() == errc::unavailable;
}

// A member that lags behind the one that answered the first page.
ETCDCOLL_DECL bool was_too_early(const error& failure) {
    return failure.reason() == errc::refused && failure.context().server_message.find("required revision is a future revision") != std::string::npos;
}

} // namespace detail

ETCDCOLL_DECL pages::pages(client through, range_request request, std::size_t page_size, call_options each)
    : client_(std::move(through)), request_(std::move(request)), page_size_(static_cast<std::int64_t>(page_size)), options_(each) {
    if (page_size == 0 || page_size > std::size_t{std::numeric_limits<std::int32_t>::max()})
        throw error(errc::invalid_argument, "pages: a page must have 1 key at least, and 2^31 - 1 at most");
    if (request_.count_only) throw error(errc::invalid_argument, "pages: count_only leaves nothing to list");
    if (request_.sort_target != sort_target::key || request_.sort_order == sort_order::descend)
        throw error(errc::invalid_argument, "pages: they come in ascending order of the keys only");
    if (request_.keys.key.empty()) throw error(errc::invalid_argument, "pages: the key is empty");
    request_.limit = page_size_;
    request_.sort_order = sort_order::none; // the same order, but of a sorted range etcd reads all of the rest for each page
}

ETCDCOLL_DECL pages& pages::keys_only(bool on) {
    request_.keys_only = on;
    return *this;
}

// A page that takes too long is asked for again as an eighth of it, within the same time: hence half of it for the first one. Where etcd was
// not reached that says nothing of the page, which then has what is left.
ETCDCOLL_DECL asio::awaitable<range_response> pages::next_reply() {
    const auto core = client_.core();
    const auto whole = options_.timeout > duration::zero() ? options_.timeout : core->values().timeout;
    const auto deadline = core->now() + std::min<duration>(whole, etcdcoll::detail::longest_timeout);
    bool all_at_once = false;
    for (;;) {
        auto each = options_;
        each.timeout = std::max<duration>(deadline - core->now(), std::chrono::milliseconds(1));
        const bool in_part = request_.limit > 1 && !all_at_once;
        if (in_part) each.timeout /= 2;
        try {
            auto reply = co_await client_.range(request_, each);
            co_return reply;
        } catch (const error& failure) {
            if (core->now() >= deadline) throw;
            if (request_.limit > 1 && detail::was_too_much(failure)) {
                request_.limit /= 8;
            } else if (in_part && detail::was_out_of_reach(failure)) {
                all_at_once = true;
            } else if (request_.serializable && detail::was_too_early(failure)) {
                request_.serializable = false;
            } else {
                throw;
            }
        }
        request_.limit = std::max<std::int64_t>(request_.limit, 1);
    }
}

ETCDCOLL_DECL asio::awaitable<std::vector<key_value>> pages::next() {
    std::vector<key_value> page;
    if (done_) co_return page;
    auto asking = etcdcoll::detail::with_errors(next_reply()); // it may ask more than once
    auto reply = co_await std::move(asking);
    if (!begun_) {
        begun_ = true;
        count_ = reply.count;
        if (!request_.revision) request_.revision = reply.header.revision;
    }
    done_ = !reply.more || reply.kvs.empty();
    if (!done_) {
        std::size_t bytes = 0;
        for (const auto& kv : reply.kvs) bytes += kv.key.size() + kv.value.size();
        request_.limit = detail::next_page_size(page_size_, reply.kvs.size(), bytes);
        request_.keys.key = reply.kvs.back().key + '\0';
    }
    page = std::move(reply.kvs);
    co_return page;
}

} // namespace etcdcoll::etcd
