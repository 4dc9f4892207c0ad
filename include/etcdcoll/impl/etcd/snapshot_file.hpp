#pragma once
// The file that a snapshot becomes: there under its name only when it is complete and on the disk.

#include <etcdcoll/error.hpp>

#include <openssl/evp.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <unistd.h>

namespace etcdcoll::etcd::detail {

/// Grows as `<name>.part-XXXXXX`, a file that nobody else writes, which the destructor removes unless finish() has been called.
class snapshot_file {
public:
    explicit snapshot_file(std::string name)
        : name_(std::move(name)), part_(name_ + ".part-XXXXXX"), digest_(EVP_MD_CTX_new(), &EVP_MD_CTX_free),
          file_(::mkostemp(part_.data(), O_CLOEXEC)) {
        if (file_ < 0) fail("open", part_);
        if (!digest_ || EVP_DigestInit_ex(digest_.get(), EVP_sha256(), nullptr) != 1) {
            discard();
            throw error(errc::file_failed, "snapshot: OpenSSL offers no SHA-256");
        }
    }
    snapshot_file(const snapshot_file&) = delete;
    snapshot_file& operator=(const snapshot_file&) = delete;
    ~snapshot_file() { discard(); }

    void add(std::string_view piece) {
        write(piece);
        // The last 32 bytes of all are the checksum, and which are the last is known at the end only.
        held_.append(piece);
        if (held_.size() <= checksum_size) return;
        EVP_DigestUpdate(digest_.get(), held_.data(), held_.size() - checksum_size);
        held_.erase(0, held_.size() - checksum_size);
    }

    /// Whether it ends with the checksum of what precedes. To be asked once, at the end.
    bool checks() {
        std::array<unsigned char, EVP_MAX_MD_SIZE> sum{};
        unsigned size = 0;
        if (EVP_DigestFinal_ex(digest_.get(), sum.data(), &size) != 1) return false;
        return size_ > checksum_size && std::string_view(reinterpret_cast<const char*>(sum.data()), size) == held_;
    }

    void finish() {
        if (::fsync(file_) != 0) fail("sync", part_);
        if (::close(std::exchange(file_, -1)) != 0) fail("close", part_);
        if (std::rename(part_.c_str(), name_.c_str()) != 0) fail("rename", part_);
        part_.clear();
        sync_directory();
    }

    std::uint64_t size() const noexcept { return size_; }

private:
    static constexpr std::size_t checksum_size = 32;
    static constexpr std::uint64_t sync_step = 4 * 1024 * 1024; // many short waits for the disk, not a long one at the end

    void write(std::string_view piece) {
        size_ += piece.size();
        while (!piece.empty()) {
            const auto done = ::write(file_, piece.data(), piece.size());
            if (done < 0 && errno == EINTR) continue;
            if (done <= 0) fail("write", part_);
            piece.remove_prefix(static_cast<std::size_t>(done));
        }
        if (size_ - synced_ < sync_step) return;
        if (::fdatasync(file_) != 0) fail("sync", part_);
        synced_ = size_;
    }

    // A new name is on the disk only when its directory is.
    void sync_directory() {
        const auto slash = name_.rfind('/');
        const auto directory = slash == std::string::npos ? std::string(".") : name_.substr(0, slash + 1);
        const int opened = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (opened < 0) fail("open", directory);
        const int failed = ::fsync(opened);
        ::close(opened);
        if (failed != 0) fail("sync", directory);
    }

    void discard() noexcept {
        if (file_ >= 0) ::close(std::exchange(file_, -1));
        if (!part_.empty()) ::unlink(part_.c_str());
        part_.clear();
    }

    // Called before anything can change errno. Out of the constructor no destructor follows, but then there is no file either.
    [[noreturn]] static void fail(const char* what, const std::string& path) {
        const int cause = errno;
        throw error(errc::file_failed, "snapshot: cannot " + std::string(what) + " " + path + ": " + std::strerror(cause));
    }

    std::string name_;
    std::string part_; // empty once it has been renamed
    std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> digest_;
    int file_;
    std::string held_; // the last bytes, 32 at most
    std::uint64_t size_ = 0;
    std::uint64_t synced_ = 0;
};

} // namespace etcdcoll::etcd::detail
