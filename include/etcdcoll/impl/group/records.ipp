#pragma once

#include <etcdcoll/detail/group_records.hpp>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include <charconv>

namespace etcdcoll::detail {

namespace records {

namespace json = boost::json;

[[noreturn]] ETCDCOLL_DECL void corrupt(std::string_view key, std::string_view what) {
    throw error(errc::corrupt, "key \"" + std::string(key) + "\" does not hold " + std::string(what));
}

// The members of one JSON object, read with a type each; other members are for later versions and passed over.
class reader {
public:
    reader(std::string_view key, std::string_view what, std::string_view value) : key_(key), what_(what) {
        json::error_code failure;
        root_ = json::parse(json::string_view(value.data(), value.size()), failure);
        if (failure || !root_.is_object()) corrupt(key_, what_);
    }

    std::int64_t number(const char* name) const {
        const auto* found = root_.get_object().if_contains(name);
        if (found == nullptr || !found->is_int64()) corrupt(key_, what_);
        return found->get_int64();
    }

    std::string text(const char* name) const {
        const auto* found = root_.get_object().if_contains(name);
        if (found == nullptr || !found->is_string()) corrupt(key_, what_);
        return {found->get_string().data(), found->get_string().size()};
    }

    std::size_t length(const char* name) const {
        const auto* found = root_.get_object().if_contains(name);
        return found != nullptr && found->is_int64() && found->get_int64() > 0 ? static_cast<std::size_t>(found->get_int64()) : 0;
    }

    std::vector<int> numbers(const char* name) const {
        std::vector<int> result;
        const auto* found = root_.get_object().if_contains(name);
        if (found == nullptr || !found->is_array()) return result;
        for (const auto& item : found->get_array())
            if (item.is_int64()) result.push_back(static_cast<int>(item.get_int64()));
        return result;
    }

    bool flag(const char* name) const {
        const auto* found = root_.get_object().if_contains(name);
        return found != nullptr && found->is_bool() && found->get_bool();
    }

private:
    std::string_view key_;
    std::string_view what_;
    json::value root_;
};

// A text that nobody checked may not be UTF-8, which JSON has to be: the bytes that are not ASCII become '?'.
ETCDCOLL_DECL json::string plain(std::string_view text) {
    json::string result;
    for (const char c : text) result.push_back(static_cast<unsigned char>(c) < 0x80 ? c : '?');
    return result;
}

ETCDCOLL_DECL std::string serialized(const json::object& object) { return json::serialize(object); }

} // namespace records

ETCDCOLL_DECL std::string encode(const root_record& record) {
    return records::serialized({{"protocol", record.protocol}, {"epoch", record.epoch}, {"id", record.id}, {"size", record.size}});
}

ETCDCOLL_DECL std::string encode(const member_record& record) {
    records::json::object object{{"host", records::plain(record.host)}, {"pid", record.pid}, {"since", record.since}};
    if (record.left) object["left"] = true;
    return records::serialized(object);
}

ETCDCOLL_DECL std::string encode(const arrival_record& record) {
    records::json::object object{{"seq", record.sequence}, {"op", record.op}, {"at", records::plain(record.at)}};
    if (record.length != 0) object["len"] = record.length;
    return records::serialized(object);
}

ETCDCOLL_DECL std::string encode(const end_record& record) {
    const char* why = record.why == end_record::kind::abort ? "abort" : record.why == end_record::kind::mismatch ? "mismatch" : "timeout";
    return records::serialized({{"kind", why},
                                {"rank", record.rank},
                                {"seq", record.what.sequence},
                                {"op", record.what.op},
                                {"at", records::plain(record.what.at)},
                                {"text", records::plain(record.text)},
                                {"ranks", records::json::array(record.ranks.begin(), record.ranks.end())}});
}

ETCDCOLL_DECL std::string encode_release_head(std::uint64_t sequence, bool listed, const std::vector<std::size_t>& lengths) {
    auto head = std::to_string(sequence);
    if (listed) head += " listed";
    for (const auto length : lengths) head += ' ' + std::to_string(length);
    return head += '\n';
}

ETCDCOLL_DECL root_record decode_root(std::string_view key, std::string_view value) {
    const records::reader from(key, "the root of a group", value);
    root_record record;
    record.protocol = static_cast<int>(from.number("protocol"));
    record.epoch = from.number("epoch");
    record.id = from.text("id");
    record.size = static_cast<int>(from.number("size"));
    if (record.id.empty() || record.id.find('/') != std::string::npos || record.size < 1)
        records::corrupt(key, "the root of a group");
    return record;
}

ETCDCOLL_DECL member_record decode_member(std::string_view key, std::string_view value) {
    const records::reader from(key, "a member of a group", value);
    member_record record;
    record.host = from.text("host");
    record.pid = from.number("pid");
    record.since = from.number("since");
    record.left = from.flag("left");
    return record;
}

ETCDCOLL_DECL arrival_record decode_arrival(std::string_view key, std::string_view value) {
    const records::reader from(key, "an arrival", value);
    arrival_record record;
    record.sequence = static_cast<std::uint64_t>(from.number("seq"));
    record.op = from.text("op");
    record.at = from.text("at");
    record.length = from.length("len");
    return record;
}

ETCDCOLL_DECL end_record decode_end(std::string_view key, std::string_view value) {
    const records::reader from(key, "the end of an epoch", value);
    end_record record;
    const auto why = from.text("kind");
    if (why == "mismatch") record.why = end_record::kind::mismatch;
    if (why == "timeout") record.why = end_record::kind::timeout;
    record.rank = static_cast<int>(from.number("rank"));
    record.what.sequence = static_cast<std::uint64_t>(from.number("seq"));
    record.what.op = from.text("op");
    record.what.at = from.text("at");
    record.text = from.text("text");
    record.ranks = from.numbers("ranks");
    return record;
}

ETCDCOLL_DECL release_record decode_release(std::string_view key, std::string_view value) {
    constexpr std::string_view what = "a release";
    release_record record;
    const auto newline = value.find('\n');
    if (newline == std::string_view::npos) records::corrupt(key, what);
    auto head = value.substr(0, newline);
    const auto next = [&head] {
        const auto word = head.substr(0, head.find(' '));
        head.remove_prefix(std::min(head.size(), word.size() + 1));
        return word;
    };
    const auto number = [&](std::string_view word) {
        std::uint64_t result = 0;
        const auto [end, failure] = std::from_chars(word.data(), word.data() + word.size(), result);
        if (failure != std::errc() || end != word.data() + word.size()) records::corrupt(key, what);
        return result;
    };
    record.sequence = number(next());
    std::size_t total = 0;
    while (!head.empty()) {
        const auto word = next();
        if (word == "listed") {
            record.listed = true;
            continue;
        }
        record.lengths.push_back(number(word));
        if (record.lengths.back() > (std::size_t(1) << 32)) records::corrupt(key, what);
        total += record.lengths.back();
    }
    record.blocks = value.substr(newline + 1);
    if (record.blocks.size() != (record.listed ? 0 : total)) records::corrupt(key, what);
    return record;
}

} // namespace etcdcoll::detail
