#pragma once
// Where the library's log lines go: a level and a function, given with the client's options.

#include <etcdcoll/config.hpp>

#include <functional>
#include <memory>
#include <string_view>

namespace etcdcoll {

enum class log_level { trace, debug, info, warning, error, off };

/// Receives the lines at or above a level. The function is called on the client's strand, so it must not block; lines hold no secret
/// and no value. Copies share one function.
class ETCDCOLL_API logger {
public:
    using function = std::function<void(log_level, std::string_view)>;

    /// Warnings and errors to standard error, each line prefixed "etcdcoll: ". The environment variable ETCDCOLL_LOG (trace, debug,
    /// info, warning, error, off) changes the level.
    logger();
    logger(log_level level, function sink);

    bool enabled(log_level level) const noexcept { return level >= level_ && level_ != log_level::off; }
    void write(log_level level, std::string_view line) const;

private:
    log_level level_;
    std::shared_ptr<const function> sink_;
};

} // namespace etcdcoll

#if defined(ETCDCOLL_HEADER_ONLY)
#include <etcdcoll/impl/log.ipp>
#endif
