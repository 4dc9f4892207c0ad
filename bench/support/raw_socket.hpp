#pragma once

// HTTP/1.1 to etcd's gateway on plain blocking sockets: the floor that the library is compared with.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bench {

/// A connected TCP socket with TCP_NODELAY. Every call throws std::runtime_error when the peer is gone.
class raw_socket {
public:
    explicit raw_socket(const std::string& endpoint); ///< "http://127.0.0.1:PORT"
    raw_socket(const raw_socket&) = delete;
    raw_socket& operator=(const raw_socket&) = delete;
    ~raw_socket();

    void write(std::string_view text);   ///< one send(2), unless the kernel takes only a part
    void read_some(std::string& append); ///< one recv(2)

    int fd() const noexcept { return fd_; }
    std::uint64_t sent() const noexcept { return sent_; }

private:
    int fd_ = -1;
    std::uint64_t sent_ = 0;
};

/// The body of an HTTP message that comes in pieces.
class raw_body {
public:
    void begin(std::string_view head);
    /// Moves what of `input` belongs to the body, and takes it out of `input`.
    void feed(std::string& input);
    bool whole() const noexcept { return whole_; }
    std::string& text() noexcept { return text_; }

private:
    bool chunked_ = false;
    bool whole_ = false;
    std::size_t left_ = 0; // of the body, or of the chunk with the line end behind it
    std::string text_;
};

/// A kept connection: one request, then its reply.
class raw_client {
public:
    explicit raw_client(const std::string& endpoint);

    void send(std::string_view path, std::string_view body);
    /// The text of a request, for send_text(): so that building it is not measured.
    std::string request(std::string_view path, std::string_view body) const;
    void send_text(std::string_view request);
    /// One recv(2); true when the reply is whole. Throws when its status is not 200.
    bool advance();
    const std::string& reply() noexcept { return body_.text(); }

    const std::string& exchange(std::string_view path, std::string_view body);

    int fd() const noexcept { return socket_.fd(); }
    std::uint64_t sent() const noexcept { return socket_.sent(); }

private:
    void append_request(std::string& text, std::string_view path, std::string_view body) const;

    raw_socket socket_;
    std::string authority_;
    std::string request_;
    std::string input_;
    raw_body body_;
    bool in_body_ = false;
};

/// A watch whose request body stays open; etcd answers at once because of `Connection: close`.
class raw_watch {
public:
    /// Returns when etcd has created the watch of every key that begins with `prefix`, from `start_revision` on.
    raw_watch(const std::string& endpoint, const std::string& prefix, std::int64_t start_revision);

    void advance(); ///< one recv(2)
    std::optional<std::string> take_line();
    std::string next_line(); ///< waits for it

    int fd() const noexcept { return socket_.fd(); }

private:
    raw_socket socket_;
    std::string input_;
    raw_body body_;
    std::size_t searched_ = 0;
    bool in_body_ = false;
};

std::string base64(std::string_view raw);
std::string from_base64(std::string_view text);

/// The end of the range of all keys with this prefix, whose last byte is not 0xff.
std::string range_end(std::string prefix);

/// The text behind `"name":"` up to the next quote, from `from` on; empty when there is none.
std::string_view json_string(std::string_view json, std::string_view name, std::size_t from = 0);
std::int64_t json_number(std::string_view json, std::string_view name, std::size_t from = 0);

} // namespace bench
