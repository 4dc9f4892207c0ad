#pragma once
// Where the recipes' keys lie. No I/O.
//
//     <name>/@<kind>/...          e.g. jobs/nightly/@mutex/694d97c2a1b3f00a-5f1c33e09b1d7a42
//
// A name must not contain "/@": then no key of one name lies among those of another, also where one name begins like the other.

#include <etcdcoll/error.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace etcdcoll::detail {

inline constexpr std::size_t longest_recipe_name = 1024;

inline std::string checked_name(std::string_view kind, std::string name) {
    const auto refuse = [kind](const char* why) { throw error(errc::invalid_argument, std::string(kind) + ": the name " + why); };
    if (name.empty()) refuse("is empty");
    if (name.size() > longest_recipe_name) refuse("is longer than 1024 bytes");
    if (name.find("/@") != std::string::npos) refuse("contains \"/@\", which separates names from what lies below them");
    return name;
}

/// What all keys of one kind begin with.
inline std::string keys_of(std::string_view name, std::string_view kind) { return std::string(name) + "/@" + std::string(kind) + "/"; }

inline std::string hex(std::uint64_t number) {
    std::string text(16, '0');
    for (std::size_t i = text.size(); i-- != 0; number >>= 4) text[i] = "0123456789abcdef"[number & 15];
    return text;
}

} // namespace etcdcoll::detail
