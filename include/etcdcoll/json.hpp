#pragma once
// Lets the collectives carry nlohmann::json and every type that nlohmann_json converts. They travel as CBOR (RFC 8949).

#include <etcdcoll/serializer.hpp>

#include <nlohmann/json.hpp>

namespace etcdcoll {

namespace detail {

template <class T>
concept json_convertible = !std::is_arithmetic_v<T> && !std::is_enum_v<T> && requires(const T& value, nlohmann::json object) {
    object = value;
    { object.template get<T>() } -> std::same_as<T>;
};

} // namespace detail

template <class T> struct serializer<T, std::enable_if_t<detail::json_convertible<T>>> {
    static bytes encode(const T& value) {
        const nlohmann::json object = value;
        const auto encoded = nlohmann::json::to_cbor(object);
        const auto view = std::as_bytes(std::span(encoded));
        return {view.begin(), view.end()};
    }

    static T decode(std::span<const std::byte> block) {
        const auto* first = reinterpret_cast<const std::uint8_t*>(block.data());
        try {
            return nlohmann::json::from_cbor(first, first + block.size()).template get<T>();
        } catch (const nlohmann::json::exception& failure) {
            throw error(errc::corrupt, std::string("a block is not the object that was expected: ") + failure.what());
        }
    }
};

} // namespace etcdcoll
