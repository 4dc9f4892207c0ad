#!/bin/sh
# Each errc of error.hpp is a heading `### name (number)` of docs/errors.md, and each such heading is an errc:  errors_doc.sh <source dir> | --self-test
set -eu

# check <dir>: prints what is wrong, and fails if anything is
check() {
    awk '
        FNR == NR {
            if ($0 ~ /^enum class errc/) inside = 1
            else if (inside && $0 ~ /^};/) inside = 0
            else if (inside && $0 ~ /^[ \t]*[a-z_]+ = [0-9]+,/) { number = $3; sub(/,$/, "", number); code[$1] = number; count++ }
            next
        }
        /^### [a-z_]+ \([0-9]+\)$/ {
            number = $3; gsub(/[()]/, "", number)
            if (!($2 in code)) { print "docs/errors.md: " $2 " is no errc"; bad = 1 }
            else if (code[$2] != number) { print "docs/errors.md: " $2 " has the number " code[$2] ", not " number; bad = 1 }
            told[$2] = 1
        }
        END {
            for (name in code) if (!(name in told)) { print "docs/errors.md: no heading \"### " name " (" code[name] ")\""; bad = 1 }
            if (count == 0) { print "error.hpp: no errc was found"; bad = 1 }
            exit bad
        }
    ' "$1/include/etcdcoll/error.hpp" "$1/docs/errors.md"
}

if [ "${1:-}" = --self-test ]; then
    dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
    mkdir -p "$dir/include/etcdcoll" "$dir/docs"
    header() { printf 'enum class errc {\n    // Mistakes.\n%s\n};\n' "$1" >"$dir/include/etcdcoll/error.hpp"; }
    missed() { if check "$dir" >/dev/null; then echo "missed $1"; exit 1; fi; }
    header '    one = 1, ///< the first
    two_more = 22, ///< the second'
    printf '### one (1)\n\n### two_more (22)\n' >"$dir/docs/errors.md"; check "$dir"
    printf '### one (1)\n\ntwo_more (22)\n' >"$dir/docs/errors.md"; missed "an errc that is not told"
    printf '### one (1)\n\n### two_more (23)\n' >"$dir/docs/errors.md"; missed "a wrong number"
    printf '### one (1)\n\n### two_more (22)\n\n### three (3)\n' >"$dir/docs/errors.md"; missed "a heading of none"
    header ''; printf 'nothing\n' >"$dir/docs/errors.md"; missed "that there are none"
    exit 0
fi
check "${1:?usage: errors_doc.sh <source dir> | --self-test}"
