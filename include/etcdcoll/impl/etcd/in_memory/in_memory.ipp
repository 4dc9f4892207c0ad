#pragma once

#include <etcdcoll/etcd/in_memory.hpp>
#include <etcdcoll/impl/condition.hpp>
#include <etcdcoll/impl/etcd/client_core.hpp>
#include <etcdcoll/impl/etcd/in_memory/gateway.hpp>
#include <etcdcoll/impl/etcd/in_memory/virtual_clock.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <cstring>
#include <mutex>
#include <random>
#include <map>
#include <utility>

namespace etcdcoll::etcd {

// The member, its connections, and the environment of its clients. Everything but the clock is under one lock: connections belong to many
// executors, and a change on one is told on others.
class in_memory::world final : public environment, public model::member, public std::enable_shared_from_this<world> {
public:
    explicit world(in_memory_options options)
        : clock_(std::make_shared<model::virtual_clock>()), store_(model::limits{options.max_request_bytes, options.max_txn_ops}), engine_(options.seed) {
        store_.on_change = [this] { changed_ = true; };
    }

    time_point now() const noexcept override { return clock_->now(); }
    std::chrono::system_clock::time_point wall_clock() const noexcept override {
        const auto since = std::chrono::duration_cast<std::chrono::system_clock::duration>(now().time_since_epoch());
        return std::chrono::system_clock::time_point(std::chrono::hours(24 * 365 * 50)) + since;
    }
    std::unique_ptr<timer> make_timer(const asio::any_io_executor& executor) override { return clock_->make_timer(executor); }
    std::unique_ptr<byte_stream> make_stream(const asio::any_io_executor& executor) override;
    std::uint64_t random() noexcept override {
        const std::scoped_lock lock(mutex_);
        return engine_();
    }

    std::string host() const override { return "in-memory"; }
    std::int64_t process_id() const noexcept override { return 1; }

    model::store& data() noexcept override { return store_; }
    response_header header() const noexcept override {
        response_header result;
        result.cluster_id = 0xc1;
        result.member_id = 0xa1;
        result.raft_term = term_;
        return result;
    }
    std::string version() const override { return "3.5.21"; }
    std::vector<std::string> client_urls() const override { return {"http://in-memory:2379"}; }
    void admit(std::shared_ptr<model::pending_call> call) override;

    // Ends at the first moment at which something is due, or at `limit`; false when nothing is.
    bool jump(time_point limit);
    void advance_to(time_point when);
    void stop() noexcept;
    void pause() noexcept { with_lock([this] { paused_ = true; }); }
    void go_on();
    void lose_replies(int count) noexcept {
        with_lock([&] { to_lose_ = count; });
    }
    std::uint64_t requests() const noexcept {
        const std::scoped_lock lock(mutex_);
        return requests_;
    }
    void leave() noexcept;

private:
    friend class in_memory::connection_stream;
    struct link;

    template <class Function> void with_lock(Function function) noexcept {
        const std::scoped_lock lock(mutex_);
        function();
    }
    void serve(link& from, const std::string& bytes);
    void settle();
    void expire(time_point when);

    const std::shared_ptr<model::virtual_clock> clock_;
    mutable std::mutex mutex_;
    model::store store_;
    std::mt19937_64 engine_;
    std::map<std::uint64_t, link*> links_; // in the order in which they were made, which is the same in every run
    std::uint64_t last_link_ = 0;
    std::vector<std::shared_ptr<link>> left_; // by their clients, with something that the stuck server has not read
    link* serving_ = nullptr; // whose bytes are being read
    std::uint64_t term_ = 2;
    std::uint64_t requests_ = 0;
    int to_lose_ = 0;
    bool changed_ = false;
    bool stopped_ = false;
    bool paused_ = false;
};

// One connection, shared by both of its ends.
struct in_memory::world::link : std::enable_shared_from_this<link> {
    link(std::shared_ptr<world> to, asio::any_io_executor executor_)
        : owner(std::move(to)), executor(std::move(executor_)), readable(executor, owner) {}
    ~link() { owner->with_lock([this] { owner->links_.erase(number); }); }

    // The rest is done on the client's executor, since the lock may be held by another.
    void tell() {
        if (std::exchange(told, true)) return;
        asio::post(executor, [self = shared_from_this()] {
            self->owner->with_lock([&] { self->told = false; });
            self->readable.notify_all();
        });
    }
    void collect() {
        if (server == nullptr) return;
        if (broken) return;
        inbox += server->take_output();
        tell();
    }
    void break_off() {
        server.reset();
        broken = true;
        tell();
    }

