#pragma once

#include <etcdcoll/detail/retry.hpp>
#include <etcdcoll/impl/etcd/codec.hpp>
#include <etcdcoll/impl/etcd/watch_stream.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

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

// Of one endpoint, for good.
class refused_by_one : public std::runtime_error {
public:
    refused_by_one(errc reason_, const std::string& cause) : std::runtime_error(cause), reason(reason_) {}
    errc reason;
};

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
    // Nobody can tell whether a complete one still lives, so it does not last: an open one is tried again.
    if (s->complete && !buffers(s->index) && stream_ == s) {
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

ETCDCOLL_DECL bool watch_hub::buffers(std::size_t index) {
    const auto found = buffered_.find(index);
    if (found == buffered_.end()) return false;
    if (core_.now() - found->second < buffered_for) return true;
    buffered_.erase(found);
    return false;
}

} // namespace etcdcoll::detail
