#pragma once

#include <etcdcoll/detail/key_ranges.hpp>
#include <etcdcoll/detail/retry.hpp>
#include <etcdcoll/detail/server_error.hpp>
#include <etcdcoll/impl/etcd/client_core.hpp>
#include <etcdcoll/impl/etcd/codec.hpp>
#include <etcdcoll/impl/etcd/reply_stream.hpp>
#include <etcdcoll/impl/etcd/watch_hub.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include <algorithm>
#include <deque>
#include <utility>

namespace etcdcoll::detail {

// A stopped process and a broken path look like an idle stream. So a stream is asked for its progress, and one that is silent for two
// requests is given up: after 4.5 s at most.
inline constexpr std::chrono::milliseconds probe_interval{1500};
inline constexpr int probe_misses = 2;
// When an endpoint has not answered the first create by then, it is asked by an ordinary call: one that answers that is alive, and something
// in between holds the open request back.
inline constexpr std::chrono::milliseconds first_answer{1000};
inline constexpr std::chrono::milliseconds second_answer{500}; // and as long again, since its two answers are not ordered
inline constexpr std::chrono::minutes buffered_for{5};         // then an open request is tried again
inline constexpr int most_watch_logins = 2; // in a row
inline constexpr int most_open_asks = 3;

// Of one endpoint, for good.
class refused_by_one : public std::runtime_error {
public:
    refused_by_one(errc reason_, const std::string& cause) : std::runtime_error(cause), reason(reason_) {}
    errc reason;
};
inline constexpr int id_bits = 40;          // of a watch's number on the stream: its lower ones

struct watch_hub::stream {
    stream(const client_core& core, std::size_t index_)
        : index(index_), outbox_filled(core.strand(), core.system()), probe(core.system()->make_timer(core.strand())) {}

    void shut() noexcept {
        closed = true;
        if (link) link->close();
        outbox_filled.notify_all();
        probe->disarm();
    }

