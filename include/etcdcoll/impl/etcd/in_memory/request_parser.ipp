#pragma once

#include <etcdcoll/impl/etcd/in_memory/request_parser.hpp>

#include <algorithm>
#include <charconv>

namespace etcdcoll::etcd::model {

inline constexpr std::size_t longest_head = 1024 * 1024 + 4096; // what Go's server takes
inline constexpr std::size_t longest_body = 16 * 1024 * 1024;   // far beyond what etcd takes as a message
inline constexpr std::size_t longest_chunk_line = 4096;

inline char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// `lowered` is in small letters.
inline bool same_word(std::string_view text, std::string_view lowered) noexcept {
    return text.size() == lowered.size() && std::equal(text.begin(), text.end(), lowered.begin(), [](char a, char b) { return lower(a) == b; });
}

inline std::string_view trimmed(std::string_view text) noexcept {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

// Of a list such as that of Connection.
inline bool names_word(std::string_view list, std::string_view lowered) noexcept {
    while (!list.empty()) {
        const auto comma = std::min(list.find(','), list.size());
        if (same_word(trimmed(list.substr(0, comma)), lowered)) return true;
        list.remove_prefix(std::min(comma + 1, list.size()));
    }
    return false;
}

ETCDCOLL_DECL std::size_t request_parser::feed(std::string_view bytes) {
    const auto all = bytes.size();
    while (!bytes.empty() && at_ != place::done && at_ != place::failed) {
        if (at_ == place::body || at_ == place::chunk) {
            take_body(bytes);
        } else {
            take_line(bytes);
        }
    }
    return all - bytes.size();
}

ETCDCOLL_DECL void request_parser::next() {
    at_ = place::request_line;
    line_.clear();
    head_.method.clear();
    head_.path.clear();
    head_.close = head_.awaits_continue = head_.asks_for_leader = false;
    body_.clear();
    left_ = 0;
    head_size_ = 0;
    head_done_ = chunked_ = sized_ = has_host_ = false;
    first_ = false;
}

ETCDCOLL_DECL void request_parser::fail(int status, std::string_view text) {
    fault_ = {status, text, head_done_};
    at_ = place::failed;
}

ETCDCOLL_DECL void request_parser::take_line(std::string_view& bytes) {
    const auto end = bytes.find('\n');
    const auto size = std::min(end, bytes.size());
    head_size_ += size + 1;
    const bool too_long = head_done_ ? line_.size() + size > longest_chunk_line : head_size_ > longest_head;
    if (too_long) {
        fail(head_done_ ? 400 : 431, head_done_ ? "header line too long" : "431 Request Header Fields Too Large");
        return;
    }
    if (end == std::string_view::npos) {
        --head_size_;
        line_.append(bytes);
        bytes = {};
        return;
    }
    auto line = bytes.substr(0, end);
    bytes.remove_prefix(end + 1);
    if (!line_.empty()) line = line_.append(line);
    if (line.ends_with('\r')) line.remove_suffix(1);
    on_line(line);
    line_.clear();
}

ETCDCOLL_DECL void request_parser::take_body(std::string_view& bytes) {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size()));
    if (body_.size() + size > longest_body) {
        fail(429, "grpc: received message larger than max");
        return;
    }
    body_.append(bytes.substr(0, size));
    bytes.remove_prefix(size);
    left_ -= size;
    if (left_ == 0) at_ = at_ == place::body ? place::done : place::chunk_end;
}

ETCDCOLL_DECL void request_parser::on_line(std::string_view line) {
    switch (at_) {
    case place::request_line: on_request_line(line); break;
    case place::fields:
        if (line.empty()) {
            on_head_end();
        } else {
            on_field(line);
        }
        break;
    case place::chunk_size: on_chunk_size(line); break;
    case place::chunk_end:
        if (line.empty()) {
            at_ = place::chunk_size;
        } else {
            fail(400, "malformed chunked encoding");
        }
        break;
    case place::trailer:
        if (line.empty()) at_ = place::done;
        if (head_size_ > longest_head) fail(400, "http: suspiciously long trailer after chunked body");
        break;
    default: break;
    }
}

ETCDCOLL_DECL void request_parser::on_request_line(std::string_view line) {
    const auto blank = line.find(' ');
    const auto last = line.rfind(' ');
    const auto version = last == std::string_view::npos ? line : line.substr(last + 1);
    if (blank == last || blank == 0 || (version != "HTTP/1.1" && version != "HTTP/1.0")) {
        fail(first_ ? 0 : 400, "400 Bad Request");
        return;
    }
    head_.method = line.substr(0, blank);
    auto target = line.substr(blank + 1, last - blank - 1);
    if (target.starts_with("http://")) {
        const auto path = target.find('/', 7);
        target = path == std::string_view::npos ? std::string_view("/") : target.substr(path);
        has_host_ = true;
    }
    head_.path = target.substr(0, target.find('?'));
    head_.close = version == "HTTP/1.0";
    has_host_ = has_host_ || head_.close;
    at_ = place::fields;
}

ETCDCOLL_DECL void request_parser::on_field(std::string_view line) {
    const auto colon = line.find(':');
    const auto name = line.substr(0, colon);
    if (colon == std::string_view::npos || name.empty() || name.find_first_of(" \t") != std::string_view::npos) {
        fail(400, "400 Bad Request");
        return;
    }
    const auto value = trimmed(line.substr(colon + 1));
    if (same_word(name, "host")) {
        has_host_ = true;
    } else if (same_word(name, "content-length")) {
        on_length(value);
    } else if (same_word(name, "transfer-encoding")) {
        chunked_ = same_word(value, "chunked");
        if (!chunked_) fail(501, "Unsupported transfer encoding");
    } else if (same_word(name, "connection")) {
        head_.close = head_.close || names_word(value, "close");
    } else if (same_word(name, "expect")) {
        head_.awaits_continue = same_word(value, "100-continue");
    } else if (same_word(name, "grpc-metadata-hasleader")) {
        head_.asks_for_leader = value == "true"; // and nothing else that may mean it
    }
}

ETCDCOLL_DECL void request_parser::on_length(std::string_view value) {
    std::uint64_t length = 0;
    const auto [end, failure] = std::from_chars(value.data(), value.data() + value.size(), length);
    const bool good = failure == std::errc() && end == value.data() + value.size();
    if (!good || (sized_ && length != left_)) fail(400, "400 Bad Request");
    sized_ = true;
    left_ = length;
}

ETCDCOLL_DECL void request_parser::on_head_end() {
    if (!has_host_) {
        fail(400, "400 Bad Request: missing required Host header");
        return;
    }
    head_done_ = true;
    head_size_ = 0;
    head_.awaits_continue = head_.awaits_continue && (chunked_ || left_ != 0);
    at_ = chunked_ ? place::chunk_size : left_ != 0 ? place::body : place::done;
}

ETCDCOLL_DECL void request_parser::on_chunk_size(std::string_view line) {
    const auto digits = trimmed(line.substr(0, line.find(';')));
    const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), left_, 16);
    if (failure == std::errc::result_out_of_range) {
        fail(400, "http chunk length too large");
    } else if (failure != std::errc() || end != digits.data() + digits.size()) {
        fail(400, "invalid byte in chunk length");
    } else {
        head_size_ = 0;
        at_ = left_ == 0 ? place::trailer : place::chunk;
    }
}

} // namespace etcdcoll::etcd::model
