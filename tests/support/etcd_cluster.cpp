#include <support/etcd_cluster.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <utility>

#include <unistd.h>

namespace etcdcoll::test {

namespace {

using clock = std::chrono::steady_clock;
using command::local_etcd;

constexpr std::chrono::seconds patience(30);

struct member_status {
    std::uint64_t id = 0;
    std::uint64_t leader = 0; ///< 0: it knows none
    std::uint64_t term = 0;
};

std::uint64_t number(const nlohmann::json& object, const char* name) {
    const auto found = object.find(name);
    return found == object.end() ? 0 : std::stoull(found->get<std::string>());
}

bool can_answer(const local_etcd& member) { return member.running() && !member.paused(); }

std::optional<member_status> status_of(const local_etcd& member, const http_access& access) {
    if (!can_answer(member)) return {};
    const auto answer = http_post(member.endpoint(), "/v3/maintenance/status", "{}", access);
    if (answer.status != 200) return {};
    const auto json = nlohmann::json::parse(answer.body);
    return member_status{number(json.at("header"), "member_id"), number(json, "leader"), number(json, "raftTerm")};
}

std::string token() {
    static int made = 0;
    return "test-" + std::to_string(::getpid()) + '-' + std::to_string(++made);
}

} // namespace

etcd_cluster::etcd_cluster(std::size_t size, const command::local_etcd_options& each, http_access access) : access_(std::move(access)), members_(size) {
    constexpr int attempts = 5;
    for (int attempt = 1;; ++attempt) {
        try {
            launch_all(each);
            return;
        } catch (const std::runtime_error&) {
            // Someone else may have taken a port in the moment before etcd did.
            const auto taken = [](const auto& member) { return member && member->log_tail().find("address already in use") != std::string::npos; };
            if (attempt == attempts || std::none_of(members_.begin(), members_.end(), taken)) throw;
        }
    }
}

void etcd_cluster::launch_all(const command::local_etcd_options& each) {
    auto options = each;
    options.start = false;
    std::string cluster;
    for (std::size_t i = 0; i < size(); ++i) {
        members_[i] = std::make_unique<local_etcd>(options);
        cluster += (i == 0 ? "" : ",") + ('m' + std::to_string(i)) + '=' + members_[i]->peer_url();
    }
    const auto name = token();
    for (std::size_t i = 0; i < size(); ++i) {
        members_[i]->add_arguments({"--name=m" + std::to_string(i), "--initial-cluster=" + cluster, "--initial-cluster-state=new",
                                    "--initial-cluster-token=" + name});
    }
    restart();
}

void etcd_cluster::restart() {
    for (auto& each : members_) each->launch();
    for (auto& each : members_) each->wait_until_serving();
}

std::string etcd_cluster::endpoints() const {
    std::string list;
    for (const auto& each : members_) list += (list.empty() ? "" : ",") + each->endpoint();
    return list;
}

std::size_t etcd_cluster::leader() {
    const auto deadline = clock::now() + patience;
    do {
        std::optional<std::size_t> leading;
        std::optional<std::size_t> answering;
        std::uint64_t latest = 0;
        for (std::size_t i = 0; i < size(); ++i) {
            const auto status = status_of(*members_[i], access_);
            if (!status) continue;
            answering = i;
            if (status->term > latest) leading.reset();
            latest = std::max(latest, status->term);
            if (status->term == latest && status->leader == status->id && status->id != 0) leading = i;
        }
        if (leading) return *leading;
        if (!answering) break;
        // A member answers a read that must not be stale when it has a leader who answers in turn, or when it has lost one.
        http_post(members_[*answering]->endpoint(), "/v3/kv/range", R"({"key":"AA=="})", access_);
    } while (clock::now() < deadline);
    std::string logs;
    for (const auto& each : members_) logs += each->endpoint() + ", the end of its log:\n" + each->log_tail();
    throw std::runtime_error("no member leads the cluster; " + logs);
}

std::size_t etcd_cluster::follower() {
    const auto leading = leader();
    for (std::size_t i = 0; i < size(); ++i) {
        if (i != leading && can_answer(*members_[i])) return i;
    }
    throw std::runtime_error("no member follows");
}

} // namespace etcdcoll::test
