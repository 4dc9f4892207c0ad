#pragma once
// Decides which operations of a batch travel together. No I/O.

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace etcdcoll::detail {

struct batch_item {
    std::string_view key;
    std::size_t bytes; ///< of the encoded operation
};

struct batch_limits {
    std::size_t operations;
    std::size_t bytes;
};

using batch_transaction = std::vector<std::size_t>; // indices of items, ascending
using batch_wave = std::vector<batch_transaction>;  // in which no key is twice

/// The n-th operation on a key is in the n-th wave. Waves are executed one after the other, so one key's operations keep their order; the
/// transactions of a wave have no key in common, so they may be under way at once. An item larger than `limits.bytes` travels alone.
inline std::vector<batch_wave> plan_batch(const std::vector<batch_item>& items, batch_limits limits) {
    std::vector<batch_wave> waves;
    std::vector<std::size_t> filled; // bytes in the last transaction of each wave
    std::unordered_map<std::string_view, std::size_t> seen;
    for (std::size_t index = 0; index < items.size(); ++index) {
        const auto wave = seen[items[index].key]++;
        if (wave == waves.size()) {
            waves.emplace_back(1);
            filled.push_back(0);
        }
        auto* last = &waves[wave].back();
        if (!last->empty() && (last->size() >= limits.operations || filled[wave] + items[index].bytes > limits.bytes)) {
            last = &waves[wave].emplace_back();
            filled[wave] = 0;
        }
        last->push_back(index);
        filled[wave] += items[index].bytes;
    }
    return waves;
}

} // namespace etcdcoll::detail
