#pragma once

#include <etcdcoll/detail/server_error.hpp>
#include <etcdcoll/impl/condition.hpp>
#include <etcdcoll/impl/etcd/client_core.hpp>
#include <etcdcoll/impl/etcd/codec.hpp>
#include <etcdcoll/impl/etcd/watch_hub.hpp>

#include <boost/asio/strand.hpp>

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

ETCDCOLL_DECL client_core::client_core(asio::any_io_executor executor, client_options::values values)
    : executor_(executor), strand_(asio::make_strand(executor)), values_(std::move(values)),
      pool_(strand_, values_.system, http::parse_endpoints(values_.endpoints), values_.connections,
            http::limits{.header = 64 * 1024, .body = values_.reply_limit}),
      ring_(pool_.size(), values_.system->random()), watches_(std::make_shared<watch_hub>(*this)) {
    for (std::size_t index = 0; index < pool_.size(); ++index)
        if (pool_.at(index).tls) throw error(errc::unsupported, pool_.at(index).url() + ": TLS is not supported yet");
}

ETCDCOLL_DECL client_core::~client_core() { close(); }

ETCDCOLL_DECL void client_core::close() noexcept {
    if (closed_) return;
    closed_ = true;
    watches_->close();
    pool_.close();
}

ETCDCOLL_DECL attempt_result client_core::judge_reply(const http::reply& reply, const decoder& decode) {
    attempt_result result;
    result.http_status = reply.status;
    if (reply.status == 200) {
        try {
            decode(reply.body);
        } catch (const etcd::codec::bad_reply& failure) {
            result.outcome = attempt_outcome::unknown;
            result.reason = errc::bad_reply;
            result.cause = std::string("not a reply of etcd: ") + failure.what();
        }
        return result;
    }
    const auto answered = etcd::codec::decode_error(reply.body);
    const auto verdict = judge(answered.code, reply.status, answered.message);
    result.outcome = verdict.outcome;
    result.reason = verdict.reason;
    result.grpc_code = answered.code;
    result.cause = answered.message.empty() ? "HTTP status " + std::to_string(reply.status) : answered.message;
    return result;
}

ETCDCOLL_DECL asio::awaitable<attempt_result> client_core::attempt(const call_spec& spec, const std::string& body, time_point limit,
                                                                   std::size_t index, const decoder& decode) {
    ++counted.attempts;
    attempt_result result;
    try {
        const auto reply = co_await pool_.exchange(index, spec.path, std::string_view(), body, limit, values_.connect_timeout);
        result = judge_reply(reply, decode);
    } catch (const http::failure& failure) {
        result.reason = failure.reason();
        result.cause = failure.what();
        result.outcome = failure.sent() ? attempt_outcome::unknown : attempt_outcome::not_sent;
        if (failure.reason() == errc::closed) result.outcome = attempt_outcome::final;
    }
    co_return result;
}

ETCDCOLL_DECL void client_core::give_up(const call_spec& spec, const std::string& key, const attempt_result& last, std::size_t index,
                                        const std::vector<std::string>& tried, retry::action why, const retry& made, time_point started) {
    ++counted.failures;
    error_context context;
    context.endpoint = pool_.at(index).url();
    context.call = spec.name;
    context.key = key;
    context.grpc_code = last.grpc_code;
    context.http_status = last.http_status;
    context.attempts = made.attempts();
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
    sentence += " (gave up after " + seconds_text(now() - started) + " and " + std::to_string(made.attempts()) +
                (made.attempts() == 1 ? " attempt)" : " attempts)");
    throw error(last.reason, std::move(sentence), std::move(context));
}

ETCDCOLL_DECL asio::awaitable<void> client_core::call(call_spec spec, std::string body, std::string key, call_options options,
                                                      decoder decode) {
    if (closed_) throw error(errc::closed, call_and_key(spec.name, key) + ": the client is closed");
    if (body.size() > 4 * 1024 * 1024) throw error(errc::too_large, call_and_key(spec.name, key) + ": the request is far beyond etcd's limit of 1.5 MiB");
    ++counted.calls;
    const auto started = now();
    const auto limit = std::min<duration>(options.timeout > duration::zero() ? options.timeout : values_.timeout, longest_timeout);
    // A large request takes the server its time (30 ms a MB, and more beside others); repeated too early it only adds to the load.
    const retry_policy policy{.attempt_limit = values_.attempt_timeout + std::chrono::microseconds(2) * body.size()};
    const auto kind = options.guarded && spec.kind == repeatability::once ? repeatability::guarded : spec.kind;
    retry rule(policy, kind, pool_.size(), started + limit);
    std::vector<std::string> causes; // of the last failure at each endpoint
    for (;;) {
        const auto index = ring_.pick();
        const auto result = co_await attempt(spec, body, rule.attempt_deadline(now()), index, decode);
        if (result.outcome == attempt_outcome::done) {
            ring_.succeeded(index);
            co_return;
        }
        if (result.outcome != attempt_outcome::final) {
            ring_.failed(index, now());
            causes.resize(pool_.size());
            causes[index] = result.cause;
        }
        const auto next = rule.after(result.outcome, now(), values_.system->random());
        if (next.what != retry::action::again) give_up(spec, key, result, index, causes, next.what, rule, started);
        if (log().enabled(log_level::debug))
            log().write(log_level::debug, call_and_key(spec.name, key) + ": " + pool_.at(index).url() + ": " + result.cause + "; trying again");
        if (next.when > now()) co_await sleep_until(strand_, values_.system, next.when);
    }
}

} // namespace etcdcoll::detail
