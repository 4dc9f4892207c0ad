#include "server_stage.hpp"

#include <bit>

namespace etcdcoll::test {

server_stage::server_stage(asio::any_io_executor executor) : executor_(std::move(executor)), of_(differences_of(command::etcd_version())) {}

asio::awaitable<std::shared_ptr<client_subject>> server_stage::etcd(bool fresh) {
    if (fresh || !server_ || !server_->running()) {
        subject_.reset();
        command::local_etcd_options options;
        options.arguments = {"--max-request-bytes=" + std::to_string(request_bytes), "--max-txn-ops=" + std::to_string(txn_operations)};
        server_.emplace(options);
        // Each call is one attempt, however busy the machine: a repetition could be answered otherwise.
        client_options patient;
        patient.endpoints(server_->endpoint()).timeout(std::chrono::minutes(1)).attempt_timeout(std::chrono::minutes(1));
        patient.log(logger(log_level::off, nullptr));
        client c(executor_, patient);
        const auto reply = co_await c.range("any");
        // etcd's numbers of requests begin with the last 16 bits of the member's.
        of_.request_number = (static_cast<std::size_t>(std::bit_width(reply.header.member_id & 0xffff)) + 48 + 6) / 7;
        subject_ = std::make_shared<client_subject>(std::move(c));
    }
    co_return subject_;
}

std::unique_ptr<store_subject> server_stage::store(std::int64_t revision) {
    etcd::model::limits most;
    most.max_request_bytes = request_bytes;
    most.max_txn_ops = txn_operations;
    return std::make_unique<store_subject>(revision, most, of_, [] { return std::chrono::steady_clock::now(); });
}

} // namespace etcdcoll::test
