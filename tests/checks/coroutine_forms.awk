# Reads the output of strip.awk (file:line:code), and before it lines `excused file:line`. See coroutine_forms.sh.
function wrong(at, text) {
    if (at in excused) return
    print at ": " text
    failed = 1
}
# What a statement may begin with and still be a statement of its own: labels, attributes, else, do, if (...), for (...), while (...).
function without_lead(s,    depth, i, n, c, before) {
    do {
        before = s
        sub(/^[ \t]+/, "", s)
        sub(/^\[\[[^]]*\]\]/, "", s)
        sub(/^(else|do)[ \t]+/, "", s)
        sub(/^case ([^:]|::)+:[ \t]/, "", s)
        sub(/^[A-Za-z_][A-Za-z0-9_]*[ \t]*:[ \t]/, "", s)
        if (s ~ /^(if|for|while)[ \t]*(constexpr)?[ \t]*\(/) {
            depth = 0; n = length(s)
            for (i = 1; i <= n; i++) {
                c = substr(s, i, 1)
                if (c == "(") depth++
                if (c == ")" && --depth == 0) break
            }
            if (i <= n) s = substr(s, i + 1)
        }
    } while (s != before)
    return s
}
function check_prefix(at, s) {
    s = without_lead(s)
    sub(/[ \t]+$/, "", s)
    if (s == "" || s == "co_return") return
    if (s ~ /^(const[ \t]+)?auto[ \t]*(const)?[ \t]*&*[ \t]*\[/) { wrong(at, "a structured binding of co_await: name the result first, then bind to it"); return }
    if (s ~ /^[A-Za-z_:*][A-Za-z0-9_:<>,.*& \t-]*(\[[A-Za-z0-9_:.]*\][A-Za-z0-9_.>-]*)*[ \t]*=$/ && s !~ /[-+*\/%|&^<>!=][ \t]*=$/) return
    wrong(at, "co_await must stand alone in its statement; before it stands: " s)
}
# Takes the code of one file, in `code`, with the line of each character's row in line_at.
function check_file(    i, n, c, top, depth, start, word, kind, s) {
    n = length(code); depth = 0; start = 1
    for (i = 1; i <= n; i++) {
        c = substr(code, i, 1)
        if (c == "(" || c == "[" || c == "{") {
            kind[++depth] = c
            if (c == "{") start = i + 1
        } else if (c == ")" || c == "]" || c == "}") {
            if (depth > 0) depth--
            if (c == "}") start = i + 1
        } else if (c == ";") {
            start = i + 1
        } else if (c == "c" && substr(code, i, 8) == "co_await" && substr(code, i - 1, 1) !~ /[A-Za-z0-9_]/ && substr(code, i + 8, 1) !~ /[A-Za-z0-9_]/) {
            s = substr(code, start, i - start)
            if (s ~ /operator[ \t]*$/) { i += 7; continue }
            if (depth > 0 && kind[depth] != "{") wrong(row(i), "co_await within parentheses: in a condition or an argument; name its result first")
            else check_prefix(row(i), s)
            check_suffix(i + 8, n)
            i += 7
        }
    }
}
function check_suffix(i, n,    at, depth, c, prev, angle) {
    at = row(i - 8); depth = 0; angle = 0; prev = " "
    for (; i <= n; i++) {
        c = substr(code, i, 1)
        if (c == "{") { wrong(at, "a braced list or a lambda in what is awaited: name it first"); return }
        if (c == "?") { wrong(at, "a ?: in what is awaited: name it first"); return }
        if (c == "}") { wrong(at, "co_await within braces: name its result first"); return }
        if (c == "[" && prev !~ /[A-Za-z0-9_)\]]/) { wrong(at, "a lambda in what is awaited: name it first"); return }
        if (c == "(" || c == "[") depth++
        else if (c == ")" || c == "]") { if (--depth < 0) return } # an enclosing parenthesis: reported already
        else if (depth == 0) {
            if (c == ";") return
            if (c == "<" && prev ~ /[A-Za-z0-9_]/ && substr(code, i + 1, 1) ~ /[A-Za-z:]/) angle++
            else if (c == ">" && prev == "-") { }
            else if (c == ">" && angle > 0) angle--
            else if (c ~ /[?+\/%|^=<>!]/ || (c == "," && angle == 0) || (c == "&" && substr(code, i + 1, 1) == "&") ||
                     (c == "-" && substr(code, i + 1, 1) != ">")) {
                wrong(at, "co_await as an operand of " c ": name its result first")
                return
            }
        }
        prev = c
    }
}
# The file:line of position i in `code`.
function row(i,    low, high, middle) {
    low = 1; high = rows
    while (low < high) {
        middle = int((low + high + 1) / 2)
        if (starts[middle] <= i) low = middle; else high = middle - 1
    }
    return place[low]
}
function finish() {
    if (file != "") check_file()
    code = ""; rows = 0; in_macro = 0
}
/^excused / { excused[$2] = 1; next }
{
    split($0, part, ":")
    at = part[1] ":" part[2]
    text = substr($0, length(at) + 2)
    if (part[1] != file) { finish(); file = part[1] }
    if (in_macro || text ~ /^[ \t]*#/) {
        in_macro = (text ~ /\\$/)
        if (text ~ /(^|[^A-Za-z0-9_])co_await([^A-Za-z0-9_]|$)/) wrong(at, "co_await in a macro: no check sees what becomes of it")
        text = ""
    }
    starts[++rows] = length(code) + 1; place[rows] = at
    code = code text " "
}
END { finish(); exit failed }
