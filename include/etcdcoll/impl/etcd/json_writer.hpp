#pragma once
// What the encoders of etcd's requests share.

#include <etcdcoll/detail/base64.hpp>
#include <etcdcoll/etcd/types.hpp>

#include <charconv>
#include <string>
#include <string_view>
#include <vector>

namespace etcdcoll::etcd::codec {

// Writes one object, member by member. Fields that hold their default are left out by the callers, as protobuf does.
class object_writer {
public:
    explicit object_writer(std::string& text) : text_(text) { text_ += '{'; }
    object_writer(const object_writer&) = delete;
    object_writer& operator=(const object_writer&) = delete;
    ~object_writer() { text_ += '}'; }

    void number(std::string_view name, std::int64_t value) {
        open(name);
        char digits[24];
        const auto [end, failure] = std::to_chars(digits, digits + sizeof digits, value);
        static_cast<void>(failure);
        text_.append(digits, end);
    }
    void number_unless_zero(std::string_view name, std::int64_t value) {
        if (value != 0) number(name, value);
    }
    void number(std::string_view name, std::uint64_t value) { open(name).append(std::to_string(value)); }
    void flag(std::string_view name, bool value) {
        if (value) open(name).append("true");
    }
    void word(std::string_view name, std::string_view value) { open(name).append("\"").append(value).append("\""); }
    /// `value` must be UTF-8: etcd 3.6 takes nothing else.
    void text(std::string_view name, std::string_view value) {
        open(name);
        append_text(text_, value);
    }
    void texts(std::string_view name, const std::vector<std::string>& values) {
        auto& text = open(name);
        text += '[';
        for (std::size_t i = 0; i < values.size(); ++i) {
            if (i != 0) text += ',';
            append_text(text, values[i]);
        }
        text += ']';
    }
    void bytes(std::string_view name, std::string_view value) {
        if (value.empty()) return;
        open(name) += '"';
        etcdcoll::detail::append_base64(text_, value);
        text_ += '"';
    }
    std::string& open(std::string_view name) {
        if (!first_) text_ += ',';
        first_ = false;
        return text_.append("\"").append(name).append("\":");
    }

private:
    static void append_text(std::string& text, std::string_view value) {
        text += '"';
        for (const char c : value) {
            const auto byte = static_cast<unsigned char>(c);
            if (c == '"' || c == '\\') {
                text.append(1, '\\').append(1, c);
            } else if (byte < 0x20) {
                constexpr std::string_view digits = "0123456789abcdef";
                text.append("\\u00").append(1, digits[byte >> 4]).append(1, digits[byte & 15]);
            } else {
                text += c;
            }
        }
        text += '"';
    }

    std::string& text_;
    bool first_ = true;
};

inline void append_keys(object_writer& out, const key_range& keys) {
    out.bytes("key", keys.key);
    out.bytes("range_end", keys.end);
}

} // namespace etcdcoll::etcd::codec
