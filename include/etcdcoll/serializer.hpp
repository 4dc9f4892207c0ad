#pragma once
// How objects become the bytes that travel between ranks: the customisation point.

#include <etcdcoll/bytes.hpp>
#include <etcdcoll/error.hpp>

#include <bit>
#include <concepts>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>

namespace etcdcoll {

/// Specialise it for a type of your own:
///
///     template <> struct etcdcoll::serializer<point> {
///         static bytes encode(const point& p);
///         static point decode(std::span<const std::byte> block);   // may throw; what it throws reaches the caller
///     };
///
/// Here: bytes and std::string as they are, numbers and enumerations as their little-endian bytes. <etcdcoll/json.hpp> adds every type that
/// nlohmann_json converts, as CBOR.
template <class T, class = void> struct serializer;

template <class T>
concept serializable = requires(const T& value, std::span<const std::byte> block) {
    { serializer<T>::encode(value) } -> std::convertible_to<bytes>;
    { serializer<T>::decode(block) } -> std::same_as<T>;
};

template <> struct serializer<bytes> {
    static bytes encode(const bytes& value) { return value; }
    static bytes decode(std::span<const std::byte> block) { return {block.begin(), block.end()}; }
};

template <> struct serializer<std::string> {
    static bytes encode(const std::string& value) { return to_bytes(value); }
    static std::string decode(std::span<const std::byte> block) { return std::string(as_string_view(block)); }
};

template <class T> struct serializer<T, std::enable_if_t<std::is_arithmetic_v<T> || std::is_enum_v<T>>> {
    static_assert(std::endian::native == std::endian::little, "EtcdColl is not ported to big-endian machines yet");

    static bytes encode(T value) {
        bytes block(sizeof value);
        std::memcpy(block.data(), &value, sizeof value);
        return block;
    }
    static T decode(std::span<const std::byte> block) {
        if (block.size() != sizeof(T))
            throw error(errc::corrupt, "a block of " + std::to_string(block.size()) + " bytes is not a number of " +
                                           std::to_string(sizeof(T)) + ": the ranks pass different types");
        T value;
        std::memcpy(&value, block.data(), sizeof value);
        return value;
    }
};

} // namespace etcdcoll