    std::size_t index; // of the endpoint
    std::shared_ptr<http::connection> link;
    std::string outbox;
    int open_asks = 0;                // for progress, and not answered; some never are
    std::deque<std::int64_t> creates; // numbers of the creates that were not answered: the answers come in this order
    condition outbox_filled;
    std::unique_ptr<timer> probe;
    line_splitter lines;
    std::uint64_t login = 0;
    bool complete = false; // its request is: nothing can be added to it
    bool heard = false;    // since the last probe
    bool answered = false; // at all
    time_point began;
    int unanswered = 0;
    bool closed = false;
    bool unwanted = false; // ended from here: that is no failure of the endpoint
};

ETCDCOLL_DECL watch_sink::~watch_sink() = default;
ETCDCOLL_DECL void watch_sink::on_progress(etcd::revision) {}
ETCDCOLL_DECL watch_hub::watch_hub(client_core& core) : core_(core), wanted_(core.strand(), core.system()) {}
ETCDCOLL_DECL watch_hub::~watch_hub() = default;

// ---- what the layers above ask for ----------------------------------------------------------------------------------------------

ETCDCOLL_DECL std::int64_t watch_hub::add(etcd::watch_request request, std::shared_ptr<watch_sink> sink) {
    if (closed_) {
        sink->on_failure(error(errc::closed, "watch: the client is closed"));
        return 0;
    }
    const auto id = ++last_id_; // never 0, which etcd leaves out of its answers, nor -1, which stands for "no watch"
    const auto start = request.start;
    const auto added = entries_.emplace(id, entry{std::move(request), watch_cursor(start), std::move(sink), {}}).first;
    create(id, added->second);
    if (!running_) {
        running_ = true;
        asio::co_spawn(core_.strand(), run(core_.shared_from_this()), asio::detached);
    }
    return id;
}

// What the stream calls a watch: another name each time it is begun again. etcd may have events in hand when it answers a cancel, and would
// pass them on as the first ones of a new watch with the same number, out of order.
ETCDCOLL_DECL std::int64_t watch_hub::number_of(std::int64_t id, const entry& target) {
    return (target.round % (1 << 20)) << id_bits | id;
}

ETCDCOLL_DECL void watch_hub::create(std::int64_t id, entry& target) {
    wanted_.notify_all();
    if (stream_ && stream_->complete) {
        renew();
    } else {
        if (stream_) {
            stream_->creates.push_back(number_of(id, target));
            target.stale_answers = stream_->open_asks;
        }
        send(etcd::codec::encode_create(target.request, number_of(id, target), target.cursor.resume()));
    }
}

ETCDCOLL_DECL void watch_hub::remove(std::int64_t id) noexcept {
    const auto found = entries_.find(id);
    if (found == entries_.end()) return;
    const bool sent = found->second.state == flow::running;
    const auto number = number_of(id, found->second);
    entries_.erase(found);
    wanted_.notify_all();
    try {
        if (entries_.empty()) {
            let_go();
        } else if (sent) {
            send(etcd::codec::encode_cancel(number));
        }
    } catch (...) { // no memory for the message: the server goes on sending what is then dropped
    }
}

ETCDCOLL_DECL void watch_hub::pause(std::int64_t id) {
    const auto found = entries_.find(id);
    if (found == entries_.end() || found->second.state != flow::running) return;
    auto& target = found->second;
    target.fragments.clear();
    const bool answers = stream_ && !stream_->complete && target.created;
    target.state = answers ? flow::stopping : flow::paused;
    target.created = false;
    if (answers) {
        send(etcd::codec::encode_cancel(number_of(id, target)));
    } else if (stream_) {
        renew();
    }
}

ETCDCOLL_DECL void watch_hub::resume(std::int64_t id) {
    const auto found = entries_.find(id);
    if (found == entries_.end()) return;
    auto& target = found->second;
    if (target.state == flow::stopping) target.state = flow::restarting;
    if (target.state != flow::paused) return;
    target.state = flow::running;
    ++target.round;
    create(id, target);
}

ETCDCOLL_DECL void watch_hub::ask_progress() {
    if (stream_) stream_->open_asks = std::min(stream_->open_asks + 1, most_open_asks);
    send(etcd::codec::encode_progress());
}

// Nobody listens: the connection is not kept. A watch that is added later gets a stream of its own.
ETCDCOLL_DECL void watch_hub::let_go() noexcept {
    const auto old = std::exchange(stream_, nullptr);
    if (!old) return;
    old->unwanted = true;
    old->shut();
}

// The stream is opened again at once, with what is wanted now.
ETCDCOLL_DECL void watch_hub::renew() noexcept { let_go(); }

ETCDCOLL_DECL void watch_hub::close() noexcept {
    closed_ = true;
    wanted_.notify_all();
    if (stream_) stream_->shut();
    const error why(errc::closed, "watch: the client is closed");
    for (auto& [id, target] : std::exchange(entries_, {})) target.sink->on_failure(why);
}

ETCDCOLL_DECL void watch_hub::send(std::string_view text) {
    if (!stream_ || stream_->complete) return; // what is wanted is sent when the stream opens
    stream_->outbox += text;
    stream_->outbox_filled.notify_all();
}

ETCDCOLL_DECL bool watch_hub::wanted() const noexcept {
    return std::any_of(entries_.begin(), entries_.end(), [](const auto& item) { return item.second.state == flow::running; });
}

ETCDCOLL_DECL std::string watch_hub::all_creates(stream& s) {
    std::string text;
    for (auto& [id, target] : entries_) {
        if (target.state != flow::running) continue;
        target.stale_answers = 0;
        s.creates.push_back(number_of(id, target));
        text += etcd::codec::encode_create(target.request, s.creates.back(), target.cursor.resume());
    }
    return text;
}

ETCDCOLL_DECL bool watch_hub::can_ask() const noexcept { return !stream_ || !stream_->complete; }

ETCDCOLL_DECL bool watch_hub::buffers(std::size_t index) {
    const auto found = buffered_.find(index);
    if (found == buffered_.end()) return false;
    if (core_.now() - found->second < buffered_for) return true;
    buffered_.erase(found);
    return false;
}

// ---- the stream -----------------------------------------------------------------------------------------------------------------

ETCDCOLL_DECL asio::awaitable<void> watch_hub::run([[maybe_unused]] std::shared_ptr<client_core> alive) {
    const retry_policy policy;
    std::optional<retry> rule;
    while (!closed_ && !entries_.empty()) {
        if (!wanted()) { // all are paused
            co_await wanted_.wait();
            continue;
        }
        core_.refresh_endpoints(false);
        const auto current = std::make_shared<stream>(core_, core_.ring().pick());
        current->began = core_.now();
        const auto next = co_await one_stream(current);
        current->shut();
        if (stream_ == current) stream_.reset();
        for (auto& [id, target] : entries_) {
            target.fragments.clear();
            target.created = false;
            target.cursor.stream_ended();
            if (target.state == flow::stopping) target.state = flow::paused;
            if (target.state == flow::restarting) target.state = flow::running;
        }
        if (next == after::end || closed_ || entries_.empty()) break;
        if (core_.now() - current->began > probe_interval) rule.reset(); // one that ends as soon as it begins is not tried without a pause
        if (next == after::at_once) continue;

        core_.ring().failed(current->index, core_.now());
        core_.refresh_endpoints(true);
        ++core_.counted.watch_reconnects;
        if (!rule) rule.emplace(policy, repeatability::repeatable, core_.ring().size(), time_point::max());
        const auto pause = rule->after(attempt_outcome::unknown, core_.now(), core_.system()->random());
        if (core_.log().enabled(log_level::info)) core_.log().write(log_level::info, "watch: " + trouble_ + "; opening it again");
        if (pause.when > core_.now()) co_await sleep_until(core_.strand(), core_.system(), pause.when);
    }
    running_ = false;
}

// Opens the stream and reads it to its end. Whatever ends it is kept in trouble_.
ETCDCOLL_DECL asio::awaitable<watch_hub::after> watch_hub::one_stream(std::shared_ptr<stream> s) {
    std::string cause = "the stream ended";
    std::optional<errc> lasting;
    try {
        co_await open(s);
        if (stream_ == s) co_await read_lines(s);
    } catch (const http::failure& failure) {
        cause = failure.what();
        if (core_.judge_failure(failure).lasting) lasting = failure.reason();
    } catch (const refused_by_one& failure) {
        cause = failure.what();
        lasting = failure.reason;
    } catch (const etcd::codec::bad_reply& failure) {
        cause = failure.what();
    } catch (const error& failure) { // of the login
        cause = failure.what();
        if (failure.reason() == errc::unauthenticated || failure.reason() == errc::unsupported || failure.reason() == errc::tls_failed) fail_all(failure);
        if (failure.reason() == errc::cancelled) co_return after::end;
    } catch (const std::exception& failure) { // of a sink, or no memory: nothing that another stream would mend
        fail_all(error(errc::closed, "watch: ended by an unexpected failure: " + std::string(failure.what())));
        co_return after::end;
    }
    if (s->unwanted) co_return after::at_once;
    trouble_ = core_.pool().at(s->index).url() + ": " + cause;
    hopeless_ = lasting ? hopeless_ + 1 : 0;
    if (lasting && hopeless_ >= core_.ring().size()) fail_all(error(*lasting, "watch: " + trouble_));
    co_return after::retry;
}

ETCDCOLL_DECL asio::awaitable<void> watch_hub::open(std::shared_ptr<stream> s) {
    const auto login_limit = core_.now() + core_.values().timeout;
    co_await core_.log_in(login_limit);
    const auto limit = core_.now() + core_.values().connect_timeout;
    s->link = co_await core_.pool().open(s->index, limit);
    if (closed_ || !wanted()) {
        s->unwanted = true;
        co_return;
    }
    ++core_.counted.watch_streams;
    s->login = core_.login_number();
    s->complete = buffers(s->index);
    const auto first = all_creates(*s);
    // A member that lost its leader would stay silent for ever; asked like this it ends the stream after about 4 s.
    const auto headers = "Grpc-Metadata-hasleader: true\r\n" + core_.authorization();
    stream_ = s; // from here on, what is added goes to the outbox
    if (s->complete) {
        co_await s->link->begin_reply("/v3/watch", headers, first, limit);
        arm_probe(s, probe_interval);
    } else {
        co_await s->link->begin_stream("/v3/watch", headers, first, limit);
        arm_probe(s, first_answer);
        asio::co_spawn(core_.strand(), write_loop(core_.shared_from_this(), s), asio::detached);
    }
}

ETCDCOLL_DECL asio::awaitable<void> watch_hub::read_lines(std::shared_ptr<stream> s) {
    for (;;) {
        const auto piece = co_await s->link->read_piece();
        if (s->closed) co_return; // what came last is of watches that have been told to begin again
        if (s->link->stream_status() != 200) {
            refused(*s, s->link->stream_status(), piece);
            co_return;
        }
        if (piece.empty()) break;
        s->heard = true;
        s->answered = true;
        hopeless_ = 0;
        trouble_.clear();
        core_.ring().succeeded(s->index);
        handle_lines(*s, piece);
    }
    if (!s->lines.rest().empty()) handle(etcd::codec::decode_watch(s->lines.rest())); // 3.4 and 3.5 end an error without a newline
}

ETCDCOLL_DECL void watch_hub::handle_lines(stream& s, std::string_view piece) {
    s.lines.feed(piece, [this, &s](std::string_view line) {
        if (!line.empty() && !s.closed) handle(etcd::codec::decode_watch(line));
    });
    if (s.lines.rest().size() > core_.values().reply_limit) throw etcd::codec::bad_reply("a message is larger than the limit");
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

ETCDCOLL_DECL void watch_hub::arm_probe(const std::shared_ptr<stream>& s, duration delay) {
    s->probe->arm(core_.now() + delay, [this, weak = std::weak_ptr<stream>(s)] {
        if (const auto alive = weak.lock()) on_probe(alive);
    });
}

ETCDCOLL_DECL void watch_hub::on_probe(const std::shared_ptr<stream>& s) {
    if (!wanted() && stream_ == s) { // all are stopped: then etcd from 3.5.8 on answers no probe
        renew();
        return;
    }
    if (std::exchange(s->heard, false)) s->unanswered = 0;
    if (s->unanswered >= probe_misses) {
        s->shut();
        return;
    }
    ++s->unanswered;
    if (!s->complete) ask_progress();
    const bool first = !s->answered && s->unanswered == 1;
    if (s->complete || first) asio::co_spawn(core_.strand(), ask_endpoint(core_.shared_from_this(), s), asio::detached);
    arm_probe(s, probe_interval);
}

// A stream whose request is complete cannot be asked, so its endpoint is. One whose request is open and that has never answered is
// opened again with a complete one, if the endpoint lives.
ETCDCOLL_DECL asio::awaitable<void> watch_hub::ask_endpoint(std::shared_ptr<client_core> alive, std::shared_ptr<stream> s) {
    bool answers = false;
    try {
        answers = co_await alive->answers(s->index);
        if (answers && !s->complete && !s->answered) co_await sleep_until(alive->strand(), alive->system(), alive->now() + second_answer);
    } catch (const std::exception&) { // cancelled with the execution context
        answers = false;
    }
    if (!answers || s->closed) co_return;
    if (s->complete) {
        s->unanswered = 0;
    } else if (!s->answered) {
        buffered_[s->index] = alive->now();
        if (alive->log().enabled(log_level::warning))
            alive->log().write(log_level::warning, "watch: " + alive->pool().at(s->index).url() +
                                                       ": a proxy in between seems to hold open requests back; watching with complete ones");
        if (stream_ == s) renew();
    }
}

// ---- what it brings -------------------------------------------------------------------------------------------------------------

ETCDCOLL_DECL void watch_hub::handle(etcd::codec::watch_message message) {
    if (message.is_error) throw etcd::codec::bad_reply(message.error.message);
    if (message.watch_id < 0 && !message.created && !message.canceled) {
        const auto at = message.response.header.revision;
        if (stream_ && stream_->open_asks > 0) --stream_->open_asks;
        std::vector<std::shared_ptr<watch_sink>> told; // a sink may remove its entry
        for (auto& [id, target] : entries_) {
            if (!target.created || target.state != flow::running || !target.fragments.empty()) continue;
            if (at > target.created_at) target.stale_answers = 0; // a later one than its creation
            if (target.stale_answers > 0) {
                --target.stale_answers;
                continue;
            }
            target.cursor.progress(at, core_.now());
            told.push_back(target.sink);
        }
        for (const auto& sink : told) sink->on_progress(at);
        return;
    }
    if (message.created && stream_) {
        auto& asked = stream_->creates;
        // Refused before it had a number. Which one it was is not told, but creations are answered in order.
        if (message.watch_id < 0 && message.canceled && !asked.empty()) message.watch_id = asked.front();
        const auto answered = std::find(asked.begin(), asked.end(), message.watch_id);
        if (answered != asked.end()) asked.erase(answered);
    }
    const auto found = entries_.find(message.watch_id & ((std::int64_t(1) << id_bits) - 1));
    // The last words of a watch that was cancelled here, or stopped and begun again:
    if (found == entries_.end() || number_of(found->first, found->second) != message.watch_id) return;
    auto& [id, target] = *found;
    if (message.canceled) {
        cancelled(id, target, message);
        return;
    }
    if (target.state != flow::running) return;
    if (message.created) {
        target.created = true;
        target.created_at = message.response.header.revision;
        logins_ = 0;
        target.cursor.created(message.response.header.revision);
    }
    if (!message.response.events.empty()) deliver(id, target, std::move(message));
}

ETCDCOLL_DECL void watch_hub::cancelled(std::int64_t id, entry& target, const etcd::codec::watch_message& message) {
    if (target.state == flow::stopping || target.state == flow::restarting) {
        const bool wanted = std::exchange(target.state, flow::paused) == flow::restarting;
        if (wanted) resume(id);
        return;
    }
    if (target.state == flow::paused) return;
    error_context context;
    context.call = "watch";
    context.key = target.request.keys.key;
    context.server_message = message.cancel_reason;
    context.compact_revision = message.compact_revision.value;
    const auto about = call_and_key("watch", target.request.keys.key) + ": ";
    if (message.compact_revision) {
        auto sentence = about + "revision " + std::to_string(target.cursor.resume().value) + " has been compacted; history begins at " +
                        std::to_string(message.compact_revision.value);
        fail(id, error(errc::compacted, std::move(sentence), std::move(context)));
        return;
    }
    const auto reason = judge_cancel(message.cancel_reason);
    if (reason == errc::unauthenticated && core_.has_user() && logins_ < most_watch_logins && stream_) {
        ++logins_; // the token of the stream has expired: one with another takes its place
        core_.forget_login(stream_->login);
        renew();
        return;
    }
    fail(id, error(reason, about + (message.cancel_reason.empty() ? "cancelled by the server" : message.cancel_reason), std::move(context)));
}

ETCDCOLL_DECL std::size_t size_of(const std::vector<etcd::event>& events) {
    std::size_t total = 0;
    for (const auto& e : events) {
        total += sizeof e + e.kv.key.size() + e.kv.value.size();
        if (e.prev_kv) total += e.prev_kv->key.size() + e.prev_kv->value.size();
    }
    return total;
}

ETCDCOLL_DECL void watch_hub::deliver(std::int64_t id, entry& target, etcd::codec::watch_message message) {
    auto& events = message.response.events;
    for (const auto& e : events)
        if (!covers(target.request.keys, e.kv.key)) throw etcd::codec::bad_reply("an event of a key that was not asked for");
    auto earlier = std::exchange(target.fragments, {});
    if (!earlier.empty()) {
        earlier.insert(earlier.end(), std::make_move_iterator(events.begin()), std::make_move_iterator(events.end()));
        events = std::move(earlier);
    }
    if (message.fragment) { // the revision at the end may go on in the next one, those before it are complete
        const auto last = events.back().kv.mod_revision;
        const auto rest = std::find_if(events.begin(), events.end(), [last](const etcd::event& e) { return e.kv.mod_revision == last; });
        target.fragments.assign(std::make_move_iterator(rest), std::make_move_iterator(events.end()));
        events.erase(rest, events.end());
        if (size_of(target.fragments) > core_.values().reply_limit) throw etcd::codec::bad_reply("a message is larger than the limit");
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
ETCDCOLL_DECL void watch_hub::refused(stream& s, int http_status, std::string_view reply) {
    const auto why = core_.judge_error(http::reply{.status = http_status, .content_type = {}, .body = std::string(reply)});
    if (why.login_needed && core_.has_user() && logins_ < most_watch_logins) {
        ++logins_;
        core_.forget_login(s.login);
        renew();
        return;
    }
    const bool lasting = why.reason == errc::unsupported || why.reason == errc::unauthenticated || why.reason == errc::permission_denied;
    if (!lasting) throw etcd::codec::bad_reply(why.cause);
    // Something in front of this endpoint may have said so: then the others are asked first.
    if (why.grpc_code == 0 && core_.ring().size() > 1) throw refused_by_one(why.reason, why.cause);
    error_context context;
    context.endpoint = core_.pool().at(s.index).url();
    context.call = "watch";
    context.server_message = why.cause;
    context.grpc_code = why.grpc_code;
    context.http_status = http_status;
    fail_all(error(why.reason, "watch: " + context.endpoint + ": " + why.cause, context));
}

ETCDCOLL_DECL void watch_hub::fail_all(const error& why) {
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
