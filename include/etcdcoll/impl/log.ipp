#pragma once

#include <etcdcoll/log.hpp>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace etcdcoll {

namespace detail {

ETCDCOLL_DECL log_level log_level_from_environment() {
    const char* text = std::getenv("ETCDCOLL_LOG");
    if (text == nullptr) return log_level::warning;
    const std::string_view name = text;
    if (name == "trace") return log_level::trace;
    if (name == "debug") return log_level::debug;
    if (name == "info") return log_level::info;
    if (name == "error") return log_level::error;
    if (name == "off") return log_level::off;
    return log_level::warning;
}

// One fwrite a line, so that the lines of several processes on one terminal do not mix.
ETCDCOLL_DECL void write_to_stderr(log_level, std::string_view line) {
    std::string text = "etcdcoll: ";
    text += line;
    text += '\n';
    std::fwrite(text.data(), 1, text.size(), stderr);
}

} // namespace detail

ETCDCOLL_DECL logger::logger() : logger(detail::log_level_from_environment(), detail::write_to_stderr) {}

ETCDCOLL_DECL logger::logger(log_level level, function sink)
    : level_(sink ? level : log_level::off), sink_(std::make_shared<const function>(std::move(sink))) {}

ETCDCOLL_DECL void logger::write(log_level level, std::string_view line) const {
    if (!enabled(level)) return;
    try {
        (*sink_)(level, line);
    } catch (...) { // a line that cannot be written must not end what wrote it
    }
}

} // namespace etcdcoll
