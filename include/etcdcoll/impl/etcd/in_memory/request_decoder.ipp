#pragma once

#include <etcdcoll/impl/etcd/in_memory/request_decoder.hpp>
#include <etcdcoll/impl/etcd/in_memory/request_fields.hpp>

#include <optional>
#include <utility>

namespace etcdcoll::etcd::model {

// ---- keys -----------------------------------------------------------------------------------------------------------------------

inline void read_sorting(std::string_view name, const json::value& value, range_request& into) {
    if (named(name, "sort_order")) {
        const auto order = enumerator_of(value, {"NONE", "ASCEND", "DESCEND"}, "RangeRequest.SortOrder");
        into.sort_order = order == 1 ? sort_order::ascend : order == 2 ? sort_order::descend : sort_order::none;
    } else {
        const auto target = enumerator_of(value, {"KEY", "VERSION", "CREATE", "MOD", "VALUE"}, "RangeRequest.SortTarget");
        if (target < 0 || target > 4) refuse_text("etcdserver: invalid sort option"); // as 3.6; 3.5 itself ends there
        into.sort_target = static_cast<sort_target>(target);
    }
}

ETCDCOLL_DECL range_request read_range(const json::value& from) {
    range_request into{key_range(std::string())};
    each_field(from, [&into](std::string_view name, const json::value& value) {
        if (read_keys(name, value, into.keys)) return;
        if (named(name, "limit")) into.limit = number_of(value);
        else if (named(name, "revision")) into.revision.value = number_of(value);
        else if (named(name, "sort_order") || named(name, "sort_target")) read_sorting(name, value, into);
        else if (named(name, "serializable")) into.serializable = flag_of(value);
        else if (named(name, "keys_only")) into.keys_only = flag_of(value);
        else if (named(name, "count_only")) into.count_only = flag_of(value);
        else if (named(name, "min_mod_revision")) into.min_mod_revision.value = number_of(value);
        else if (named(name, "max_mod_revision")) into.max_mod_revision.value = number_of(value);
        else if (named(name, "min_create_revision")) into.min_create_revision.value = number_of(value);
        else if (named(name, "max_create_revision")) into.max_create_revision.value = number_of(value);
    });
    return into;
}

ETCDCOLL_DECL put_request read_put(const json::value& from) {
    put_request into{std::string(), std::string()};
    each_field(from, [&into](std::string_view name, const json::value& value) {
        if (named(name, "key")) into.key = bytes_of(value);
        else if (named(name, "value")) into.value = bytes_of(value);
        else if (named(name, "lease")) into.lease.value = number_of(value);
        else if (named(name, "prev_kv")) into.prev_kv = flag_of(value);
        else if (named(name, "ignore_value")) into.ignore_value = flag_of(value);
        else if (named(name, "ignore_lease")) into.ignore_lease = flag_of(value);
    });
    return into;
}

ETCDCOLL_DECL delete_range_request read_delete_range(const json::value& from) {
    delete_range_request into{key_range(std::string())};
    each_field(from, [&into](std::string_view name, const json::value& value) {
        if (read_keys(name, value, into.keys)) return;
        if (named(name, "prev_kv")) into.prev_kv = flag_of(value);
    });
    return into;
}

// ---- transactions ---------------------------------------------------------------------------------------------------------------

// What a compare compares with: the last one that was given, which counts only where it is the target's own.
struct operand {
    compare::target of = compare::target::version;
    std::int64_t number = 0;
    std::string text;
};

inline bool read_operand(std::string_view name, const json::value& value, operand& into) {
    using target = compare::target;
    if (named(name, "value")) {
        into = {target::value, 0, bytes_of(value)};
    } else if (named(name, "version")) {
        into = {target::version, number_of(value), {}};
    } else if (named(name, "create_revision")) {
        into = {target::create, number_of(value), {}};
    } else if (named(name, "mod_revision")) {
        into = {target::mod, number_of(value), {}};
    } else if (named(name, "lease")) {
        into = {target::lease, number_of(value), {}};
    } else {
        return false;
    }
    return true;
}

ETCDCOLL_DECL compare read_compare(const json::value& from) {
    compare into(key_range(std::string()), compare::target::version, compare::relation::equal, 0);
    operand with;
    each_field(from, [&](std::string_view name, const json::value& value) {
        if (read_keys(name, value, into.keys) || read_operand(name, value, with)) return;
        if (named(name, "result")) {
            const auto result = enumerator_of(value, {"EQUAL", "GREATER", "LESS", "NOT_EQUAL"}, "Compare.CompareResult");
            if (result < 0 || result > 3) refuse_text("the in-memory etcd has no such result of a compare: " + std::to_string(result));
            into.is = static_cast<compare::relation>(result);
        } else if (named(name, "target")) {
            const auto target = enumerator_of(value, {"VERSION", "CREATE", "MOD", "VALUE", "LEASE"}, "Compare.CompareTarget");
            if (target < 0 || target > 4) refuse_text("the in-memory etcd has no such target of a compare: " + std::to_string(target));
            into.what = static_cast<compare::target>(target);
        }
    });
    if (with.of == into.what) {
        into.number = with.number;
        into.value = std::move(with.text);
    }
    return into;
}

ETCDCOLL_DECL txn_request read_txn(const json::value& from);

ETCDCOLL_DECL op read_op(const json::value& from) {
    std::optional<op> into;
    each_field(from, [&into](std::string_view name, const json::value& value) {
        if (named(name, "request_range")) into.emplace(read_range(value));
        else if (named(name, "request_put")) into.emplace(read_put(value));
        else if (named(name, "request_delete_range")) into.emplace(read_delete_range(value));
        else if (named(name, "request_txn")) into.emplace(read_txn(value));
    });
    if (!into) refuse_text("etcdserver: key not found"); // as etcd says of an empty one
    return std::move(*into);
}

ETCDCOLL_DECL txn_request read_txn(const json::value& from) {
    txn_request into;
    const auto read_ops = [](const json::value& list, std::vector<op>& ops) {
        ops.clear();
        each_item(list, [&ops](const json::value& item) { ops.push_back(read_op(item)); });
    };
    each_field(from, [&](std::string_view name, const json::value& value) {
        if (named(name, "compare")) {
            into.compares.clear();
            each_item(value, [&into](const json::value& item) { into.compares.push_back(read_compare(item)); });
        } else if (named(name, "success")) {
            read_ops(value, into.success);
        } else if (named(name, "failure")) {
            read_ops(value, into.failure);
        }
    });
    return into;
}

// ---- leases, watches and the rest -----------------------------------------------------------------------------------------------

inline lease_id read_lease_id(const json::value& from) {
    lease_id id;
    each_field(from, [&id](std::string_view name, const json::value& value) {
        if (name == "ID") id.value = number_of(value);
    });
    return id;
}

ETCDCOLL_DECL lease_keep_alive_request read_keep_alive(const json::value& message) { return {read_lease_id(message)}; }

inline void read_filter(const json::value& value, watch_request& into) {
    const auto filter = enumerator_of(value, {"NOPUT", "NODELETE"}, "WatchCreateRequest.FilterType");
    into.no_put = into.no_put || filter == 0;
    into.no_erase = into.no_erase || filter == 1;
}

ETCDCOLL_DECL watch_create_request read_create(const json::value& from) {
    watch_create_request into;
    each_field(from, [&into](std::string_view name, const json::value& value) {
        auto& wanted = into.wanted;
        if (read_keys(name, value, wanted.keys)) return;
        if (named(name, "start_revision")) wanted.start.value = number_of(value);
        else if (named(name, "watch_id")) into.watch_id = number_of(value);
        else if (named(name, "prev_kv")) wanted.prev_kv = flag_of(value);
        else if (named(name, "fragment")) wanted.fragment = flag_of(value);
        else if (named(name, "progress_notify")) static_cast<void>(flag_of(value));
        else if (named(name, "filters")) each_item(value, [&wanted](const json::value& item) { read_filter(item, wanted); });
    });
    return into;
}

ETCDCOLL_DECL watch_stream_request read_watch_request(const json::value& message) {
    watch_stream_request into;
    each_field(message, [&into](std::string_view name, const json::value& value) {
        if (named(name, "create_request")) {
            into = read_create(value);
        } else if (named(name, "cancel_request")) {
            watch_cancel_request cancel;
            each_field(value, [&cancel](std::string_view field, const json::value& number) {
                if (named(field, "watch_id")) cancel.watch_id = number_of(number);
            });
            into = cancel;
        } else if (named(name, "progress_request")) {
            into = watch_progress_request();
        }
    });
    return into;
}

ETCDCOLL_DECL range_request decode_range(std::string_view text) { return read_range(request_text(text).root()); }
ETCDCOLL_DECL put_request decode_put(std::string_view text) { return read_put(request_text(text).root()); }
ETCDCOLL_DECL delete_range_request decode_delete_range(std::string_view text) { return read_delete_range(request_text(text).root()); }
ETCDCOLL_DECL txn_request decode_txn(std::string_view text) { return read_txn(request_text(text).root()); }
ETCDCOLL_DECL lease_revoke_request decode_lease_revoke(std::string_view text) { return {read_lease_id(request_text(text).root())}; }

ETCDCOLL_DECL compact_request decode_compact(std::string_view text) {
    compact_request into;
    each_field(request_text(text).root(), [&into](std::string_view name, const json::value& value) {
        if (named(name, "revision")) into.at.value = number_of(value);
        if (named(name, "physical")) static_cast<void>(flag_of(value)); // nothing here is done later
    });
    return into;
}

ETCDCOLL_DECL lease_grant_request decode_lease_grant(std::string_view text) {
    lease_grant_request into;
    each_field(request_text(text).root(), [&into](std::string_view name, const json::value& value) {
        if (name == "TTL") into.ttl = number_of(value);
        if (name == "ID") into.id.value = number_of(value);
    });
    return into;
}

ETCDCOLL_DECL lease_time_to_live_request decode_lease_time_to_live(std::string_view text) {
    lease_time_to_live_request into;
    each_field(request_text(text).root(), [&into](std::string_view name, const json::value& value) {
        if (name == "ID") into.id.value = number_of(value);
        if (name == "keys") into.keys = flag_of(value);
    });
    return into;
}

ETCDCOLL_DECL member_list_request decode_member_list(std::string_view text) {
    member_list_request into;
    each_field(request_text(text).root(), [&into](std::string_view name, const json::value& value) {
        if (name == "linearizable") into.linearizable = flag_of(value);
    });
    return into;
}

ETCDCOLL_DECL lease_list_request decode_lease_list(std::string_view text) {
    each_field(request_text(text).root(), [](std::string_view, const json::value&) {});
    return {};
}

ETCDCOLL_DECL status_request decode_status(std::string_view text) {
    each_field(request_text(text).root(), [](std::string_view, const json::value&) {});
    return {};
}

} // namespace etcdcoll::etcd::model
