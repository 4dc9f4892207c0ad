#include "launcher.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

using namespace command_tests;
using lines = std::vector<std::string>;

namespace {

/// Prints where its etcd is, and runs until SIGUSR1.
const std::string show_endpoints =
    "trap 'exit 0' USR1; echo $ETCD_ENDPOINTS; sleep 1000 > /dev/null 2>&1 & while :; do wait; done";

} // namespace

TEST_CASE("run: each rank's lines have its number before them, on the stream that it wrote them to") {
    const auto result = run(run_script(3, "echo out; echo err >&2"));
    CHECK(result.status == 0);
    CHECK(sorted_lines(result.out) == lines{"[0] out", "[1] out", "[2] out"});
    CHECK(sorted_lines(result.err) == lines{"[0] err", "[1] err", "[2] err"});
}

TEST_CASE("run: rank numbers have the same width") {
    const auto result = run(run_script(11, "echo x"));
    const auto printed = sorted_lines(result.out);
    REQUIRE(printed.size() == 11);
    CHECK(printed.front() == "[ 0] x");
    CHECK(printed.back() == "[10] x");
}

TEST_CASE("run: a last line without a newline is completed, and an empty line keeps its prefix") {
    CHECK(run(run_script(1, "echo; printf end")).out == "[0] \n[0] end\n");
}

TEST_CASE("run: lines of several ranks are not mixed") {
    const auto script = "i=0; while [ $i -lt 2000 ]; do echo $RANK$RANK$RANK$RANK$RANK$RANK; i=$((i + 1)); done";
    const auto printed = sorted_lines(run(run_script(4, script)).out);
    REQUIRE(printed.size() == 8000);
    for (std::size_t i = 0; i < printed.size(); ++i) {
        const auto rank = std::to_string(i / 2000);
        const auto expected = '[' + rank + "] " + rank + rank + rank + rank + rank + rank;
        if (printed[i] != expected) CHECK(printed[i] == expected);
    }
}

TEST_CASE("run: a very long line is passed on in pieces, and none of it is lost") {
    const auto result = run(run_script(1, "head -c 1000000 /dev/zero | tr '\\0' x; echo; echo next"));
    const auto printed = sorted_lines(result.out);
    CHECK(printed.size() == 17);
    CHECK(std::count(result.out.begin(), result.out.end(), 'x') == 1000000 + 1);
    CHECK(result.out.substr(result.out.size() - 9) == "[0] next\n");
}

TEST_CASE("run: --no-prefix passes lines on as they are") {
    CHECK(run(run_script(1, "echo plain", {"--no-prefix"})).out == "plain\n");
}

TEST_CASE("run: ranks learn from the environment who they are") {
    const auto script = "echo $RANK $WORLD_SIZE $LOCAL_RANK $LOCAL_WORLD_SIZE $ETCD_ENDPOINTS $ETCDCOLL_GROUP";
    const auto result = run(run_script(2, script, {"--group", "train", "--nnodes", "3", "--node", "1"}));
    CHECK(sorted_lines(result.out) ==
          lines{"[2] 2 6 0 2 http://127.0.0.1:1 train", "[3] 3 6 1 2 http://127.0.0.1:1 train"});
}

TEST_CASE("run: what another launcher has left in the environment does not reach the ranks") {
    const auto script = "echo $RANK $WORLD_SIZE [$ETCDCOLL_RANK$ETCDCOLL_SIZE$ETCDCOLL_WORLD_SIZE] $OTHER";
    const auto result = run(run_script(1, script), {"RANK=7", "WORLD_SIZE=9", "ETCDCOLL_RANK=7", "ETCDCOLL_SIZE=9",
                                                    "ETCDCOLL_WORLD_SIZE=9", "OTHER=kept"});
    CHECK(result.out == "[0] 0 1 [] kept\n");
}

TEST_CASE("run: the group is one of its own for each run, and the program's name on several nodes") {
    const auto first = run(run_script(2, "echo $ETCDCOLL_GROUP", {"--no-prefix"}));
    const auto second = run(run_script(1, "echo $ETCDCOLL_GROUP", {"--no-prefix"}));
    const auto names = sorted_lines(first.out);
    REQUIRE(names.size() == 2);
    CHECK(names[0] == names[1]);
    CHECK(names[0].substr(0, 4) == "run-");
    CHECK(second.out != names[0] + '\n');
    CHECK(run(run_script(1, "echo $ETCDCOLL_GROUP", {"--no-prefix", "--nnodes", "2"})).out == "sh\n");
}

