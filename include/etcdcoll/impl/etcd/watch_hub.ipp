#pragma once

#include <etcdcoll/detail/key_ranges.hpp>
#include <etcdcoll/detail/server_error.hpp>
#include <etcdcoll/impl/etcd/client_core.hpp>
#include <etcdcoll/impl/etcd/codec.hpp>
#include <etcdcoll/impl/etcd/watch_stream.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include <algorithm>
#include <utility>

namespace etcdcoll::detail {

inline constexpr int id_bits = 40; // of a watch's number on the stream: its lower ones
inline constexpr int most_open_asks = 3;

ETCDCOLL_DECL watch_sink::~watch_sink() = default;
ETCDCOLL_DECL void watch_sink::on_progress(etcd::revision) {}
ETCDCOLL_DECL watch_hub::watch_hub(client_core& core) : core_(core), wanted_(core.strand(), core.system()) {}
ETCDCOLL_DECL watch_hub::~watch_hub() = default;

// ---- what the layers above ask for ----------------------------------------------------------------------------------------------

ETCDCOLL_DECL std::int64_t watch_hub::add(etcd::watch_request request, std::shared_ptr<watch_sink> sink) {
    if (closed_) {
        sink->on_failure(error(errc::closed, "watch: the client is closed"));
        return 0;
    }
    const auto id = ++last_id_; // never 0, which etcd leaves out of its answers, nor -1, which stands for "no watch"
    const auto start = request.start;
    const auto added = entries_.emplace(id, entry{std::move(request), watch_cursor(start), std::move(sink), {}}).first;
    create(id, added->second);
    if (!running_) {
        running_ = true;
        asio::co_spawn(core_.strand(), run(core_.shared_from_this()), asio::detached);
    }
    return id;
}

// What the stream calls a watch: another name each time it is begun again. etcd may have events in hand when it answers a cancel, and would
// pass them on as the first ones of a new watch with the same number, out of order.
ETCDCOLL_DECL std::int64_t watch_hub::number_of(std::int64_t id, const entry& target) {
    return (target.round % (1 << 20)) << id_bits | id;
}

ETCDCOLL_DECL void watch_hub::create(std::int64_t id, entry& target) {
    wanted_.notify_all();
    if (stream_ && stream_->complete) {
        renew();
    } else {
        if (stream_) {
            stream_->creates.push_back(number_of(id, target));
            target.stale_answers = stream_->open_asks;
        }
        send(etcd::codec::encode_create(target.request, number_of(id, target), target.cursor.resume()));
    }
}

ETCDCOLL_DECL void watch_hub::remove(std::int64_t id) noexcept {
    const auto found = entries_.find(id);
    if (found == entries_.end()) return;
    const bool sent = found->second.state == flow::running;
    const auto number = number_of(id, found->second);
    entries_.erase(found);
    wanted_.notify_all();
    try {
        if (entries_.empty()) {
            let_go();
        } else if (sent) {
            send(etcd::codec::encode_cancel(number));
        }
    } catch (...) { // no memory for the message: the server goes on sending what is then dropped
    }
}

ETCDCOLL_DECL void watch_hub::pause(std::int64_t id) {
    const auto found = entries_.find(id);
    if (found == entries_.end() || found->second.state != flow::running) return;
    auto& target = found->second;
    target.fragments.clear();
    const bool answers = stream_ && !stream_->complete && target.created;
    target.state = answers ? flow::stopping : flow::paused;
    target.created = false;
    if (answers) {
        send(etcd::codec::encode_cancel(number_of(id, target)));
    } else if (stream_) {
        renew();
    }
}

ETCDCOLL_DECL void watch_hub::resume(std::int64_t id) {
    const auto found = entries_.find(id);
    if (found == entries_.end()) return;
    auto& target = found->second;
    if (target.state == flow::stopping) target.state = flow::restarting;
    if (target.state != flow::paused) return;
    target.state = flow::running;
    ++target.round;
    create(id, target);
}

ETCDCOLL_DECL void watch_hub::ask_progress() {
    if (stream_) stream_->open_asks = std::min(stream_->open_asks + 1, most_open_asks);
    send(etcd::codec::encode_progress());
}

// Nobody listens: the connection is not kept. A watch that is added later gets a stream of its own.
ETCDCOLL_DECL void watch_hub::let_go() noexcept {
    const auto old = std::exchange(stream_, nullptr);
    if (!old) return;
    old->unwanted = true;
    old->shut();
}

// The stream is opened again at once, with what is wanted now.
ETCDCOLL_DECL void watch_hub::renew() noexcept { let_go(); }

ETCDCOLL_DECL void watch_hub::close() noexcept {
    closed_ = true;
    wanted_.notify_all();
    if (stream_) stream_->shut();
    const error why(errc::closed, "watch: the client is closed");
    for (auto& [id, target] : std::exchange(entries_, {})) target.sink->on_failure(why);
}

ETCDCOLL_DECL void watch_hub::send(std::string_view text) {
    if (!stream_ || stream_->complete) return; // what is wanted is sent when the stream opens
    stream_->outbox += text;
    stream_->outbox_filled.notify_all();
}

ETCDCOLL_DECL bool watch_hub::wanted() const noexcept {
    return std::any_of(entries_.begin(), entries_.end(), [](const auto& item) { return item.second.state == flow::running; });
}

ETCDCOLL_DECL std::string watch_hub::all_creates(stream& s) {
    std::string text;
    for (auto& [id, target] : entries_) {
        if (target.state != flow::running) continue;
        target.stale_answers = 0;
        s.creates.push_back(number_of(id, target));
        text += etcd::codec::encode_create(target.request, s.creates.back(), target.cursor.resume());
    }
    return text;
}

ETCDCOLL_DECL bool watch_hub::can_ask() const noexcept { return !stream_ || !stream_->complete; }

// ---- what it brings -------------------------------------------------------------------------------------------------------------

ETCDCOLL_DECL void watch_hub::handle(etcd::codec::watch_message message) {
    if (message.is_error) throw etcd::codec::bad_reply(message.error.message);
    if (message.watch_id < 0 && !message.created && !message.canceled) {
        const auto at = message.response.header.revision;
        if (stream_ && stream_->open_asks > 0) --stream_->open_asks;
        std::vector<std::shared_ptr<watch_sink>> told; // a sink may remove its entry
        for (auto& [id, target] : entries_) {
            if (!target.created || target.state != flow::running || !target.fragments.empty()) continue;
            if (at > target.created_at) target.stale_answers = 0; // a later one than its creation
            if (target.stale_answers > 0) {
                --target.stale_answers;
                continue;
            }
            target.cursor.progress(at, core_.now());
            told.push_back(target.sink);
        }
        for (const auto& sink : told) sink->on_progress(at);
        return;
    }
    if (message.created && stream_) {
        auto& asked = stream_->creates;
        // Refused before it had a number. Which one it was is not told, but creations are answered in order.
        if (message.watch_id < 0 && message.canceled && !asked.empty()) message.watch_id = asked.front();
        const auto answered = std::find(asked.begin(), asked.end(), message.watch_id);
        if (answered != asked.end()) asked.erase(answered);
    }
    const auto found = entries_.find(message.watch_id & ((std::int64_t(1) << id_bits) - 1));
    // The last words of a watch that was cancelled here, or stopped and begun again:
    if (found == entries_.end() || number_of(found->first, found->second) != message.watch_id) return;
    auto& [id, target] = *found;
    if (message.canceled) {
        cancelled(id, target, message);
        return;
    }
    if (target.state != flow::running) return;
    if (message.created) {
        target.created = true;
        target.created_at = message.response.header.revision;
        logins_ = 0;
        target.cursor.created(message.response.header.revision);
    }
    if (!message.response.events.empty()) deliver(id, target, std::move(message));
}

ETCDCOLL_DECL void watch_hub::cancelled(std::int64_t id, entry& target, const etcd::codec::watch_message& message) {
    if (target.state == flow::stopping || target.state == flow::restarting) {
        const bool wanted = std::exchange(target.state, flow::paused) == flow::restarting;
        if (wanted) resume(id);
        return;
    }
    if (target.state == flow::paused) return;
    error_context context;
    context.call = "watch";
    context.key = target.request.keys.key;
    context.server_message = message.cancel_reason;
    context.compact_revision = message.compact_revision.value;
    const auto about = call_and_key("watch", target.request.keys.key) + ": ";
    if (message.compact_revision) {
        auto sentence = about + "revision " + std::to_string(target.cursor.resume().value) + " has been compacted; history begins at " +
                        std::to_string(message.compact_revision.value);
        fail(id, error(errc::compacted, std::move(sentence), std::move(context)));
        return;
    }
    const auto reason = judge_cancel(message.cancel_reason);
    if (reason == errc::unauthenticated && core_.has_user() && logins_ < most_watch_logins && stream_) {
        ++logins_; // the token of the stream has expired: one with another takes its place
        core_.forget_login(stream_->login);
        renew();
        return;
    }
    fail(id, error(reason, about + (message.cancel_reason.empty() ? "cancelled by the server" : message.cancel_reason), std::move(context)));
}

ETCDCOLL_DECL std::size_t size_of(const std::vector<etcd::event>& events) {
    std::size_t total = 0;
    for (const auto& e : events) {
        total += sizeof e + e.kv.key.size() + e.kv.value.size();
        if (e.prev_kv) total += e.prev_kv->key.size() + e.prev_kv->value.size();
    }
    return total;
}

ETCDCOLL_DECL void watch_hub::deliver(std::int64_t id, entry& target, etcd::codec::watch_message message) {
    auto& events = message.response.events;
    for (const auto& e : events)
        if (!covers(target.request.keys, e.kv.key)) throw etcd::codec::bad_reply("an event of a key that was not asked for");
    auto earlier = std::exchange(target.fragments, {});
    if (!earlier.empty()) {
        earlier.insert(earlier.end(), std::make_move_iterator(events.begin()), std::make_move_iterator(events.end()));
        events = std::move(earlier);
    }
    if (message.fragment) { // the revision at the end may go on in the next one, those before it are complete
        const auto last = events.back().kv.mod_revision;
        const auto rest = std::find_if(events.begin(), events.end(), [last](const etcd::event& e) { return e.kv.mod_revision == last; });
        target.fragments.assign(std::make_move_iterator(rest), std::make_move_iterator(events.end()));
        events.erase(rest, events.end());
        if (size_of(target.fragments) > core_.values().reply_limit) throw etcd::codec::bad_reply("a message is larger than the limit");
    }
    const auto dropped = target.cursor.accept(events);
    if (dropped != 0) {
        const auto before = core_.counted.watch_repeats.fetch_add(dropped);
        if (before == 0 && core_.log().enabled(log_level::warning))
            core_.log().write(log_level::warning, "watch " + std::to_string(id) + ": the server sent events again; they are dropped");
    }
    core_.counted.watch_events += events.size();
    const auto sink = target.sink; // on_response() may remove the entry
    if (!events.empty()) sink->on_response(std::move(message.response));
}

ETCDCOLL_DECL void watch_hub::fail_all(const error& why) {
    while (!entries_.empty()) fail(entries_.begin()->first, why);
}

ETCDCOLL_DECL void watch_hub::fail(std::int64_t id, const error& why) {
    const auto found = entries_.find(id);
    if (found == entries_.end()) return;
    const auto sink = std::move(found->second.sink);
    entries_.erase(found);
    sink->on_failure(why);
    if (entries_.empty()) let_go();
}

} // namespace etcdcoll::detail
