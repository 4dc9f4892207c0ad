#include <etcdcoll/impl/group/group_state.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstdlib>

using namespace etcdcoll;

namespace {

// The variables of one test: all others that could say a rank are taken away, and put back.
class variables {
public:
    explicit variables(std::initializer_list<std::pair<const char*, const char*>> set) {
        for (const char* name : {"ETCDCOLL_GROUP", "ETCDCOLL_RANK", "ETCDCOLL_WORLD_SIZE", "RANK", "WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE",
                                 "PMI_RANK", "PMI_SIZE", "PMIX_RANK", "SLURM_PROCID", "SLURM_NTASKS"})
            ::unsetenv(name);
        for (const auto& [name, value] : set) ::setenv(name, value, 1);
    }
};

errc refusal(const group_options& options, const char* mentions) {
    try {
        static_cast<void>(detail::resolve_membership(options.get()));
    } catch (const error& failure) {
        INFO(failure.what());
        CHECK(std::string(failure.what()).find(mentions) != std::string::npos);
        return failure.reason();
    }
    return {};
}

} // namespace

TEST_CASE("group_options: what the options say counts before the environment") {
    const variables set{{"RANK", "3"}, {"WORLD_SIZE", "8"}, {"ETCDCOLL_GROUP", "theirs"}};
    const auto found = detail::resolve_membership(group_options().name("mine").rank(1).size(4).get());
    CHECK(found.name == "mine");
    CHECK(found.rank == 1);
    CHECK(found.size == 4);
}

TEST_CASE("group_options: each launcher's variables are understood") {
    const std::pair<const char*, const char*> sources[] = {{"ETCDCOLL_RANK", "ETCDCOLL_WORLD_SIZE"},         {"RANK", "WORLD_SIZE"},
                                                           {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"}, {"PMI_RANK", "PMI_SIZE"},
                                                           {"SLURM_PROCID", "SLURM_NTASKS"},                 {"PMIX_RANK", "SLURM_NTASKS"}};
    for (const auto& [rank, size] : sources) {
        const variables set{{rank, "2"}, {size, "5"}};
        const auto found = detail::resolve_membership(group_options().get());
        CHECK(found.name == "default");
        CHECK(found.rank == 2);
        CHECK(found.size == 5);
    }
}

TEST_CASE("group_options: our own launcher counts before others, and both numbers come from one source") {
    const variables set{{"RANK", "1"}, {"WORLD_SIZE", "2"}, {"SLURM_PROCID", "7"}, {"SLURM_NTASKS", "9"}};
    const auto found = detail::resolve_membership(group_options().get());
    CHECK(found.rank == 1);
    CHECK(found.size == 2);
}

TEST_CASE("group_options: a rank that nobody says is left to etcd") {
    const variables set{{"WORLD_SIZE", "2"}};
    CHECK_FALSE(detail::resolve_membership(group_options().get()).rank);
}

TEST_CASE("group_options: what cannot be is refused before any I/O, with the reason") {
    const variables none{};
    CHECK(refusal(group_options(), "world size is not known") == errc::invalid_argument);
    CHECK(refusal(group_options().rank(4).size(4), "rank 4 is not between 0 and 3") == errc::invalid_argument);
    CHECK_THROWS_AS(group_options().rank(-1), error);
    CHECK_THROWS_AS(group_options().size(0), error);
    CHECK_THROWS_AS(group_options().size(100'001), error);
    CHECK_THROWS_AS(group_options().name(""), error);
    CHECK_THROWS_AS(group_options().name(std::string(256, 'x')), error);
    CHECK_THROWS_AS(group_options().ttl(std::chrono::seconds(1)), error);
    CHECK_THROWS_AS(group_options().timeout({}), error);
    CHECK_THROWS_AS(group_options().join_timeout({}), error);
}

TEST_CASE("group_options: an environment that contradicts the options, or is not a number, is refused") {
    {
        const variables set{{"RANK", "3"}, {"WORLD_SIZE", "8"}};
        CHECK(refusal(group_options().size(4), "counted in a world of 8") == errc::invalid_argument);
    }
    const variables set{{"RANK", "3x"}, {"WORLD_SIZE", "8"}};
    CHECK(refusal(group_options(), "RANK=\"3x\" is not a number") == errc::invalid_argument);
}
