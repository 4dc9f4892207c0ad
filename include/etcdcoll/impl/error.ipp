#pragma once

#include <etcdcoll/error.hpp>

#include <utility>

namespace etcdcoll {

namespace detail {

ETCDCOLL_DECL const char* describe(errc code) noexcept {
    switch (code) {
    case errc::invalid_argument: return "invalid argument";
    case errc::too_large: return "too large";
    case errc::closed: return "closed";
    case errc::timed_out: return "timed out";
    case errc::cancelled: return "cancelled";
    case errc::connection_failed: return "connection failed";
    case errc::bad_reply: return "bad reply";
    case errc::outcome_unknown: return "outcome unknown";
    case errc::tls_failed: return "TLS failed";
    case errc::unavailable: return "unavailable";
    case errc::no_space: return "no space";
    case errc::compacted: return "compacted";
    case errc::not_found: return "not found";
    case errc::already_exists: return "already exists";
    case errc::permission_denied: return "permission denied";
    case errc::unauthenticated: return "unauthenticated";
    case errc::unsupported: return "unsupported";
    case errc::refused: return "refused";
    case errc::lease_lost: return "lease lost";
    case errc::rank_lost: return "rank lost";
    case errc::aborted: return "aborted";
    case errc::collective_mismatch: return "collective mismatch";
    case errc::rank_taken: return "rank taken";
    case errc::world_size_mismatch: return "world size mismatch";
    case errc::protocol_mismatch: return "protocol mismatch";
    case errc::group_full: return "group full";
    case errc::corrupt: return "corrupt";
    case errc::file_failed: return "file failed";
    }
    return "unknown";
}

class category final : public boost::system::error_category {
public:
    const char* name() const noexcept override { return "etcdcoll"; }
    std::string message(int value) const override { return describe(static_cast<errc>(value)); }
};

} // namespace detail

ETCDCOLL_DECL const boost::system::error_category& etcdcoll_category() noexcept {
    static const detail::category instance;
    return instance;
}

struct error::state {
    std::string sentence;
    error_context context;
};

ETCDCOLL_DECL error::error(errc code, std::string sentence) : error(code, std::move(sentence), error_context{}) {}

ETCDCOLL_DECL error::error(errc code, std::string sentence, error_context context)
    : boost::system::system_error(make_error_code(code)),
      state_(std::make_shared<const state>(state{std::move(sentence), std::move(context)})) {}

ETCDCOLL_DECL error::~error() = default;
ETCDCOLL_DECL error::error(const error&) noexcept = default;
ETCDCOLL_DECL error& error::operator=(const error&) noexcept = default;

ETCDCOLL_DECL const char* error::what() const noexcept { return state_->sentence.c_str(); }
ETCDCOLL_DECL const error_context& error::context() const noexcept { return state_->context; }

} // namespace etcdcoll
