#pragma once
// One rank's side of the group protocol: what the handle, the watch and the session's events share.

#include <etcdcoll/detail/group_view.hpp>
#include <etcdcoll/detail/key_layout.hpp>
#include <etcdcoll/group.hpp>
#include <etcdcoll/impl/condition.hpp>
#include <etcdcoll/impl/etcd/client_core.hpp>
#include <etcdcoll/impl/etcd/watch_hub.hpp>
#include <etcdcoll/impl/session_state.hpp>

#include <optional>

namespace etcdcoll::detail {

/// What a rank is to be: the options, filled in from the environment and checked.
struct membership {
    std::string name;
    std::optional<int> rank; ///< nothing: etcd assigns it
    int size = 0;
};
membership resolve_membership(const group_options::values& options);

/// Failures that may pass: the call is made again until its deadline.
bool worth_repeating(errc reason);

/// "ranks 2, 3 and 5-9"
std::string ranks_text(const std::vector<int>& ranks);

/// What the index-th operation of a transaction, a read of one key, has found; null where the key is absent.
const etcd::key_value* key_read(const etcd::txn_response& reply, std::size_t index);

/// One collective on one rank.
struct arrival {
    std::uint64_t sequence = 0;
    const char* op = "";
    std::string at;
    std::optional<std::string> block; ///< brings blocks together at the last to arrive
    time_point started;
    time_point deadline;
};

/// What all ranks have brought, as the last to arrive reads it.
struct gathered {
    std::vector<std::size_t> lengths;
    std::vector<std::string> blocks; ///< empty where they are too large for one release
};

/// All members are used on the client's strand.
class group_state : public std::enable_shared_from_this<group_state> {
public:
    group_state(etcd::client client, group_options::values options, membership wanted);

    // join.ipp
    asio::awaitable<void> join();
    // barrier.ipp, allgather.ipp
    asio::awaitable<void> barrier(collective_options options, std::string at);
    asio::awaitable<std::vector<bytes>> allgather(std::string mine, collective_options options, std::string at);
    // end.ipp
    asio::awaitable<void> abort(std::string text);
    asio::awaitable<void> leave();
    /// The handle is gone: ends what waits, without a word to etcd.
    void stop() noexcept;

    client_core& core() noexcept { return *client_.core(); }
    const std::string& name() const noexcept { return name_; }
    int rank() const noexcept { return rank_; }
    int size() const noexcept { return size_; }
    std::int64_t epoch() const noexcept { return epoch_; }

private:
    class sink;
    class busy_mark;    // collective_marks.hpp
    class cancel_mark;  // collective_marks.hpp
    class request_mark; // collective_marks.hpp
    struct epoch_listing;
    /// What a collective does next, after a reply.
    enum class step { wait, arrive, look, read_blocks, publish, mismatch };

    // join.ipp
    asio::awaitable<void> join_attempts(time_point deadline);
    asio::awaitable<bool> join_once(time_point deadline);
    call_options within(time_point deadline, bool guarded);
    [[noreturn]] void fail_join_late();
    asio::awaitable<std::optional<etcd::key_value>> read_root(time_point deadline);
    asio::awaitable<epoch_listing> list_epoch(etcd::key_value root, time_point deadline);
    asio::awaitable<bool> begin_epoch(std::optional<etcd::key_value> old_root, std::int64_t number, time_point deadline);
    asio::awaitable<bool> enter_epoch(epoch_listing listing, int rank, time_point deadline);
    asio::awaitable<bool> wait_formed(time_point deadline);
    asio::awaitable<void> forget_epoch(time_point deadline);
    asio::awaitable<void> wait_for_place(epoch_listing listing, time_point deadline);
    [[noreturn]] void refuse_place(const epoch_listing& listing, const group_view::member& holder);
    void adopt(const key_layout& keys, int rank, std::int64_t number, const std::vector<etcd::key_value>& watched, etcd::revision at);
    std::vector<etcd::op> membership_puts(const key_layout& keys, int rank) const;
    std::string own_member_value(bool left) const;

