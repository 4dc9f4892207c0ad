#pragma once
// What the tests of client, watch and session share.

#include <etcdcoll/session.hpp>
#include <support/fault_proxy.hpp>
#include <support/run.hpp>

#include <boost/asio/this_coro.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <utility>

namespace etcdcoll::test {

using namespace std::chrono_literals;

/// As another environment, but the first endpoint of a list is the first to be tried.
class first_endpoint_first final : public environment {
public:
    explicit first_endpoint_first(std::shared_ptr<environment> inner = environment::system()) : inner_(std::move(inner)) {}

    time_point now() const noexcept override { return inner_->now(); }
    std::chrono::system_clock::time_point wall_clock() const noexcept override { return inner_->wall_clock(); }
    std::unique_ptr<timer> make_timer(const asio::any_io_executor& executor) override { return inner_->make_timer(executor); }
    std::unique_ptr<byte_stream> make_stream(const asio::any_io_executor& executor) override { return inner_->make_stream(executor); }
    std::uint64_t random() noexcept override {
        if (!first_) return inner_->random();
        first_ = false;
        return 0;
    }

private:
    std::shared_ptr<environment> inner_;
    bool first_ = true;
};

inline client_options quiet(const std::string& endpoints, duration timeout = 8s) {
    client_options options;
    options.endpoints(endpoints).timeout(timeout).log(logger(log_level::off, nullptr)).system(std::make_shared<first_endpoint_first>());
    return options;
}

/// What a call ended with.
struct ending {
    std::string what; ///< empty: no error
    errc reason{};
    error_context context;
    std::chrono::milliseconds took{0};
};

template <class T> asio::awaitable<ending> ending_of(asio::awaitable<T> call) {
    ending result;
    const auto begin = std::chrono::steady_clock::now();
    try {
        co_await std::move(call);
    } catch (const error& failure) {
        result.what = failure.what();
        result.reason = failure.reason();
        result.context = failure.context();
    }
    result.took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin);
    co_return result;
}

/// Goes to a server of the test's own.
inline fault_proxy proxy_of(const command::local_etcd& etcd) { return {"127.0.0.1", etcd.client_port()}; }

inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

} // namespace etcdcoll::test
