#pragma once
// Stops an operation after each of its handlers, in every way that there is, and sees how it ends and what it leaves.

#include "operation.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace etcdcoll::sim {

struct sweep_row {
    std::string name;
    promises promised;
    std::function<std::shared_ptr<operation>(world&)> make;
};

/// Of a class of operations, which says what it promises.
template <class Operation> sweep_row row_of(std::string name) {
    return {std::move(name), Operation::promised(), [](world& of) { return std::make_shared<Operation>(of); }};
}

/// The first promise that is broken, in all ways of stopping it under that seed, and the end of the trace of that run.
std::optional<std::string> find_broken_promise(const sweep_row& what, std::uint64_t seed);

/// Fails the test where a promise is broken. ETCDCOLL_SWEEP_SEEDS: another range of seeds, "first..last".
void sweep(const sweep_row& what);
template <class Operation> void sweep(std::string name) { sweep(row_of<Operation>(std::move(name))); }

} // namespace etcdcoll::sim