TEST_CASE("run: the program's arguments reach it to the letter") {
    auto arguments = run_script(1, "for argument; do echo \"<$argument>\"; done", {"--no-prefix"});
    arguments.insert(arguments.end(), {"zero", "[1,2]", "--", "", "-n 3", "a b", "--group"});
    CHECK(run(arguments).out == "<[1,2]>\n<-->\n<>\n<-n 3>\n<a b>\n<--group>\n");
}

TEST_CASE("run: ranks read nothing on standard input") {
    CHECK(run(run_script(1, "cat; echo end")).out == "[0] end\n");
}

TEST_CASE("run: a private etcd answers at ETCD_ENDPOINTS while the ranks run, and is gone afterwards") {
    launcher command(run_script_on_etcd(2, show_endpoints));
    const auto first = command.line();
    const auto second = command.line();
    CHECK(first.substr(4) == second.substr(4));
    const auto port = static_cast<unsigned short>(std::stoi(first.substr(first.rfind(':') + 1)));
    CHECK(contains(http_get(port, "/health"), "\"health\":\"true\""));
    CHECK_FALSE(etcd_arguments(descendants(command.pid())).empty());

    command.signal(SIGUSR1);
    CHECK(command.finish().status == 0);
    CHECK(http_get(port, "/health").empty());
}

TEST_CASE("run: no etcd is started where one is given, by option or by ETCD_ENDPOINTS") {
    const bool by_option = GENERATE_COPY(true, false);
    launcher command(by_option ? run_script(1, show_endpoints) : run_script_on_etcd(1, show_endpoints),
                     {std::string("ETCD_ENDPOINTS=http://127.0.0.1:") + (by_option ? "2" : "1")});
    CHECK(command.line() == "[0] http://127.0.0.1:1");
    CHECK(etcd_arguments(descendants(command.pid())).empty());
    command.signal(SIGUSR1);
    CHECK(command.finish().status == 0);
}

TEST_CASE("run: without an etcd binary, the message says how to install it") {
    const auto result = run(run_script_on_etcd(1, "true"), {"PATH=", "ETCDCOLL_ETCD="});
    CHECK(result.status == 1);
    CHECK(contains(result.err, "apt-get install etcd-server"));
    CHECK(sorted_lines(result.err).size() == 1);
}

TEST_CASE("run: a program that can't be executed is reported once, with status 127") {
    const auto result = run({"run", "-n", "4", "--endpoints", "http://127.0.0.1:1", "--", "./nope"});
    CHECK(result.status == 127);
    CHECK(result.err == "etcdcoll: can't run \"./nope\": No such file or directory\n");
}

TEST_CASE("run: options that make no sense are refused in one sentence, with status 2") {
    struct refusal {
        lines arguments;
        std::string sentence;
    };
    const std::vector<refusal> refusals{
        {{"run", "-n", "0", "--", "true"}, "-n must be at least 1, not 0"},
        {{"run", "-n", "-3", "--", "true"}, "-n must be at least 1, not -3"},
        {{"run", "-n", "four", "--", "true"}, "Could not convert: -n = four"},
        {{"run", "--", "true"}, "-n is required"},
        {{"run", "-n", "2"}, "no program given"},
        {{"run", "-n", "2", "--"}, "no program given"},
        {{"run", "-n", "2", "true"}, "the program comes after --"},
        {{"run", "-n", "1", "--nnodes", "2", "--node", "2", "--", "true"}, "--node must be from 0 to 1"},
        {{"run", "-n", "1", "--nnodes", "0", "--", "true"}, "--nnodes must be at least 1, not 0"},
        {{"run", "-n", "1", "--nnodes", "2", "--", "true"}, "several nodes need an etcd that all of them reach"},
        {{"run", "-n", "1000000", "--nnodes", "1000000", "--", "true"}, "-n is the number of ranks on each node"},
        {{"run", "-n", "1", "--grace", "-1", "--", "true"}, "--grace must be from 0"},
        {{}, "A subcommand is required"},
    };
    for (const auto& [arguments, sentence] : refusals) {
        const auto result = run(arguments);
        CHECK(result.status == 2);
        CHECK(contains(result.err, sentence));
        CHECK(result.err.substr(0, 10) == "etcdcoll: ");
        CHECK(sorted_lines(result.err).size() == 1);
        CHECK(result.out.empty());
    }
}

TEST_CASE("etcdcoll: --version prints the version") {
    const auto result = run({"--version"});
    CHECK(result.status == 0);
    CHECK(result.out.substr(0, 9) == "etcdcoll ");
}
