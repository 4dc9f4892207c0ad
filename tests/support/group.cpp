#include <support/group.hpp>

#include <etcdcoll/detail/key_layout.hpp>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <catch2/catch_test_macros.hpp>

#include <set>
#include <utility>

namespace etcdcoll::test {

std::string unique_group() { return "g/" + unique_prefix() + "."; }

group_options options_for(const std::string& name, int size, int rank) {
    group_options options;
    options.name(name).size(size).ttl(std::chrono::seconds(3)).timeout(std::chrono::seconds(20)).join_timeout(std::chrono::seconds(20));
    if (rank >= 0) options.rank(rank);
    return options;
}

client client_for(const asio::any_io_executor& executor, const std::string& endpoint, logger log) {
    client_options options;
    options.endpoints(endpoint).log(std::move(log));
    return client(executor, options);
}

namespace {

asio::awaitable<void> list_keys(std::string endpoint, std::string group, std::map<std::string, std::int64_t>& found) {
    const auto executor = co_await asio::this_coro::executor;
    auto etcd = client_for(executor, endpoint);
    const auto base = detail::key_layout("etcdcoll/groups", group).base();
    etcd::range_request request(etcd::prefix(base));
    request.keys_only = true;
    const auto reply = co_await etcd.range(request);
    for (const auto& kv : reply.kvs) {
        auto name = kv.key.substr(base.size());
        const auto slash = name.find('/');
        if (slash != std::string::npos) name = name.substr(slash + 1);
        found[name] = kv.version;
    }
}

asio::awaitable<void> until_no_keys(std::string endpoint, std::string group, std::chrono::steady_clock::time_point, bool& gone) {
    const auto executor = co_await asio::this_coro::executor;
    auto etcd = client_for(executor, endpoint);
    const auto base = detail::key_layout("etcdcoll/groups", group).base();
    for (;;) {
        etcd::range_request request(etcd::prefix(base));
        request.keys_only = true;
        const auto reply = co_await etcd.range(request);
        gone = reply.kvs.empty();
        if (gone) co_return;
        auto changes = etcd.watch(etcd::watch_request(etcd::prefix(base), {reply.header.revision.value + 1}));
        const auto change = co_await changes.next();
        static_cast<void>(change);
    }
}

} // namespace

std::map<std::string, std::int64_t> keys_of(const std::string& endpoint, const std::string& group) {
    std::map<std::string, std::int64_t> found;
    run(list_keys(endpoint, group, found));
    return found;
}

bool wait_no_keys(const std::string& endpoint, const std::string& group, std::chrono::milliseconds deadline) {
    bool gone = false;
    run(until_no_keys(endpoint, group, std::chrono::steady_clock::now() + deadline, gone), deadline);
    return gone;
}

asio::awaitable<void> until_members(std::string endpoint, std::string group, std::size_t count) {
    const auto executor = co_await asio::this_coro::executor;
    auto etcd = client_for(executor, endpoint);
    const auto base = detail::key_layout("etcdcoll/groups", group).base();
    const auto there = co_await etcd.range(etcd::prefix(base));
    std::set<std::string> members;
    const auto note = [&members](const etcd::key_value& kv) {
        if (kv.key.find("/w/member/") != std::string::npos) members.insert(kv.key);
    };
    for (const auto& kv : there.kvs) note(kv);
    auto changes = etcd.watch(etcd::watch_request(etcd::prefix(base), {there.header.revision.value + 1}));
    while (members.size() < count) {
        const auto change = co_await changes.next();
        for (const auto& event : change.events) note(event.kv);
    }
}

asio::awaitable<void> meeting::wait() {
    if (++come_ == expected_) {
        for (auto* each : std::exchange(waiting_, {})) each->cancel();
        co_return;
    }
    const auto executor = co_await asio::this_coro::executor;
    asio::steady_timer turn(executor, std::chrono::steady_clock::time_point::max());
    waiting_.push_back(&turn);
    boost::system::error_code woken;
    co_await turn.async_wait(asio::redirect_error(asio::use_awaitable, woken));
}

asio::awaitable<std::string> expect_error(asio::awaitable<void> waiting, errc reason) {
    std::string text;
    errc seen{};
    try {
        co_await std::move(waiting);
    } catch (const error& failure) {
        seen = failure.reason();
        text = failure.what();
    }
    INFO(text);
    CHECK(error(seen, "").code().message() == error(reason, "").code().message());
    co_return text;
}

asio::awaitable<void> member(std::string endpoint, group_options options, std::function<asio::awaitable<void>(group&)> body) {
    const auto executor = co_await asio::this_coro::executor;
    const auto etcd = client_for(executor, endpoint);
    auto joined = co_await group::join(etcd, options);
    co_await body(joined);
    co_await joined.leave();
}

} // namespace etcdcoll::test
