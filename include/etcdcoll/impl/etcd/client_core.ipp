#pragma once

#include <etcdcoll/detail/server_error.hpp>
#include <etcdcoll/impl/condition.hpp>
#include <etcdcoll/impl/etcd/client_core.hpp>
#include <etcdcoll/impl/etcd/codec.hpp>
#include <etcdcoll/impl/etcd/watch_hub.hpp>
#include <etcdcoll/impl/tls_stream.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/strand.hpp>

#include <algorithm>
#include <cstdio>

namespace etcdcoll::detail {

ETCDCOLL_DECL std::string seconds_text(duration length) {
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(length).count();
    if (ms < 1000) return std::to_string(ms) + " ms";
    char text[32];
    std::snprintf(text, sizeof text, "%.1f s", static_cast<double>(ms) / 1000.0);
    return text;
}

ETCDCOLL_DECL std::string call_and_key(std::string_view call, std::string_view key) {
    std::string text(call);
    if (key.empty()) return text;
    text += " \"";
    for (const char c : key.substr(0, 120)) {
        const auto byte = static_cast<unsigned char>(c);
        char escaped[8];
        if (byte >= 0x20 && byte < 0x7f && c != '"' && c != '\\') {
            text += c;
        } else {
            std::snprintf(escaped, sizeof escaped, "\\x%02x", static_cast<unsigned>(byte));
            text += escaped;
        }
    }
    return text += key.size() > 120 ? "...\"" : "\"";
}

// ---- calls counted and told -----------------------------------------------------------------------------------------------------

// One call, from its beginning to whatever end.
class client_core::meter {
public:
    meter(client_core& core, const call_spec& spec) : core_(core), spec_(spec), started_(core.now()) { ++core_.counted.calls; }
    meter(const meter&) = delete;
    meter& operator=(const meter&) = delete;
    ~meter() {
        const auto took = core_.now() - started_;
        std::size_t bucket = 0;
        while (bucket + 1 < latency_histogram::size && took > latency_histogram::bound(bucket)) ++bucket;
        auto& counted = core_.counted;
        counted.latency[bucket].fetch_add(1, std::memory_order_relaxed);
        counted.latency_total.fetch_add(took.count(), std::memory_order_relaxed);
        if (failure) ++counted.failures;
        if (core_.values_.observer) tell(took);
    }

    time_point started() const noexcept { return started_; }

    std::size_t index = any_endpoint;
    int attempts = 0;
    std::optional<errc> failure = errc::cancelled; // until something else is known

private:
    void tell(duration took) const noexcept {
        const auto url = index == any_endpoint ? std::string() : core_.pool_.at(index).url();
        core_.values_.observer(call_report{spec_.name, url, took, attempts, failure});
    }

