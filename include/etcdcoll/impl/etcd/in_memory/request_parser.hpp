#pragma once
// The requests that come over one HTTP/1.1 connection, one after the other: bytes in, no I/O.

#include <etcdcoll/config.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace etcdcoll::etcd::model {

/// What the gateway heeds of a request's head.
struct request_head {
    std::string method;
    std::string path;             ///< without host and query
    bool close = false;           ///< nothing follows on this connection
    bool awaits_continue = false; ///< the body is sent after "100 Continue"
    bool asks_for_leader = false; ///< to be refused by a member that has none
};

/// Why a connection is given up.
struct request_fault {
    int status = 0; ///< of HTTP; 0: closed without a word, as etcd's port does where no HTTP is spoken
    std::string_view text;
    bool in_body = false; ///< the head was good
};

class request_parser {
public:
    /// Takes what belongs to the present request, and returns how many bytes that was.
    std::size_t feed(std::string_view bytes);

    /// No byte of the present request has come.
    bool untouched() const noexcept { return at_ == place::request_line && line_.empty(); }
    bool head_done() const noexcept { return head_done_; }
    bool done() const noexcept { return at_ == place::done; }
    const request_fault* fault() const noexcept { return at_ == place::failed ? &fault_ : nullptr; }
    const request_head& head() const noexcept { return head_; }
    /// What has come of it; the reader of a stream clears it as it goes.
    std::string& body() noexcept { return body_; }
    /// Begins with the next request.
    void next();

private:
    enum class place { request_line, fields, body, chunk_size, chunk, chunk_end, trailer, done, failed };

    void take_line(std::string_view& bytes);
    void take_body(std::string_view& bytes);
    void on_line(std::string_view line);
    void on_request_line(std::string_view line);
    void on_field(std::string_view line);
    void on_length(std::string_view value);
    void on_head_end();
    void on_chunk_size(std::string_view line);
    void fail(int status, std::string_view text);

    place at_ = place::request_line;
    std::string line_; // that has begun in bytes that came before
    request_head head_;
    std::string body_;
    request_fault fault_;
    std::uint64_t left_ = 0;    // of the body, or of its present chunk
    std::size_t head_size_ = 0; // and that of the chunks' own lines
    bool head_done_ = false;
    bool chunked_ = false;
    bool sized_ = false;
    bool has_host_ = false;
    bool first_ = true; // on this connection
};

} // namespace etcdcoll::etcd::model

#if defined(ETCDCOLL_HEADER_ONLY)
#include <etcdcoll/impl/etcd/in_memory/request_parser.ipp>
#endif
