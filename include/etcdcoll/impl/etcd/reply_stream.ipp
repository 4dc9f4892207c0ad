#pragma once

#include <etcdcoll/detail/server_error.hpp>
#include <etcdcoll/impl/etcd/codec.hpp>
#include <etcdcoll/impl/etcd/reply_stream.hpp>

namespace etcdcoll::detail {

ETCDCOLL_DECL void reply_stream::fail(const attempt_result& why) const {
    core_->give_up(spec_, std::string(), why, index_, {}, retry::action::stop, 1, started_);
}

// Goes on to another endpoint as long as no byte of the request was sent.
ETCDCOLL_DECL asio::awaitable<void> reply_stream::start(time_point deadline) {
    std::size_t left = at_ == any_endpoint ? core_->ring().size() : 1;
    for (;;) {
        co_await core_->log_in(deadline);
        login_ = core_->login_number();
        index_ = at_ == any_endpoint ? core_->ring().pick() : at_;
        ++core_->counted.attempts;
        attempt_result result;
        try {
            const auto opened_by = std::min(deadline, core_->now() + core_->values().connect_timeout);
            link_ = co_await core_->pool().open(index_, opened_by);
            co_await link_->begin_reply(spec_.path, core_->authorization(), body_, deadline);
        } catch (const http::failure& failure) {
            result = core_->judge_failure(failure);
        }
        if (result.outcome == attempt_outcome::done) co_return;
        core_->ring().failed(index_, core_->now());
        if (--left == 0 || result.outcome != attempt_outcome::not_sent || core_->now() >= deadline) fail(result);
    }
}

ETCDCOLL_DECL asio::awaitable<std::unique_ptr<reply_stream>> reply_stream::open(std::shared_ptr<client_core> core, call_spec spec,
                                                                               std::string body, time_point deadline, std::size_t at) {
    if (core->closed()) throw error(errc::closed, std::string(spec.name) + ": the client is closed");
    std::unique_ptr<reply_stream> stream(new reply_stream(std::move(core), spec, std::move(body), at));
    co_await stream->start(deadline);
    co_return stream;
}

ETCDCOLL_DECL void reply_stream::keep(std::string_view piece) {
    lines_.feed(piece, [this](std::string_view line) {
        if (!line.empty()) ready_.emplace_back(line);
    });
    if (piece.empty() && !lines_.rest().empty()) ready_.push_back(lines_.rest());
    ended_ = piece.empty();
}

ETCDCOLL_DECL asio::awaitable<void> reply_stream::read(time_point deadline) {
    attempt_result result;
    try {
        const auto piece = co_await link_->read_piece(deadline);
        const int status = link_->stream_status();
        if (status == 200) {
            keep(piece);
            if (lines_.rest().size() <= core_->values().reply_limit) co_return;
            link_->close();
            result.outcome = attempt_outcome::unknown;
            result.reason = errc::bad_reply;
            result.cause = "a message is larger than the limit";
        } else {
            result = core_->judge_error(http::reply{.status = status, .content_type = {}, .body = std::string(piece)});
            link_->close();
        }
    } catch (const http::failure& failure) {
        result = core_->judge_failure(failure);
    }
    if (!result.login_needed || !core_->has_user() || logins_ == 2) fail(result);
    ++logins_; // nothing was done: begun once more, with another token
    core_->forget_login(login_);
    co_await start(deadline);
}

ETCDCOLL_DECL asio::awaitable<std::optional<std::string>> reply_stream::next(time_point deadline) {
    while (ready_.empty() && !ended_) co_await read(deadline);
    if (ready_.empty()) co_return std::nullopt;
    auto line = std::move(ready_.front());
    ready_.pop_front();
    if (line.starts_with("{\"error\"")) { // the last message of a stream that failed
        link_->close();
        fail(core_->judge_error(http::reply{.status = 200, .content_type = {}, .body = line}));
    }
    co_return line;
}

} // namespace etcdcoll::detail
