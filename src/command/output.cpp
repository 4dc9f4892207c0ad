#include "output.hpp"

#include <algorithm>
#include <cerrno>
#include <climits>

#include <unistd.h>

namespace etcdcoll::command {

namespace {

constexpr std::size_t longest_line = 64 * 1024;

} // namespace

void line_splitter::feed(std::string_view bytes, std::string& lines) {
    while (!bytes.empty()) {
        const auto room = longest_line - begun_.size();
        const auto newline = bytes.substr(0, room).find('\n');
        if (newline != std::string_view::npos) {
            emit(bytes.substr(0, newline), lines);
            bytes.remove_prefix(newline + 1);
        } else if (bytes.size() > room) {
            emit(bytes.substr(0, room), lines);
            bytes.remove_prefix(room);
        } else {
            begun_ += bytes;
            return;
        }
    }
}

void line_splitter::finish(std::string& lines) {
    if (!begun_.empty()) emit({}, lines);
}

void line_splitter::emit(std::string_view end, std::string& lines) {
    lines += prefix_;
    lines += begun_;
    lines += end;
    lines += '\n';
    begun_.clear();
}

void print_queue::add(int fd, std::string_view text) {
    if (text.empty() || broken_[fd]) return;
    size_ += text.size();
    if (chunks_.empty() || chunks_.back().fd != fd || chunks_.back().text.size() > longest_line) {
        chunks_.push_back({fd, std::string(text)});
    } else {
        chunks_.back().text += text;
    }
}

int print_queue::write_some() {
    const auto& [fd, text] = chunks_.front();
    // A pipe that polls as writable takes this much without blocking.
    const auto size = std::min<std::size_t>(text.size() - written_, PIPE_BUF);
    const ssize_t put = ::write(fd, text.data() + written_, size);
    if (put < 0) {
        if (errno == EINTR || errno == EAGAIN) return 0;
        const int error = errno;
        broken_[fd] = true;
        std::erase_if(chunks_, [broken = fd](const chunk& queued) { return queued.fd == broken; });
        written_ = 0;
        size_ = 0;
        for (const auto& queued : chunks_) size_ += queued.text.size();
        return error;
    }
    written_ += static_cast<std::size_t>(put);
    size_ -= static_cast<std::size_t>(put);
    if (written_ == text.size()) {
        chunks_.pop_front();
        written_ = 0;
    }
    return 0;
}

void print_queue::drop_all() noexcept {
    chunks_.clear();
    written_ = 0;
    size_ = 0;
}

} // namespace etcdcoll::command
