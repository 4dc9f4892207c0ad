#pragma once

#include <etcdcoll/detail/recipes/keys.hpp>
#include <etcdcoll/impl/recipes/place.hpp>
#include <etcdcoll/recipes/double_barrier.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include <algorithm>
#include <charconv>

namespace etcdcoll {

namespace detail {

// Below the barrier's prefix:
//   in/<id>      leased; each that has entered and not left. The first `size` by creation are admitted.
//   ready        by the last admitted: all are released. Its value is the revision at which that one's key was created: later ones are not admitted. Goes in the
//                same revision as the last key in in/, or, where that one died, by whoever sees it. Not leased: it outlives who wrote it.
//   withdrawals  written with every key that is taken back before `ready`, so that who counts and then writes `ready` knows that none was meanwhile. Not leased:
//                who counts must not find it absent again. Deleted instead by one who is alone: there is nobody who counts.

/// What lies below the prefix at one revision.
struct attendance_list {
    std::vector<etcd::key_value> in; // by creation
    std::optional<etcd::key_value> ready;
    etcd::revision withdrawals;
    etcd::revision at;
};

/// All members run on the client's strand, but for depart().
class attendance {
public:
    attendance(std::shared_ptr<receipts> book, int size, std::string label)
        : book_(std::move(book)), size_(static_cast<std::size_t>(size)), label_(std::move(label)), prefix_(keys_of(book_->name(), "double_barrier")) {}
    ~attendance() { depart(); }
    attendance(const attendance&) = delete;
    attendance& operator=(const attendance&) = delete;

    receipts& book() noexcept { return *book_; }
    asio::awaitable<void> enter(duration timeout);
    asio::awaitable<void> leave(duration timeout);
    /// In the background; where this process has entered.
    void depart() noexcept;

private:
    std::string in() const { return prefix_ + "in/"; }
    std::string ready() const { return prefix_ + "ready"; }
    std::string withdrawals() const { return prefix_ + "withdrawals"; }
    etcd::compare nobody_in() const { return etcd::create_revision(etcd::prefix(in())) == 0; }
    etcd::compare no_ready() const { return etcd::create_revision(ready()) == 0; }
    etcd::compare own_in() const { return etcd::create_revision(own_) == created_; }
    etcd::txn_request alone_without(const std::string& own) const;
    etcd::txn_request withdrawn(const std::string& own) const;
    etcd::txn_request take_away() const;

    attendance_list list(const etcd::op_response& response, etcd::revision at) const;
    asio::awaitable<attendance_list> read(time_point deadline);
    asio::awaitable<bool> change(etcd::watch_request watching, time_point deadline);
    asio::awaitable<attendance_list> put_own(time_point deadline, duration timeout);
    asio::awaitable<attendance_list> write_ready(attendance_list seen, time_point deadline);
    asio::awaitable<void> clear(attendance_list seen, time_point deadline);
    asio::awaitable<attendance_list> withdraw(attendance_list last);
    std::int64_t last_admitted(const etcd::key_value& ready) const;
    bool admitted(const etcd::key_value& ready) const { return created_.value <= last_admitted(ready); }
    std::string words(const char* what, const std::vector<etcd::key_value>& who) const;
    [[noreturn]] void fail(errc why, std::string text) const;

