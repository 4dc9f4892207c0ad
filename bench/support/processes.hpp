#pragma once

// Forked copies of this process, the memory that they share, and a barrier to start together. Fork before there is any
// thread.

#include <cstddef>
#include <functional>
#include <new>
#include <type_traits>

#include <pthread.h>

namespace bench {

/// Runs body(0) ... body(count - 1), each in a process of its own. Returns when all have ended.
///
/// Errors:  std::runtime_error when one has failed or has taken longer than `seconds`; then all have been killed.
void run_processes(int count, unsigned seconds, const std::function<void(int)>& body);

/// Zeroed memory that processes forked later share.
class shared_memory {
public:
    explicit shared_memory(std::size_t size);
    shared_memory(const shared_memory&) = delete;
    shared_memory& operator=(const shared_memory&) = delete;
    ~shared_memory();
    void* data() const noexcept { return data_; }

private:
    void* data_;
    std::size_t size_;
};

template <class T> class shared_array {
public:
    static_assert(std::is_trivially_copyable_v<T>);
    explicit shared_array(std::size_t count) : memory_(count * sizeof(T)), items_(new(memory_.data()) T[count]()) {}
    T& operator[](std::size_t index) const noexcept { return items_[index]; }

private:
    shared_memory memory_;
    T* items_;
};

/// Releases `count` processes together.
class process_barrier {
public:
    explicit process_barrier(int count);
    void wait() const;

private:
    shared_memory memory_;
    pthread_barrier_t* barrier_;
};

} // namespace bench
