#include "network.hpp"

#include "cluster.hpp"

#include <boost/asio/error.hpp>

#include <algorithm>
#include <cstring>
#include <utility>

namespace etcdcoll::sim {

using namespace std::chrono_literals;

namespace {

// A client's end.
class simulated_stream final : public byte_stream {
public:
    simulated_stream(network& of, std::shared_ptr<link> line) : network_(of), link_(std::move(line)) {}
    ~simulated_stream() override { link_->close_client(); }

    asio::awaitable<void> connect(stream_target target, error_code& failure) override {
        auto* const to = network_.find(target.host);
        failure.clear();
        if (to == nullptr) {
            failure = asio::error::host_not_found;
            co_return;
        }
        if (!link_->client_closed) link_->connect(*to);
        while (link_->is == link::state::connecting && !link_->client_closed) {
            co_await link_->changed.wait();
        }
        if (link_->client_closed) {
            failure = asio::error::operation_aborted;
        } else if (link_->is == link::state::refused) {
            failure = asio::error::connection_refused;
        } else if (link_->is != link::state::open) {
            failure = asio::error::connection_reset;
        }
    }

    asio::awaitable<std::size_t> read_some(asio::mutable_buffer into, error_code& failure) override {
        for (;;) {
            const auto read = take(into, failure);
            if (read != 0 || failure) co_return read;
            co_await link_->changed.wait();
        }
    }

    // Sometimes the send buffer is full.
    std::size_t write_now(asio::const_buffer from, error_code& failure) noexcept override {
        if (network_.rates().split != 0 && network_.owner().chance.per_mille(network_.rates().split / 4)) {
            failure.clear();
            return 0;
        }
        return pass(from, failure);
    }

    asio::awaitable<std::size_t> write(asio::const_buffer from, error_code& failure) override { co_return pass(from, failure); }

    bool quiet() noexcept override { return link_->is == link::state::open && link_->inbox.empty(); }
    void close() noexcept override { link_->close_client(); }

private:
    std::size_t pass(asio::const_buffer from, error_code& failure) {
        failure.clear();
        if (link_->client_closed) {
            failure = asio::error::operation_aborted;
        } else if (link_->is != link::state::open) {
            failure = asio::error::broken_pipe;
        } else {
            link_->send({static_cast<const char*>(from.data()), from.size()});
            return from.size();
        }
        return 0;
    }

    std::size_t take(asio::mutable_buffer into, error_code& failure) const {
        failure.clear();
        if (link_->client_closed) {
            failure = asio::error::operation_aborted;
        } else if (!link_->inbox.empty()) {
            const auto size = std::min(into.size(), link_->inbox.size());
            std::memcpy(into.data(), link_->inbox.data(), size);
            link_->inbox.erase(0, size);
            return size;
        } else if (link_->is == link::state::ended) {
            failure = asio::error::eof;
        } else if (link_->is != link::state::open) {
            failure = asio::error::connection_reset;
        }
        return 0;
    }

