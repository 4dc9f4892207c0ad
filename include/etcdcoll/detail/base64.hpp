#pragma once
// Base64 as etcd's gateway speaks it: standard alphabet, padded.

#include <etcdcoll/config.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace etcdcoll::detail {

/// Appends the encoding of `raw`.
ETCDCOLL_API void append_base64(std::string& text, std::string_view raw);

/// Nothing for a text that is not padded standard base64.
ETCDCOLL_API std::optional<std::string> decode_base64(std::string_view text);

} // namespace etcdcoll::detail

#if defined(ETCDCOLL_HEADER_ONLY)
#include <etcdcoll/impl/base64.ipp>
#endif
