#pragma once

#include <etcdcoll/impl/group/group_state.hpp>

#include <charconv>
#include <cstdlib>

namespace etcdcoll {

namespace detail {

inline constexpr int largest_world = 100'000;

struct environment_source {
    const char* rank;
    const char* size;
};

// In this order: the launchers' own variables before those that a batch system sets for every program under it.
inline constexpr environment_source environment_sources[] = {
    {"ETCDCOLL_RANK", "ETCDCOLL_WORLD_SIZE"},
    {"RANK", "WORLD_SIZE"},
    {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},
    {"PMI_RANK", "PMI_SIZE"},
    {"PMIX_RANK", nullptr},
    {"SLURM_PROCID", "SLURM_NTASKS"},
};

ETCDCOLL_DECL std::optional<int> integer_from_environment(const char* name) {
    const char* text = name == nullptr ? nullptr : std::getenv(name);
    if (text == nullptr || *text == '\0') return std::nullopt;
    const std::string_view all(text);
    int value = 0;
    const auto [end, failure] = std::from_chars(all.data(), all.data() + all.size(), value);
    if (failure != std::errc() || end != all.data() + all.size())
        throw error(errc::invalid_argument, "environment variable " + std::string(name) + "=\"" + std::string(all) + "\" is not a number");
    return value;
}

ETCDCOLL_DECL void check_name(const std::string& name) {
    if (name.empty() || name.size() > 255)
        throw error(errc::invalid_argument, "a group's name has 1 to 255 bytes, not " + std::to_string(name.size()));
}

ETCDCOLL_DECL membership resolve_membership(const group_options::values& options) {
    membership result;
    const char* named = std::getenv("ETCDCOLL_GROUP");
    result.name = options.name ? *options.name : named != nullptr && *named != '\0' ? named : "default";
    check_name(result.name);

    // A rank says something only beside the size of the world it was counted in, so both come from one source where there is one.
    std::optional<int> size = options.size;
    result.rank = options.rank;
    for (const auto& source : environment_sources) {
        const auto rank = integer_from_environment(source.rank);
        const auto world = integer_from_environment(source.size);
        if (!rank && !world) continue;
        if (!result.rank && rank) {
            if (options.size && world && *world != *options.size)
                throw error(errc::invalid_argument, "join \"" + result.name + "\": " + source.rank + "=" + std::to_string(*rank) + " was counted in a world of " +
                                                        std::to_string(*world) + ", the options say " + std::to_string(*options.size) + ": give the rank too");
            result.rank = rank;
        }
        if (!size) size = world;
        if (result.rank && size) break;
    }
    const auto about = "join \"" + result.name + "\": ";
    if (!size)
        throw error(errc::invalid_argument, about + "the world size is not known: give options.size(), or set WORLD_SIZE (etcdcoll run does)");
    result.size = *size;
    if (result.size < 1 || result.size > largest_world)
        throw error(errc::invalid_argument, about + "a world size of " + std::to_string(result.size) + " is not between 1 and " + std::to_string(largest_world));
    if (result.rank && (*result.rank < 0 || *result.rank >= result.size))
        throw error(errc::invalid_argument, about + "rank " + std::to_string(*result.rank) + " is not between 0 and " + std::to_string(result.size - 1));
    return result;
}

} // namespace detail

ETCDCOLL_DECL group_options::group_options() = default;

ETCDCOLL_DECL group_options& group_options::name(std::string text) {
    detail::check_name(text);
    values_.name = std::move(text);
    return *this;
}

ETCDCOLL_DECL group_options& group_options::rank(int number) {
    if (number < 0) throw error(errc::invalid_argument, "rank " + std::to_string(number) + " is negative");
    values_.rank = number;
    return *this;
}

ETCDCOLL_DECL group_options& group_options::size(int number) {
    if (number < 1 || number > detail::largest_world)
        throw error(errc::invalid_argument,
                    "a world size of " + std::to_string(number) + " is not between 1 and " + std::to_string(detail::largest_world));
    values_.size = number;
    return *this;
}

ETCDCOLL_DECL group_options& group_options::ttl(std::chrono::seconds limit) {
    if (limit < std::chrono::seconds(2)) throw error(errc::invalid_argument, "the time to live must be 2 s at least");
    values_.ttl = limit;
    return *this;
}

ETCDCOLL_DECL group_options& group_options::join_timeout(duration limit) {
    if (limit <= duration::zero()) throw error(errc::invalid_argument, "join_timeout must be longer than zero");
    values_.join_timeout = std::min<duration>(limit, detail::longest_timeout);
    return *this;
}

ETCDCOLL_DECL group_options& group_options::timeout(duration limit) {
    if (limit <= duration::zero()) throw error(errc::invalid_argument, "timeout must be longer than zero");
    values_.timeout = std::min<duration>(limit, detail::longest_timeout);
    return *this;
}

ETCDCOLL_DECL group_options& group_options::key_namespace(std::string text) {
    if (text.empty()) throw error(errc::invalid_argument, "the key namespace is empty");
    values_.key_namespace = std::move(text);
    return *this;
}

} // namespace etcdcoll