    network& network_;
    std::shared_ptr<link> link_;
};

} // namespace

link::link(network& of, process& client_, std::uint64_t number, const asio::any_io_executor& executor, std::shared_ptr<environment> system)
    : changed(executor, std::move(system)), client(client_), network_(of), number_(number) {}

duration link::delay() {
    auto& chance = network_.kernel_.chance;
    return latency_ / 2 + chance.between(0us, latency_);
}

void link::connect(member& to) {
    auto& chance = network_.kernel_.chance;
    const auto& rates = network_.rates_;
    is = state::connecting;
    server_of = &to;
    latency_ = chance.per_mille(rates.slow) ? chance.between(20ms, 400ms) : chance.between(50us, 1ms);
    if (chance.per_mille(rates.cut)) pipes_[chance.below(2)].cut_at = chance.below(3000);
    network_.kernel_.after(2 * latency_, [self = shared_from_this()] { self->finish_connect(); });
}

void link::finish_connect() {
    if (is != state::connecting || gone_) return;
    // Lost packets are sent again: it comes about once the way is free, unless its client has given up by then.
    if (network_.blocked(client, *server_of, true) || network_.blocked(client, *server_of, false)) {
        stuck_ = true;
        return;
    }
    if (client_closed) {
        is = state::broken;
        return;
    }
    is = server_of->up ? state::open : state::refused;
    if (is == state::open) {
        server_ = std::make_shared<etcd::model::gateway_connection>(*server_of);
        server_->on_output = [this] { collect(); };
    }
    changed.notify_all();
}

void link::send(std::string_view bytes) { submit(to_server, std::string(bytes), false); }

void link::close_client() noexcept {
    if (std::exchange(client_closed, true)) return;
    changed.notify_all();
    if (is == state::open) submit(to_server, {}, true);
}

void link::submit(way direction, std::string bytes, bool last) {
    auto& of = pipes_[direction];
    if (of.swallowed) return;
    auto& kernel = network_.kernel_;
    const auto deliver = [&](std::string part, bool end) {
        of.last = std::max(of.last, kernel.now() + delay());
        kernel.at(of.last, [self = shared_from_this(), direction, what = segment{std::move(part), end}]() mutable {
            self->arrive(direction, std::move(what));
        });
    };
    if (bytes.size() > 1 && kernel.chance.per_mille(network_.rates_.split)) {
        const auto piece = 1 + kernel.chance.below(40);
        std::size_t at = 0;
        for (int pieces = 0; pieces < 8 && at + piece < bytes.size(); ++pieces, at += piece) deliver(bytes.substr(at, piece), false);
        bytes.erase(0, at);
    }
    deliver(std::move(bytes), last);
}

void link::arrive(way direction, segment what) {
    if (gone_) return;
    auto& of = pipes_[direction];
    if (network_.blocked(client, *server_of, direction == to_server) || !of.held.empty()) {
        of.held.push_back(std::move(what));
    } else if (direction == to_server && server_of->paused) {
        server_of->held.push_back([self = shared_from_this(), direction, what]() mutable { self->arrive(direction, std::move(what)); });
    } else {
        take(direction, std::move(what));
    }
}

void link::take(way direction, segment what) {
    auto& of = pipes_[direction];
    const bool cut = of.sent + what.bytes.size() > of.cut_at;
    if (cut) what.bytes.resize(of.cut_at - of.sent);
    of.sent += what.bytes.size();
    network_.kernel_.trace.mix(number_ * 2 + static_cast<std::uint64_t>(direction));
    network_.kernel_.trace.mix(what.bytes);
    if (direction == to_server) {
        const auto serving = server_; // what it does may end this connection
        if (serving && !what.bytes.empty()) serving->receive(what.bytes);
        if (what.last) leave_server();
    } else if (!client_closed) {
        inbox += what.bytes;
        if (what.last) is = state::ended;
        changed.notify_all();
    }
    if (cut) reset("cut");
}

// The server has something to send.
void link::collect() {
    if (!server_) return;
    auto bytes = server_->take_output();
    const bool last = server_->finished();
    if (bytes.empty() && !last) return;
    auto& chance = network_.kernel_.chance;
    const auto& rates = network_.rates_;
    if (!server_->watches()) {
        if (chance.per_mille(rates.reply_lost)) {
            reset("reply lost");
            return;
        }
        if (chance.per_mille(rates.reply_swallowed)) {
            network_.kernel_.trace.line(network_.kernel_.now(), "net", [this] { return name() + ": nothing comes back any more"; });
            pipes_[to_client].swallowed = true;
        }
    }
    submit(to_client, std::move(bytes), last);
    if (last) leave_server();
}

// It may be at work further up the stack.
void link::leave_server() {
    if (!server_) return;
    server_->on_output = nullptr;
    network_.kernel_.after(0ns, [keep = std::move(server_)] {});
    server_ = nullptr;
}

void link::reset(const char* why) {
    if (std::exchange(gone_, true)) return;
    network_.kernel_.trace.line(network_.kernel_.now(), "net", [&] { return name() + ": " + why; });
    leave_server();
    network_.kernel_.after(delay(), [self = shared_from_this()] {
        if (self->is == state::connecting || self->is == state::open) self->is = state::broken;
        self->changed.notify_all();
    });
}

void link::push() {
    const auto serving = server_;
    if (serving && serving->watches()) serving->push();
}

void link::lose_leader() {
    const auto serving = server_;
    if (serving && serving->watches()) serving->lose_leader();
}

void link::flow() {
    if (gone_) return;
    if (std::exchange(stuck_, false)) network_.kernel_.after(2 * latency_, [self = shared_from_this()] { self->finish_connect(); });
    for (const auto direction : {to_server, to_client}) {
        if (network_.blocked(client, *server_of, direction == to_server)) continue;
        for (auto& each : std::exchange(pipes_[direction].held, {})) arrive(direction, std::move(each));
    }
}

std::string link::name() const { return client.name() + "-" + (server_of == nullptr ? "?" : server_of->host()) + "#" + std::to_string(number_); }

std::string link::standing() const {
    std::string text = client_closed ? "closed by its client" : "open at its client";
    text += server_ ? ", open at its member" : ", closed at its member";
    if (gone_) text += ", reset";
    if (stuck_) text += ", not connected";
    for (const auto direction : {to_server, to_client}) text += ", " + std::to_string(pipes_[direction].held.size()) + " held up";
    return text;
}

bool link::over() const noexcept { return client_closed && (gone_ || (!server_ && !stuck_)); }

network::~network() { drop_all(); }

void network::drop_all() noexcept {
    for (const auto& each : links_) each->leave_server();
    links_.clear();
}

member* network::find(const std::string& host) const {
    const auto found = members_.find(host);
    return found == members_.end() ? nullptr : found->second;
}

std::unique_ptr<byte_stream> network::make_stream(process& of, const asio::any_io_executor& executor, std::shared_ptr<environment> system) {
    if (++last_ % 32 == 0) forget_closed();
    links_.push_back(std::make_shared<link>(*this, of, last_, executor, std::move(system)));
    return std::make_unique<simulated_stream>(*this, links_.back());
}

void network::forget_closed() {
    std::erase_if(links_, [](const std::shared_ptr<link>& each) { return each->over(); });
}

void network::block(process& one, member& other, bool to_member, bool to_process) {
    blocked_[{one.number(), other.number()}] = (to_member ? 1 : 0) + (to_process ? 2 : 0);
}

void network::unblock(process& one, member& other) {
    blocked_.erase({one.number(), other.number()});
    const auto all = links_;
    for (const auto& each : all) {
        if (&each->client == &one && each->server_of == &other) each->flow();
    }
}

bool network::blocked(const process& one, const member& other, bool to_member) const {
    const auto found = blocked_.find({one.number(), other.number()});
    return found != blocked_.end() && (found->second & (to_member ? 1 : 2)) != 0;
}

void network::reset_links_of(const member& one, const char* why) {
    const auto all = links_;
    for (const auto& each : all) {
        if (each->server_of == &one) each->reset(why);
    }
}

std::size_t network::open_links() const noexcept {
    return static_cast<std::size_t>(std::count_if(links_.begin(), links_.end(), [](const std::shared_ptr<link>& each) { return !each->over(); }));
}

} // namespace etcdcoll::sim
