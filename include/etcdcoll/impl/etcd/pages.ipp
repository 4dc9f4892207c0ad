#pragma once

#include <etcdcoll/etcd/pages.hpp>

#include <algorithm>
#include <limits>

namespace etcdcoll::etcd {

namespace detail {

inline constexpr std::size_t page_bytes = 16 * 1024 * 1024; // keys and values

// How many keys the next page may have, after one of `keys` that holds `bytes`.
ETCDCOLL_DECL std::int64_t next_page_size(std::int64_t page_size, std::size_t keys, std::size_t bytes) {
    if (keys == 0 || bytes <= page_bytes / 2) return page_size;
    const auto fits = static_cast<std::int64_t>(page_bytes / (bytes / keys + 1));
    return std::clamp<std::int64_t>(fits, 1, page_size);
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
}

ETCDCOLL_DECL pages& pages::keys_only(bool on) {
    request_.keys_only = on;
    return *this;
}

ETCDCOLL_DECL asio::awaitable<std::vector<key_value>> pages::next() {
    std::vector<key_value> page;
    if (done_) co_return page;
    auto reply = co_await client_.range(request_, options_);
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
