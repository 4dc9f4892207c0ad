#include "floor_rank.hpp"

#include <charconv>
#include <stdexcept>
#include <utility>

namespace bench {

namespace {

std::string compare(const std::string& key, const char* target, const char* field, std::int64_t value) {
    return "{\"key\":\"" + key + "\",\"target\":\"" + target + "\",\"" + field + "\":" + std::to_string(value) + "}";
}

std::string compare_version(const std::string& key, std::int64_t value, const char* relation = "") {
    return "{\"key\":\"" + key + "\"," + relation + "\"version\":" + std::to_string(value) + "}";
}

std::string compare_value(const std::string& key, const std::string& encoded, const char* relation = "") {
    return "{\"key\":\"" + key + "\"," + relation + "\"target\":\"VALUE\",\"value\":\"" + encoded + "\"}";
}

std::string get(const std::string& key) { return "{\"request_range\":{\"key\":\"" + key + "\"}}"; }

std::string range(const std::string& key, const std::string& end) {
    return "{\"request_range\":{\"key\":\"" + key + "\",\"range_end\":\"" + end + "\"}}";
}

std::string transaction(const std::string& compares, const std::string& success, const std::string& failure) {
    auto text = "{\"compare\":[" + compares + "]";
    if (!success.empty()) text += ",\"success\":[" + success + "]";
    if (!failure.empty()) text += ",\"failure\":[" + failure + "]";
    return text + "}";
}

std::string nested(const std::string& txn) { return "{\"request_txn\":" + txn + "}"; }

// The flag of a transaction's reply comes before its responses, and is left out when it is false.
bool succeeded(std::string_view reply, std::size_t from) {
    const auto flag = reply.find("\"succeeded\":true", from);
    return flag != std::string_view::npos && flag < reply.find("\"responses\"", from);
}

std::size_t take_number(std::string_view& text) {
    std::size_t value = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failure != std::errc()) throw std::runtime_error("floor: not a release");
    text.remove_prefix(static_cast<std::size_t>(end - text.data()) + 1); // and the blank or newline behind it
    return value;
}

} // namespace

floor_rank::floor_rank(floor_options options) : options_(std::move(options)), client_(options_.endpoint) {
    const auto& e = options_.epoch;
    const auto own = std::to_string(options_.rank);
    arrive_key_ = base64(e + "arrive/" + own);
    arrivals_key_ = base64(e + "arrive/");
    arrivals_end_ = base64(e + "arrive0");
    member_key_ = base64(e + "w/member/" + own);
    end_key_ = base64(e + "w/end");
    count_key_ = base64(e + "count");
    release_key_ = base64(e + "w/release");
    for (int set = 0; set < 2; ++set) {
        const auto blocks = e + "block/" + std::to_string(set) + "/";
        block_key_[set] = base64(blocks + own);
        blocks_key_[set] = base64(blocks);
        blocks_end_[set] = base64(range_end(blocks));
    }
    lease_ = json_string(client_.exchange("/v3/lease/grant", "{\"TTL\":3600}"), "ID");
    const auto member = base64("{\"host\":\"floor\",\"pid\":1,\"since\":1767225600}");
    const auto reply = client_.exchange("/v3/kv/put", "{\"key\":\"" + member_key_ + "\",\"value\":\"" + member +
                                                          "\",\"lease\":" + lease_ + "}");
    member_revision_ = json_number(reply, "revision");
    watch_ = std::make_unique<raw_watch>(options_.endpoint, e + "w/", member_revision_ + 1);
}

std::string floor_rank::put(const std::string& encoded_key, std::string_view encoded_value) const {
    std::string text = "{\"request_put\":{\"key\":\"" + encoded_key + "\"";
    if (!encoded_value.empty()) text.append(",\"value\":\"").append(encoded_value).append("\"");
    return text.append(",\"lease\":").append(lease_).append("}}");
}

void floor_rank::arrive(std::string_view op, bool with_block, std::string_view block) {
    gathers_ = with_block;
    const auto s = ++sequence_;
    const auto n = std::int64_t(options_.size);
    const auto set = s % 2;
    const auto seq = std::to_string(s);
    auto record = "{\"seq\":" + seq + ",\"op\":\"" + std::string(op) + "\",\"at\":\"collectives.cpp:100\"";
    if (!block.empty()) record += ",\"len\":" + std::to_string(block.size());
    record += "}";
    const auto count = base64(seq + " " + std::string(op));

    constexpr const char* differs = "\"result\":\"NOT_EQUAL\",";
    const auto put_count = put(count_key_, count);
    const auto everything = range(blocks_key_[set], blocks_end_[set]) + "," + range(arrivals_key_, arrivals_end_);
    const auto neither = transaction(compare_value(count_key_, count, differs) + "," + compare_version(count_key_, (s - 1) * n, differs), "", put_count);
    const auto last =
        transaction(compare_value(count_key_, count) + "," + compare_version(count_key_, s * n - 1),
                    put_count + "," + (with_block ? everything : put(release_key_, base64(seq + "\n"))), nested(neither));
    auto success = put(arrive_key_, base64(record)) + ",";
    if (with_block) success += put(block_key_[set], base64(block)) + ",";
    success += nested(last);
    const auto guards = compare(member_key_, "CREATE", "create_revision", member_revision_) + "," +
                        compare_version(end_key_, 0) + "," +
                        compare(arrive_key_, "MOD", "mod_revision", arrival_revision_);
    client_.send("/v3/kv/txn", transaction(guards, success, ""));
    step_ = step::arriving;
}

