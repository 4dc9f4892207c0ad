#include <support/fault_proxy.hpp>
#include <support/proxy_connection.hpp>

#include <boost/asio/dispatch.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include <future>
#include <memory>
#include <optional>
#include <thread>
#include <type_traits>
#include <utility>

namespace etcdcoll::test {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

class fault_proxy::engine {
public:
    explicit engine(std::optional<tcp::endpoint> server) {
        core_.server = std::move(server);
        open_acceptor(0);
        port_ = acceptor_.local_endpoint().port();
        listen();
        thread_ = std::thread{[this] { core_.context.run(); }};
    }

    ~engine() {
        call([this] {
            refusing_ = true;
            acceptor_.close();
            close_all();
        });
        core_.context.stop();
        thread_.join();
    }

    /// Runs `action` on the proxy's thread and returns when it is done.
    template <class Action> std::invoke_result_t<Action> call(Action action) {
        // Shared: the task ends a little later than its result is there.
        auto task = std::make_shared<std::packaged_task<std::invoke_result_t<Action>()>>(std::move(action));
        auto result = task->get_future();
        asio::dispatch(core_.context, [task] { (*task)(); });
        return result.get();
    }

    void refuse() {
        if (std::exchange(refusing_, true)) return;
        acceptor_.close();
        // Bound but not listening: nobody else gets the port meanwhile, and connecting to it is refused.
        open_acceptor(port_);
    }

    void accept_again() {
        if (std::exchange(refusing_, false)) listen();
    }

    void set_gate(bool closed) {
        core_.gate_closed = closed;
        if (!closed) for_each([](proxy_connection& connection) { connection.gate_opened(); });
    }

    void release() {
        for_each([](proxy_connection& connection) { connection.release(); });
    }

    void cut_all(close_how how) {
        for_each([this, how](proxy_connection& connection) {
            core_.ledger.count(&traffic::cuts);
            connection.cut(how, how);
        });
    }

    proxy_core& core() { return core_; }
    const traffic_ledger& ledger() const { return core_.ledger; }
    std::uint16_t port() const { return port_; }

private:
    void open_acceptor(std::uint16_t port) {
        const tcp::endpoint here{asio::ip::address_v4::loopback(), port};
        acceptor_.open(here.protocol());
        acceptor_.set_option(tcp::acceptor::reuse_address{true});
        acceptor_.bind(here);
    }

    void listen() {
        acceptor_.listen();
        accept();
    }

    void accept() {
        acceptor_.async_accept([this](error_code ec, tcp::socket client) {
            if (refusing_ || ec == asio::error::operation_aborted) return;
            if (ec) return accept_later();
            auto connection = std::make_shared<proxy_connection>(core_, std::move(client));
            core_.connections.insert(connection);
            core_.ledger.count(&traffic::open_connections);
            core_.ledger.count(&traffic::connections);
            connection->start();
            accept();
        });
    }

    // Without descriptors accept() fails at once, again and again: leave the tests the processor meanwhile.
    void accept_later() {
        retry_.expires_after(std::chrono::milliseconds{10});
        retry_.async_wait([this](error_code ec) {
            if (!ec && !refusing_) accept();
        });
    }

    // Connections leave the set while they are visited.
    template <class Action> void for_each(Action action) {
        const auto connections = core_.connections;
        for (const auto& connection : connections) action(*connection);
    }

    void close_all() {
        for_each([](proxy_connection& connection) { connection.close(); });
    }

    proxy_core core_;
    asio::executor_work_guard<asio::io_context::executor_type> work_{core_.context.get_executor()};
    tcp::acceptor acceptor_{core_.context};
    asio::steady_timer retry_{core_.context};
    bool refusing_ = false;
    std::uint16_t port_ = 0;
    std::thread thread_;
};

namespace {

tcp::endpoint resolve(const std::string& host, std::uint16_t port) {
    asio::io_context context;
    tcp::resolver resolver{context};
    return resolver.resolve(host, std::to_string(port), tcp::resolver::numeric_service).begin()->endpoint();
}

} // namespace

fault_proxy::fault_proxy(const std::string& host, std::uint16_t port)
    : engine_(std::make_unique<engine>(resolve(host, port))) {}

fault_proxy::fault_proxy() : engine_(std::make_unique<engine>(std::nullopt)) {}

fault_proxy::~fault_proxy() = default;

std::uint16_t fault_proxy::port() const { return engine_->port(); }

std::string fault_proxy::endpoint() const { return "127.0.0.1:" + std::to_string(port()); }

fault_proxy::rule_id fault_proxy::add(fault_rule rule) {
    return engine_->call([&] { return engine_->core().rules.add(std::move(rule)); });
}

void fault_proxy::remove(rule_id id) {
    engine_->call([&] { engine_->core().rules.remove(id); });
}

void fault_proxy::clear_rules() {
    engine_->call([&] { engine_->core().rules.clear(); });
}

void fault_proxy::random_reply_loss(double probability, std::uint64_t seed, std::string path_suffix, close_how how) {
    engine_->call([&] { engine_->core().rules.lose_replies(probability, seed, std::move(path_suffix), how); });
}

void fault_proxy::release() {
    engine_->call([&] { engine_->release(); });
}

void fault_proxy::refuse() {
    engine_->call([&] { engine_->refuse(); });
}

void fault_proxy::accept_again() {
    engine_->call([&] { engine_->accept_again(); });
}

void fault_proxy::black_hole() {
    engine_->call([&] { engine_->set_gate(true); });
}

void fault_proxy::pass_through() {
    engine_->call([&] { engine_->set_gate(false); });
}

void fault_proxy::whole_requests() {
    engine_->call([&] { engine_->core().whole_requests = true; });
}

void fault_proxy::cut_all(close_how how) {
    engine_->call([&] { engine_->cut_all(how); });
}

traffic fault_proxy::totals() const { return engine_->ledger().totals(); }

std::uint64_t fault_proxy::hits(rule_id id) const { return engine_->ledger().hits(id); }

std::uint64_t fault_proxy::requests(std::string_view path_suffix) const {
    return engine_->ledger().requests(path_suffix);
}

std::uint64_t fault_proxy::responses(std::string_view path_suffix) const {
    return engine_->ledger().responses(path_suffix);
}

std::size_t fault_proxy::last_request_size(std::string_view path_suffix) const {
    return engine_->ledger().last_request_size(path_suffix);
}

std::size_t fault_proxy::last_response_size(std::string_view path_suffix) const {
    return engine_->ledger().last_response_size(path_suffix);
}

std::vector<exchange_record> fault_proxy::log() const { return engine_->ledger().log(); }

bool fault_proxy::wait_for_requests(std::uint64_t n, std::string_view path_suffix, milliseconds timeout) const {
    return engine_->ledger().wait_for_requests(path_suffix, n, timeout);
}

bool fault_proxy::wait_for_responses(std::uint64_t n, std::string_view path_suffix, milliseconds timeout) const {
    return engine_->ledger().wait_for_responses(path_suffix, n, timeout);
}

bool fault_proxy::wait_for_hits(rule_id id, std::uint64_t n, milliseconds timeout) const {
    return engine_->ledger().wait_for_hits(id, n, timeout);
}

bool fault_proxy::wait_for_stalled(std::uint64_t n, milliseconds timeout) const {
    return wait_for([n](const traffic& now) { return now.stalled >= n; }, timeout);
}

bool fault_proxy::wait_for(const std::function<bool(const traffic&)>& reached, milliseconds timeout) const {
    return engine_->ledger().wait_for(reached, timeout);
}

} // namespace etcdcoll::test
