#pragma once

#include <etcdcoll/etcd/maintenance.hpp>
#include <etcdcoll/impl/etcd/reply_stream.hpp>
#include <etcdcoll/impl/etcd/service_call.hpp>
#include <etcdcoll/impl/etcd/snapshot_file.hpp>

namespace etcdcoll::etcd {

namespace detail {

inline constexpr call_spec status_call{"status", "/v3/maintenance/status", repeatability::repeatable};
inline constexpr call_spec alarm_list_call{"alarm_list", "/v3/maintenance/alarm", repeatability::repeatable};
inline constexpr call_spec alarm_activate_call{"alarm_activate", "/v3/maintenance/alarm", repeatability::once};
inline constexpr call_spec alarm_disarm_call{"alarm_disarm", "/v3/maintenance/alarm", repeatability::once};
// Once: a second one, while the member is still busy with the first, would make it deaf for twice as long.
inline constexpr call_spec defragment_call{"defragment", "/v3/maintenance/defragment", repeatability::once, true};
inline constexpr call_spec hash_call{"hash", "/v3/maintenance/hash", repeatability::repeatable, true};
inline constexpr call_spec hash_kv_call{"hash_kv", "/v3/maintenance/hashkv", repeatability::repeatable, true};
inline constexpr call_spec snapshot_call{"snapshot", "/v3/maintenance/snapshot", repeatability::repeatable};
inline constexpr call_spec move_leader_call{"move_leader", "/v3/maintenance/transfer-leadership", repeatability::once};
inline constexpr call_spec downgrade_call{"downgrade", "/v3/maintenance/downgrade", repeatability::once};
inline constexpr call_spec downgrade_validate_call{"downgrade", "/v3/maintenance/downgrade", repeatability::repeatable};

ETCDCOLL_DECL std::string encode_alarm(std::string_view action, const alarm& meant) {
    std::string text;
    {
        codec::object_writer out(text);
        out.word("action", action);
        out.number("memberID", meant.member.value);
        out.word("alarm", meant.kind == alarm_kind::no_space ? "NOSPACE" : "CORRUPT");
    }
    return text;
}

ETCDCOLL_DECL std::string encode_downgrade(downgrade_action action, std::string_view version) {
    std::string text;
    {
        codec::object_writer out(text);
        if (action != downgrade_action::validate) out.word("action", action == downgrade_action::enable ? "ENABLE" : "CANCEL");
        if (!version.empty()) out.text("version", version);
    }
    return text;
}

ETCDCOLL_DECL alarm_kind read_alarm_kind(const codec::json::object& from) {
    const auto name = codec::string(from, "alarm");
    if (name == "NOSPACE") return alarm_kind::no_space;
    if (name == "CORRUPT") return alarm_kind::corrupt;
    if (name.empty() || name == "NONE") return alarm_kind::none;
    throw codec::bad_reply("an alarm of an unknown kind: " + name);
}

// Of 3.4 without any header.
ETCDCOLL_DECL alarm_response read_alarms(const codec::json::object& from) {
    alarm_response reply;
    reply.header = codec::read_header(from);
    if (const auto* list = codec::find_array(from, "alarms")) {
        for (const auto& item : *list) {
            const auto& one = codec::as_object(item);
            reply.alarms.emplace_back(member_id{codec::integer<std::uint64_t>(one, "memberID")}, read_alarm_kind(one));
        }
    }
    return reply;
}

ETCDCOLL_DECL status_response read_status(const codec::json::object& from) {
    status_response reply;
    reply.header = codec::read_bare_header(from);
    reply.version = codec::string(from, "version");
    reply.db_size = codec::integer<std::int64_t>(from, "dbSize");
    reply.db_size_in_use = codec::integer<std::int64_t>(from, "dbSizeInUse");
    reply.leader.value = codec::integer<std::uint64_t>(from, "leader");
    reply.raft_index = codec::integer<std::uint64_t>(from, "raftIndex");
    reply.raft_term = codec::integer<std::uint64_t>(from, "raftTerm");
    reply.raft_applied_index = codec::integer<std::uint64_t>(from, "raftAppliedIndex");
    reply.errors = codec::strings(from, "errors");
    reply.is_learner = codec::boolean(from, "isLearner");
    reply.storage_version = codec::string(from, "storageVersion");
    reply.db_size_quota = codec::integer<std::int64_t>(from, "dbSizeQuota");
    if (const auto* info = codec::find_object(from, "downgradeInfo")) {
        reply.downgrade_info.enabled = codec::boolean(*info, "enabled");
        reply.downgrade_info.target_version = codec::string(*info, "targetVersion");
    }
    return reply;
}

ETCDCOLL_DECL defragment_response read_defragment(const codec::json::object& from) {
    defragment_response reply;
    reply.header = codec::read_header(from);
    return reply;
}

ETCDCOLL_DECL move_leader_response read_move_leader(const codec::json::object& from) {
    move_leader_response reply;
    reply.header = codec::read_header(from);
    return reply;
}

ETCDCOLL_DECL hash_response read_hash(const codec::json::object& from) {
    hash_response reply;
    reply.header = codec::read_whole_header(from);
    reply.hash = codec::integer<std::uint32_t>(from, "hash");
    return reply;
}

ETCDCOLL_DECL hash_kv_response read_hash_kv(const codec::json::object& from) {
    hash_kv_response reply;
    reply.header = codec::read_whole_header(from);
    reply.hash = codec::integer<std::uint32_t>(from, "hash");
    reply.compact_revision.value = codec::integer<std::int64_t>(from, "compact_revision");
    reply.hash_revision.value = codec::integer<std::int64_t>(from, "hash_revision");
    return reply;
}

ETCDCOLL_DECL downgrade_response read_downgrade(const codec::json::object& from) {
    downgrade_response reply;
    reply.header = codec::read_whole_header(from);
    reply.version = codec::string(from, "version");
    return reply;
}

ETCDCOLL_DECL void check_alarm(const char* call, const alarm& meant) {
    if (meant.kind == alarm_kind::none) throw error(errc::invalid_argument, std::string(call) + ": no kind of alarm is named");
    // To disarm the alarm of no member does nothing, and etcd calls that a success.
    if (!meant.member) throw error(errc::invalid_argument, std::string(call) + ": no member is named");
}

// ---- snapshot -------------------------------------------------------------------------------------------------------------------

// One message of the stream.
struct snapshot_piece {
    std::string blob;
    std::uint64_t remaining = 0; // behind this piece, the checksum not counted
    std::string version;
};

ETCDCOLL_DECL snapshot_piece read_snapshot_piece(std::string_view line) {
    const codec::document parsed(line);
    const auto* result = codec::find_object(parsed.root(), "result");
    if (result == nullptr) throw codec::bad_reply("result is missing");
    snapshot_piece piece;
    piece.blob = codec::bytes(*result, "blob");
    piece.remaining = codec::integer<std::uint64_t>(*result, "remaining_bytes");
    piece.version = codec::string(*result, "version");
    return piece;
}

ETCDCOLL_DECL asio::awaitable<snapshot_response> save_snapshot(std::shared_ptr<client_core> core, std::string to, std::string endpoint,
                                                               call_options options) {
    auto patience = core->values().timeout;
    if (options.timeout > duration::zero()) patience = std::min<duration>(options.timeout, etcdcoll::detail::longest_timeout);
    std::size_t at = any_endpoint;
    if (!endpoint.empty()) at = core->endpoint_index(endpoint);

    snapshot_response saved;
    snapshot_file file(to);
    auto stream = co_await etcdcoll::detail::reply_stream::open(core, snapshot_call, "{}", core->now() + patience, at);
    std::uint64_t remaining = 1; // until the stream says otherwise
    for (;;) {
        const auto line = co_await stream->next(core->now() + patience);
        if (!line) break;
        try {
            auto piece = read_snapshot_piece(*line);
            remaining = piece.remaining;
            saved.version = std::move(piece.version);
            file.add(piece.blob);
        } catch (const codec::bad_reply& failure) {
            throw error(errc::bad_reply, std::string("snapshot: not a reply of etcd: ") + failure.what());
        }
    }
    if (remaining != 0 || !file.checks())
        throw error(errc::bad_reply, "snapshot: what etcd sent is " +
                                         std::string(remaining != 0 ? "incomplete" : "damaged: its SHA-256 differs from the one it ends with"));
    file.finish();
    saved.bytes = file.size();
    co_return saved;
}

} // namespace detail

ETCDCOLL_DECL maintenance::maintenance(client through) : client_(std::move(through)) {}

ETCDCOLL_DECL asio::awaitable<status_response> maintenance::status(std::string endpoint, call_options options) {
    return detail::request<status_response>(client_, detail::status_call, "{}", {}, options, detail::read_status, std::move(endpoint));
}

ETCDCOLL_DECL asio::awaitable<alarm_response> maintenance::alarm_list(std::string endpoint, call_options options) {
    return detail::request<alarm_response>(client_, detail::alarm_list_call, "{}", {}, options, detail::read_alarms, std::move(endpoint));
}

ETCDCOLL_DECL asio::awaitable<alarm_response> maintenance::alarm_activate(alarm raised, std::string endpoint, call_options options) {
    detail::check_alarm("alarm_activate", raised);
    return detail::request<alarm_response>(client_, detail::alarm_activate_call, detail::encode_alarm("ACTIVATE", raised), {}, options,
                                           detail::read_alarms, std::move(endpoint));
}

ETCDCOLL_DECL asio::awaitable<alarm_response> maintenance::alarm_disarm(alarm raised, std::string endpoint, call_options options) {
    detail::check_alarm("alarm_disarm", raised);
    return detail::request<alarm_response>(client_, detail::alarm_disarm_call, detail::encode_alarm("DEACTIVATE", raised), {}, options,
                                           detail::read_alarms, std::move(endpoint));
}

ETCDCOLL_DECL asio::awaitable<defragment_response> maintenance::defragment(std::string endpoint, call_options options) {
    return detail::request<defragment_response>(client_, detail::defragment_call, "{}", {}, options, detail::read_defragment,
                                                std::move(endpoint));
}

ETCDCOLL_DECL asio::awaitable<hash_response> maintenance::hash(std::string endpoint, call_options options) {
    return detail::request<hash_response>(client_, detail::hash_call, "{}", {}, options, detail::read_hash, std::move(endpoint));
}

ETCDCOLL_DECL asio::awaitable<hash_kv_response> maintenance::hash_kv(revision at, std::string endpoint, call_options options) {
    auto body = "{\"revision\":" + std::to_string(at.value) + "}";
    return detail::request<hash_kv_response>(client_, detail::hash_kv_call, std::move(body), {}, options, detail::read_hash_kv,
                                             std::move(endpoint));
}

ETCDCOLL_DECL asio::awaitable<snapshot_response> maintenance::snapshot(std::string to, std::string endpoint, call_options options) {
    detail::check_not_empty("snapshot", "file name", to);
    const auto& core = client_.core();
    return etcdcoll::detail::on_strand(core->strand(), detail::save_snapshot(core, std::move(to), std::move(endpoint), options));
}

ETCDCOLL_DECL asio::awaitable<move_leader_response> maintenance::move_leader(member_id to, std::string endpoint, call_options options) {
    if (!to) throw error(errc::invalid_argument, "move_leader: no member is named");
    auto key = std::to_string(to.value);
    auto body = "{\"targetID\":" + key + "}";
    return detail::request<move_leader_response>(client_, detail::move_leader_call, std::move(body), std::move(key), options,
                                                 detail::read_move_leader, std::move(endpoint));
}

ETCDCOLL_DECL asio::awaitable<downgrade_response> maintenance::downgrade(downgrade_action action, std::string version, std::string endpoint,
                                                                         call_options options) {
    if (action != downgrade_action::cancel) detail::check_text("downgrade", "version", version);
    const auto& spec = action == downgrade_action::validate ? detail::downgrade_validate_call : detail::downgrade_call;
    auto body = detail::encode_downgrade(action, action == downgrade_action::cancel ? std::string_view() : version);
    return detail::request<downgrade_response>(client_, spec, std::move(body), std::move(version), options, detail::read_downgrade,
                                               std::move(endpoint));
}

} // namespace etcdcoll::etcd