    const std::shared_ptr<world> owner;
    const asio::any_io_executor executor;
    etcdcoll::detail::condition readable;    // on the executor
    std::unique_ptr<model::gateway_connection> server;
    std::string inbox;   // sent by the server, not read yet
    std::string waiting; // sent by the client while the server is stuck
    std::uint64_t number = 0;
    bool broken = false;
    bool told = false;
    bool closed = false; // by the client
};

class in_memory::connection_stream final : public byte_stream {
public:
    connection_stream(std::shared_ptr<world> to, const asio::any_io_executor& executor)
        : link_(std::make_shared<world::link>(std::move(to), executor)) {}
    ~connection_stream() override { close(); }

    asio::awaitable<void> connect(stream_target, error_code& failure) override {
        auto& of = *link_->owner;
        of.with_lock([&] {
            if (link_->closed) {
                failure = asio::error::operation_aborted;
            } else if (of.stopped_) {
                failure = asio::error::connection_refused;
            } else {
                failure.clear();
                link_->server = std::make_unique<model::gateway_connection>(of);
                link_->server->on_output = [to = link_.get()] { to->collect(); };
                link_->number = ++of.last_link_;
                of.links_.emplace(link_->number, link_.get());
            }
        });
        co_return;
    }

    asio::awaitable<std::size_t> read_some(asio::mutable_buffer into, error_code& failure) override {
        for (;;) {
            const auto read = take(into, failure);
            if (read != 0 || failure) co_return read;
            co_await link_->readable.wait();
        }
    }

    std::size_t write_now(asio::const_buffer from, error_code& failure) noexcept override {
        failure.clear();
        auto& of = *link_->owner;
        of.with_lock([&] {
            if (link_->closed) {
                failure = asio::error::operation_aborted;
            } else if (link_->broken || !link_->server) {
                failure = asio::error::broken_pipe;
            } else {
                link_->waiting.append(static_cast<const char*>(from.data()), from.size());
                if (!of.paused_) of.serve(*link_, std::exchange(link_->waiting, {}));
            }
        });
        return failure ? 0 : from.size();
    }

    asio::awaitable<std::size_t> write(asio::const_buffer from, error_code& failure) override { co_return write_now(from, failure); }

    bool quiet() noexcept override {
        const std::scoped_lock lock(link_->owner->mutex_);
        return !link_->broken && !link_->closed && link_->inbox.empty();
    }

    void close() noexcept override {
        link_->owner->with_lock([this] {
            link_->closed = true;
            auto& of = *link_->owner;
            if (of.paused_ && !link_->waiting.empty()) {
                of.left_.push_back(link_); // it is read all the same
            } else {
                link_->server.reset();
            }
            link_->tell();
        });
    }

private:
    std::size_t take(asio::mutable_buffer into, error_code& failure) {
        const std::scoped_lock lock(link_->owner->mutex_);
        failure.clear();
        if (link_->closed) {
            failure = asio::error::operation_aborted;
        } else if (!link_->inbox.empty()) {
            const auto size = std::min(into.size(), link_->inbox.size());
            std::memcpy(into.data(), link_->inbox.data(), size);
            link_->inbox.erase(0, size);
            return size;
        } else if (link_->broken) {
            failure = asio::error::connection_reset;
        } else if (!link_->server || link_->server->finished()) {
            failure = asio::error::eof;
        }
        return 0;
    }

