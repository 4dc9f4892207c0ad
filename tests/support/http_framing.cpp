#include <support/http_framing.hpp>

#include <algorithm>
#include <cctype>
#include <charconv>

namespace etcdcoll::test {
namespace {

constexpr std::size_t max_head = 64 * 1024;

bool same_text(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

std::string_view trim(std::string_view s) {
    while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
    while (!s.empty() && (s.back() == ' ' || s.back() == '\t' || s.back() == '\r')) s.remove_suffix(1);
    return s;
}

template <class Number> bool parse_number(std::string_view s, Number& out, int base = 10) {
    const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), out, base);
    return error == std::errc{} && end == s.data() + s.size();
}

// Enough to tell HTTP from TLS or HTTP/2 frames at the first bytes, so that these are not held back as half a header.
bool could_be_http(http_framer::side side, std::string_view start) {
    constexpr std::string_view version = "HTTP/1.";
    if (side == http_framer::side::response) {
        const auto n = std::min(start.size(), version.size());
        return start.substr(0, n) == version.substr(0, n);
    }
    constexpr std::size_t longest_method = 16;
    for (std::size_t i = 0; i < start.size(); ++i) {
        if (start[i] == ' ') return i > 0;
        if (i >= longest_method || start[i] < 'A' || start[i] > 'Z') return false;
    }
    return true;
}

} // namespace

void http_framer::restart(bool bodiless) {
    *this = http_framer{side_};
    bodiless_ = bodiless;
}

std::size_t http_framer::consume(std::string_view bytes, std::string* payload) {
    if (stage_ == stage::head) return consume_head(bytes);
    if (stage_ != stage::body) return 0;
    const auto stage_before = stage_;
    std::size_t used = 0;
    while (used < bytes.size() && stage_ == stage_before) {
        const auto rest = bytes.substr(used);
        const bool counted = step_ == step::length || step_ == step::until_end || step_ == step::chunk_data;
        used += counted ? consume_counted(rest, payload) : consume_line(rest);
    }
    return used;
}

void http_framer::end_of_stream() {
    if (stage_ == stage::body && step_ == step::until_end) stage_ = stage::complete;
}

std::size_t http_framer::consume_head(std::string_view bytes) {
    const auto seen = text_.size();
    text_.append(bytes.substr(0, std::min(bytes.size(), max_head + 1 - std::min(seen, max_head))));
    if (!could_be_http(side_, text_)) {
        stage_ = stage::not_http;
        return 0;
    }
    const auto end = text_.find("\r\n\r\n", seen < 3 ? 0 : seen - 3);
    if (end == std::string::npos) {
        if (text_.size() > max_head) stage_ = stage::not_http;
        return stage_ == stage::not_http ? 0 : bytes.size();
    }
    const auto used = end + 4 - seen;
    text_.resize(end + 2);
    end_of_head();
    return used;
}

std::size_t http_framer::consume_counted(std::string_view bytes, std::string* payload) {
    const auto n = step_ == step::until_end ? bytes.size() : std::min<std::uint64_t>(bytes.size(), left_);
    if (payload != nullptr) payload->append(bytes.substr(0, n));
    if (step_ == step::until_end) return n;
    left_ -= n;
    if (left_ == 0) {
        if (step_ == step::length) stage_ = stage::complete;
        if (step_ == step::chunk_data) step_ = step::chunk_end;
    }
    return n;
}

std::size_t http_framer::consume_line(std::string_view bytes) {
    const auto end = bytes.find('\n');
    const auto used = end == std::string_view::npos ? bytes.size() : end + 1;
    text_.append(bytes.substr(0, used));
    if (end != std::string_view::npos) {
        end_of_line();
        text_.clear();
    } else if (text_.size() > max_head) {
        stage_ = stage::not_http;
    }
    return used;
}

void http_framer::end_of_line() {
    const auto line = trim(std::string_view{text_}.substr(0, text_.size() - 1));
    if (step_ == step::chunk_end) {
        ++chunks_;
        step_ = step::chunk_size;
    } else if (step_ == step::trailer) {
        if (line.empty()) stage_ = stage::complete;
    } else if (parse_number(trim(line.substr(0, line.find(';'))), left_, 16)) {
        step_ = left_ == 0 ? step::trailer : step::chunk_data;
    } else {
        stage_ = stage::not_http;
    }
}

void http_framer::end_of_head() {
    std::string_view rest = text_;
    for (bool first = true; !rest.empty(); first = false) {
        const auto end = rest.find("\r\n");
        const auto line = rest.substr(0, end);
        rest.remove_prefix(end + 2);
        if (first ? !parse_first_line(line) : !parse_field(line)) {
            stage_ = stage::not_http;
            return;
        }
    }
    text_.clear();
    if (side_ == side::response && status_ >= 100 && status_ < 200 && status_ != 101) {
        // An interim response: the one that counts is still to come.
        chunked_ = has_length_ = false;
        status_ = 0;
        return;
    }
    const bool never = side_ == side::response && (bodiless_ || status_ == 204 || status_ == 304);
    const bool absent = side_ == side::request && !chunked_ && !has_length_;
    const bool empty = !chunked_ && has_length_ && left_ == 0;
    stage_ = never || absent || empty ? stage::complete : stage::body;
    step_ = chunked_ ? step::chunk_size : has_length_ ? step::length : step::until_end;
}

bool http_framer::parse_first_line(std::string_view line) {
    const auto space = line.find(' ');
    if (space == std::string_view::npos) return false;
    const auto second = line.substr(space + 1);
    if (side_ == side::response) return parse_number(second.substr(0, second.find(' ')), status_);
    method_ = line.substr(0, space);
    const auto target = second.substr(0, second.find(' '));
    path_ = target.substr(0, target.find('?'));
    return line.find(" HTTP/1.") != std::string_view::npos;
}

bool http_framer::parse_field(std::string_view line) {
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) return false;
    const auto name = line.substr(0, colon);
    const auto value = trim(line.substr(colon + 1));
    if (same_text(name, "Transfer-Encoding")) chunked_ = same_text(value, "chunked");
    if (same_text(name, "Content-Length")) {
        has_length_ = parse_number(value, left_);
        return has_length_;
    }
    return true;
}

} // namespace etcdcoll::test
