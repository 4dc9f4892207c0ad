#include "support.hpp"
#include "versions.hpp"

#include <etcdcoll/etcd/auth.hpp>
#include <support/auth_etcd.hpp>

#include <boost/asio/io_context.hpp>

#include <vector>

using namespace etcdcoll;
using namespace etcdcoll::test;

namespace {

using names = std::vector<std::string>;

// Users and roles are there before authentication is on, so the server that all tests share will do: the names begin with `p`.
asio::awaitable<void> users_and_roles(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    etcd::auth a(client(executor, quiet(test_etcd().endpoint())));
    const auto name = p + "\"us\\er\"\n\xc3\xa9";
    const auto role = p + "role";

    const auto added = co_await a.user_add(name, "secret");
    CHECK(added.revision.value > 0);
    const auto twice = co_await ending_of(a.user_add(name, "secret"));
    CHECK(twice.reason == errc::already_exists);
    const auto without = co_await a.user_add(p + "np", etcd::no_password);
    CHECK(without.cluster_id != 0);
    const auto created = co_await a.role_add(role);
    CHECK(created.revision.value > 0);
    const auto again = co_await ending_of(a.role_add(role));
    CHECK(again.reason == errc::already_exists);

    const auto granted = co_await a.user_grant_role(name, role);
    CHECK(granted.revision.value > 0);
    const auto user = co_await a.user_get(name);
    CHECK(user.roles == names{role});
    const auto users = co_await a.user_list();
    CHECK(std::count(users.users.begin(), users.users.end(), name) == 1);
    const auto roles = co_await a.role_list();
    CHECK(std::count(roles.roles.begin(), roles.roles.end(), role) == 1);
    const auto stranger = co_await ending_of(a.user_get(p + "nobody"));
    CHECK(stranger.reason == errc::not_found);
    CHECK(stranger.context.key == p + "nobody");
    const auto no_role = co_await ending_of(a.user_grant_role(name, p + "none"));
    CHECK(no_role.reason == errc::not_found);

    const auto changed = co_await a.user_change_password(name, "other");
    CHECK(changed.revision.value > 0);
    const auto revoked = co_await a.user_revoke_role(name, role);
    CHECK(revoked.revision.value > 0);
    const auto not_granted = co_await ending_of(a.user_revoke_role(name, role));
    CHECK(not_granted.reason == errc::refused);
    const auto bare = co_await a.user_get(name);
    CHECK(bare.roles.empty());

    const auto gone = co_await a.user_delete(name);
    CHECK(gone.revision.value > 0);
    const auto twice_gone = co_await ending_of(a.user_delete(name));
    CHECK(twice_gone.reason == errc::not_found);
    const auto other = co_await a.user_delete(p + "np");
    CHECK(other.revision.value > 0);
    const auto no_more = co_await a.role_delete(role);
    CHECK(no_more.revision.value > 0);
    const auto no_such = co_await ending_of(a.role_get(role));
    CHECK(no_such.reason == errc::not_found);
}

asio::awaitable<void> permissions(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    etcd::auth a(client(executor, quiet(test_etcd().endpoint())));
    const std::string binary("\0\xff", 2);
    const auto created = co_await a.role_add(p);
    CHECK(created.revision.value > 0);
    const std::vector<etcd::permission> wanted{{etcd::permission_kind::write, etcd::prefix("")},
                                               {etcd::permission_kind::read, binary},
                                               {etcd::permission_kind::read_write, etcd::prefix("a/")},
                                               {etcd::permission_kind::read, etcd::from("z")}};
    for (const auto& one : wanted) {
        const auto granted = co_await a.role_grant_permission(p, one);
        CHECK(granted.revision.value > 0);
    }
    const auto all = co_await a.role_get(p);
    REQUIRE(all.permissions.size() == wanted.size());
    for (const auto& one : wanted) {
        const auto same = [&one](const etcd::permission& other) {
            return other.kind == one.kind && other.keys.key == one.keys.key && other.keys.end == one.keys.end;
        };
        CHECK(std::count_if(all.permissions.begin(), all.permissions.end(), same) == 1);
    }
    for (const auto& one : wanted) {
        const auto revoked = co_await a.role_revoke_permission(p, one.keys);
        CHECK(revoked.revision.value > 0);
    }
    const auto none = co_await a.role_get(p);
    CHECK(none.permissions.empty());
    const auto twice = co_await ending_of(a.role_revoke_permission(p, binary));
    CHECK(twice.reason == errc::refused);
    const auto no_more = co_await a.role_delete(p);
    CHECK(no_more.revision.value > 0);
}

asio::awaitable<void> on_and_off(std::string endpoint) {
    const auto executor = co_await asio::this_coro::executor;
    etcd::auth open(client(executor, quiet(endpoint)));
    const auto early = co_await ending_of(open.enable());
    CHECK(early.reason != errc{});
    CHECK(contains(early.what, "root user does not exist"));
    const auto off = co_await ending_of(open.authenticate("root", "secret"));
    CHECK(off.reason == errc::refused);
    CHECK(contains(off.what, "authentication is not enabled"));

    const auto user = co_await open.user_add("root", "secret");
    CHECK(user.revision.value > 0);
    const auto role = co_await open.role_add("root");
    CHECK(role.revision.value > 0);
    const auto granted = co_await open.user_grant_role("root", "root");
    CHECK(granted.revision.value > 0);
    const auto on = co_await open.enable();
    CHECK(on.revision.value > 0);

    const auto unknown = co_await ending_of(open.user_list());
    CHECK(unknown.reason == errc::unauthenticated);
    const auto token = co_await open.authenticate("root", "secret");
    CHECK(!token.token.empty());
    const auto wrong = co_await ending_of(open.authenticate("root", "s3cret"));
    CHECK(wrong.reason == errc::unauthenticated);
    CHECK(contains(wrong.what, "root"));
    CHECK(!contains(wrong.what, "s3cret"));

    auto options = quiet(endpoint);
    options.user("root", "secret");
    etcd::auth root(client(executor, options));
    if (etcd_is_at_least(5)) {
        const auto state = co_await root.status();
        CHECK(state.enabled);
        CHECK(state.auth_revision > 1);
    } else {
        const auto state = co_await ending_of(root.status());
        CHECK(state.reason == errc::unsupported);
        CHECK(contains(state.what, "auth_status"));
        CHECK(contains(state.what, "etcd 3.4"));
    }
    const auto needed = co_await ending_of(root.user_delete("root"));
    CHECK(needed.reason == errc::refused);
    const auto done = co_await root.disable();
    CHECK(done.revision.value > 0);
    const auto anybody = co_await open.user_list();
    CHECK(anybody.users == names{"root"});
}

asio::awaitable<void> as_plain_user(const auth_etcd* server) {
    const auto executor = co_await asio::this_coro::executor;
    auto options = quiet(server->endpoint());
    options.user(auth_etcd::user, auth_etcd::password);
    etcd::auth plain(client(executor, options));
    const auto self = co_await plain.user_get(auth_etcd::user);
    CHECK(self.roles == names{auth_etcd::role});
    const auto own = co_await plain.role_get(auth_etcd::role);
    REQUIRE(own.permissions.size() == 1);
    CHECK(own.permissions[0].kind == etcd::permission_kind::read_write);
    CHECK(own.permissions[0].keys.key == server->prefix());
    const auto other = co_await ending_of(plain.user_get("root"));
    CHECK(other.reason == errc::permission_denied);
    const auto made = co_await ending_of(plain.user_add("more", "secret"));
    CHECK(made.reason == errc::permission_denied);
    CHECK(!contains(made.what, "secret"));
}

} // namespace

