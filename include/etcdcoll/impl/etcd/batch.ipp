#pragma once

#include <etcdcoll/detail/batch_plan.hpp>
#include <etcdcoll/etcd/batch.hpp>
#include <etcdcoll/impl/condition.hpp>
#include <etcdcoll/impl/etcd/client_core.hpp>
#include <etcdcoll/impl/etcd/limits.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include <algorithm>

namespace etcdcoll::etcd {

ETCDCOLL_DECL bool batch_result::complete() const noexcept {
    return std::all_of(operations.begin(), operations.end(), [](const batch_entry& one) { return one.fate == batch_fate::written; });
}

ETCDCOLL_DECL void batch_result::check() const {
    for (const auto& one : operations)
        if (one.failure) throw error(*one.failure);
}

namespace detail {

ETCDCOLL_DECL std::size_t size_of(const batch_operation& one) { return size_of_write(one.key, one.value, static_cast<bool>(one.lease)); }

// One run, on the client's strand. Its workers hold it, so it outlives a run() that is cancelled.
struct batch_run {
    batch_run(client through_, std::vector<batch_operation> operations_, call_options each_)
        : through(std::move(through_)), operations(std::move(operations_)), each(each_),
          finished(through.core()->strand(), through.core()->system()) {
        result.operations.resize(operations.size());
        std::vector<etcdcoll::detail::batch_item> items;
        items.reserve(operations.size());
        for (const auto& one : operations) items.push_back({one.key, size_of(one)});
        const auto user = through.core()->values().user.size(); // which etcd writes beside each request
        waves = etcdcoll::detail::plan_batch(items, {.operations = operations_limit, .bytes = request_limit - std::min(user, request_limit)});
    }

    // What a failure of an earlier operation on the key leaves of a transaction.
    std::vector<std::size_t> allowed(const std::vector<std::size_t>& planned) {
        std::vector<std::size_t> left;
        for (const auto index : planned) {
            const auto spoilt = failed.find(operations[index].key);
            if (spoilt == failed.end()) {
                left.push_back(index);
            } else {
                result.operations[index].failure.emplace(spoilt->second);
            }
        }
        return left;
    }

    txn_request request_of(const std::vector<std::size_t>& indices) {
        txn_request request;
        request.success.reserve(indices.size());
        for (const auto index : indices) {
            auto& one = operations[index];
            if (one.erases) {
                request.success.emplace_back(delete_range_request(one.key));
            } else {
                request.success.emplace_back(put_request(one.key, std::move(one.value), one.lease));
            }
        }
        return request;
    }

    void succeeded(const std::vector<std::size_t>& indices, const txn_response& reply) {
        for (std::size_t i = 0; i < indices.size(); ++i) {
            auto& entry = result.operations[indices[i]];
            entry.fate = batch_fate::written;
            entry.revision = reply.header.revision;
            if (i >= reply.responses.size()) continue;
            if (const auto* erased = std::get_if<delete_range_response>(&reply.responses[i])) entry.deleted = erased->deleted;
        }
    }

    void broke(const std::vector<std::size_t>& indices, const error& why) {
        for (const auto index : indices) {
            auto& entry = result.operations[index];
            if (why.reason() == errc::outcome_unknown) entry.fate = batch_fate::unknown;
            entry.failure.emplace(why);
            failed.emplace(operations[index].key, why);
        }
    }

    client through;
    std::vector<batch_operation> operations; // keys stay, values leave with their requests
    call_options each;
    std::vector<etcdcoll::detail::batch_wave> waves;
    batch_result result;
    std::unordered_map<std::string_view, error> failed; // the first failure of a key; the keys are those of `operations`
    std::size_t wave = 0;
    std::size_t next = 0;    // transaction of the wave
    std::size_t workers = 0; // at work
    bool stopped = false;
    etcdcoll::detail::condition finished;
};

// Tells the run that one of its workers has gone.
struct worker_mark {
    explicit worker_mark(batch_run& run_) : run(run_) {}
    worker_mark(const worker_mark&) = delete;
    worker_mark& operator=(const worker_mark&) = delete;
    ~worker_mark() {
        if (--run.workers == 0) run.finished.notify_all();
    }
    batch_run& run;
};

ETCDCOLL_DECL asio::awaitable<void> work(std::shared_ptr<batch_run> run) {
    const worker_mark mark(*run);
    while (!run->stopped && run->next < run->waves[run->wave].size()) {
        const auto indices = run->allowed(run->waves[run->wave][run->next++]);
        if (indices.empty()) continue;
        ++run->result.transactions;
        try {
            auto request = run->request_of(indices);
            const auto reply = co_await run->through.txn(std::move(request), run->each);
            run->succeeded(indices, reply);
        } catch (const error& failure) {
            run->broke(indices, failure);
        }
    }
}

// Tells the workers of a run that was cancelled.
struct stop_mark {
    explicit stop_mark(batch_run& run_) : run(run_) {}
    stop_mark(const stop_mark&) = delete;
    stop_mark& operator=(const stop_mark&) = delete;
    ~stop_mark() { run.stopped = true; }
    batch_run& run;
};

ETCDCOLL_DECL asio::awaitable<batch_result> run_batch(std::shared_ptr<batch_run> run, std::size_t in_flight) {
    const stop_mark mark(*run);
    for (run->wave = 0; run->wave < run->waves.size(); ++run->wave) {
        run->next = 0;
        run->workers = std::min(in_flight, run->waves[run->wave].size());
        for (std::size_t i = run->workers; i > 0; --i) asio::co_spawn(run->through.core()->strand(), work(run), asio::detached);
        while (run->workers > 0) co_await run->finished.wait();
    }
    co_return std::move(run->result);
}

ETCDCOLL_DECL asio::awaitable<batch_result> plan_and_run(client through, std::vector<batch_operation> operations, call_options each,
                                                         std::size_t in_flight) {
    const auto strand = through.core()->strand();
    each.guarded = false; // nothing compares here: a repetition would write twice
    const auto run = std::make_shared<batch_run>(std::move(through), std::move(operations), each);
    auto result = co_await etcdcoll::detail::on_strand(strand, run_batch(run, in_flight));
    co_return result;
}

} // namespace detail

ETCDCOLL_DECL batch::batch(client through) : client_(std::move(through)) {}

ETCDCOLL_DECL batch& batch::transactions_in_flight(std::size_t most) {
    if (most == 0) throw error(errc::invalid_argument, "batch: transactions_in_flight must be 1 at least");
    in_flight_ = most;
    return *this;
}

ETCDCOLL_DECL batch& batch::add(detail::batch_operation added, const char* call) {
    if (added.key.empty()) throw error(errc::invalid_argument, std::string(call) + ": the key is empty");
    const auto size = detail::size_of(added);
    if (size > detail::request_limit)
        throw error(errc::too_large, etcdcoll::detail::call_and_key(call, added.key) + ": " + std::to_string(size) +
                                         " bytes are more than the " + std::to_string(detail::request_limit) + " that etcd takes in one request");
    operations_.push_back(std::move(added));
    return *this;
}

ETCDCOLL_DECL batch& batch::put(std::string key, std::string value, lease_id lease) {
    return add(detail::batch_operation(std::move(key), std::move(value), lease, false), "batch: put");
}

ETCDCOLL_DECL batch& batch::erase(std::string key) {
    return add(detail::batch_operation(std::move(key), {}, {}, true), "batch: erase");
}

ETCDCOLL_DECL asio::awaitable<batch_result> batch::run(call_options each) {
    return detail::plan_and_run(client_, std::exchange(operations_, {}), each, in_flight_);
}

} // namespace etcdcoll::etcd
