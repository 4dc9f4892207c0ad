#!/bin/sh
# Checks, on the static library, that what users call is exported by a shared one: no function outside detail, codec and model is hidden unless it is inline.
# usage: exports.sh <libetcdcoll.a> | --self-test
set -eu

check() { # check: reads the symbols of the library, as readelf -sW has them; prints who lacks ETCDCOLL_API, and fails if any does
    awk '$5 == "GLOBAL" && $7 != "UND" && $8 ~ /^_ZNK?8etcdcoll/ && $6 == "HIDDEN" { print $8 }' |
        c++filt | sed 's/(.*//' | sort -u | awk '
            /^etcdcoll::([a-z_]+::)*(detail|codec|model)::/ { next }
            { print $0 " is not exported: ETCDCOLL_API is missing"; bad = 1 }
            END { exit bad }'
}

if [ "${1:-}" = --self-test ]; then
    symbol='   1: 0000000000000000   10 FUNC    GLOBAL %s    5 %s\n'
    # shellcheck disable=SC2059
    {
        printf "$symbol" DEFAULT _ZN8etcdcoll4etcd5batch3runEv HIDDEN _ZN8etcdcoll6detail9conditionD1Ev HIDDEN _ZN8etcdcoll4etcd6detail4workEv | check
        if printf "$symbol" HIDDEN _ZNK8etcdcoll4etcd12batch_result8completeEv | check >/dev/null; then echo "missed a hidden function"; exit 1; fi
    }
    exit 0
fi
symbols=$(readelf -sW "${1:?usage: exports.sh <libetcdcoll.a> | --self-test}")
case $symbols in *_ZN8etcdcoll*) ;; *) echo "$1: no function of the library"; exit 1 ;; esac
printf '%s\n' "$symbols" | check
