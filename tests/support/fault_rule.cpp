#include <support/fault_rule.hpp>

#include <algorithm>

namespace etcdcoll::test {
namespace {

void merge(lane_plan& into, const lane_plan& from) {
    if (from.cut_after) {
        into.cut_after = from.cut_after;
        into.how = from.how;
    }
    if (from.stall_after) into.stall_after = from.stall_after;
    if (from.split != 0) {
        into.split = from.split;
        into.pause = from.pause;
    }
    if (from.delay.count() > 0) into.delay = from.delay;
}

} // namespace

rule_book::rule_id rule_book::add(fault_rule rule) {
    entries_.push_back(entry{++last_id_, std::move(rule)});
    return last_id_;
}

void rule_book::remove(rule_id id) {
    std::erase_if(entries_, [id](const entry& e) { return e.id == id; });
}

void rule_book::clear() {
    entries_.clear();
    loss_probability_ = 0;
}

void rule_book::lose_replies(double probability, std::uint64_t seed, std::string path_suffix, close_how how) {
    loss_probability_ = probability;
    loss_suffix_ = std::move(path_suffix);
    loss_how_ = how;
    loss_random_.seed(seed);
}

bool rule_book::wants_body(std::string_view path) const {
    return std::any_of(entries_.begin(), entries_.end(),
                       [path](const entry& e) { return e.rule.matches_ && path.ends_with(e.rule.path_suffix_); });
}

exchange_plan rule_book::plan(std::string_view path, std::string_view request, std::vector<rule_id>& applied) {
    exchange_plan result;
    for (auto& e : entries_) {
        const auto& rule = e.rule;
        if (!path.ends_with(rule.path_suffix_)) continue;
        if (rule.matches_ && !rule.matches_(request)) continue;
        const auto index = e.matched++;
        if (index < rule.skip_ || index - rule.skip_ >= rule.times_) continue;
        applied.push_back(e.id);
        result.faulty = true;
        merge(result.request, rule.plan_.request);
        merge(result.response, rule.plan_.response);
        if (rule.plan_.reply) {
            result.reply = rule.plan_.reply;
            result.then = rule.plan_.then;
            result.endless = rule.plan_.endless;
        }
    }
    // Drawn for every request under the suffix, whatever the rules did, so that the n-th decision depends on n alone.
    if (loses_reply(path) && !result.response.cut_after) {
        result.faulty = true;
        result.response.cut_after = 0;
        result.response.how = loss_how_;
    }
    return result;
}

bool rule_book::loses_reply(std::string_view path) {
    if (loss_probability_ <= 0 || !path.ends_with(loss_suffix_)) return false;
    // std::bernoulli_distribution may differ between standard libraries; the generator's own output does not.
    const auto drawn = static_cast<double>(loss_random_() >> 11) * 0x1.0p-53;
    return drawn < loss_probability_;
}

} // namespace etcdcoll::test
