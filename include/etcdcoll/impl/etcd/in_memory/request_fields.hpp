#pragma once
// The fields of JSON requests, each of the kind that etcd wants it to be.

#include <etcdcoll/detail/base64.hpp>
#include <etcdcoll/impl/etcd/in_memory/json_text.hpp>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace etcdcoll::etcd::model {

// `snake` itself, or the same in camelCase.
inline bool named(std::string_view name, std::string_view snake) noexcept {
    if (name.size() >= snake.size()) return name == snake;
    std::size_t at = 0;
    for (std::size_t i = 0; i < snake.size(); ++i) {
        char c = snake[i];
        if (c == '_' && i + 1 < snake.size()) c = static_cast<char>(snake[++i] - 'a' + 'A');
        if (at == name.size() || name[at++] != c) return false;
    }
    return at == name.size();
}

inline std::string_view view(const json::string& text) noexcept { return {text.data(), text.size()}; }

inline const char* kind_of(const json::value& value) noexcept {
    switch (value.kind()) {
    case json::kind::array: return "array";
    case json::kind::object: return "object";
    case json::kind::string: return "string";
    case json::kind::bool_: return "bool";
    case json::kind::null: return "null";
    default: return "number";
    }
}

[[noreturn]] inline void refuse_kind(const json::value& value, std::string_view wanted) {
    refuse_text(std::string("json: cannot unmarshal ") + kind_of(value) + " into Go value of type " + std::string(wanted));
}

// Calls `field(name, value)` for each one that is not null, in their order, so that the last of two wins.
template <class Field> void each_field(const json::value& of, Field field) {
    if (of.is_null()) return;
    if (!of.is_object()) refuse_kind(of, "map[string]json.RawMessage");
    for (const auto& item : of.get_object())
        if (!item.value().is_null()) field(std::string_view(item.key().data(), item.key().size()), item.value());
}

template <class Item> void each_item(const json::value& of, Item item) {
    if (!of.is_array()) refuse_kind(of, "[]json.RawMessage");
    for (const auto& value : of.get_array()) item(value);
}

// Go reads what is within a string as JSON of its own.
inline std::int64_t number_in(std::string_view text) {
    const auto digits = without_blanks(text).substr(0, without_blanks(text).find_last_not_of(" \t\r\n") + 1);
    if (digits.empty()) refuse_text("unexpected end of JSON input");
    std::int64_t number = 0;
    const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (failure == std::errc::result_out_of_range) refuse_text("json: cannot unmarshal number " + std::string(digits) + " into Go value of type int64");
    const auto without_sign = digits.substr(digits[0] == '-' ? 1 : 0);
    if (failure != std::errc() || end != digits.data() + digits.size()) refuse_syntax(digits);
    if (without_sign.size() > 1 && without_sign[0] == '0') refuse_syntax(without_sign.substr(1));
    return number;
}

inline std::int64_t number_of(const json::value& value) {
    if (const auto* number = value.if_int64()) return *number;
    const auto* text = value.if_string();
    if (text == nullptr) refuse_kind(value, "int64");
    return number_in(view(*text));
}

inline bool flag_of(const json::value& value) {
    if (!value.is_bool()) refuse_kind(value, "bool");
    return value.get_bool();
}

[[noreturn]] inline void refuse_base64(std::string_view text) {
    constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
    const auto at = std::min(text.find_first_not_of(digits), text.size() / 4 * 4);
    refuse_text("illegal base64 data at input byte " + std::to_string(at));
}

inline std::string bytes_of(const json::value& value) {
    const auto* text = value.if_string();
    if (text == nullptr) refuse_kind(value, "[]uint8");
    auto raw = etcdcoll::detail::decode_base64(view(*text));
    if (raw) return std::move(*raw);
    auto joined = std::string(view(*text)); // Go reads it over several lines, too
    std::erase_if(joined, [](char c) { return c == '\n' || c == '\r'; });
    raw = etcdcoll::detail::decode_base64(joined);
    if (!raw) refuse_base64(joined);
    return std::move(*raw);
}

// The place among `names`. A number beyond them is read as etcd reads it: what becomes of it is the caller's matter.
inline std::int64_t enumerator_of(const json::value& value, std::initializer_list<std::string_view> names, std::string_view type) {
    const auto* text = value.if_string();
    if (text == nullptr) {
        const auto* number = value.if_int64();
        if (number == nullptr) refuse_kind(value, "int32");
        return *number;
    }
    const auto found = std::find(names.begin(), names.end(), view(*text));
    if (found == names.end()) refuse_text("unknown value \"\\\"" + std::string(view(*text)) + "\\\"\" for enum etcdserverpb." + std::string(type));
    return found - names.begin();
}

inline bool read_keys(std::string_view name, const json::value& value, key_range& keys) {
    if (named(name, "key")) {
        keys.key = bytes_of(value);
    } else if (named(name, "range_end")) {
        keys.end = bytes_of(value);
    } else {
        return false;
    }
    return true;
}

} // namespace etcdcoll::etcd::model
