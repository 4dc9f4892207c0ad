#pragma once
// Finds where HTTP/1.1 messages begin and end in a byte stream, however it is cut into pieces.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace etcdcoll::test {

/// Follows the messages of one direction of one connection. Bytes are looked at, not changed; only a header is kept.
///
/// Interim responses (100 Continue) count as part of the response that follows them. What is not HTTP is told by
/// `stage::not_http`, and from then on nothing is followed any more.
class http_framer {
public:
    enum class side { request, response };
    enum class stage { head, body, complete, not_http };

    explicit http_framer(side which) : side_(which) {}

    /// Begins the next message. `bodiless`: the response to HEAD, which has none whatever its header says.
    void restart(bool bodiless = false);

    /// Follows `bytes` and returns how many of them belong to this message. Stops at the end of its header and at its
    /// end, so it has to be called until all are used or the message is complete. Appends the body, freed of its chunk
    /// framing, to `payload` if there is one.
    std::size_t consume(std::string_view bytes, std::string* payload = nullptr);

    /// Tells that the connection has ended: a response that lasts until then is complete.
    void end_of_stream();

    stage where() const { return stage_; }
    bool complete() const { return stage_ == stage::complete; }
    bool chunked() const { return chunked_; }
    /// The number of body chunks that came whole.
    std::uint64_t chunks() const { return chunks_; }
    /// Of a request: GET, POST, ...
    const std::string& method() const { return method_; }
    /// Of a request: its target without the query.
    const std::string& path() const { return path_; }
    /// Of a response: 200, ...; 0 before its header is complete.
    int status() const { return status_; }

private:
    enum class step { length, until_end, chunk_size, chunk_data, chunk_end, trailer };

    std::size_t consume_head(std::string_view bytes);
    std::size_t consume_counted(std::string_view bytes, std::string* payload);
    std::size_t consume_line(std::string_view bytes);
    void end_of_line();
    void end_of_head();
    bool parse_first_line(std::string_view line);
    bool parse_field(std::string_view line);

    side side_;
    stage stage_ = stage::head;
    step step_ = step::length;
    std::string text_; // the header, later the current line of the chunk framing
    std::string method_;
    std::string path_;
    int status_ = 0;
    bool bodiless_ = false;
    bool chunked_ = false;
    bool has_length_ = false;
    std::uint64_t left_ = 0;
    std::uint64_t chunks_ = 0;
};

} // namespace etcdcoll::test
