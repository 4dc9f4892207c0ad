#pragma once

// The ranks' output on its way through the launcher: whole lines in, whole lines out, in bounded memory.

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>

namespace etcdcoll::command {

/// Cuts a stream into lines and puts a prefix before each. A line longer than 64 KiB comes out as several.
class line_splitter {
public:
    explicit line_splitter(std::string prefix) : prefix_(std::move(prefix)) {}

    /// Appends to `lines` the lines that `bytes` completes.
    void feed(std::string_view bytes, std::string& lines);

    /// Appends what there is of a last line that no newline has ended, and ends it.
    void finish(std::string& lines);

private:
    void emit(std::string_view end, std::string& lines);

    std::string prefix_;
    std::string begun_;
};

/// Text for standard output and standard error, written in the order in which it was added: so lines stay whole even
/// where both are the same terminal. It never blocks on a reader for longer than one write, and leaves the
/// descriptors' flags alone, which other processes share.
class print_queue {
public:
    void add(int fd, std::string_view text);
    bool empty() const noexcept { return chunks_.empty(); }
    /// Returns whether to take nothing more from the ranks for now.
    bool full() const noexcept { return size_ > 1024 * 1024; }
    /// The descriptor to wait for until it is writable, before write_some().
    int descriptor() const noexcept { return chunks_.front().fd; }

    /// Writes a part. Returns 0 or the error; after an error, all that was and will be added for that descriptor is
    /// dropped.
    int write_some();

    void drop_all() noexcept;

private:
    struct chunk {
        int fd;
        std::string text;
    };

    std::deque<chunk> chunks_;
    std::size_t written_ = 0; // of the first chunk
    std::size_t size_ = 0;
    bool broken_[3] = {};
};

} // namespace etcdcoll::command
