#pragma once
// JSON texts of requests, parsed as etcd's gateway does: one at the beginning of a body, or one after the other from a body that comes in pieces.

#include <etcdcoll/impl/etcd/in_memory/store.hpp>
#include <etcdcoll/impl/etcd/json_reader.hpp>

#include <boost/json/parser.hpp>
#include <boost/json/stream_parser.hpp>

#include <string>
#include <string_view>

namespace etcdcoll::etcd::model {

namespace json = boost::json;

// Of the gateway itself: bad syntax, and what is not of the kind that is wanted.
inline constexpr int invalid_argument = 3;

[[noreturn]] inline void refuse_text(const std::string& text) { throw refusal(invalid_argument, text); }

inline json::parse_options parse_options_of_requests() {
    json::parse_options options;
    options.max_depth = 256; // a nested transaction takes four
    options.allow_invalid_utf8 = true;
    return options;
}

[[noreturn]] inline void refuse_syntax(std::string_view rest) {
    if (rest.empty()) refuse_text("unexpected EOF");
    refuse_text("invalid character '" + std::string(rest.substr(0, 1)) + "' looking for beginning of value");
}

inline std::string_view without_blanks(std::string_view text) noexcept {
    const auto first = text.find_first_not_of(" \t\r\n");
    return first == std::string_view::npos ? std::string_view() : text.substr(first);
}

// The first value of a text; null where there is none. Small ones need no memory but the stack's.
class request_text {
public:
    explicit request_text(std::string_view text)
        : scratch_(4 * text.size()), memory_(scratch_.resource(first_, sizeof first_)), root_(json::storage_ptr(&memory_)) {
        text = without_blanks(text);
        if (text.empty()) return;
        json::parser parser(json::storage_ptr(), parse_options_of_requests(), work_, sizeof work_);
        parser.reset(json::storage_ptr(&memory_));
        json::error_code failure;
        const auto read = parser.write_some(json::string_view(text.data(), text.size()), failure);
        if (failure) refuse_syntax(text.substr(failure == json::error::incomplete ? text.size() : read));
        root_ = parser.release();
    }
    const json::value& root() const noexcept { return root_; }

private:
    unsigned char first_[4096];
    unsigned char work_[1024];
    codec::scratch scratch_;
    json::monotonic_resource memory_;
    json::value root_;
};

// The values of a text that comes in pieces.
class message_reader {
public:
    message_reader() : parser_(json::storage_ptr(), parse_options_of_requests()) {}

    /// The next whole one; nothing where more text is needed. `text` loses what was read. Throws refusal where it is no JSON.
    std::optional<json::value> next(std::string_view& text) {
        if (!begun_) text = without_blanks(text);
        if (text.empty()) return std::nullopt;
        if (!std::exchange(begun_, true)) parser_.reset();
        json::error_code failure;
        const auto read = parser_.write_some(json::string_view(text.data(), text.size()), failure);
        size_ += read;
        if (failure) refuse_syntax(text.substr(read));
        if (size_ > longest) throw refusal(8, "grpc: received message larger than max");
        text.remove_prefix(read);
        if (!parser_.done()) return std::nullopt;
        begun_ = false;
        size_ = 0;
        return parser_.release();
    }
    /// The text ended within a value.
    bool cut_short() const noexcept { return begun_; }

private:
    static constexpr std::size_t longest = 16 * 1024 * 1024;
    json::stream_parser parser_;
    std::size_t size_ = 0;
    bool begun_ = false;
};

} // namespace etcdcoll::etcd::model