    client_core& core_;
    const call_spec& spec_;
    time_point started_;
};

// ---- the client's state ---------------------------------------------------------------------------------------------------------

ETCDCOLL_DECL std::shared_ptr<const tls_context> make_tls(const client_options::values& values, const std::vector<http::endpoint>& endpoints) {
    const bool needed = std::any_of(endpoints.begin(), endpoints.end(), [](const http::endpoint& peer) { return peer.tls; });
    if (!needed && !values.tls) return nullptr;
    return std::make_shared<tls_context>(values.tls.value_or(tls_options()));
}

ETCDCOLL_DECL client_core::client_core(asio::any_io_executor executor, client_options::values values)
    : executor_(executor), strand_(asio::make_strand(executor)), values_(std::move(values)),
      tls_(make_tls(values_, http::parse_endpoints(values_.endpoints))),
      pool_(strand_, values_.system, http::parse_endpoints(values_.endpoints), values_.connections,
            http::limits{.header = 64 * 1024, .body = values_.reply_limit}, tls_),
      ring_(pool_.size(), values_.system->random()), watches_(std::make_shared<watch_hub>(*this)), given_(pool_.size()) {}

ETCDCOLL_DECL client_core::~client_core() { close(); }

ETCDCOLL_DECL void client_core::close() noexcept {
    if (closed_) return;
    closed_ = true;
    watches_->close();
    pool_.close();
}

// ---- endpoints ------------------------------------------------------------------------------------------------------------------

ETCDCOLL_DECL std::size_t client_core::endpoint_index(const std::string& url) {
    const auto peer = http::parse_endpoint(url);
    if (peer.tls && !tls_)
        throw error(errc::invalid_argument, "endpoint \"" + url + "\": this client has no https endpoints and no tls_options");
    return pool_.index_of(peer);
}

ETCDCOLL_DECL void client_core::refresh_endpoints(bool failed) {
    if (values_.refresh <= duration::zero() || refreshing_ || closed_) return;
    const auto since = now() - refreshed_;
    if (since < (failed ? std::min<duration>(values_.refresh, std::chrono::seconds(1)) : values_.refresh)) return;
    refreshing_ = true;
    asio::co_spawn(strand_, learn_endpoints(shared_from_this()), asio::detached);
}

inline constexpr call_spec member_list_call{"member_list", "/v3/cluster/member/list", repeatability::repeatable};

ETCDCOLL_DECL asio::awaitable<void> client_core::learn_endpoints([[maybe_unused]] std::shared_ptr<client_core> alive) {
    std::vector<std::string> urls;
    try {
        const decoder decode = [&urls](std::string_view text) { urls = etcd::codec::decode_client_urls(text); };
        co_await call(member_list_call, "{}", std::string(), call_options(), decode);
        use_endpoints(urls);
    } catch (const std::exception& failure) {
        if (log().enabled(log_level::debug)) log().write(log_level::debug, std::string("the members were not learned: ") + failure.what());
    }
    refreshed_ = now();
    refreshing_ = false;
}

// What the cluster tells may be no address from here: so the given endpoints stay.
ETCDCOLL_DECL void client_core::use_endpoints(const std::vector<std::string>& urls) {
    std::vector<bool> wanted(pool_.size(), false);
    std::fill_n(wanted.begin(), given_, true);
    bool all_tls = true;
    for (std::size_t index = 0; index < given_; ++index) all_tls = all_tls && pool_.at(index).tls;
    for (const auto& url : urls) {
        std::size_t index = 0;
        try {
            index = endpoint_index(url);
            if (all_tls && !pool_.at(index).tls) continue; // what was encrypted so far stays so
        } catch (const error&) { // "unix://...", say: not for us
            continue;
        }
        wanted.resize(std::max(wanted.size(), index + 1), false);
        wanted[index] = true;
    }
    for (std::size_t index = 0; index < wanted.size(); ++index) {
        if (wanted[index] == ring_.uses(index)) continue;
        ring_.use(index, wanted[index]);
        if (!wanted[index]) pool_.forget(index);
        if (log().enabled(log_level::info))
            log().write(log_level::info, pool_.at(index).url() + (wanted[index] ? ": a new member" : ": not a member any more"));
    }
}

// ---- logging in -----------------------------------------------------------------------------------------------------------------

// One login, and all who wait for it.
struct client_core::login_flight {
    explicit login_flight(const client_core& core) : done(core.strand_, core.values_.system) {}
    condition done;
    bool finished = false;
    std::optional<error> failure;
};

// However the login ends, those who wait for it go on.
class client_core::login_landing {
public:
    login_landing(client_core& core, std::shared_ptr<login_flight> flight) : core_(core), flight_(std::move(flight)) {}
    login_landing(const login_landing&) = delete;
    login_landing& operator=(const login_landing&) = delete;
    ~login_landing() {
        flight_->finished = true;
        core_.login_.reset();
        flight_->done.notify_all();
    }

private:
    client_core& core_;
    std::shared_ptr<login_flight> flight_;
};

ETCDCOLL_DECL void client_core::forget_login(std::uint64_t number) noexcept {
    if (number != login_number_) return; // another call has seen to it
    logged_in_ = false;
    authorization_.clear();
}

ETCDCOLL_DECL bool lasting_refusal(errc reason) noexcept {
    switch (reason) {
    case errc::unauthenticated:
    case errc::permission_denied:
    case errc::unsupported:
    case errc::refused:
    case errc::tls_failed:
    case errc::bad_reply:
    case errc::closed: return true;
    default: return false;
    }
}

ETCDCOLL_DECL asio::awaitable<void> client_core::log_in(time_point deadline) {
    while (has_user() && !logged_in_) {
        if (login_) {
            const auto flight = login_;
            const bool woken = co_await flight->done.wait_until(deadline);
            if (flight->failure) throw error(*flight->failure);
            if (!woken && !flight->finished) throw error(errc::timed_out, "the login of " + call_and_key("user", values_.user) + " took too long");
            continue; // done; or given up by who began it, so that it is this caller's turn
        }
        const auto flight = std::make_shared<login_flight>(*this);
        login_ = flight;
        const login_landing end(*this, flight);
        try {
            co_await authenticate(deadline);
        } catch (const error& failure) {
            // What the deadline of this caller has cut off may go well for the next one.
            if (lasting_refusal(failure.reason())) flight->failure.emplace(failure);
            throw;
        }
    }
}

inline constexpr call_spec authenticate_call{"authenticate", "/v3/auth/authenticate", repeatability::repeatable, false, true};

ETCDCOLL_DECL asio::awaitable<void> client_core::authenticate(time_point deadline) {
    ++counted.logins;
    std::string token;
    const decoder decode = [&token](std::string_view text) { token = etcd::codec::decode_token(text); };
    const call_options options{.timeout = std::max<duration>(deadline - now(), std::chrono::milliseconds(1))};
    try {
        co_await call(authenticate_call, etcd::codec::encode_login(values_.user, values_.password), values_.user, options, decode);
        authorization_ = "Authorization: " + token + "\r\n";
    } catch (const error& failure) {
        if (failure.context().server_message.find("authentication is not enabled") == std::string::npos) throw;
        authorization_.clear(); // 3.4 answers 401 to a header that it has no use for
        if (log().enabled(log_level::info)) log().write(log_level::info, "etcd has authentication switched off: the user is not used");
    }
    ++login_number_;
    logged_in_ = true;
}

// ---- calls ----------------------------------------------------------------------------------------------------------------------

ETCDCOLL_DECL attempt_result client_core::judge_error(const http::reply& reply) const {
    attempt_result result;
    result.http_status = reply.status;
    const auto answered = etcd::codec::decode_error(reply.body);
    const auto verdict = judge(answered.code, reply.status, answered.message);
    result.outcome = verdict.outcome;
    result.reason = verdict.reason;
    result.grpc_code = answered.code;
    result.cause = answered.message.empty() ? "HTTP status " + std::to_string(reply.status) : answered.message;
    result.login_needed = verdict.login_needed;
    if (common_name_refused(answered.message))
        result.cause = "etcd's gateway takes no client certificate with a CommonName while authentication is on: use one without, and a user with a password";
    return result;
}

ETCDCOLL_DECL attempt_result client_core::judge_failure(const http::failure& failure) const {
    attempt_result result;
    result.reason = failure.reason();
    result.cause = failure.what();
    result.outcome = failure.sent() ? attempt_outcome::unknown : attempt_outcome::not_sent;
    if (failure.reason() == errc::closed) result.outcome = attempt_outcome::final;
    // A wrong certificate, a port that speaks something else, or too much of an answer.
    const bool at_the_door = failure.reason() == errc::tls_failed || failure.reason() == errc::bad_reply;
    result.lasting = (at_the_door && !failure.sent()) || failure.reason() == errc::too_large;
    return result;
}

ETCDCOLL_DECL asio::awaitable<attempt_result> client_core::attempt(const call_spec& spec, const std::string& body, duration limit, time_point last,
                                                                   duration connect_limit, std::size_t index, const decoder& decode) {
    attempt_result result;
    const auto headers = spec.login ? std::string() : authorization_;
    try {
        http::reply reply;
        if (spec.waits) {
            const auto opened_by = std::min(last, now() + connect_limit);
            auto link = co_await pool_.open(index, opened_by);
            reply = co_await link->exchange(spec.path, headers, body, last);
        } else {
            reply = co_await pool_.exchange(index, spec.path, headers, body, limit, last, connect_limit);
        }
        if (reply.status != 200) co_return judge_error(reply);
        result.http_status = reply.status;
        decode(reply.body);
        pool_.reuse(std::move(reply.body));
    } catch (const http::failure& failure) {
        result = judge_failure(failure);
    } catch (const etcd::codec::bad_reply& failure) {
        result.outcome = attempt_outcome::unknown;
        result.reason = errc::bad_reply;
        result.cause = std::string("not a reply of etcd: ") + failure.what();
    }
    co_return result;
}

ETCDCOLL_DECL void client_core::give_up(const call_spec& spec, const std::string& key, const attempt_result& last, std::size_t index,
                                        const std::vector<std::string>& tried, retry::action why, int attempts, time_point started) {
    error_context context;
    context.endpoint = pool_.at(index).url();
    context.call = spec.name;
    context.key = key;
    context.grpc_code = last.grpc_code;
    context.http_status = last.http_status;
    context.attempts = attempts;
    if (last.http_status != 0) context.server_message = last.cause;

    auto sentence = call_and_key(spec.name, key) + ": ";
    const auto where = context.endpoint + ": " + last.cause;
    if (why == retry::action::stop_unknown)
        throw error(errc::outcome_unknown, sentence + where + "; whether it was executed is unknown", std::move(context));
    if (why == retry::action::stop || last.reason == errc::closed) throw error(last.reason, sentence + where, std::move(context));

    std::string causes;
    for (std::size_t i = 0; i < tried.size(); ++i)
        if (!tried[i].empty()) causes += (causes.empty() ? "" : "; ") + pool_.at(i).url() + ": " + tried[i];
    sentence += causes.empty() ? where : causes;
    sentence += " (gave up after " + seconds_text(now() - started) + " and " + std::to_string(attempts) + (attempts == 1 ? " attempt)" : " attempts)");
    throw error(last.reason, std::move(sentence), std::move(context));
}

inline constexpr call_spec status_call{"status", "/v3/maintenance/status", repeatability::repeatable};

ETCDCOLL_DECL asio::awaitable<std::string> client_core::version_of(std::size_t index, time_point deadline) {
    std::string version;
    const decoder decode = [&version](std::string_view text) { version = etcd::codec::decode_version(text); };
    const duration limit = std::chrono::seconds(1);
    const auto last = std::min(deadline, now() + limit);
    const std::string body = "{}";
    const auto result = co_await attempt(status_call, body, limit, last, limit, index, decode);
    if (result.outcome != attempt_outcome::done || version.empty()) co_return std::string();
    co_return "etcd " + version;
}

ETCDCOLL_DECL asio::awaitable<bool> client_core::answers(std::size_t index) {
    const decoder decode = [](std::string_view) {};
    const duration limit = std::chrono::seconds(1);
    const auto last = now() + limit;
    const std::string body = "{}";
    const auto result = co_await attempt(status_call, body, limit, last, limit, index, decode);
    co_return result.http_status != 0;
}

// Endpoints that were not tried yet are worth more than one that takes its time: a third of what it may take otherwise.
inline constexpr int hasty_connect = 3;
inline constexpr int most_logins = 2; // of one call

ETCDCOLL_DECL asio::awaitable<void> client_core::call(call_spec spec, std::string body, std::string key, call_options options,
                                                      decoder decode, std::size_t at) {
    if (closed_) throw error(errc::closed, call_and_key(spec.name, key) + ": the client is closed");
    if (body.size() > 4 * 1024 * 1024) throw error(errc::too_large, call_and_key(spec.name, key) + ": the request is far beyond etcd's limit of 1.5 MiB");
    meter measured(*this, spec);
    if (!spec.login) refresh_endpoints(false);
    const auto usual = spec.waits ? values_.wait_timeout : values_.timeout;
    const auto deadline = measured.started() + std::min<duration>(options.timeout > duration::zero() ? options.timeout : usual, longest_timeout);
    // A large request takes the server its time (30 ms a MB, and more beside others); repeated too early it only adds to the load.
    const duration allowance = std::chrono::microseconds(2 * body.size());
    const duration renewed = std::max<duration>(values_.attempt_timeout / 3, std::chrono::milliseconds(500));
    const retry_policy policy{.attempt_limit = spec.waits ? longest_timeout : values_.attempt_timeout + allowance,
                              .renewed_limit = spec.waits ? longest_timeout : renewed + allowance};
    const bool guarded = options.guarded && spec.kind == repeatability::once && spec.path == std::string_view("/v3/kv/txn"); // nothing else compares
    const auto kind = guarded ? repeatability::guarded : spec.kind;
    const auto choice = at == any_endpoint ? ring_.size() : 1;
    retry rule(policy, kind, choice, deadline);
    std::vector<std::string> causes; // of the last failure at each endpoint
    std::size_t hopeless = 0;        // failures in a row that would be the same the next time
    int logins = 0;
    for (;;) {
        if (!spec.login && has_user() && !logged_in_) {
            std::optional<error> refused;
            try {
                co_await log_in(deadline);
            } catch (const error& failure) {
                refused.emplace(failure);
            }
            if (refused) {
                measured.failure = rule.fate_unknown() ? errc::outcome_unknown : refused->reason();
                if (!rule.fate_unknown()) throw error(*refused);
                attempt_result late;
                late.reason = refused->reason();
                late.cause = refused->what();
                give_up(spec, key, late, measured.index, causes, retry::action::stop_unknown, measured.attempts, measured.started());
            }
        }
        const auto login = login_number_;
        const auto index = at == any_endpoint ? ring_.pick() : at;
        const bool others = static_cast<std::size_t>(rule.attempts()) + 1 < choice;
        const auto connect_limit = others ? values_.connect_timeout / hasty_connect : values_.connect_timeout;
        measured.index = index;
        ++measured.attempts;
        ++counted.attempts;
        const auto attempt_limit = rule.attempt_deadline(now()) - now();
        auto result = co_await attempt(spec, body, attempt_limit, deadline, connect_limit, index, decode);
        if (result.outcome == attempt_outcome::done) {
            ring_.succeeded(index);
            measured.failure.reset();
            co_return;
        }
        if (result.login_needed && has_user() && !spec.login && logins < most_logins) {
            ++logins;
            forget_login(login);
            continue;
        }
        if (result.outcome != attempt_outcome::final) {
            // The end of the caller's own time is no fault of the endpoint where it was to wait, or was not even asked.
            const bool own_end = now() >= deadline && result.reason == errc::timed_out && (spec.waits || result.outcome == attempt_outcome::not_sent);
            if (!own_end && result.reason != errc::too_large) {
                ring_.failed(index, now());
                if (at == any_endpoint && ring_.size() > 1) {
                    pool_.turn_away(index);
                    if (result.reason == errc::connection_failed || result.reason == errc::timed_out) pool_.forget(index);
                }
                refresh_endpoints(true);
            }
            causes.resize(pool_.size());
            causes[index] = result.cause;
        }
        if (result.reason == errc::unsupported && spec.path != std::string_view(status_call.path)) {
            const auto version = co_await version_of(index, deadline);
            if (!version.empty()) result.cause = version + " has no such call (" + result.cause + ')';
        }
        auto next = rule.after(result.outcome, now(), values_.system->random());
        hopeless = result.lasting ? hopeless + 1 : 0;
        const auto enough = result.reason == errc::too_large ? std::size_t{2} : choice; // a length may be garbage, too
        if (hopeless >= enough && next.what == retry::action::again)
            next.what = rule.fate_unknown() ? retry::action::stop_unknown : retry::action::stop;
        if (next.what != retry::action::again) {
            measured.failure = next.what == retry::action::stop_unknown ? errc::outcome_unknown : result.reason;
            give_up(spec, key, result, index, causes, next.what, measured.attempts, measured.started());
        }
        ++counted.retries;
        if (log().enabled(log_level::debug))
            log().write(log_level::debug, call_and_key(spec.name, key) + ": " + pool_.at(index).url() + ": " + result.cause + "; trying again");
        if (next.when > now()) co_await sleep_until(strand_, values_.system, next.when);
    }
}

} // namespace etcdcoll::detail
