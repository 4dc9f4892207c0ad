#include "raw_socket.hpp"

#include <etcdcoll/detail/base64.hpp>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <stdexcept>
#include <system_error>
#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace bench {

namespace {

std::string authority_of(const std::string& endpoint) { return endpoint.substr(endpoint.find("//") + 2); }

[[noreturn]] void fail(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

std::size_t number(std::string_view digits, int base) {
    std::size_t value = 0;
    const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
    if (failure != std::errc() || end == digits.data()) throw std::runtime_error("raw socket: not a length");
    return value;
}

// True when the head is there: it is taken out of `input`, and `body` begins.
bool take_head(std::string& input, raw_body& body) {
    const auto end = input.find("\r\n\r\n");
    if (end == std::string::npos) return false;
    const auto head = input.substr(0, end + 4);
    if (head.compare(9, 3, "200") != 0) throw std::runtime_error("raw socket: etcd answered " + input);
    input.erase(0, head.size());
    body.begin(head);
    return true;
}

} // namespace

raw_socket::raw_socket(const std::string& endpoint) {
    const auto authority = authority_of(endpoint);
    const auto colon = authority.rfind(':');
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(std::stoi(authority.substr(colon + 1))));
    if (::inet_pton(AF_INET, authority.substr(0, colon).c_str(), &address.sin_addr) != 1)
        throw std::runtime_error("raw socket: no IPv4 address: " + endpoint);
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd_ < 0) fail("socket");
    sockaddr any{};
    static_assert(sizeof any == sizeof address);
    __builtin_memcpy(&any, &address, sizeof any);
    const int on = 1;
    if (::connect(fd_, &any, sizeof any) != 0 || ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) {
        const int error = errno;
        ::close(fd_);
        errno = error;
        fail("connect");
    }
}

raw_socket::~raw_socket() { ::close(fd_); }

void raw_socket::write(std::string_view text) {
    while (!text.empty()) {
        const auto size = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) fail("send");
        sent_ += static_cast<std::uint64_t>(size);
        text.remove_prefix(static_cast<std::size_t>(size));
    }
}

void raw_socket::read_some(std::string& append) {
    char buffer[65536];
    for (;;) {
        const auto size = ::recv(fd_, buffer, sizeof buffer, 0);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) fail("recv");
        if (size == 0) throw std::runtime_error("raw socket: etcd closed the connection");
        append.append(buffer, static_cast<std::size_t>(size));
        return;
    }
}

void raw_body::begin(std::string_view head) {
    constexpr std::string_view length = "\r\nContent-Length: ";
    const auto at = head.find(length);
    chunked_ = at == std::string_view::npos;
    whole_ = false;
    left_ = chunked_ ? 0 : number(head.substr(at + length.size()), 10);
    text_.clear();
}

void raw_body::feed(std::string& input) {
    std::size_t used = 0;
    const auto take = [&](std::size_t size) {
        text_.append(input, used, size);
        used += size;
        left_ -= size;
    };
    if (!chunked_) {
        take(std::min(left_, input.size()));
        whole_ = left_ == 0;
    }
    while (chunked_ && !whole_) {
        if (left_ > 2) take(std::min(left_ - 2, input.size() - used));
        if (left_ != 0) { // the line end behind the chunk
            const auto size = left_ <= 2 ? std::min(left_, input.size() - used) : 0;
            used += size;
            left_ -= size;
            if (left_ != 0) break;
        }
        const auto end = input.find("\r\n", used);
        if (end == std::string::npos) break;
        const auto size = number(std::string_view(input).substr(used, end - used), 16);
        if (size == 0) {
            const auto last = input.find("\r\n\r\n", end); // behind the trailer
            if (last == std::string::npos) break;
            used = last + 4;
            whole_ = true;
        } else {
            used = end + 2;
            left_ = size + 2;
        }
    }
    input.erase(0, used);
}

raw_client::raw_client(const std::string& endpoint) : socket_(endpoint), authority_(authority_of(endpoint)) {}

void raw_client::append_request(std::string& text, std::string_view path, std::string_view body) const {
    text.append("POST ").append(path).append(" HTTP/1.1\r\nHost: ").append(authority_);
    text.append("\r\nContent-Type: application/json\r\nContent-Length: ").append(std::to_string(body.size()));
    text.append("\r\n\r\n").append(body);
}

std::string raw_client::request(std::string_view path, std::string_view body) const {
    std::string text;
    append_request(text, path, body);
    return text;
}

void raw_client::send(std::string_view path, std::string_view body) {
    request_.clear();
    append_request(request_, path, body);
    send_text(request_);
}

void raw_client::send_text(std::string_view request) {
    in_body_ = false;
    socket_.write(request);
}

bool raw_client::advance() {
    socket_.read_some(input_);
    if (!in_body_) in_body_ = take_head(input_, body_);
    if (in_body_) body_.feed(input_);
    return in_body_ && body_.whole();
}

const std::string& raw_client::exchange(std::string_view path, std::string_view body) {
    send(path, body);
    while (!advance()) {}
    return reply();
}

raw_watch::raw_watch(const std::string& endpoint, const std::string& prefix, std::int64_t start_revision)
    : socket_(endpoint) {
    const auto create = "{\"create_request\":{\"key\":\"" + base64(prefix) + "\",\"range_end\":\"" +
                        base64(range_end(prefix)) + "\",\"start_revision\":" + std::to_string(start_revision) + "}}";
    char size[24];
    char* end = std::to_chars(size, size + sizeof size, create.size(), 16).ptr;
    socket_.write("POST /v3/watch HTTP/1.1\r\nHost: " + authority_of(endpoint) +
                  "\r\nContent-Type: application/json\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n" +
                  std::string(size, end) + "\r\n" + create + "\r\n");
    const auto first = next_line();
    if (first.find("\"created\":true") == std::string::npos) throw std::runtime_error("raw watch: " + first);
}

void raw_watch::advance() {
    socket_.read_some(input_);
    if (!in_body_) in_body_ = take_head(input_, body_);
    if (in_body_) body_.feed(input_);
}

std::optional<std::string> raw_watch::take_line() {
    auto& text = body_.text();
    const auto end = text.find('\n', searched_);
    if (end == std::string::npos) {
        searched_ = text.size();
        return std::nullopt;
    }
    auto line = text.substr(0, end);
    text.erase(0, end + 1);
    searched_ = 0;
    return line;
}

std::string raw_watch::next_line() {
    for (;;) {
        auto line = take_line();
        if (line) return std::move(*line);
        advance();
    }
}

std::string base64(std::string_view raw) {
    std::string text;
    etcdcoll::detail::append_base64(text, raw);
    return text;
}

std::string from_base64(std::string_view text) {
    auto raw = etcdcoll::detail::decode_base64(text);
    if (!raw) throw std::runtime_error("raw socket: not base64");
    return std::move(*raw);
}

std::string range_end(std::string prefix) {
    ++prefix.back();
    return prefix;
}

std::string_view json_string(std::string_view json, std::string_view name, std::size_t from) {
    const auto wanted = "\"" + std::string(name) + "\":\"";
    const auto at = json.find(wanted, from);
    if (at == std::string_view::npos) return {};
    const auto begin = at + wanted.size();
    return json.substr(begin, json.find('"', begin) - begin);
}

std::int64_t json_number(std::string_view json, std::string_view name, std::size_t from) {
    const auto digits = json_string(json, name, from);
    return digits.empty() ? 0 : static_cast<std::int64_t>(number(digits, 10));
}

} // namespace bench