    std::shared_ptr<world::link> link_;
};

ETCDCOLL_DECL std::unique_ptr<byte_stream> in_memory::world::make_stream(const asio::any_io_executor& executor) {
    return std::make_unique<connection_stream>(shared_from_this(), executor);
}

ETCDCOLL_DECL void in_memory::world::admit(std::shared_ptr<model::pending_call> call) {
    ++requests_;
    const auto path = call->path();
    const bool losable = path.ends_with("/kv/put") || path.ends_with("/kv/deleterange") || path.ends_with("/kv/txn");
    const bool lost = to_lose_ > 0 && serving_ != nullptr && call->writes() && losable;
    if (lost) {
        --to_lose_;
        serving_->broken = true; // so that nobody hears of it
    }
    call->execute();
    if (lost) serving_->tell();
}

// The server reads what has arrived.
ETCDCOLL_DECL void in_memory::world::serve(link& from, const std::string& bytes) {
    if (bytes.empty() || !from.server || from.broken) return;
    serving_ = &from;
    from.server->receive(bytes);
    serving_ = nullptr;
    settle();
}

// What has changed is told to every watch.
ETCDCOLL_DECL void in_memory::world::settle() {
    while (std::exchange(changed_, false)) {
        const auto now_open = links_;
        for (const auto& [number, each] : now_open) {
            if (each->server && !each->broken && each->server->watches()) each->server->push();
        }
    }
}

ETCDCOLL_DECL void in_memory::world::expire(time_point when) {
    with_lock([&] {
        if (stopped_ || paused_) return;
        store_.expire(when);
        settle();
    });
}

ETCDCOLL_DECL bool in_memory::world::jump(time_point limit) {
    std::optional<time_point> next = clock_->next();
    with_lock([&] {
        const auto expiry = stopped_ || paused_ ? std::nullopt : store_.next_expiry();
        if (expiry && (!next || *expiry < *next)) next = std::max(*expiry, clock_->now());
    });
    if (!next || *next > limit) return false;
    advance_to(*next);
    return true;
}

ETCDCOLL_DECL void in_memory::world::advance_to(time_point when) {
    clock_->advance_to(when);
    expire(when);
}

ETCDCOLL_DECL void in_memory::world::stop() noexcept {
    std::vector<std::shared_ptr<link>> gone; // their destruction takes the lock
    with_lock([this, &gone] {
        stopped_ = true;
        for (const auto& [number, each] : links_) {
            each->waiting.clear();
            if (each->closed) each->server.reset();
            if (each->server) each->break_off();
        }
        gone = std::exchange(left_, {});
    });
}

ETCDCOLL_DECL void in_memory::world::go_on() {
    std::vector<std::shared_ptr<link>> gone; // their destruction takes the lock
    with_lock([this, &gone] {
        paused_ = false;
        if (std::exchange(stopped_, false)) {
            ++term_;
            store_.leader_changed(clock_->now());
        }
        const auto all = links_;
        for (const auto& [number, each] : all) serve(*each, std::exchange(each->waiting, {}));
        for (const auto& each : left_) each->server.reset();
        gone = std::exchange(left_, {});
    });
    expire(clock_->now());
}

ETCDCOLL_DECL in_memory::in_memory(in_memory_options options) : world_(std::make_shared<world>(options)) {}
ETCDCOLL_DECL in_memory::~in_memory() { world_->stop(); }

ETCDCOLL_DECL client in_memory::make_client(asio::any_io_executor executor, client_options options) {
    options.endpoints("http://in-memory:2379").system(world_);
    return client(std::move(executor), std::move(options));
}

ETCDCOLL_DECL std::shared_ptr<environment> in_memory::system() const { return world_; }

ETCDCOLL_DECL void in_memory::run(std::function<asio::awaitable<void>(client)> program, duration limit) {
    const auto end = limit == duration::zero() ? time_point::max() : now() + std::min(limit, etcdcoll::detail::longest_timeout);
    bool ended = false;
    std::exception_ptr failed;
    {
        asio::io_context io(1);
        auto first = program(make_client(io.get_executor()));
        asio::co_spawn(io, std::move(first), [&](std::exception_ptr why) {
            ended = true;
            failed = why;
        });
        for (;;) {
            io.poll();
            if (ended || !world_->jump(end)) break;
        }
        io.restart();
        io.poll(); // what ends with the program
    }
    if (failed) std::rethrow_exception(failed);
    if (!ended) throw error(errc::timed_out, "the program still waits after " + etcdcoll::detail::seconds_text(limit) + " of simulated time, or for what cannot come");
}

ETCDCOLL_DECL void in_memory::run(asio::io_context& io, duration limit) {
    const auto end = limit == duration::zero() ? time_point::max() : now() + limit;
    for (;;) {
        io.restart();
        io.poll();
        if (!world_->jump(end)) break;
    }
    if (limit != duration::zero() && now() < end) {
        world_->advance_to(end);
        io.restart();
        io.poll();
    }
}

ETCDCOLL_DECL time_point in_memory::now() const noexcept { return world_->now(); }
ETCDCOLL_DECL void in_memory::advance(duration by) { world_->advance_to(world_->now() + by); }
ETCDCOLL_DECL void in_memory::stop() noexcept { world_->stop(); }
ETCDCOLL_DECL void in_memory::pause() noexcept { world_->pause(); }
ETCDCOLL_DECL void in_memory::go_on() { world_->go_on(); }
ETCDCOLL_DECL void in_memory::lose_replies(int count) noexcept { world_->lose_replies(count); }
ETCDCOLL_DECL std::uint64_t in_memory::requests() const noexcept { return world_->requests(); }

} // namespace etcdcoll::etcd
