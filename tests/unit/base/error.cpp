#include <catch2/catch_test_macros.hpp>
#include <etcdcoll/error.hpp>

#include <exception>
#include <string>
#include <type_traits>

using namespace etcdcoll;

TEST_CASE("error: what() is the sentence alone") {
    const error failure(errc::timed_out, "barrier of \"train\": rank 3 is missing");
    CHECK(std::string(failure.what()) == "barrier of \"train\": rank 3 is missing");
    CHECK(failure.reason() == errc::timed_out);
}

TEST_CASE("error: is a boost::system::system_error with a code of our category") {
    try {
        throw error(errc::lease_lost, "gone");
    } catch (const boost::system::system_error& failure) {
        CHECK(failure.code() == errc::lease_lost);
        CHECK(&failure.code().category() == &etcdcoll_category());
        CHECK(failure.code().message() == "lease lost");
        CHECK(std::string(failure.what()) == "gone");
    }
    CHECK(std::string(etcdcoll_category().name()) == "etcdcoll");
}

TEST_CASE("error: carries its context, also in a copy that outlives it") {
    std::exception_ptr kept;
    {
        error_context context;
        context.endpoint = "http://127.0.0.1:2379";
        context.key = "a";
        context.grpc_code = 14;
        context.ranks = {1, 3};
        const error original(errc::unavailable, "sentence", context);
        const error copy = original;
        error assigned(errc::closed, "other");
        assigned = copy;
        kept = std::make_exception_ptr(assigned);
    }
    try {
        std::rethrow_exception(kept);
    } catch (const error& failure) {
        CHECK(failure.reason() == errc::unavailable);
        CHECK(std::string(failure.what()) == "sentence");
        CHECK(failure.context().endpoint == "http://127.0.0.1:2379");
        CHECK(failure.context().grpc_code == 14);
        CHECK(failure.context().ranks == std::vector<int>{1, 3});
    }
}

TEST_CASE("error: can be copied where an exception is in flight") {
    STATIC_CHECK(std::is_nothrow_copy_constructible_v<error>);
    STATIC_CHECK(std::is_nothrow_copy_assignable_v<error>);
}

TEST_CASE("errc: each code has words of its own, and success is none of them") {
    const errc all[] = {errc::invalid_argument, errc::too_large, errc::closed, errc::timed_out, errc::cancelled, errc::connection_failed,
                        errc::bad_reply, errc::outcome_unknown, errc::unavailable, errc::no_space, errc::compacted, errc::not_found,
                        errc::already_exists, errc::permission_denied, errc::unauthenticated, errc::unsupported, errc::refused,
                        errc::lease_lost, errc::rank_lost, errc::aborted, errc::collective_mismatch, errc::rank_taken,
                        errc::world_size_mismatch, errc::protocol_mismatch, errc::group_full, errc::corrupt,
                        errc::file_failed};
    std::string seen = "|";
    for (const auto code : all) {
        const auto words = make_error_code(code).message();
        CHECK(words != "unknown");
        CHECK(seen.find("|" + words + "|") == std::string::npos);
        CHECK(make_error_code(code).failed());
        seen += words + "|";
    }
    CHECK(etcdcoll_category().message(4711) == "unknown");
}
