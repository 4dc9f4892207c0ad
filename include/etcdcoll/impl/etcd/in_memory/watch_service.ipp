#pragma once

#include <etcdcoll/impl/etcd/in_memory/event_size.hpp>
#include <etcdcoll/impl/etcd/in_memory/watch_service.hpp>

#include <algorithm>
#include <utility>
#include <variant>

namespace etcdcoll::etcd::model {

inline constexpr std::int64_t no_watch = -1; // the number of answers that are about none

ETCDCOLL_DECL void watch_service::take(const watch_stream_request& request) {
    if (const auto* wanted = std::get_if<watch_create_request>(&request)) create(*wanted);
    if (const auto* ended = std::get_if<watch_cancel_request>(&request)) cancel(ended->watch_id);
    if (std::holds_alternative<watch_progress_request>(request)) progress();
}

ETCDCOLL_DECL response_header watch_service::header_at(revision at) const {
    auto header = of_.header();
    header.revision = at;
    return header;
}

ETCDCOLL_DECL void watch_service::send(const watch_reply& reply, const event* first, const event* last) { out_(watch_text(reply, first, last)); }

ETCDCOLL_DECL std::int64_t watch_service::free_id() {
    while (watches_.contains(next_id_)) ++next_id_;
    return next_id_++;
}

ETCDCOLL_DECL void watch_service::create(const watch_create_request& request) {
    const auto now = of_.data().current();
    auto keys = request.wanted.keys;
    if (keys.key.empty()) keys.key.assign(1, '\0');
    const bool open = keys.end == std::string_view("\0", 1);
    const bool empty = !keys.end.empty() && !open && keys.key >= keys.end;
    if (empty || (request.watch_id != 0 && watches_.contains(request.watch_id))) {
        send({.header = header_at(now), .watch_id = no_watch, .created = true, .canceled = true, .compact_revision = {},
              .cancel_reason = empty ? "mvcc: watcher range is empty" : "mvcc: duplicate watch ID provided on the WatchStream"});
        return;
    }
    const auto id = request.watch_id == 0 ? free_id() : request.watch_id;
    const auto start = request.wanted.start;
    const auto first = start.value == 0 ? revision{now.value + 1} : revision{std::max<std::int64_t>(start.value, 0)};
    const auto& wanted = request.wanted;
    watch added{{std::move(keys), wanted.prev_kv, wanted.no_put, wanted.no_erase, first}, wanted.fragment, first > now};
    auto& target = watches_.insert_or_assign(id, std::move(added)).first->second;
    send({.header = header_at(now), .watch_id = id, .created = true, .compact_revision = {}, .cancel_reason = {}});
    if (!target.in_step && !of_.history_waits() && !tell_news(id, target)) watches_.erase(id);
}

ETCDCOLL_DECL void watch_service::cancel(std::int64_t id) {
    if (watches_.erase(id) == 0) return; // etcd does not answer that
    send({.header = header_at(of_.data().current()), .watch_id = id, .canceled = true, .compact_revision = {}, .cancel_reason = {}});
}

// As etcd from 3.5.8 on: no answer while there is no watch, or one that still reads history.
ETCDCOLL_DECL void watch_service::progress() {
    const auto reads = [](const auto& item) { return !item.second.in_step; };
    if (watches_.empty() || std::any_of(watches_.begin(), watches_.end(), reads)) return;
    push(); // what it promises has been sent before
    send({.header = header_at(of_.data().current()), .watch_id = no_watch, .compact_revision = {}, .cancel_reason = {}});
}

ETCDCOLL_DECL void watch_service::push() {
    for (auto at = watches_.begin(); at != watches_.end();) {
        const bool lives = tell_news(at->first, at->second);
        at = lives ? std::next(at) : watches_.erase(at);
    }
}

// False when the watch is over.
ETCDCOLL_DECL bool watch_service::tell_news(std::int64_t id, watch& target) {
    const auto now = of_.data().current();
    while (target.at.next <= now) {
        const auto batch = of_.data().read(target.at);
        if (batch.compact_revision) {
            send({.header = header_at({}), .watch_id = id, .canceled = true, .compact_revision = batch.compact_revision, .cancel_reason = {}});
            return false;
        }
        if (batch.events.empty()) break;
        if (target.in_step) {
            tell_in_step(id, target, batch.events);
        } else {
            send_events(id, target, now, batch.events.data(), batch.events.data() + batch.events.size());
        }
    }
    target.in_step = true;
    return true;
}

// A message for each revision, as if it had been told when it was made.
ETCDCOLL_DECL void watch_service::tell_in_step(std::int64_t id, const watch& target, const std::vector<event>& events) {
    const auto* const end = events.data() + events.size();
    for (const auto* first = events.data(); first != end;) {
        const auto at = first->kv.mod_revision;
        const auto* last = std::find_if(first, end, [at](const event& e) { return e.kv.mod_revision != at; });
        send_events(id, target, at, first, last);
        first = last;
    }
}

// One message, or as many as etcd makes of one that is larger than its limit.
ETCDCOLL_DECL void watch_service::send_events(std::int64_t id, const watch& target, revision at, const event* first, const event* last) {
    watch_reply reply{.header = header_at(at), .watch_id = id, .compact_revision = {}, .cancel_reason = {}};
    if (!target.fragment) {
        send(reply, first, last);
        return;
    }
    constexpr std::size_t head = 50; // of header, number and flag, about
    while (first != last) {
        auto size = head;
        const auto* end = first;
        while (end != last && (end == first || size + event_size(*end) < of_.message_limit())) size += event_size(*end++);
        reply.fragment = end != last;
        send(reply, first, end);
        first = end;
    }
}

} // namespace etcdcoll::etcd::model
