#pragma once

#include "engram/base/clock.hpp"
#include "engram/base/error.hpp"

#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace engram::inject {

/// Which of CUDA's two interfaces a call belongs to.
enum class call_api : std::uint8_t { runtime, driver };

/// What is remembered of one thread of the host program. Value-initialised at its start.
struct thread_calls {
  int depth = 0;      ///< calls that it is in; the runtime calls the driver
  int last_error = 0; ///< substituted, and not yet asked for with cudaGetLastError
};

/// Says which CUDA calls return something else than they would. Read from JSON:
///
///   { "seed": 7, "seed_by_process": true, "log": "/tmp/substituted.txt",
///     "rules": [ { "calls": ["cudaLaunchKernel", "cudaGraph*"], "error": "cudaErrorLaunchFailure",
///                  "percent": 20, "count": 5, "skip": 100, "after_ms": 1000 } ] }
///
/// `calls` are names without a version; one that ends in '*' is a beginning, and "*" is every
/// runtime call. Names of the driver's interface begin with "cu" and a capital; codes are those of
/// its own, by number. `error` is a number or the name of a common runtime code. A call is looked
/// at by every rule in turn, until one substitutes: those that the rule names and that come after
/// `after_ms` of the process's CUDA time and after `skip` others like it, `percent` of them by
/// chance, at most `count` in all. Only `rules`, `calls` and `error` must be there. Chance follows
/// the seed, and the process with `seed_by_process`: the n-th call that a rule looks at fares alike
/// in every run.
///
/// A call whose own code is an error keeps it, calls inside other calls are left alone, and so are
/// the few runtime functions that return no code. As in the runtime, what was substituted is the
/// thread's last error until cudaGetLastError is called. Thread-safe.
class call_rules {
public:
  /// `invalid_argument` says in one sentence what is wrong with `json`. `process` is any number
  /// that tells processes apart.
  static result<call_rules> parse(std::string_view json, std::uint64_t process = 0);

  /// The thread begins a call.
  static void enter(thread_calls& thread) noexcept { ++thread.depth; }
  /// The thread's call ends with `code`, `since_start` after the process's first. Returns what it
  /// shall return instead; nothing to leave it as it is. `name` as CUPTI says it.
  struct substitute {
    int code = 0;
    bool by_rule = true; ///< else it is the last error, which is asked for
  };
  std::optional<substitute> leave(thread_calls& thread, call_api api, std::string_view name,
                                  int code, duration since_start) noexcept;

  /// Returns true if any rule is about `api`.
  bool concern(call_api api) const noexcept;
  const std::string& log() const noexcept { return log_; }

private:
  struct pattern {
    std::string text;
    bool is_beginning = false;
  };
  struct rule {
    std::vector<pattern> calls;
    int code = 0;
    double probability = 1;
    std::uint64_t count = std::numeric_limits<std::uint64_t>::max();
    std::uint64_t skip = 0;
    duration after{};
    std::uint64_t seed = 0;
    std::atomic<std::uint64_t> looked_at{0};
    std::atomic<std::uint64_t> substituted{0};

    bool names(call_api api, std::string_view name) const noexcept;
    bool fires() noexcept;
  };
  struct reader;

  std::vector<std::unique_ptr<rule>> rules_;
  std::string log_;
};

/// Returns `name` as rules spell it: without version and stream suffixes ("cudaMemcpyAsync_ptsz",
/// "cuMemAlloc_v2") and without what the compiler's launches are called ("__cudaLaunchKernel").
std::string_view plain_call_name(std::string_view name) noexcept;

} // namespace engram::inject
