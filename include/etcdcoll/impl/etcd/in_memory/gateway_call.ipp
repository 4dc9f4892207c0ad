#pragma once

#include <etcdcoll/impl/etcd/in_memory/gateway_call.hpp>
#include <etcdcoll/impl/etcd/in_memory/reply_encoder.hpp>
#include <etcdcoll/impl/etcd/in_memory/request_rules.hpp>

#include <algorithm>
#include <utility>

namespace etcdcoll::etcd::model {

inline constexpr int resource_exhausted = 8;

// A text is longer than its protobuf, so only a long one has to be measured.
template <class Request> call_request measured(Request request, std::string_view text, std::size_t most) {
    if (const auto size = text.size() > most ? wire_size(request) : 0; size > most)
        throw refusal(resource_exhausted, "grpc: received message larger than max (" + std::to_string(size) + " vs. " + std::to_string(most) + ")");
    return request;
}

ETCDCOLL_DECL call_request decode_call(service what, std::string_view text, std::size_t most) {
    switch (what) {
    case service::range: return measured(decode_range(text), text, most);
    case service::put: return measured(decode_put(text), text, most);
    case service::delete_range: return measured(decode_delete_range(text), text, most);
    case service::txn: return measured(decode_txn(text), text, most);
    case service::compaction: return decode_compact(text);
    case service::grant: return decode_lease_grant(text);
    case service::revoke: return decode_lease_revoke(text);
    case service::time_to_live: return decode_lease_time_to_live(text);
    case service::leases: return decode_lease_list(text);
    case service::status: return decode_status(text);
    default: return decode_member_list(text);
    }
}

// Asks the store, and writes the reply unless nobody is to be told.
struct executor {
    member& of;
    std::string* text;

    template <class Reply> void tell(const Reply& reply) const {
        if (text == nullptr) return;
        text->reserve(256);
        append_reply(*text, of.header(), reply);
    }
    void operator()(const range_request& r) const { tell(of.data().range(r)); }
    void operator()(const put_request& r) const { tell(of.data().put(r)); }
    void operator()(const delete_range_request& r) const { tell(of.data().erase(r)); }
    void operator()(const txn_request& r) const { tell(of.data().txn(r)); }
    void operator()(const compact_request& r) const { tell(of.data().compact(r.at)); }
    void operator()(const lease_grant_request& r) const { tell(of.data().grant(r.ttl, r.id, of.now())); }
    void operator()(const lease_revoke_request& r) const { tell(of.data().revoke(r.id)); }
    void operator()(const lease_keep_alive_request& r) const { tell(of.data().keep_alive(r.id, of.now())); }
    void operator()(const lease_time_to_live_request& r) const { tell(of.data().time_to_live(r.id, r.keys, of.now())); }
    void operator()(const lease_list_request&) const { tell(of.data().leases()); }
    void operator()(const status_request&) const { tell(status_reply{of.version(), of.leader(), of.data().current()}); }
    void operator()(const member_list_request&) const {
        member_list_reply reply;
        for (auto& url : of.client_urls()) {
            const auto nth = reply.members.size();
            reply.members.push_back({of.member_at(nth), "member" + std::to_string(nth), std::move(url)});
        }
        tell(reply);
    }
};

ETCDCOLL_DECL bool gateway_call::writes() const noexcept {
    if (const auto* txn = std::get_if<txn_request>(&request_)) return !only_reads(*txn);
    return std::holds_alternative<put_request>(request_) || std::holds_alternative<delete_range_request>(request_) ||
           std::holds_alternative<compact_request>(request_) || std::holds_alternative<lease_grant_request>(request_) ||
           std::holds_alternative<lease_revoke_request>(request_);
}

ETCDCOLL_DECL bool gateway_call::linearizable() const noexcept {
    if (const auto* range = std::get_if<range_request>(&request_)) return !range->serializable;
    if (const auto* list = std::get_if<member_list_request>(&request_)) return list->linearizable;
    if (const auto* txn = std::get_if<txn_request>(&request_)) {
        if (!only_reads(*txn)) return false;
        const auto local = [](const op& o) {
            const auto* range = std::get_if<range_request>(&o.request);
            return range != nullptr && range->serializable;
        };
        return !std::all_of(txn->success.begin(), txn->success.end(), local) || !std::all_of(txn->failure.begin(), txn->failure.end(), local);
    }
    // Only the leader knows how long a lease still lives.
    return std::holds_alternative<lease_keep_alive_request>(request_) || std::holds_alternative<lease_time_to_live_request>(request_);
}

ETCDCOLL_DECL void gateway_call::execute() {
    if (std::exchange(executed_, true)) return;
    int code = 0;
    std::string text;
    try {
        std::visit(executor{of_, to_ ? &text : nullptr}, request_);
    } catch (const refusal& why) {
        code = why.code();
        text = why.what();
    }
    answer(code, std::move(text));
}

ETCDCOLL_DECL void gateway_call::refuse(int code, std::string_view text) { answer(code, std::string(text)); }

ETCDCOLL_DECL void gateway_call::answer(int code, std::string text) {
    if (const auto to = std::exchange(to_, nullptr)) to->answer(code, std::move(text));
}

} // namespace etcdcoll::etcd::model
