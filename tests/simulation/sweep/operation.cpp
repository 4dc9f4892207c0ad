#include "operation.hpp"

#include <etcdcoll/impl/condition.hpp>

#include <utility>

namespace etcdcoll::sim {

operation::operation(world& of, client_options options) : all(of), self(of.rank(0)), etcd(self.make_client(std::move(options))) {
    all.ignore_keys("k/");
}

operation::~operation() = default;

asio::awaitable<void> operation::prepare() { co_return; }

asio::awaitable<void> operation::check(ending) { co_await client_works(); }

void operation::require(bool holds, const std::string& what) {
    if (!holds) all.complain(what);
}

std::optional<etcd::key_value> operation::stored(const std::string& key) const {
    const auto found = data().range(etcd::range_request(key));
    if (found.kvs.empty()) return std::nullopt;
    return found.kvs.front();
}

std::size_t operation::stored_below(const std::string& prefix) const { return data().range(etcd::range_request(etcd::prefix(prefix))).kvs.size(); }

void operation::store(const std::string& key, const std::string& value) { data().put(etcd::put_request(key, value)); }

void operation::later(duration how_long, std::function<void(etcd::model::store&)> change) {
    all.scheduler().after(how_long, [&there = data(), change = std::move(change)] { change(there); });
}

asio::awaitable<void> operation::pause(duration how_long) {
    const auto until = all.now() + how_long;
    co_await detail::sleep_until(self.executor(), self.system(), until);
}

asio::awaitable<void> operation::client_works() {
    const auto written = co_await etcd.put("k/after", "works");
    const auto found = co_await etcd.get("k/after");
    require(found && found->value == "works" && found->mod_revision == written.header.revision, "the client does not work any more");
}

asio::awaitable<void> operation_of_session::prepare() {
    auto opened = co_await session::open(etcd);
    mine = std::move(opened);
}

} // namespace etcdcoll::sim
