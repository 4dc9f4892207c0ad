#pragma once
// One request of the gateway, from its text to the text of its reply.

#include <etcdcoll/impl/etcd/in_memory/member.hpp>
#include <etcdcoll/impl/etcd/in_memory/request_decoder.hpp>
#include <etcdcoll/impl/etcd/in_memory/routes.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <variant>

namespace etcdcoll::etcd::model {

using call_request = std::variant<range_request, put_request, delete_range_request, txn_request, compact_request, lease_grant_request,
                                  lease_revoke_request, lease_keep_alive_request, lease_time_to_live_request, lease_list_request, status_request,
                                  member_list_request>;

/// Throws refusal for a text that is none, and for one that is larger than the member takes. Not for streams.
call_request decode_call(service what, std::string_view text, std::size_t most);

/// Who is told the answer.
class answer_sink {
public:
    virtual ~answer_sink() = default;
    /// `code` 0: `text` is the reply, else the error's message.
    virtual void answer(int code, std::string text) = 0;
};

class gateway_call final : public pending_call {
public:
    gateway_call(std::shared_ptr<answer_sink> to, member& of, const route& called, call_request request)
        : to_(std::move(to)), of_(of), called_(called), request_(std::move(request)) {}

    std::string_view path() const noexcept override { return called_.path; }
    bool writes() const noexcept override;
    bool linearizable() const noexcept override;
    void execute() override;
    void refuse(int code, std::string_view text) override;

private:
    void answer(int code, std::string text);

    std::shared_ptr<answer_sink> to_; // until it is answered
    member& of_;
    const route& called_;
    call_request request_;
    bool executed_ = false;
};

} // namespace etcdcoll::etcd::model

#if defined(ETCDCOLL_HEADER_ONLY)
#include <etcdcoll/impl/etcd/in_memory/gateway_call.ipp>
#endif
