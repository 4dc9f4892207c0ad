#pragma once
// Executes a sequence of operations on an etcd and on the store, and tells the first answer that is not the same; then finds a shortest such
// sequence.

#include "operation.hpp"
#include "subject.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace etcdcoll::test {

struct mismatch {
    std::size_t index; ///< of the operation; behind the last one: what watches have brought
    std::string etcd;
    std::string store;
};

/// What it takes to run a sequence once more.
class stage {
public:
    virtual ~stage() = default;
    /// An etcd with nothing in it; `fresh`: one that was started for it.
    virtual asio::awaitable<std::shared_ptr<client_subject>> etcd(bool fresh) = 0;
    virtual std::unique_ptr<store_subject> store(std::int64_t revision) = 0;
};

/// `patience`: how long an event may take that the store says is to come.
asio::awaitable<std::optional<mismatch>> compare(stage& on, bool fresh, const std::vector<operation>& sequence,
                                                 duration patience = std::chrono::seconds(20));

/// A shortest part of `sequence` that has a mismatch too, one operation a line, with both answers; a short one where that takes minutes.
asio::awaitable<std::string> shortest_mismatch(stage& on, std::vector<operation> sequence, mismatch found);

} // namespace etcdcoll::test
