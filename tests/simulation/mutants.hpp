#pragma once
// Faults that are built into the simulated library on purpose, each behind a switch (mutants.cmake puts them there): a simulation that finds nothing has to show
// that it would.

#include <array>
#include <string_view>

namespace etcdcoll::mutants {

enum kind : int {
    none,
#define ETCDCOLL_MUTANT_KIND(name, about) name,
#include <simulation/mutants.def>
#undef ETCDCOLL_MUTANT_KIND
    count
};

struct description {
    std::string_view name;
    std::string_view about;
};

inline constexpr std::array<description, static_cast<std::size_t>(count)> all = {{
    {"none", "the library as it is"},
#define ETCDCOLL_MUTANT_KIND(name, about) {#name, about},
#include <simulation/mutants.def>
#undef ETCDCOLL_MUTANT_KIND
}};

/// Set once, before anything runs.
inline kind active = none;

} // namespace etcdcoll::mutants

#define ETCDCOLL_MUTANT(which) (::etcdcoll::mutants::active == ::etcdcoll::mutants::which)
