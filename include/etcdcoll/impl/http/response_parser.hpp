#pragma once
// Beast's response parser as a push parser: bytes in, one reply out. No I/O.

#include <etcdcoll/http/connection.hpp>

#include <boost/beast/http/basic_parser.hpp>

#include <string>
#include <utility>

namespace etcdcoll::detail {

namespace beast_http = boost::beast::http;

class response_parser final : public beast_http::basic_parser<false> {
public:
    /// `spare`: memory that a body may take over; may be none.
    response_parser(const http::limits& caps, bool stream, std::string* spare) : spare_(spare), cap_(caps.body) {
        header_limit(static_cast<std::uint32_t>(caps.header));
        if (stream) {
            body_limit(boost::none);
        } else {
            body_limit(caps.body);
        }
        eager(true);
    }

    http::reply& reply() noexcept { return reply_; }
    bool encoded() const noexcept { return encoded_; }

private:
    using string_view = boost::beast::string_view;

    void on_request_impl(beast_http::verb, string_view, string_view, int, error_code&) override {}

    void on_response_impl(int code, string_view, int, error_code& failure) override {
        failure.clear();
        reply_.status = code;
    }

    void on_field_impl(beast_http::field name, string_view, string_view value, error_code& failure) override {
        failure.clear();
        if (name == beast_http::field::content_type) reply_.content_type.assign(value.data(), value.size());
        if (name == beast_http::field::content_encoding && value != "identity") encoded_ = true;
    }

    void on_header_impl(error_code& failure) override { failure.clear(); }

    void on_body_init_impl(const boost::optional<std::uint64_t>& length, error_code& failure) override {
        failure.clear();
        if (spare_ != nullptr) reply_.body = std::move(*spare_);
        reply_.body.clear();
        // A length is only the peer's word: what is reserved for it is bounded, what arrives makes it grow.
        if (length) reply_.body.reserve(static_cast<std::size_t>(std::min<std::uint64_t>({*length, cap_, 4 * 1024 * 1024})));
    }

    std::size_t on_body_impl(string_view piece, error_code& failure) override {
        failure.clear();
        reply_.body.append(piece.data(), piece.size());
        return piece.size();
    }

    void on_chunk_header_impl(std::uint64_t, string_view, error_code& failure) override { failure.clear(); }

    std::size_t on_chunk_body_impl(std::uint64_t, string_view piece, error_code& failure) override {
        failure.clear();
        reply_.body.append(piece.data(), piece.size());
        return piece.size();
    }

    void on_finish_impl(error_code& failure) override { failure.clear(); }

    http::reply reply_;
    std::string* spare_;
    std::uint64_t cap_;
    bool encoded_ = false;
};

} // namespace etcdcoll::detail
