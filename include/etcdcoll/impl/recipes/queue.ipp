#pragma once

#include <etcdcoll/detail/recipes/keys.hpp>
#include <etcdcoll/impl/recipes/receipts.hpp>
#include <etcdcoll/recipes/queue.hpp>

namespace etcdcoll {

namespace detail {

inline constexpr const char* queue_kind = "queue";

// Items are ordered by their keys, which begin with the revision that the store had before the push: greater than that at which any item was written
// whose push had returned. So the first item is the first key, which etcd finds without looking at the others.
ETCDCOLL_DECL asio::awaitable<void> push_item(std::shared_ptr<receipts> book, std::string item, duration timeout) {
    const auto deadline = deadline_after(book->core(), timeout);
    const auto line = keys_of(book->name(), queue_kind);
    const auto now = co_await book->client().range(etcd::range_request(line), until(book->core(), deadline)); // a key that never is: for the revision
    const auto key = line + hex(static_cast<std::uint64_t>(now.header.revision.value)) + "-" + book->unique_id();
    receipt once(book);
    const auto reply = co_await once.txn(etcd::when().then(etcd::put(key, std::move(item))), deadline);
    static_cast<void>(reply);
}

ETCDCOLL_DECL etcd::range_request first_item(const std::string& line) {
    etcd::range_request request(etcd::prefix(line));
    request.limit = 1; // etcd answers in the order of keys
    return request;
}

// Takes `item`, or finds it gone; `next` is then the first at this time.
ETCDCOLL_DECL asio::awaitable<bool> take_item(std::shared_ptr<receipts> book, etcd::key_value item, time_point deadline,
                                              std::optional<etcd::key_value>* next) {
    receipt once(book);
    std::vector<etcd::op> undo;
    undo.emplace_back(etcd::put(item.key, item.value));
    once.undo(std::move(undo));
    auto request = etcd::when(etcd::mod_revision(item.key) == item.mod_revision)
                       .then(etcd::erase(item.key))
                       .otherwise(first_item(keys_of(book->name(), queue_kind)));
    const auto reply = co_await once.txn(std::move(request), deadline);
    if (reply.succeeded) co_return true;
    const auto* first = first_of(reply.responses.at(0));
    *next = first == nullptr ? std::nullopt : std::optional<etcd::key_value>(*first);
    co_return false;
}

ETCDCOLL_DECL asio::awaitable<std::optional<std::string>> pop_item(std::shared_ptr<receipts> book, bool wait, duration timeout) {
    const auto deadline = deadline_after(book->core(), timeout);
    const auto core = book->client().core();
    const auto line = keys_of(book->name(), queue_kind);
    std::optional<etcd::watch> changes; // begun behind the first look at an empty queue: whatever is pushed from then on wakes this
    for (;;) {
        auto found = co_await book->client().range(first_item(line), until(*core, deadline));
        std::optional<etcd::key_value> item;
        if (!found.kvs.empty()) item = std::move(found.kvs.front());
        while (item) {
            std::optional<etcd::key_value> next;
            const bool taken = co_await take_item(book, *item, deadline, &next);
            if (taken) co_return std::move(item->value);
            item = std::move(next);
        }
        if (!wait) co_return std::nullopt;
        if (!changes) {
            etcd::watch_request watching(etcd::prefix(line), etcd::revision(found.header.revision.value + 1));
            watching.no_erase = true;
            changes.emplace(book->client().watch(std::move(watching)));
        }
        try {
            const auto pushed = co_await next_before(&*changes, core, deadline);
            if (!pushed) fail_late("pop", "queue", book->name(), ": timed out after " + seconds_text(timeout) + ": it is empty");
        } catch (const error& failure) {
            if (failure.reason() != errc::compacted) throw;
            changes.reset();
        }
    }
}

ETCDCOLL_DECL asio::awaitable<std::string> certainly(asio::awaitable<std::optional<std::string>> popping) {
    auto item = co_await std::move(popping);
    co_return std::move(*item);
}

ETCDCOLL_DECL asio::awaitable<std::int64_t> count_of(asio::awaitable<etcd::range_response> reading) {
    const auto found = co_await std::move(reading);
    co_return found.count;
}

} // namespace detail

ETCDCOLL_DECL queue::queue(const session& of, std::string name) : book_(detail::make_receipts(of, "queue", std::move(name))) {}
ETCDCOLL_DECL queue::queue(const queue&) noexcept = default;
ETCDCOLL_DECL queue& queue::operator=(const queue&) noexcept = default;
ETCDCOLL_DECL queue::~queue() = default;

ETCDCOLL_DECL asio::awaitable<void> queue::push(std::string item, duration timeout) {
    detail::check_timeout("push", timeout);
    return detail::with_session(*book_, detail::push_item(book_, std::move(item), timeout));
}

ETCDCOLL_DECL asio::awaitable<std::string> queue::pop(duration timeout) {
    detail::check_timeout("pop", timeout);
    return detail::certainly(detail::with_session(*book_, detail::pop_item(book_, true, timeout)));
}

ETCDCOLL_DECL asio::awaitable<std::optional<std::string>> queue::try_pop(duration timeout) {
    detail::check_timeout("try_pop", timeout);
    return detail::with_session(*book_, detail::pop_item(book_, false, timeout));
}

ETCDCOLL_DECL asio::awaitable<std::int64_t> queue::size() {
    etcd::range_request request(etcd::prefix(detail::keys_of(book_->name(), detail::queue_kind)));
    request.count_only = true;
    return detail::count_of(book_->client().range(std::move(request)));
}

} // namespace etcdcoll
