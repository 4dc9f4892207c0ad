# Prints C++ source line by line without comments, string and character literals, so that the checks see code only.
# A literal becomes "" or 0; each line is prefixed with file:number. Any awk will do.
function strip(line,    out, i, n, c, two, end) {
    out = ""; n = length(line); i = 1
    if (macro_continues || (!in_comment && raw_end == "" && line ~ /^[ \t]*#/)) {
        # The path of an #include is what one check looks for, and a macro is what another refuses.
        macro_continues = (line ~ /\\$/)
        sub(/\/\/.*$/, "", line)
        return line
    }
    while (i <= n) {
        if (in_comment) {
            end = index(substr(line, i), "*/")
            if (end == 0) return out
            i += end + 1; in_comment = 0
            continue
        }
        if (raw_end != "") {
            end = index(substr(line, i), raw_end)
            if (end == 0) return out
            i += end - 1 + length(raw_end); raw_end = ""; out = out "\"\""
            continue
        }
        c = substr(line, i, 1); two = substr(line, i, 2)
        if (two == "//") return out
        if (two == "/*") { in_comment = 1; i += 2; out = out " "; continue }
        if (two == "R\"" && out !~ /[A-Za-z0-9_]$/) {
            end = index(substr(line, i), "(")
            raw_end = ")" substr(line, i + 2, end - 3) "\""
            i += end
            continue
        }
        if (c == "\"" || (c == "'" && out !~ /[0-9A-Fa-f]$/)) {
            for (i++; i <= n && substr(line, i, 1) != c; i++) if (substr(line, i, 1) == "\\") i++
            i++
            out = out (c == "'" ? "0" : "\"\"")
            continue
        }
        out = out c; i++
    }
    return out
}
FNR == 1 { in_comment = 0; raw_end = ""; macro_continues = 0 }
{ print FILENAME ":" FNR ":" strip($0) }
