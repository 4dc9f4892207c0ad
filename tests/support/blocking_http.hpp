#pragma once
// One HTTP request and its answer, on a blocking socket, over TLS too: what fixtures ask and set up their servers with. It shares no code with the library,
// and takes any certificate that a server shows.

#include <chrono>
#include <filesystem>
#include <string>

namespace etcdcoll::test {

/// What a server wants to see before it answers.
struct http_access {
    http_access() {}

    std::string token;                 ///< empty: no Authorization
    std::filesystem::path certificate; ///< of the client, in PEM; empty: none
    std::filesystem::path key;
    std::chrono::milliseconds timeout = std::chrono::seconds(10);
};

struct http_answer {
    int status = 0;   ///< 0: no answer came in time, or none at all
    std::string body; ///< without an answer: why there is none
};

/// POSTs `body` to endpoint + path ("http://127.0.0.1:2379" + "/v3/kv/range").
http_answer http_post(const std::string& endpoint, const std::string& path, const std::string& body, const http_access& access = {});

} // namespace etcdcoll::test