    // arrive.ipp
    arrival begin(const char* op, collective_options options, std::string at);
    asio::awaitable<void> meet(const arrival& mine);
    etcd::txn_request arrival_request(const arrival& mine) const;
    std::vector<etcd::compare> own_guards() const;
    step read_arrival(const arrival& mine, const etcd::txn_response& reply);
    etcd::txn_request look_request() const;
    step read_look(const arrival& mine, const etcd::txn_response& reply);
    step read_reply(const arrival& mine, step sent, request_mark& request);
    etcd::txn_request next_request(const arrival& mine, step next);
    asio::awaitable<void> say_who_is_missing(const arrival& mine, std::map<int, arrival_record>& seen, bool aloud);

    // allgather.ipp
    std::size_t share() const noexcept; // of a release that one rank's block may take
    etcd::txn_request blocks_request(const arrival& mine) const;
    etcd::txn_request publish_request(const arrival& mine);
    step read_blocks(const std::vector<etcd::key_value>& blocks, const std::vector<etcd::key_value>& arrivals, const arrival& mine);
    void read_publication(const arrival& mine, const etcd::txn_response& reply);
    asio::awaitable<std::vector<bytes>> read_release(const arrival& mine);
    asio::awaitable<std::vector<bytes>> read_listed(const arrival& mine, release_record release, etcd::revision at);

    // end.ipp
    asio::awaitable<void> check_usable(const arrival& mine);
    asio::awaitable<void> fail(const arrival& mine);
    asio::awaitable<void> fail_lost(const arrival& mine);
    asio::awaitable<void> fail_mismatch(const arrival& mine, end_record ending);
    [[noreturn]] void fail_evicted();
    [[noreturn]] void fail_ended(const arrival& mine, const end_record& ending);
    asio::awaitable<void> fail_late(const arrival& mine, const std::map<int, arrival_record>& seen);
    asio::awaitable<std::map<int, arrival_record>> read_arrivals(time_point limit, etcd::revision at);
    std::vector<int> not_arrived(const arrival& mine, const std::map<int, arrival_record>& seen) const;
    std::string reasons(const std::vector<int>& missing, const std::map<int, arrival_record>& seen) const;
    std::string title(const arrival& mine) const;
    std::string trouble() const;
    void give_up(const arrival& mine, const std::string& why);
    asio::awaitable<void> end_by_mismatch(const arrival& mine);
    void end_epoch(end_record record);
    asio::awaitable<void> put_end_alone(std::shared_ptr<group_state> self, end_record record);
    asio::awaitable<bool> put_end(end_record record, std::optional<etcd::revision> unless_changed, call_options options);
    etcd::revision release_changed() const;
    void fail_with(const error& why);

    // watching.ipp
    void start_watch(etcd::revision from);
    void stop_watch() noexcept;
    asio::awaitable<void> relist(std::shared_ptr<group_state> self, etcd::revision at);
    void on_events(const etcd::watch_response& response);
    void on_watch_failure(const error& failure);

    etcd::client client_;
    group_options::values options_;
    membership wanted_;
    std::string name_;
    int rank_ = -1;
    int size_ = 0;
    std::int64_t epoch_ = 0;
    std::int64_t since_ = 0;
    key_layout keys_;
    std::shared_ptr<session_state> session_;
    etcd::revision member_created_;  // create_revision of own member key: what every write of this rank compares
    etcd::revision arrival_changed_; // mod_revision of own arrival key
    group_view view_;
    condition changed_;
    std::int64_t watch_id_ = 0;
    std::uint64_t sequence_ = 0;
    gathered gathered_;            // of the allgather that this rank was the last to arrive at
    std::string last_trouble_;     // with etcd, for the sentence of a time-out
    std::optional<error> failure_; // why no collective can succeed any more
    bool busy_ = false;
    bool left_ = false;
};

} // namespace etcdcoll::detail
