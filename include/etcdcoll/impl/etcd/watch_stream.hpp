#pragma once
// One stream of a hub: its connection, what is to be sent on it, and what is known of its answers.

#include <etcdcoll/impl/condition.hpp>
#include <etcdcoll/impl/etcd/client_core.hpp>
#include <etcdcoll/impl/etcd/reply_stream.hpp>
#include <etcdcoll/impl/etcd/watch_hub.hpp>

#include <deque>
#include <memory>
#include <string>

namespace etcdcoll::detail {

inline constexpr int most_watch_logins = 2; // in a row

struct watch_hub::stream {
    stream(const client_core& core, std::size_t index_)
        : index(index_), outbox_filled(core.strand(), core.system()), probe(core.system()->make_timer(core.strand())) {}

    void shut() noexcept {
        closed = true;
        if (link) link->close();
        outbox_filled.notify_all();
        probe->disarm();
    }

    std::size_t index; // of the endpoint
    std::shared_ptr<http::connection> link;
    std::string outbox;
    int open_asks = 0;                // for progress, and not answered; some never are
    std::deque<std::int64_t> creates; // numbers of the creates that were not answered: the answers come in this order
    condition outbox_filled;
    std::unique_ptr<timer> probe;
    line_splitter lines;
    std::uint64_t login = 0;
    bool complete = false; // its request is: nothing can be added to it
    bool heard = false;    // since the last probe
    bool answered = false; // at all
    time_point began;
    int unanswered = 0;
    bool closed = false;
    bool unwanted = false; // ended from here: that is no failure of the endpoint
};

} // namespace etcdcoll::detail
