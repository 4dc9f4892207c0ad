#!/bin/sh
# The code in README.md is that of the examples, which are built and run:  snippets.sh <source dir> | --self-test
set -eu

# check <dir>: every `<!-- snippet NAME: FILE -->` block of README.md holds what stands between [snippet NAME] and [/snippet] in FILE.
check() {
    awk -v dir="$1" '
        function load(name, file,    line, inside, text) {
            inside = 0; text = ""
            while ((getline line < (dir "/" file)) > 0) {
                if (line == "// [snippet " name "]") { inside = 1; found = 1; continue }
                if (line == "// [/snippet]") inside = 0
                if (inside) text = text line "\n"
            }
            close(dir "/" file)
            return text
        }
        /^<!-- snippet / { name = $3; sub(/:$/, "", name); file = $4; found = 0; want = load(name, file); have = ""; reading = 1; count++; next }
        /^<!-- \/snippet -->/ {
            reading = 0
            if (!found) { print "README.md: " file " has no snippet " name; bad = 1 }
            else if (have != want) { print "README.md: snippet " name " is not what stands in " file; bad = 1 }
            next
        }
        reading && /^```/ { next }
        reading { have = have $0 "\n" }
        END { if (count == 0) { print "README.md: no snippets"; bad = 1 } exit bad }
    ' "$1/README.md"
}

if [ "${1:-}" = --self-test ]; then
    dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
    printf '// [snippet a]\nint x;\n// [/snippet]\n' >"$dir/a.cpp"
    printf '<!-- snippet a: a.cpp -->\n```cpp\nint x;\n```\n<!-- /snippet -->\n' >"$dir/README.md"; check "$dir"
    printf '<!-- snippet a: a.cpp -->\n```cpp\nint y;\n```\n<!-- /snippet -->\n' >"$dir/README.md"; if check "$dir" >/dev/null; then echo "missed a difference"; exit 1; fi
    printf '<!-- snippet b: a.cpp -->\n```cpp\nint x;\n```\n<!-- /snippet -->\n' >"$dir/README.md"; if check "$dir" >/dev/null; then echo "missed an absent snippet"; exit 1; fi
    printf 'no snippets\n' >"$dir/README.md"; if check "$dir" >/dev/null; then echo "missed that there are none"; exit 1; fi
    exit 0
fi
check "${1:?usage: snippets.sh <source dir> | --self-test}"
