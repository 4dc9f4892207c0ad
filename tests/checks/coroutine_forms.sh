#!/bin/sh
# Finds the forms of co_await that g++ 12 compiles wrongly, mostly in silence: in a condition, in ?:, as an argument, with a braced list or a lambda in the
# awaited expression. So co_await stands alone in its statement:
#   co_await e;   x = co_await e;   auto x = co_await e;   T x = co_await e;   co_return co_await e;
# where e has neither { nor a lambda in it. `auto [a, b] = co_await e` is refused too: GCC 15 skips a destructor there.
# A statement that must break the rule says so with a comment `co_await-form: why` on the line of its co_await.
# usage: coroutine_forms.sh <source dir> | --self-test
set -eu
here=$(cd "$(dirname "$0")" && pwd)

check() { # check <source dir>: prints what is wrong, and fails if anything is
    (
        cd "$1"
        find include src tests examples bench -type f \( -name '*.hpp' -o -name '*.ipp' -o -name '*.cpp' \) 2>/dev/null | sort >"$list"
        [ -s "$list" ] || { echo "no file was checked"; exit 1; }
        xargs grep -l co_await <"$list" >"$list.some" || true
        [ -s "$list.some" ] || exit 0
        # shellcheck disable=SC2046 # one word a line, no blanks in the names
        { xargs grep -n 'co_await-form:' /dev/null <"$list.some" | cut -d: -f1,2 | sed 's/^/excused /'; xargs awk -f "$here/strip.awk" <"$list.some"; } |
            awk -f "$here/coroutine_forms.awk"
    )
}

self_test() {
    status=0
    mkdir "$tmp/src"
    try() { # try <pass|fail> <text of a function body>
        printf 'awaitable<void> f() {\n%s\n}\n' "$2" >"$tmp/src/a.cpp"
        if check "$tmp" >"$tmp/out"; then actual=pass; else actual=fail; fi
        if [ "$actual" != "$1" ]; then
            echo "self-test: expected $1 for: $2" >&2
            cat "$tmp/out" >&2
            status=1
        fi
    }
    try pass 'co_await f(a, b);'
    try pass 'auto x = co_await g.allgather(mine, asio::redirect_error(asio::use_awaitable, ec));'
    try pass 'const std::vector<int>& x = co_await f<int, 3>(a);'
    try pass 'this->x_ = co_await f();'
    try pass 'y[i].z = co_await f();'
    try pass '[[maybe_unused]] auto x = co_await f();'
    try pass 'co_return co_await f();'
    try pass 'if (a) co_await f();'
    try pass 'if constexpr (a < b) { x = co_await f(); } else co_await g();'
    try pass 'for (auto& x : y) co_await f(x);'
    try pass 'switch (a) { case b::c: co_await f(); default: co_await g(); }'
    try pass 'asio::co_spawn(ex, [&]() -> asio::awaitable<void> { co_await f(); int x = 3; y = co_await g(); }, asio::detached);'
    try pass 'co_await (f() && timer());'
    try pass '// if (co_await f()) is wrong
co_await f("if (co_await g({}))", R"(co_await h({}))", '"'{'"', 1'"'"'000);'
    try pass 'auto ex = co_await asio::this_coro::executor;
auto x =
    co_await f(a,
               b);'
    try pass 'if (co_await f()) { } // co_await-form: the compiler bug is the subject here'
    try fail 'if (co_await f()) { }'
    try fail 'if (auto x = co_await f(); x) { }'
    try fail 'if (auto x = 1; co_await f()) { }'
    try fail 'while (co_await f()) { }'
    try fail 'switch (co_await f()) { }'
    try fail 'for (;co_await f();) { }'
    try fail 'for (auto x : co_await f()) { }'
    try fail 'CHECK(co_await f() == 1);'
    try fail 'g(co_await f());'
    try fail 'co_await g(co_await f());'
    try fail 'auto x = a ? co_await f() : b;'
    try fail 'auto x = co_await f() ? 1 : 2;'
    try fail 'auto x = co_await f() + 1;'
    try fail 'auto x = 1 + co_await f();'
    try fail 'x += co_await f();'
    try fail 'if (a) x = (co_await f()).y;'
    try fail 'T x{co_await f()};'
    try fail 'T x(co_await f());'
    try fail 'auto [a, b] = co_await f();'
    try fail 'auto& [a, b] = co_await f();'
    try fail 'co_await f({.opt = x});'
    try fail 'co_await f(json{{"a", 1}});'
    try fail 'co_await f([x] { return x; });'
    try fail 'co_await f(a ? b() : c);'
    try fail 'co_await f(
    a,
    {"a", "b"});'
    try fail 'co_return co_await f() && co_await g();'
    try fail '#define AWAIT(x) \
    CHECK(co_await x)'
    rm "$tmp/src/a.cpp"
    check "$tmp" >/dev/null && { echo "self-test: an empty tree passes" >&2; status=1; }
    return $status
}

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
list=$tmp/list
case ${1:-} in
    --self-test) self_test ;;
    ?*) check "$1" ;;
    *) echo "usage: coroutine_forms.sh <source dir> | --self-test" >&2; exit 2 ;;
esac
