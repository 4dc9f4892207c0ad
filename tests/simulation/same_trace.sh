#!/bin/sh
# Two processes with other addresses and numbers take the same course:  same_trace.sh <etcdcoll-sim>
set -eu
hash_of() { "$1" --seeds 1..5 --jobs "$2" | sed -n 's/.*hash //p'; }
first=$(hash_of "$1" 1)
second=$(hash_of "$1" 2)
[ -n "$first" ] && [ "$first" = "$second" ] || { echo "the traces differ: $first and $second"; exit 1; }
