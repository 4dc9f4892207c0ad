// The command `etcdcoll`.

#include "process.hpp"
#include "run.hpp"

#include <etcdcoll/version.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <iostream>

namespace {

using namespace etcdcoll::command;

constexpr int usage_error = 2;
constexpr int not_executable = 127;

/// All that follows the first "--" is the program's, to the letter: CLI11 would take brackets and a second "--" apart.
struct command_line {
    std::vector<std::string> ours;
    std::vector<std::string> program;

    command_line(int count, char** arguments) {
        char** const end = arguments + count;
        char** const mark = std::find(arguments + 1, end, std::string_view("--"));
        ours.assign(arguments + 1, mark);
        if (mark != end) program.assign(mark + 1, end);
        std::reverse(ours.begin(), ours.end()); // as CLI11 takes them
    }
};

void add_run(CLI::App& app, run_options& options) {
    auto* run = app.add_subcommand("run", "Start a program as the ranks of a group:\n"
                                          "etcdcoll run -n RANKS [options] -- program [arguments]");
    const auto option = [run](const char* name, auto& value, const char* type, const char* text) {
        return run->add_option(name, value, text)->type_name(type);
    };
    option("-n", options.ranks, "RANKS", "Number of ranks on this node")->required();
    option("--endpoints", options.endpoints, "URLS",
           "The etcd to meet through, separated by commas (default: $ETCD_ENDPOINTS, else a private etcd)");
    option("--group", options.group, "NAME",
           "Name of the group (default: a new one for each run; with --nnodes, the program's name)");
    option("--nnodes", options.nodes, "NODES", "Number of nodes, each of which runs this command (default: 1)");
    option("--node", options.node, "NODE", "Which of the nodes this is, from 0 (default: 0)");
    option("--grace", options.grace_seconds, "SECONDS",
           "Time between SIGTERM and SIGKILL for ranks that must end (default: 5)");
    run->add_flag_callback("--no-prefix", [&options] { options.prefix = false; },
                           "Print the ranks' lines without \"[rank] \" before them");
    run->footer("Each rank gets RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, ETCD_ENDPOINTS and ETCDCOLL_GROUP,\n"
                "and reads nothing on standard input. The first rank that fails ends the others, and its status\n"
                "(128 + the signal that killed it) is the exit status.");
}

int fail(const std::exception& error, int status) {
    std::cerr << "etcdcoll: " << error.what() << std::endl;
    return status;
}

} // namespace

int main(int count, char** arguments) {
    command_line given(count, arguments);
    run_options options;
    CLI::App app("Collective operations through etcd", "etcdcoll");
    app.set_version_flag("--version", "etcdcoll " + std::string(etcdcoll::version));
    app.require_subcommand(1);
    add_run(app, options);
    try {
        app.parse(given.ours);
        options.program = given.program;
        return run(options);
    } catch (const CLI::ExtrasError& error) {
        std::cerr << "etcdcoll: " << error.what() << "; the program comes after --: etcdcoll run -n 4 -- ./program\n";
        return usage_error;
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() == 0) return app.exit(error);
        return fail(error, usage_error);
    } catch (const std::invalid_argument& error) {
        return fail(error, usage_error);
    } catch (const exec_error& error) {
        return fail(error, not_executable);
    } catch (const std::exception& error) {
        return fail(error, 1);
    }
}
