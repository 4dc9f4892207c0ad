#pragma once
// Whether a good reply is the reply to what was asked: a proxy or a connection out of step may bring that of somebody else.

#include <etcdcoll/detail/key_ranges.hpp>
#include <etcdcoll/etcd/txn.hpp>
#include <etcdcoll/impl/etcd/bad_reply.hpp>

#include <string>
#include <utility>
#include <vector>

namespace etcdcoll::etcd::codec {

/// Of replies that repeat nothing of the request.
struct any_reply {
    template <class Reply> void operator()(const Reply&) const noexcept {}
};

class keys_within {
public:
    explicit keys_within(key_range keys) : keys_(std::move(keys)) {}
    void operator()(const range_response& reply) const { check(reply.kvs); }
    void operator()(const delete_range_response& reply) const { check(reply.prev_kvs); }

private:
    void check(const std::vector<key_value>& kvs) const {
        for (const auto& kv : kvs)
            if (!etcdcoll::detail::covers(keys_, kv.key)) throw bad_reply("a key that was not asked for");
    }

    key_range keys_;
};

class of_lease {
public:
    explicit of_lease(lease_id id) : id_(id) {}
    template <class Reply> void operator()(const Reply& reply) const {
        if (reply.id.value != id_.value) throw bad_reply("a lease that was not asked for");
    }

private:
    lease_id id_;
};

/// What a transaction would answer, without the values that it writes.
class shaped_as {
public:
    explicit shaped_as(const txn_request& request) : success_(shapes(request.success)), failure_(shapes(request.failure)) {}

    void operator()(const txn_response& reply) const { check(*this, reply); }

private:
    struct operation {
        std::size_t kind; // requests and replies have the same order in their variants
        key_range keys;
        std::vector<shaped_as> nested; // one, or none
    };

    static std::vector<operation> shapes(const std::vector<op>& list) {
        std::vector<operation> result;
        result.reserve(list.size());
        for (const auto& item : list) {
            auto& shape = result.emplace_back(operation{item.request.index(), std::string(), {}});
            if (const auto* read = std::get_if<range_request>(&item.request)) shape.keys = read->keys;
            if (const auto* erased = std::get_if<delete_range_request>(&item.request)) shape.keys = erased->keys;
            if (const auto* inner = std::get_if<txn_request>(&item.request)) shape.nested.emplace_back(*inner);
        }
        return result;
    }

    static void check(const shaped_as& shape, const txn_response& reply) {
        const auto& ran = reply.succeeded ? shape.success_ : shape.failure_;
        if (reply.responses.size() != ran.size())
            throw bad_reply(std::to_string(reply.responses.size()) + " responses to " + std::to_string(ran.size()) + " operations");
        for (std::size_t i = 0; i < ran.size(); ++i) {
            const auto& answer = reply.responses[i];
            if (answer.index() != ran[i].kind) throw bad_reply("a response of another kind than its operation");
            if (const auto* read = std::get_if<range_response>(&answer)) keys_within(ran[i].keys)(*read);
            if (const auto* erased = std::get_if<delete_range_response>(&answer)) keys_within(ran[i].keys)(*erased);
            if (const auto* inner = std::get_if<txn_response>(&answer)) check(ran[i].nested.front(), *inner);
        }
    }

    std::vector<operation> success_;
    std::vector<operation> failure_;
};

} // namespace etcdcoll::etcd::codec
