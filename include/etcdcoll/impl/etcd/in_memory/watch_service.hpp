#pragma once
// The watches of one stream: requests in, the texts of messages out.

#include <etcdcoll/impl/etcd/in_memory/member.hpp>
#include <etcdcoll/impl/etcd/in_memory/reply_encoder.hpp>
#include <etcdcoll/impl/etcd/in_memory/request_decoder.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <string>

namespace etcdcoll::etcd::model {

class watch_service {
public:
    using sink = std::function<void(std::string text)>;
    watch_service(member& of, sink out) : of_(of), out_(std::move(out)) {}

    void take(const watch_stream_request& request);
    /// Tells every watch what it has not seen.
    void push();

private:
    struct watch {
        watcher at;
        bool fragment;
        bool in_step; ///< it has seen all that there was, and is told of each revision by itself
    };
    using watches = std::map<std::int64_t, watch>;

    void create(const watch_create_request& request);
    void cancel(std::int64_t id);
    void progress();
    bool tell_news(std::int64_t id, watch& target);
    void tell_in_step(std::int64_t id, const watch& target, const std::vector<event>& events);
    void send_events(std::int64_t id, const watch& target, revision at, const event* first, const event* last);
    void send(const watch_reply& reply, const event* first = nullptr, const event* last = nullptr);
    std::int64_t free_id();
    response_header header_at(revision at) const;

    member& of_;
    sink out_;
    watches watches_;
    std::int64_t next_id_ = 0;
};

} // namespace etcdcoll::etcd::model

#if defined(ETCDCOLL_HEADER_ONLY)
#include <etcdcoll/impl/etcd/in_memory/watch_service.ipp>
#endif
