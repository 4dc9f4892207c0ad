#!/bin/sh
# Checks that what says "everything" has everything:
#   src.hpp brings every body (*.ipp), itself or through another body;
#   etcdcoll.hpp brings every public header, itself or through another one, but for json.hpp, src.hpp and the layer http/.
# usage: everything.sh <source dir> | --self-test
set -eu

# reached <file> <ending>: the files that are included from it, through files of that ending.
reached() {
    todo=$1 seen=
    while [ -n "$todo" ]; do
        next=
        for file in $todo; do
            for found in $(sed -n 's/^#include <\(etcdcoll\/[^>]*\.'"$2"'\)>.*/\1/p' "$file"); do
                case " $seen " in *" $found "*) continue ;; esac
                [ -f "$found" ] || { echo "$file: includes $found, which is not there"; continue; }
                seen="$seen $found" next="$next $found"
            done
        done
        todo=$next
    done
    printf '%s\n' $seen
}

check() ( # check <source dir>: prints what is wrong, and fails if anything is
    cd "$1/include"
    status=0
    bodies=$(reached etcdcoll/src.hpp ipp)
    headers=$(reached etcdcoll/etcdcoll.hpp hpp)
    count=0
    for file in $(find etcdcoll -name '*.ipp' | sort); do
        count=$((count + 1))
        printf '%s\n' "$bodies" | grep -qxF "$file" || { echo "src.hpp lacks $file"; status=1; }
    done
    for file in $(find etcdcoll -name '*.hpp' ! -path '*/impl/*' ! -path '*/detail/*' ! -path '*/http/*' | sort); do
        case $file in etcdcoll/etcdcoll.hpp | etcdcoll/src.hpp | etcdcoll/json.hpp) continue ;; esac
        count=$((count + 1))
        printf '%s\n' "$headers" | grep -qxF "$file" || { echo "etcdcoll.hpp lacks $file"; status=1; }
    done
    [ "$count" -gt 0 ] || { echo "nothing was checked"; status=1; }
    exit $status
)

self_test() {
    tmp=$(mktemp -d)
    trap 'rm -rf "$tmp"' EXIT
    h=$tmp/include/etcdcoll
    mkdir -p "$h/impl" "$h/detail" "$h/http"
    echo '#include <etcdcoll/impl/a.ipp>' >"$h/src.hpp"
    echo '#include <etcdcoll/a.hpp>' >"$h/etcdcoll.hpp"
    echo '#include <etcdcoll/impl/b.ipp>' >"$h/impl/a.ipp"
    echo '#include <etcdcoll/b.hpp>' >"$h/a.hpp"
    touch "$h/impl/b.ipp" "$h/b.hpp" "$h/impl/x.hpp" "$h/detail/x.hpp" "$h/http/x.hpp" "$h/json.hpp"
    check "$tmp" || { echo "self-test: all is there, and does not pass"; exit 1; }
    for extra in impl/c.ipp c.hpp; do
        touch "$h/$extra"
        if check "$tmp" >/dev/null; then echo "self-test: $extra was not missed"; exit 1; fi
        rm "$h/$extra"
    done
}

case ${1:-} in
    --self-test) self_test ;;
    ?*) check "$1" ;;
    *) echo "usage: everything.sh <source dir> | --self-test" >&2; exit 2 ;;
esac