    std::shared_ptr<receipts> book_;
    std::size_t size_;
    std::string label_;
    std::string prefix_;
    std::string own_; // empty: not entered
    etcd::revision created_;
};

ETCDCOLL_DECL void attendance::fail(errc why, std::string text) const {
    error_context context;
    context.call = "double_barrier";
    context.key = book_->name();
    throw error(why, call_and_key("double_barrier", book_->name()) + ": " + text, std::move(context));
}

// "2 of 3 are there (host a, pid 1; host b, pid 2)"
ETCDCOLL_DECL std::string attendance::words(const char* what, const std::vector<etcd::key_value>& who) const {
    auto text = std::to_string(who.size()) + " of " + std::to_string(size_) + what;
    std::string names;
    for (const auto& one : who) {
        if (names.size() > 500) {
            names += "; ...";
            break;
        }
        names += (names.empty() ? "" : "; ") + one.value;
    }
    return names.empty() ? text : text + " (" + names + ")";
}

ETCDCOLL_DECL attendance_list attendance::list(const etcd::op_response& response, etcd::revision at) const {
    attendance_list result;
    result.at = at;
    for (const auto& kv : std::get<etcd::range_response>(response).kvs) {
        if (kv.key == ready()) result.ready = kv;
        if (kv.key == withdrawals()) result.withdrawals = kv.mod_revision;
        if (kv.key.starts_with(in())) result.in.push_back(kv);
    }
    const auto older = [](const auto& a, const auto& b) { return a.create_revision < b.create_revision; };
    std::sort(result.in.begin(), result.in.end(), older);
    return result;
}

ETCDCOLL_DECL asio::awaitable<attendance_list> attendance::read(time_point deadline) {
    auto found = co_await book_->client().range(etcd::range_request(etcd::prefix(prefix_)), until(book_->core(), deadline));
    const auto at = found.header.revision;
    const etcd::op_response all(std::move(found));
    co_return list(all, at);
}

// False: the deadline came first. True: something has changed, or may have.
ETCDCOLL_DECL asio::awaitable<bool> attendance::change(etcd::watch_request watching, time_point deadline) {
    auto changes = book_->client().watch(std::move(watching));
    bool changed = true;
    try {
        const auto seen = co_await next_before(&changes, book_->client().core(), deadline);
        changed = seen.has_value();
    } catch (const error& failure) {
        if (failure.reason() != errc::compacted) throw;
    }
    co_return changed;
}

// Holds where nobody else is in in/: keys other than one's own lie on both sides of it.
ETCDCOLL_DECL etcd::txn_request attendance::alone_without(const std::string& own) const {
    const auto end = etcd::prefix(in()).end;
    return etcd::when(etcd::create_revision(etcd::key_range(in(), own)) == 0,
                      etcd::create_revision(etcd::key_range(own + std::string(1, '\0'), end)) == 0);
}

// What goes with a key that is taken back before `ready`; or that was counted though its owner never learned of it, and is the last that is left.
ETCDCOLL_DECL etcd::txn_request attendance::withdrawn(const std::string& own) const {
    return alone_without(own).then(etcd::erase(ready()), etcd::erase(withdrawals())).otherwise(etcd::put(withdrawals(), ""));
}

// The last one out takes the rest along.
ETCDCOLL_DECL etcd::txn_request attendance::take_away() const {
    auto last = alone_without(own_).then(etcd::erase(ready()), etcd::erase(withdrawals()));
    return etcd::when(own_in()).then(etcd::erase(own_), std::move(last));
}

// What the dead have left of a round that is over.
ETCDCOLL_DECL asio::awaitable<void> attendance::clear(attendance_list seen, time_point deadline) {
    if (!seen.ready) co_return;
    auto request = etcd::when(nobody_in(), etcd::create_revision(ready()) == seen.ready->create_revision)
                       .then(etcd::erase(ready()), etcd::erase(withdrawals()));
    const auto done = co_await book_->client().txn(std::move(request), guarded_until(book_->core(), deadline));
    static_cast<void>(done);
}

ETCDCOLL_DECL asio::awaitable<attendance_list> attendance::put_own(time_point deadline, duration timeout) {
    const auto own = in() + book_->unique_id();
    const auto everything = etcd::get(etcd::prefix(prefix_));
    for (;;) {
        receipt once(book_);
        std::vector<etcd::op> undo;
        undo.emplace_back(etcd::erase(own));
        undo.emplace_back(withdrawn(own));
        once.undo(std::move(undo));
        auto request = etcd::when(no_ready()).then(etcd::put(own, label_, book_->lease()), everything).otherwise(everything);
        const auto reply = co_await once.txn(std::move(request), deadline);
        if (reply.succeeded) {
            own_ = own;
            created_ = reply.at;
            if (!reply.recalled) co_return list(reply.responses.at(1), reply.at);
            auto seen = co_await read(deadline);
            co_return seen;
        }
        const auto seen = list(reply.responses.at(0), reply.seen);
        if (seen.ready && seen.in.empty()) {
            co_await clear(seen, deadline);
            continue;
        }
        if (!seen.ready) continue; // gone meanwhile
        etcd::watch_request leaving(etcd::prefix(prefix_), etcd::revision(seen.at.value + 1));
        leaving.no_put = true;
        const bool changed = co_await change(std::move(leaving), deadline);
        if (!changed) fail(errc::timed_out, "timed out after " + seconds_text(timeout) + ": of those who were here last, " + words(" have not left", seen.in));
    }
}

// By the one whose key is the last that is admitted.
ETCDCOLL_DECL asio::awaitable<attendance_list> attendance::write_ready(attendance_list seen, time_point deadline) {
    receipt once(book_);
    const auto everything = etcd::get(etcd::prefix(prefix_));
    auto request = etcd::when(own_in(), no_ready(), etcd::mod_revision(withdrawals()) == seen.withdrawals)
                       .then(etcd::put(ready(), std::to_string(created_.value)), everything)
                       .otherwise(everything);
    const auto reply = co_await once.txn(std::move(request), deadline);
    if (reply.responses.empty()) {
        auto now = co_await read(deadline);
        co_return now;
    }
    co_return list(reply.responses.back(), reply.seen);
}

ETCDCOLL_DECL std::int64_t attendance::last_admitted(const etcd::key_value& ready) const {
    std::int64_t last = 0;
    const auto* end = ready.value.data() + ready.value.size();
    const auto read = std::from_chars(ready.value.data(), end, last);
    if (read.ec != std::errc() || read.ptr != end) throw error(errc::corrupt, "key \"" + ready.key + "\" does not hold a revision");
    return last;
}

// Takes its own key back, unless all were released before: own_ tells. Lists who was there.
ETCDCOLL_DECL asio::awaitable<attendance_list> attendance::withdraw(attendance_list last) {
    receipt once(book_);
    const auto everything = etcd::get(etcd::prefix(prefix_));
    auto request = etcd::when(own_in(), no_ready()).then(everything, etcd::erase(own_), withdrawn(own_)).otherwise(everything);
    const auto reply = co_await once.txn(std::move(request), book_->core().now() + blame_limit);
    if (reply.succeeded) own_.clear();
    if (reply.responses.empty()) co_return last; // its words are lost
    co_return list(reply.responses.front(), reply.seen);
}

/// Departs at the end of the scope, unless told not to.
class departure {
public:
    explicit departure(attendance& from) : from_(&from) {}
    departure(const departure&) = delete;
    departure& operator=(const departure&) = delete;
    ~departure() {
        if (from_ != nullptr) from_->depart();
    }
    void cancel() noexcept { from_ = nullptr; }

private:
    attendance* from_;
};

ETCDCOLL_DECL void attendance::depart() noexcept {
    if (own_.empty()) return;
    try {
        auto request = etcd::when(own_in(), no_ready()).then(etcd::erase(own_), withdrawn(own_)).otherwise(take_away());
        own_.clear();
        asio::co_spawn(book_->core().strand(), insist(book_, std::move(request)), asio::detached);
    } catch (...) { // no memory: the key stays until the lease runs out
    }
}

ETCDCOLL_DECL asio::awaitable<void> attendance::enter(duration timeout) {
    if (!own_.empty()) throw error(errc::invalid_argument, call_and_key("double_barrier", book_->name()) + ": entered already");
    const auto deadline = deadline_after(book_->core(), timeout);
    departure on_failure(*this);
    auto seen = co_await put_own(deadline, timeout);
    for (;;) {
        const auto own = std::find_if(seen.in.begin(), seen.in.end(), [this](const auto& kv) { return kv.key == own_; });
        if (own == seen.in.end()) throw error(errc::lease_lost, "the lease of this process is lost: key \"" + own_ + "\" is gone");
        const auto before_own = static_cast<std::size_t>(own - seen.in.begin());
        if (seen.ready && admitted(*seen.ready)) break;
        if (seen.ready) fail(errc::group_full, "others were there first: " + words(" are there", seen.in));
        if (before_own + 1 == size_) {
            seen = co_await write_ready(std::move(seen), deadline);
            continue;
        }
        // Who is admitted waits for `ready`; who is one too many, also for one of the others to go.
        etcd::watch_request watching(before_own < size_ ? etcd::key_range(ready()) : etcd::prefix(prefix_), etcd::revision(seen.at.value + 1));
        const bool changed = co_await change(std::move(watching), deadline);
        if (changed) {
            seen = co_await read(deadline);
            continue;
        }
        seen = co_await withdraw(std::move(seen));
        if (!own_.empty()) continue; // released in the last moment
        fail(before_own < size_ ? errc::timed_out : errc::group_full,
             "timed out after " + seconds_text(timeout) + ": " + words(" are there", seen.in));
    }
    on_failure.cancel();
}

ETCDCOLL_DECL void keep_present(std::vector<etcd::key_value>& keys, const std::vector<etcd::key_value>& present) {
    std::erase_if(keys, [&present](const etcd::key_value& one) {
        return std::none_of(present.begin(), present.end(), [&one](const auto& kv) { return kv.key == one.key; });
    });
}

ETCDCOLL_DECL asio::awaitable<void> attendance::leave(duration timeout) {
    if (own_.empty()) throw error(errc::invalid_argument, call_and_key("double_barrier", book_->name()) + ": not entered");
    const auto deadline = deadline_after(book_->core(), timeout);
    departure on_failure(*this);
    attendance_list seen;
    {
        receipt once(book_);
        auto request = take_away();
        request.success.emplace_back(etcd::get(etcd::prefix(prefix_)));
        const auto reply = co_await once.txn(std::move(request), deadline);
        own_.clear();
        if (!reply.succeeded) throw error(errc::lease_lost, "the lease of this process is lost: it was taken for dead before it left");
        if (reply.responses.empty()) {
            seen = co_await read(deadline);
        } else {
            seen = list(reply.responses.back(), reply.seen);
        }
        // Read later, it may show the next round, which this process must not wait for.
        std::erase_if(seen.in, [&reply](const auto& kv) { return kv.create_revision > reply.at; });
        if (seen.ready && seen.ready->create_revision > reply.at) seen.ready.reset();
        // Who was one too many waits for those who were in time, and not the other way round.
        const auto last = seen.ready ? last_admitted(*seen.ready) : reply.at.value;
        std::erase_if(seen.in, [last](const auto& kv) { return kv.create_revision.value > last; });
    }
    // Keys are never used twice, so what was there shrinks, whatever a next round adds.
    for (auto left = std::move(seen.in); !left.empty();) {
        etcd::watch_request watching(etcd::prefix(prefix_), etcd::revision(seen.at.value + 1));
        watching.no_put = true;
        const bool changed = co_await change(std::move(watching), deadline);
        if (!changed) fail(errc::timed_out, "timed out after " + seconds_text(timeout) + ": " + words(" have not left", left));
        const auto now = co_await read(deadline);
        keep_present(left, now.in);
        seen.at = now.at;
    }
    co_await clear(std::move(seen), deadline);
}

// Hold the object while they run.
ETCDCOLL_DECL asio::awaitable<void> enter_barrier(std::shared_ptr<attendance> here, duration timeout) { co_await here->enter(timeout); }
ETCDCOLL_DECL asio::awaitable<void> leave_barrier(std::shared_ptr<attendance> here, duration timeout) { co_await here->leave(timeout); }

ETCDCOLL_DECL std::shared_ptr<attendance> make_attendance(const session& of, std::string name, int size, std::string label) {
    if (size < 1 || size > 10'000) throw error(errc::invalid_argument, "double_barrier: the size must be from 1 to 10000");
    auto book = make_receipts(of, "double_barrier", std::move(name));
    if (label.empty()) label = process_label(*book->core().system());
    return std::make_shared<attendance>(std::move(book), size, std::move(label));
}

} // namespace detail

ETCDCOLL_DECL double_barrier::double_barrier(const session& of, std::string name, int size, std::string label)
    : here_(detail::make_attendance(of, std::move(name), size, std::move(label))) {}
ETCDCOLL_DECL double_barrier::double_barrier(double_barrier&&) noexcept = default;
ETCDCOLL_DECL double_barrier& double_barrier::operator=(double_barrier&&) noexcept = default;
ETCDCOLL_DECL double_barrier::~double_barrier() = default;

ETCDCOLL_DECL asio::awaitable<void> double_barrier::enter(duration timeout) {
    detail::check_timeout("enter", timeout);
    if (!here_) throw error(errc::closed, "the double_barrier was moved from");
    return detail::with_session(here_->book(), detail::enter_barrier(here_, timeout));
}

ETCDCOLL_DECL asio::awaitable<void> double_barrier::leave(duration timeout) {
    detail::check_timeout("leave", timeout);
    if (!here_) throw error(errc::closed, "the double_barrier was moved from");
    return detail::with_session(here_->book(), detail::leave_barrier(here_, timeout));
}

} // namespace etcdcoll
