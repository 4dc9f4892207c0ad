#pragma once

#include <etcdcoll/detail/retry.hpp>
#include <etcdcoll/detail/server_error.hpp>
#include <etcdcoll/impl/etcd/client_core.hpp>
#include <etcdcoll/impl/etcd/codec.hpp>
#include <etcdcoll/impl/etcd/watch_hub.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include <algorithm>
#include <utility>

namespace etcdcoll::detail {

// A stopped process and a broken path look like an idle stream. So an idle stream is asked for its progress, and one that leaves two
// requests unanswered is given up: after 4.5 s at most.
inline constexpr std::chrono::milliseconds probe_interval{1500};
inline constexpr int probe_misses = 2;

struct watch_hub::stream {
    stream(const client_core& core, std::size_t index_)
        : index(index_), outbox_filled(core.strand(), core.system()), probe(core.system()->make_timer(core.strand())) {}

    void shut() noexcept {
        closed = true;
        if (link) link->close();
        outbox_filled.notify_all();
    }

    std::size_t index; // of the endpoint
    std::unique_ptr<http::connection> link;
    std::string outbox;
    condition outbox_filled;
    std::unique_ptr<timer> probe;
    bool heard = false;      // since the last probe
    time_point began;
    int unanswered = 0;
    bool closed = false;
    bool unwanted = false; // its last watch is gone: that it ended is no failure of the endpoint
};

ETCDCOLL_DECL watch_sink::~watch_sink() = default;
ETCDCOLL_DECL watch_hub::watch_hub(client_core& core) : core_(core) {}
ETCDCOLL_DECL watch_hub::~watch_hub() = default;

ETCDCOLL_DECL std::int64_t watch_hub::add(etcd::watch_request request, std::shared_ptr<watch_sink> sink) {
    if (closed_) {
        sink->on_failure(error(errc::closed, "watch: the client is closed"));
        return 0;
    }
    const auto id = ++last_id_; // never 0, which etcd leaves out of its answers, nor -1, which stands for "no watch"
    const auto start = request.start;
    const auto added = entries_.emplace(id, entry{std::move(request), watch_cursor(start), std::move(sink), {}}).first;
    send(etcd::codec::encode_create(added->second.request, id, start));
    if (!running_) {
        running_ = true;
        asio::co_spawn(core_.strand(), run(core_.shared_from_this()), asio::detached);
    }
    return id;
}

ETCDCOLL_DECL void watch_hub::remove(std::int64_t id) noexcept {
    if (entries_.erase(id) == 0 || !stream_) return;
    try {
        if (entries_.empty()) {
            let_go();
        } else {
            send(etcd::codec::encode_cancel(id));
        }
    } catch (...) { // no memory for the message: the server goes on sending what is then dropped
    }
}

// Nobody listens: the connection is not kept. A watch that is added later gets a stream of its own.
ETCDCOLL_DECL void watch_hub::let_go() noexcept {
    const auto old = std::exchange(stream_, nullptr);
    if (!old) return;
    old->unwanted = true;
    old->shut();
}

ETCDCOLL_DECL void watch_hub::close() noexcept {
    closed_ = true;
    if (stream_) stream_->shut();
    const error why(errc::closed, "watch: the client is closed");
    for (auto& [id, target] : std::exchange(entries_, {})) target.sink->on_failure(why);
}

ETCDCOLL_DECL void watch_hub::send(std::string_view text) {
    if (!stream_) return; // what is wanted is sent when the stream opens
    stream_->outbox += text;
    stream_->outbox_filled.notify_all();
}

ETCDCOLL_DECL std::string watch_hub::all_creates() const {
    std::string text;
    for (const auto& [id, target] : entries_) text += etcd::codec::encode_create(target.request, id, target.cursor.resume());
    return text;
}

ETCDCOLL_DECL asio::awaitable<void> watch_hub::run([[maybe_unused]] std::shared_ptr<client_core> alive) {
    const retry_policy policy;
    std::optional<retry> rule;
    while (!closed_ && !entries_.empty()) {
        auto current = std::make_shared<stream>(core_, core_.ring().pick());
        current->began = core_.now();
        std::string cause;
        try {
            co_await run_stream(current);
            cause = "the stream ended";
        } catch (const http::failure& failure) {
            cause = failure.what();
        } catch (const etcd::codec::bad_reply& failure) {
            cause = failure.what();
        } catch (const std::exception& failure) { // of a sink, or no memory: nothing that another stream would mend
            give_up(current, failure.what());
            break;
        }
        trouble_ = core_.pool().at(current->index).url() + ": " + cause;
        current->shut();
        current->probe->disarm();
        if (stream_ == current) stream_.reset();
        for (auto& [id, target] : entries_) {
            target.fragments.clear();
            target.created = false;
        }
        if (closed_ || entries_.empty()) break;
        if (core_.now() - current->began > probe_interval) rule.reset(); // one that ends as soon as it begins is not tried without a pause
        if (current->unwanted) continue;

        core_.ring().failed(current->index, core_.now());
        if (!rule) rule.emplace(policy, repeatability::repeatable, core_.ring().size(), time_point::max());
        const auto next = rule->after(attempt_outcome::unknown, core_.now(), core_.system()->random());
        if (core_.log().enabled(log_level::info))
            core_.log().write(log_level::info, "watch: " + core_.pool().at(current->index).url() + ": " + cause + "; opening it again");
        if (next.when > core_.now()) co_await sleep_until(core_.strand(), core_.system(), next.when);
    }
    running_ = false;
}

ETCDCOLL_DECL void watch_hub::give_up(const std::shared_ptr<stream>& s, std::string_view cause) {
    s->shut();
    s->probe->disarm();
    stream_.reset();
    const error why(errc::closed, "watch: ended by an unexpected failure: " + std::string(cause));
    for (auto& [id, target] : std::exchange(entries_, {})) target.sink->on_failure(why);
}

ETCDCOLL_DECL asio::awaitable<void> watch_hub::run_stream(std::shared_ptr<stream> s) {
    const auto limit = core_.now() + core_.values().connect_timeout;
    s->link = co_await core_.pool().open(s->index, limit);
    if (closed_ || entries_.empty()) co_return;
    ++core_.counted.watch_streams;
    const auto first = all_creates();
    stream_ = s; // from here on, what is added goes to the outbox
    // A member that lost its leader would stay silent for ever; asked like this it ends the stream after about 4 s.
    co_await s->link->begin_stream("/v3/watch", "Grpc-Metadata-hasleader: true\r\n", first, limit);
    arm_probe(*s);
    start_writer(s);

    std::string pending; // the beginning of a line
    for (;;) {
        const auto piece = co_await s->link->read_piece();
        if (piece.empty()) break;
        if (s->link->stream_status() != 200) {
            refused(s->index, s->link->stream_status(), piece);
            co_return;
        }
        s->heard = true;
        trouble_.clear();
        core_.ring().succeeded(s->index);
        std::string_view rest = piece;
        for (auto newline = rest.find('\n'); newline != std::string_view::npos; newline = rest.find('\n')) {
            const auto line = rest.substr(0, newline);
            if (pending.empty()) {
                handle_line(line);
            } else {
                pending += line;
                handle_line(std::exchange(pending, {}));
            }
            rest.remove_prefix(newline + 1);
        }
        pending += rest;
        if (pending.size() > core_.values().reply_limit) throw etcd::codec::bad_reply("a message is larger than the limit");
    }
    if (!pending.empty()) handle_line(pending); // 3.4 and 3.5 end an error without a newline
}

ETCDCOLL_DECL void watch_hub::start_writer(const std::shared_ptr<stream>& s) {
    asio::co_spawn(core_.strand(), write_loop(core_.shared_from_this(), s), asio::detached);
}

ETCDCOLL_DECL asio::awaitable<void> watch_hub::write_loop(std::shared_ptr<client_core> alive, std::shared_ptr<stream> s) {
    try {
        while (!s->closed) {
            if (s->outbox.empty()) {
                co_await s->outbox_filled.wait();
                continue;
            }
            const auto text = std::exchange(s->outbox, {});
            const auto limit = alive->now() + probe_misses * probe_interval;
            co_await s->link->send_piece(text, limit);
        }
    } catch (const std::exception&) { // the reader sees the closed connection and says why
    }
}

ETCDCOLL_DECL void watch_hub::arm_probe(stream& s) {
    s.probe->arm(core_.now() + probe_interval, [this, &s] { on_probe(s); });
}

ETCDCOLL_DECL void watch_hub::on_probe(stream& s) {
    if (std::exchange(s.heard, false)) {
        s.unanswered = 0;
    } else if (s.unanswered >= probe_misses) {
        s.shut();
        return;
    } else {
        ++s.unanswered;
        send(etcd::codec::encode_progress());
    }
    arm_probe(s);
}

ETCDCOLL_DECL void watch_hub::handle_line(std::string_view line) {
    if (!line.empty()) handle(etcd::codec::decode_watch(line));
}

ETCDCOLL_DECL void watch_hub::handle(etcd::codec::watch_message message) {
    if (message.is_error) throw etcd::codec::bad_reply(message.error.message);
    if (message.watch_id < 0 && message.created && message.canceled) {
        // Refused before it had an id. Which one it was is not told, but creations are answered in order.
        const auto waiting = [](const auto& item) { return !item.second.created; };
        const auto found = std::find_if(entries_.begin(), entries_.end(), waiting);
        if (found != entries_.end()) message.watch_id = found->first;
    }
    const auto found = entries_.find(message.watch_id);
    if (found == entries_.end()) return; // progress, or the last words of a watch that was cancelled here
    auto& [id, target] = *found;
    if (message.canceled) {
        error_context context;
        context.call = "watch";
        context.key = target.request.keys.key;
        context.server_message = message.cancel_reason;
        context.compact_revision = message.compact_revision.value;
        const auto about = call_and_key("watch", target.request.keys.key) + ": ";
        if (message.compact_revision)
            fail(id, error(errc::compacted,
                           about + "revision " + std::to_string(target.cursor.resume().value) + " has been compacted; history begins at " +
                               std::to_string(message.compact_revision.value),
                           std::move(context)));
        else
            fail(id, error(judge_cancel(message.cancel_reason), about + (message.cancel_reason.empty() ? "cancelled by the server" : message.cancel_reason),
                           std::move(context)));
        return;
    }
    if (message.created) {
        target.created = true;
        target.cursor.created(message.response.header.revision);
    }
    if (!message.response.events.empty()) deliver(id, target, std::move(message));
}

ETCDCOLL_DECL void watch_hub::deliver(std::int64_t id, entry& target, etcd::codec::watch_message message) {
    auto& events = message.response.events;
    if (!target.fragments.empty()) {
        target.fragments.insert(target.fragments.end(), std::make_move_iterator(events.begin()), std::make_move_iterator(events.end()));
        events = std::exchange(target.fragments, {});
    }
    if (message.fragment) {
        target.fragments = std::move(events);
        return;
    }
    const auto dropped = target.cursor.accept(events);
    if (dropped != 0) {
        const auto before = core_.counted.watch_repeats.fetch_add(dropped);
        if (before == 0 && core_.log().enabled(log_level::warning))
            core_.log().write(log_level::warning, "watch " + std::to_string(id) + ": the server sent events again; they are dropped");
    }
    core_.counted.watch_events += events.size();
    const auto sink = target.sink; // on_response() may remove the entry
    if (!events.empty()) sink->on_response(std::move(message.response));
}

// What a repetition would not change ends all watches; anything else, and the stream is opened again.
ETCDCOLL_DECL void watch_hub::refused(std::size_t index, int http_status, std::string_view reply) {
    const auto answered = etcd::codec::decode_error(reply);
    const auto verdict = judge(answered.code, http_status, answered.message);
    const auto cause = answered.message.empty() ? "HTTP status " + std::to_string(http_status) : answered.message;
    const bool lasting = verdict.reason == errc::unsupported || verdict.reason == errc::unauthenticated || verdict.reason == errc::permission_denied;
    if (!lasting) throw etcd::codec::bad_reply(cause);
    error_context context;
    context.endpoint = core_.pool().at(index).url();
    context.call = "watch";
    context.server_message = cause;
    context.grpc_code = answered.code;
    context.http_status = http_status;
    const error why(verdict.reason, "watch: " + context.endpoint + ": " + cause, context);
    while (!entries_.empty()) fail(entries_.begin()->first, why);
}

ETCDCOLL_DECL void watch_hub::fail(std::int64_t id, const error& why) {
    const auto found = entries_.find(id);
    if (found == entries_.end()) return;
    const auto sink = std::move(found->second.sink);
    entries_.erase(found);
    sink->on_failure(why);
    if (entries_.empty()) let_go();
}

} // namespace etcdcoll::detail
