#pragma once

#include <etcdcoll/detail/recipes/keys.hpp>
#include <etcdcoll/impl/recipes/place.hpp>
#include <etcdcoll/impl/recipes/waiting.hpp>
#include <etcdcoll/recipes/mutex.hpp>

namespace etcdcoll {

namespace detail {

ETCDCOLL_DECL asio::awaitable<std::shared_ptr<place>> try_lock_mutex(std::shared_ptr<receipts> book, std::string label, duration timeout) {
    const auto deadline = deadline_after(book->core(), timeout);
    const auto line = keys_of(book->name(), "mutex");
    receipt once(book);
    const auto key = line + book->unique_id();
    std::vector<etcd::op> undo;
    undo.emplace_back(etcd::erase(key));
    once.undo(std::move(undo));
    auto request = etcd::when(etcd::create_revision(etcd::prefix(line)) == 0).then(etcd::put(key, std::move(label), book->lease()));
    const auto reply = co_await once.txn(std::move(request), deadline);
    if (!reply.succeeded) co_return nullptr;
    co_return std::make_shared<place>(book, line, key, reply.at);
}

} // namespace detail

// ---- a hold ---------------------------------------------------------------------------------------------------------------------

ETCDCOLL_DECL mutex_hold::mutex_hold(std::shared_ptr<detail::place> held) : held_(std::move(held)) {}
ETCDCOLL_DECL mutex_hold::mutex_hold(mutex_hold&&) noexcept = default;
ETCDCOLL_DECL mutex_hold& mutex_hold::operator=(mutex_hold&&) noexcept = default;
ETCDCOLL_DECL mutex_hold::~mutex_hold() = default;

ETCDCOLL_DECL etcd::revision mutex_hold::token() const { return detail::standing(held_, "lock").created(); }
ETCDCOLL_DECL etcd::compare mutex_hold::still_held() const { return detail::standing(held_, "lock").stands(); }
ETCDCOLL_DECL const std::string& mutex_hold::key() const { return detail::standing(held_, "lock").key(); }

ETCDCOLL_DECL asio::awaitable<void> mutex_hold::unlock() {
    return detail::on_strand(detail::standing(held_, "lock").book().core().strand(), detail::leave_place(held_));
}

ETCDCOLL_DECL asio::awaitable<void> mutex_hold::lost() {
    return detail::on_strand(detail::standing(held_, "lock").book().core().strand(), detail::wait_place_lost(held_));
}

// ---- the mutex ------------------------------------------------------------------------------------------------------------------

ETCDCOLL_DECL mutex::mutex(const session& of, std::string name, std::string label)
    : book_(detail::make_receipts(of, "mutex", std::move(name))), label_(label.empty() ? detail::process_label(*book_->core().system()) : std::move(label)) {}
ETCDCOLL_DECL mutex::mutex(const mutex&) noexcept = default;
ETCDCOLL_DECL mutex& mutex::operator=(const mutex&) noexcept = default;
ETCDCOLL_DECL mutex::~mutex() = default;

ETCDCOLL_DECL asio::awaitable<mutex_hold> mutex::hold_of(asio::awaitable<std::shared_ptr<detail::place>> locking) {
    auto held = co_await std::move(locking);
    co_return mutex_hold(std::move(held));
}

ETCDCOLL_DECL asio::awaitable<std::optional<mutex_hold>> mutex::perhaps(asio::awaitable<std::shared_ptr<detail::place>> locking) {
    auto held = co_await std::move(locking);
    std::optional<mutex_hold> result;
    if (held) result = mutex_hold(std::move(held));
    co_return result;
}

ETCDCOLL_DECL asio::awaitable<mutex_hold> mutex::lock(duration timeout) {
    detail::check_timeout("lock", timeout);
    const detail::line_words words{"mutex", "lock", "held by"};
    return hold_of(detail::with_session(*book_, detail::stand_in_line(book_, words, label_, timeout)));
}

ETCDCOLL_DECL asio::awaitable<std::optional<mutex_hold>> mutex::try_lock(duration timeout) {
    detail::check_timeout("try_lock", timeout);
    return perhaps(detail::with_session(*book_, detail::try_lock_mutex(book_, label_, timeout)));
}

ETCDCOLL_DECL asio::awaitable<std::optional<etcd::key_value>> mutex::holder() {
    return detail::first_in_line(book_->client(), detail::keys_of(book_->name(), "mutex"), call_options());
}

} // namespace etcdcoll