void floor_rank::begin_barrier() { arrive("barrier", false, {}); }
void floor_rank::begin_allgather(std::string_view block) { arrive("allgather", true, block); }

void floor_rank::on_reply() {
    const auto& reply = client_.reply();
    if (!succeeded(reply, 0)) throw std::runtime_error("floor: the guard of a transaction failed: " + reply);
    const auto revision = json_number(reply, "revision");
    if (step_ == step::publishing) {
        release_revision_ = revision;
        finish();
        return;
    }
    arrival_revision_ = revision;
    const bool last = succeeded(reply, reply.find("\"response_txn\""));
    if (last && gathers_) {
        publish(reply);
    } else if (last || released_ == sequence_) {
        finish();
    } else {
        step_ = step::waiting;
    }
}

void floor_rank::publish(const std::string& reply) {
    const auto prefix = options_.epoch + "block/" + std::to_string(sequence_ % 2) + "/";
    blocks_.assign(static_cast<std::size_t>(options_.size), {});
    auto at = reply.find("\"response_range\""); // keys come in byte order, so each tells its rank
    for (int i = 0; i < options_.size; ++i) {
        const auto key = json_string(reply, "key", at);
        at = static_cast<std::size_t>(key.data() - reply.data());
        const auto rank = static_cast<std::size_t>(std::stoi(from_base64(key).substr(prefix.size())));
        blocks_.at(rank) = from_base64(json_string(reply, "value", at));
    }
    auto value = std::to_string(sequence_);
    for (const auto& block : blocks_) value += " " + std::to_string(block.size());
    value += '\n';
    for (const auto& block : blocks_) value += block;
    const auto guards = compare(member_key_, "CREATE", "create_revision", member_revision_) + "," +
                        compare_version(end_key_, 0) + "," +
                        compare(release_key_, "MOD", "mod_revision", release_revision_);
    client_.send("/v3/kv/txn", transaction(guards, put(release_key_, base64(value)), get(release_key_)));
    step_ = step::publishing;
}

void floor_rank::finish() {
    released_ = sequence_;
    step_ = step::done;
}

void floor_rank::on_event(const std::string& line) {
    // Members come before the first release only, and each release is a message of its own unless this rank has fallen
    // behind.
    for (std::size_t at = line.find(release_key_); at != std::string::npos; at = line.find(release_key_, at + 1))
        release(json_string(line, "value", at), json_number(line, "mod_revision", at));
}

void floor_rank::release(std::string_view value, std::int64_t revision) {
    if (revision <= release_revision_) return; // its own
    release_revision_ = revision;
    const auto raw = from_base64(value);
    std::string_view rest = raw;
    const auto sequence = static_cast<std::int64_t>(take_number(rest));
    if (sequence <= released_) return;
    released_ = sequence;
    if (gathers_) {
        std::vector<std::size_t> lengths(static_cast<std::size_t>(options_.size));
        for (auto& length : lengths) length = take_number(rest);
        blocks_.clear();
        for (const auto length : lengths) {
            blocks_.emplace_back(rest.substr(0, length));
            rest.remove_prefix(length);
        }
    }
    if (step_ == step::waiting && released_ == sequence_) finish();
}

void floor_rank::take_events() {
    for (auto line = watch_->take_line(); line; line = watch_->take_line()) on_event(*line);
}

void floor_rank::on_client_readable() {
    if (client_.advance()) on_reply();
}

void floor_rank::on_watch_readable() {
    watch_->advance();
    take_events();
}

void floor_rank::barrier() {
    begin_barrier();
    while (step_ == step::arriving) on_client_readable();
    while (!done()) on_watch_readable();
}

std::vector<std::string> floor_rank::allgather(std::string_view block) {
    begin_allgather(block);
    while (step_ == step::arriving || step_ == step::publishing) on_client_readable();
    while (!done()) on_watch_readable();
    return blocks_;
}

void floor_rank::leave() { client_.exchange("/v3/lease/revoke", "{\"ID\":" + lease_ + "}"); }

} // namespace bench
