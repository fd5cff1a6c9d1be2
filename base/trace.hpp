#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

namespace engram {

/// Hears when named stretches of work begin and end, for a profiler's timeline. Thread-safe.
class trace_sink {
public:
  virtual ~trace_sink() = default;
  /// A range that ends on the same thread, innermost first. `name` is a string literal.
  virtual void push(const char* name) noexcept = 0;
  virtual void pop() noexcept = 0;
  /// A range that may end on any thread, in any order. Returns what `end` is told.
  virtual std::uint64_t begin(const char* name) noexcept = 0;
  virtual void end(std::uint64_t range) noexcept = 0;
};

/// The process's one sink; null while nobody watches, which is the usual case and costs a load and
/// a branch a range. Whoever sets one keeps it alive until it is replaced and every range that
/// began in it has ended.
inline std::atomic<trace_sink*> current_trace_sink{nullptr};

/// Marks the rest of a scope: `const trace_range range{"kernel"};`.
class [[nodiscard]] trace_range {
public:
  explicit trace_range(const char* name) noexcept
      : sink_(current_trace_sink.load(std::memory_order_acquire)) {
    if (sink_) [[unlikely]]
      sink_->push(name);
  }
  ~trace_range() {
    if (sink_) [[unlikely]]
      sink_->pop();
  }
  trace_range(const trace_range&) = delete;
  trace_range& operator=(const trace_range&) = delete;

private:
  trace_sink* sink_;
};

/// Marks a stretch that begins in one place and ends in another, on any thread; movable. Ends with
/// `end` or with the object, once. Not thread-safe itself.
class [[nodiscard]] async_trace_range {
public:
  async_trace_range() = default;
  explicit async_trace_range(const char* name) noexcept
      : sink_(current_trace_sink.load(std::memory_order_acquire)) {
    if (sink_) [[unlikely]]
      range_ = sink_->begin(name);
  }
  async_trace_range(async_trace_range&& other) noexcept
      : sink_(std::exchange(other.sink_, nullptr)), range_(other.range_) {}
  async_trace_range& operator=(async_trace_range&& other) noexcept {
    if (this != &other) {
      end();
      sink_ = std::exchange(other.sink_, nullptr);
      range_ = other.range_;
    }
    return *this;
  }
  ~async_trace_range() { end(); }

  void end() noexcept {
    if (auto* sink = std::exchange(sink_, nullptr)) [[unlikely]]
      sink->end(range_);
  }

private:
  trace_sink* sink_ = nullptr;
  std::uint64_t range_ = 0;
};

} // namespace engram
