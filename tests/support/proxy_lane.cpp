#include <support/proxy_lane.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>

#include <algorithm>
#include <utility>

namespace etcdcoll::test {

proxy_lane::proxy_lane(boost::asio::ip::tcp::socket& to, const bool& gate_closed, traffic_ledger& ledger,
                       std::uint64_t traffic::* bytes)
    : to_(to), gate_closed_(gate_closed), ledger_(ledger), bytes_(bytes), timer_(to.get_executor()) {}

void proxy_lane::begin(const lane_plan& plan) {
    plan_ = plan;
    position_ = 0;
    delayed_ = released_ = false;
}

void proxy_lane::send(std::string segment, completion next) {
    segment_ = std::move(segment);
    offset_ = 0;
    next_ = std::move(next);
    step();
}

void proxy_lane::release() {
    if (parked_ != parked::at_stall) return;
    unpark();
    released_ = true;
    step();
}

void proxy_lane::look_at_gate() {
    if (parked_ != parked::at_gate) return;
    unpark();
    step();
}

void proxy_lane::abandon() {
    unpark();
    timer_.cancel();
    next_ = nullptr;
}

void proxy_lane::step() {
    if (gate_closed_) return park(parked::at_gate);
    if (offset_ == segment_.size()) return finish(outcome::sent);
    if (!delayed_ && plan_.delay.count() > 0) {
        delayed_ = true;
        return wait(plan_.delay);
    }
    if (plan_.cut_after && position_ >= *plan_.cut_after) return finish(outcome::cut_due);
    if (plan_.stall_after && !released_ && position_ >= *plan_.stall_after) return park(parked::at_stall);
    write_some(next_size());
}

std::size_t proxy_lane::next_size() const {
    auto size = segment_.size() - offset_;
    if (plan_.split != 0) size = std::min(size, plan_.split);
    if (plan_.cut_after) size = std::min(size, *plan_.cut_after - position_);
    if (plan_.stall_after && !released_) size = std::min(size, *plan_.stall_after - position_);
    return size;
}

void proxy_lane::write_some(std::size_t bytes) {
    const auto piece = boost::asio::buffer(segment_.data() + offset_, bytes);
    // Counted before the write: who has got an answer finds its bytes counted.
    ledger_.count(bytes_, bytes);
    boost::asio::async_write(to_, piece, [this, owner = owner_.lock()](boost::system::error_code ec, std::size_t n) {
        if (!next_) return;
        if (ec) return finish(outcome::failed);
        position_ += n;
        offset_ += n;
        const bool pause = plan_.split != 0 && plan_.pause.count() > 0 && offset_ != segment_.size();
        return pause ? wait(plan_.pause) : step();
    });
}

void proxy_lane::wait(std::chrono::milliseconds duration) {
    timer_.expires_after(duration);
    timer_.async_wait([this, owner = owner_.lock()](boost::system::error_code ec) {
        if (!ec && next_) step();
    });
}

void proxy_lane::park(parked where) {
    parked_ = where;
    if (where == parked::at_stall) ledger_.count(&traffic::stalled);
}

void proxy_lane::unpark() {
    if (parked_ == parked::at_stall) ledger_.uncount(&traffic::stalled);
    parked_ = parked::no;
}

void proxy_lane::finish(outcome result) {
    segment_.clear();
    offset_ = 0;
    const auto next = std::exchange(next_, nullptr);
    next(result);
}

} // namespace etcdcoll::test
