#pragma once
// Real servers for a comparison, one after the other, with limits so small that random operations reach them.

#include "comparison.hpp"

#include <local_etcd.hpp>

#include <optional>

namespace etcdcoll::test {

class server_stage final : public stage {
public:
    static constexpr std::size_t request_bytes = 6000;
    static constexpr std::size_t txn_operations = 10;

    explicit server_stage(asio::any_io_executor executor);

    asio::awaitable<std::shared_ptr<client_subject>> etcd(bool fresh) override;
    std::unique_ptr<store_subject> store(std::int64_t revision) override;

private:
    const asio::any_io_executor executor_;
    std::optional<command::local_etcd> server_;
    std::shared_ptr<client_subject> subject_;
    differences of_;
};

} // namespace etcdcoll::test