TEST_CASE("auth: users and roles come, are told and go") { run(users_and_roles(unique_prefix())); }

TEST_CASE("auth: a role's permissions come back as they were granted") { run(permissions(unique_prefix())); }

TEST_CASE("auth: on, every call needs a user; off, none does") {
    const command::local_etcd server;
    run(on_and_off(server.endpoint()));
}

TEST_CASE("auth: a plain user learns about himself only, and changes nothing") {
    const auth_etcd server;
    run(as_plain_user(&server));
}

TEST_CASE("auth: what cannot work is refused before any I/O") {
    asio::io_context io;
    const client c(io.get_executor(), quiet("http://127.0.0.1:1"));
    etcd::auth a(c);
    const auto reason = [](auto&& call) {
        try {
            static_cast<void>(call());
        } catch (const error& failure) {
            CHECK(!contains(failure.what(), "secret"));
            return failure.reason();
        }
        return errc{};
    };
    const std::vector<std::string> not_utf8{"\xff", "\xc3", "\xc0\xaf", "\xed\xa0\x80", "\xf5\x80\x80\x80", "a\x80", "\xe2\x82"};
    for (const auto& name : not_utf8) CHECK(reason([&] { return a.user_add(name, "secret"); }) == errc::invalid_argument);
    CHECK(reason([&] { return a.user_add("u", "secret\xff"); }) == errc::invalid_argument);
    CHECK(reason([&] { return a.user_add("", "secret"); }) == errc::invalid_argument);
    CHECK(reason([&] { return a.user_add("u", ""); }) == errc::invalid_argument);
    CHECK(reason([&] { return a.user_add("", etcd::no_password); }) == errc::invalid_argument);
    CHECK(reason([&] { return a.user_get(""); }) == errc::invalid_argument);
    CHECK(reason([&] { return a.user_delete(""); }) == errc::invalid_argument);
    CHECK(reason([&] { return a.user_change_password("u", ""); }) == errc::invalid_argument);
    CHECK(reason([&] { return a.user_grant_role("u", ""); }) == errc::invalid_argument);
    CHECK(reason([&] { return a.user_revoke_role("", "r"); }) == errc::invalid_argument);
    CHECK(reason([&] { return a.role_add(""); }) == errc::invalid_argument);
    CHECK(reason([&] { return a.role_get(""); }) == errc::invalid_argument);
    CHECK(reason([&] { return a.role_delete(""); }) == errc::invalid_argument);
    CHECK(reason([&] { return a.role_grant_permission("r", {etcd::permission_kind::read, ""}); }) == errc::invalid_argument);
    CHECK(reason([&] { return a.role_grant_permission("r", {etcd::permission_kind::read, etcd::key_range("b", "a")}); }) == errc::invalid_argument);
    CHECK(reason([&] { return a.authenticate("u", ""); }) == errc::invalid_argument);
    CHECK(reason([&] { return a.user_get("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"); }) == errc{});
    CHECK(c.metrics().calls == 0);
}
