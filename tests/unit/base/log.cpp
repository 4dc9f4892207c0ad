#include <catch2/catch_test_macros.hpp>
#include <etcdcoll/log.hpp>

#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

using namespace etcdcoll;

namespace {

class environment_variable {
public:
    environment_variable(const char* name, const char* value) : name_(name) { ::setenv(name, value, 1); }
    environment_variable(const environment_variable&) = delete;
    environment_variable& operator=(const environment_variable&) = delete;
    ~environment_variable() { ::unsetenv(name_); }

private:
    const char* name_;
};

} // namespace

TEST_CASE("logger: passes on what is at or above its level, and nothing else") {
    std::vector<std::pair<log_level, std::string>> lines;
    const logger sink(log_level::info, [&lines](log_level level, std::string_view line) { lines.emplace_back(level, line); });
    sink.write(log_level::debug, "no");
    sink.write(log_level::info, "yes");
    const auto copy = sink;
    copy.write(log_level::error, "also");
    REQUIRE(lines.size() == 2);
    CHECK(lines[0] == std::pair(log_level::info, std::string("yes")));
    CHECK(lines[1] == std::pair(log_level::error, std::string("also")));
    CHECK(!sink.enabled(log_level::debug));
    CHECK(sink.enabled(log_level::warning));
}

TEST_CASE("logger: off and an empty function are silent") {
    int called = 0;
    const logger off(log_level::off, [&called](log_level, std::string_view) { ++called; });
    off.write(log_level::error, "x");
    off.write(log_level::off, "x");
    CHECK(called == 0);
    const logger empty(log_level::trace, nullptr);
    CHECK(!empty.enabled(log_level::error));
    empty.write(log_level::error, "x");
}

TEST_CASE("logger: ETCDCOLL_LOG sets the level of the default one") {
    CHECK(logger().enabled(log_level::warning));
    CHECK(!logger().enabled(log_level::info));
    const std::pair<const char*, log_level> levels[] = {{"trace", log_level::trace}, {"debug", log_level::debug}, {"info", log_level::info},
                                                        {"warning", log_level::warning}, {"error", log_level::error}};
    for (const auto& [name, level] : levels) {
        const environment_variable set("ETCDCOLL_LOG", name);
        CHECK(logger().enabled(level));
        if (level != log_level::trace) CHECK(!logger().enabled(static_cast<log_level>(static_cast<int>(level) - 1)));
    }
    {
        const environment_variable set("ETCDCOLL_LOG", "off");
        CHECK(!logger().enabled(log_level::error));
    }
    const environment_variable set("ETCDCOLL_LOG", "verbose");
    CHECK(logger().enabled(log_level::warning));
    CHECK(!logger().enabled(log_level::info));
}
