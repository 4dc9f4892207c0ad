#pragma once

// A real etcd server of one's own, on free loopback ports, for the launcher, the tests and the benchmarks.

#include "caretaker.hpp"
#include "process.hpp"

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <sys/types.h>

namespace etcdcoll::command {

struct local_etcd_options {
    local_etcd_options() {} // not an aggregate, so that no compiler gets to copy it member by member in a coroutine

    std::filesystem::path binary;         ///< empty: $ETCDCOLL_ETCD, else `etcd` in PATH and the sbin directories
    std::vector<std::string> arguments;   ///< come last, so they win over our own; must leave log level info on
    std::filesystem::path data_directory; ///< empty: in the scratch directory; else it is kept
    std::filesystem::path scratch_parent; ///< empty: /dev/shm if it has room, else $TMPDIR, else /tmp
    std::string host = "127.0.0.1";
    std::string client_scheme = "http"; ///< "https" needs --cert-file and --key-file in `arguments`
    std::chrono::milliseconds start_deadline = std::chrono::seconds(20);
    bool start = true;           ///< false: the constructor only takes the ports; launch() and wait_until_serving() follow
    caretaker* watched_by = nullptr; ///< must outlive the local_etcd
};

/// One etcd server process that serves when the constructor returns (unless the options leave its start to launch()); it, its scratch directory and (unless the options
/// name a data directory) its data are gone when the destructor returns.
///
/// All calls block, and are to be made by one thread at a time. The server is killed when the thread that started it
/// ends, so construct (and restart) it on a thread that outlives it.
class local_etcd {
public:
    /// Errors:  std::runtime_error that says what to do (no binary found), or why etcd ended, with the end of its log.
    local_etcd();
    explicit local_etcd(local_etcd_options options);
    local_etcd(const local_etcd&) = delete;
    local_etcd& operator=(const local_etcd&) = delete;
    ~local_etcd();

    std::string endpoint() const; ///< "http://127.0.0.1:PORT", or https
    std::string peer_url() const;
    unsigned short client_port() const noexcept;
    pid_t pid() const noexcept; ///< -1 while no server runs
    const std::filesystem::path& data_directory() const noexcept;

    /// Returns whether the server process exists and has not ended by itself; a paused one is running.
    bool running() const;
    bool paused() const noexcept;

    /// Ends the server as a crash would: SIGKILL. The data stays, and the ports are kept from other servers of this kind.
    void kill();

    /// Starts the server again on the same ports with the same data; kills it first where it runs.
    void restart();

    /// As restart(), but returns when the process runs: one member of a cluster does not serve before most of the others do.
    void launch();

    /// Returns when the server that was launched serves client requests.
    ///
    /// Errors:  std::runtime_error when it has ended instead, or does not serve after the options' start_deadline, from now.
    void wait_until_serving();

    /// Arguments for each launch from now on, after all others: what they set, they win.
    void add_arguments(const std::vector<std::string>& arguments);

    /// SIGSTOP and SIGCONT; each returns when it has taken effect.
    void pause();
    void resume();

    /// Ends the server (SIGTERM, and SIGKILL 2 s later) and removes the scratch directory. Nothing may follow it.
    void stop();

    /// The last lines that the server has logged, at most 50, each with its newline.
    std::string log_tail() const;

private:
    class log_reader;
    class scratch_directory;

    void start();
    void start_process();
    void choose_ports();
    void hold_ports() noexcept;
    std::vector<std::string> arguments() const;
    int reap();
    std::string failure(const std::string& what) const;
    std::string not_serving() const;

    local_etcd_options options_;
    std::unique_ptr<scratch_directory> scratch_;
    std::unique_ptr<log_reader> log_;
    std::filesystem::path data_directory_;
    unsigned short client_port_ = 0;
    unsigned short peer_port_ = 0;
    std::vector<unique_fd> held_; // bound to the ports while no server is
    pid_t pid_ = -1;
    bool paused_ = false;
};

/// The etcd binary that a local_etcd with these options runs. Throws std::runtime_error that says how to install it.
std::filesystem::path find_etcd(const local_etcd_options& options = {});

/// "3.4.23", from `etcd --version`.
std::string etcd_version(const local_etcd_options& options = {});

} // namespace etcdcoll::command
