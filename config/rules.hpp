#pragma once

#include <optional>
#include <string>
#include <vector>

/// What the keys that hold texts accept. Each says what is wrong, as in "KEY = VALUE <answer>", or
/// nothing; a key with a single text passes a list of one.
namespace engram::config {

using texts = std::vector<std::string>;

/// "auto" alone, or different CUDA ordinals and simulated GPUs of a known profile.
std::optional<std::string> devices_misfit(const texts& devices);

/// "process", "none", or "".
std::optional<std::string> isolation_misfit(const texts& isolation);

/// SITE=TASK each. What sites and tasks there are is the business of devices/.
std::optional<std::string> fault_points_misfit(const texts& points);

/// NAME or NAME@VERSION, each name once.
std::optional<std::string> datasets_misfit(const texts& names);

/// Anything but "".
std::optional<std::string> host_misfit(const texts& host);

/// '/' and what may follow it in the name of a POSIX shared memory object: no other '/', at most
/// 255 bytes.
std::optional<std::string> shared_memory_prefix_misfit(const texts& prefix);

} // namespace engram::config
