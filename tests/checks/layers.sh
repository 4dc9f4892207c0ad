#!/bin/sh
# Checks who includes what below include/etcdcoll and in src/:
#   a file includes only its own layer and lower ones, as layers.txt has it;
#   detail/ includes neither Asio nor Beast, and only impl/http/ includes Beast;
#   no public header includes Beast, and none but json.hpp includes nlohmann/json.hpp;
#   time and randomness have one source each, in impl/ of the base layer: nothing else in the library asks the system's clock or random device.
# usage: layers.sh <source dir> | --self-test
set -eu
here=$(cd "$(dirname "$0")" && pwd)

check() { # check <source dir>: prints what is wrong, and fails if anything is
    (
        cd "$1"
        { find include/etcdcoll -type f \( -name '*.hpp' -o -name '*.ipp' -o -name '*.h' \); find src -maxdepth 1 -name '*.cpp'; } | sort |
            xargs awk -f "$here/strip.awk"
    ) | awk -v table="$here/layers.txt" '
        function layer_of(path,    i) {
            sub(/^include\/etcdcoll\//, "", path)
            gsub(/(^|\/)(impl|detail)\//, "&\001", path); gsub(/(impl|detail)\/\001/, "", path)
            sub(/\.[a-z]+$/, "", path)
            for (i = 1; i <= patterns; i++) if (path ~ pattern[i]) return layer_at[i]
            return ""
        }
        function wrong(text) { print file ":" number ": " text; failed = 1 }
        BEGIN {
            while ((getline row < table) > 0) {
                if (row ~ /^[ \t]*(#|$)/) continue
                n = split(row, word, /[ \t]+/)
                if (word[1] ~ /:$/) {
                    sub(/:$/, "", word[1]); allowed[word[1], word[1]] = 1
                    for (i = 2; i <= n; i++) allowed[word[1], word[i]] = 1
                } else for (i = 2; i <= n; i++) {
                    p = word[i]; gsub(/\*/, ".*", p)
                    pattern[++patterns] = "^" p "$"; layer_at[patterns] = word[1]
                }
            }
        }
        {
            split($0, part, ":"); file = part[1]; number = part[2]
            line = substr($0, length(file) + length(number) + 3)
            if (file != last) {
                last = file; layer = ""; files++
                if (file ~ /^include/) {
                    layer = layer_of(file)
                    if (layer == "") wrong("belongs to no layer: name it in tests/checks/layers.txt")
                }
                internal = file !~ /^include/ || file ~ /\/(impl|detail)\// || file ~ /\/src\.hpp$/
            }
            if (line ~ /(steady_clock|system_clock|high_resolution_clock)[ \t]*::[ \t]*now|random_device/ && !(layer == "base" && file ~ /\/impl\//))
                wrong("asks the system for time or randomness; only impl/ of the base layer does, for all")
            if (line !~ /^[ \t]*#[ \t]*include/) next
            header = line; sub(/^[^<"]*[<"]/, "", header); sub(/[>"].*$/, "", header)
            if (header ~ /^boost\/beast/ && file !~ /\/impl\/http\//) wrong("includes Beast; only impl/http/ does")
            if (header ~ /^boost\/asio/ && file ~ /\/detail\//) wrong("includes Asio; detail/ decides without I/O")
            if (header == "nlohmann/json.hpp" && !internal && file !~ /\/json\.hpp$/) wrong("a public header includes nlohmann/json.hpp; json.hpp is there for that")
            if (line ~ /"/ && file ~ /^include/) wrong("includes \"" header "\"; write <etcdcoll/...>")
            if (file ~ /^include/ && layer != "" && header ~ /^etcdcoll\//) {
                other = layer_of(substr(header, 10))
                if (other == "") wrong("includes " header ", which belongs to no layer")
                else if (!((layer, other) in allowed)) wrong("includes " header ": layer " layer " must not know layer " other)
            }
        }
        END { if (!files) { print "no file was checked"; exit 1 } exit failed }'
}

self_test() {
    tmp=$(mktemp -d)
    trap 'rm -rf "$tmp"' EXIT
    mkdir -p "$tmp/src" "$tmp/include/etcdcoll/etcd" "$tmp/include/etcdcoll/impl/http" "$tmp/include/etcdcoll/impl/group" "$tmp/include/etcdcoll/detail"
    status=0
    try() { # try <pass|fail> <file> <line>...
        expected=$1 file=$tmp/$2
        shift 2
        printf '%s\n' "$@" >"$file"
        if check "$tmp" >"$tmp/out"; then actual=pass; else actual=fail; fi
        if [ "$actual" != "$expected" ]; then
            echo "self-test: expected $expected for ${file#"$tmp/"}: $*" >&2
            cat "$tmp/out" >&2
            status=1
        fi
        rm "$file"
    }
    check "$tmp" >/dev/null && { echo "self-test: an empty tree passes" >&2; status=1; }
    h=include/etcdcoll
    try pass $h/group.hpp '#include <etcdcoll/session.hpp>' '#include <boost/asio/awaitable.hpp>' '// boost/beast, random_device'
    try pass $h/impl/http/x.ipp '#include <boost/beast/http.hpp>' '#include <etcdcoll/error.hpp>'
    try pass $h/impl/environment.ipp 'auto t = std::chrono::steady_clock::now();'
    try pass $h/json.hpp '#include <nlohmann/json.hpp>'
    try pass $h/etcdcoll.hpp '#include <etcdcoll/store.hpp>'
    try fail $h/session.hpp '#include <etcdcoll/group.hpp>'
    try fail $h/etcd/client.hpp '#include <etcdcoll/etcdcoll.hpp>'
    try fail $h/etcd/client.hpp '#  include <etcdcoll/impl/session.hpp>'
    try fail $h/impl/http/x.ipp '#include <etcdcoll/detail/retry.hpp>'
    try fail $h/store.hpp '#include <etcdcoll/metadata.hpp>'
    try fail $h/group.hpp '#include <etcdcoll/store.hpp>'
    try fail $h/detail/key_layout.hpp '#include <boost/asio/awaitable.hpp>'
    try fail $h/impl/group/barrier.ipp '#include <boost/beast/core.hpp>'
    try fail src/group.cpp '#include <boost/beast/core.hpp>'
    try fail $h/group.hpp '#include <nlohmann/json.hpp>'
    try fail $h/group.hpp '#include "session.hpp"'
    try fail $h/unheard_of.hpp '#pragma once'
    try fail $h/impl/group/barrier.ipp 'auto t = std::chrono::steady_clock::now();'
    try fail src/group.cpp 'std::random_device seed;'
    return $status
}

case ${1:-} in
    --self-test) self_test ;;
    ?*) check "$1" ;;
    *) echo "usage: layers.sh <source dir> | --self-test" >&2; exit 2 ;;
esac
