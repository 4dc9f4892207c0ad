#include "subject.hpp"

#include <etcdcoll/error.hpp>

namespace etcdcoll::test {

asio::awaitable<std::int64_t> client_subject::begin() {
    watches_.clear();
    if (!used_) {
        used_ = true;
        co_return 1;
    }
    const auto leases = co_await client_.lease_list();
    for (const auto& id : leases.leases) co_await client_.lease_revoke(id);
    etcd::delete_range_request everything(etcd::prefix(""));
    co_await client_.put("before", "");
    co_await client_.delete_range(std::move(everything));
    const auto base = co_await client_.put("base", "");
    co_await client_.compact(base.header.revision, true);
    co_return base.header.revision.value;
}

namespace {

template <class Reply> asio::awaitable<outcome> answered(asio::awaitable<Reply> call) {
    outcome result;
    try {
        const auto reply = co_await std::move(call);
        result = outcome_of(reply);
    } catch (const error& failure) {
        const auto& context = failure.context();
        result = context.grpc_code != 0 ? outcome_of_refusal(context.grpc_code, context.server_message) : outcome{failure.what()};
    }
    co_return result;
}

asio::awaitable<outcome> call(client& c, etcd::put_request r) { return answered(c.put(std::move(r))); }
asio::awaitable<outcome> call(client& c, etcd::range_request r) { return answered(c.range(std::move(r))); }
asio::awaitable<outcome> call(client& c, etcd::delete_range_request r) { return answered(c.delete_range(std::move(r))); }
asio::awaitable<outcome> call(client& c, etcd::txn_request r) { return answered(c.txn(std::move(r))); }
// `physical`: else what a compaction takes can be read for a while.
asio::awaitable<outcome> call(client& c, compaction what) { return answered(c.compact(what.at, true)); }
asio::awaitable<outcome> call(client& c, lease_grant what) { return answered(c.lease_grant(std::chrono::seconds(what.ttl), what.id)); }
asio::awaitable<outcome> call(client& c, lease_revoke what) { return answered(c.lease_revoke(what.id)); }
asio::awaitable<outcome> call(client& c, lease_keep_alive what) { return answered(c.lease_keep_alive(what.id)); }
asio::awaitable<outcome> call(client& c, lease_time_to_live what) { return answered(c.lease_time_to_live(what.id, what.keys)); }
asio::awaitable<outcome> call(client& c, lease_list) { return answered(c.lease_list()); }

} // namespace

asio::awaitable<outcome> client_subject::execute(operation what) {
    if (auto* request = std::get_if<etcd::watch_request>(&what)) {
        watches_.push_back({client_.watch(std::move(*request)), {}});
        outcome begun{"watches"};
        co_return begun;
    }
    auto started = std::visit(
        [this](auto&& one) -> asio::awaitable<outcome> {
            using kind = std::decay_t<decltype(one)>;
            if constexpr (std::is_same_v<kind, etcd::watch_request>) throw std::logic_error("a watch is no call");
            else return call(client_, std::move(one));
        },
        std::move(what));
    auto result = co_await std::move(started);
    co_return result;
}

// Nothing is waited for that is not to come, but where it does not come.
asio::awaitable<void> client_subject::hear(running& one, std::size_t count, duration patience) {
    try {
        while (one.lines.size() < count) {
            const auto heard = co_await one.watch.next_within(patience);
            if (!heard) break;
            for (const auto& event : heard->events) one.lines.push_back(text(event));
        }
    } catch (const error& failure) {
        one.over = true;
        const auto& context = failure.context();
        one.lines.push_back(failure.reason() == errc::compacted ? "compacted at " + std::to_string(context.compact_revision) : failure.what());
    }
}

asio::awaitable<std::vector<std::string>> client_subject::watched(std::size_t number, std::size_t count, duration patience) {
    auto& one = watches_.at(number);
    if (!one.over) co_await hear(one, count, patience);
    co_return one.lines;
}

} // namespace etcdcoll::test
