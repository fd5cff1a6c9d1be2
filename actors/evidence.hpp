#pragma once

#include "engram/actors/event_log.hpp"
#include "engram/base/clock.hpp"
#include "engram/devices/work.hpp"

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace engram {

using outputs_ptr = std::shared_ptr<const std::vector<item_output>>;

/// A batch that a GPU and the CPU answered differently.
struct wrong_answer {
  std::string device; ///< the GPU: "gpu0"
  std::string model;
  work_batch_ptr batch;
  outputs_ptr gpu; ///< what it said, an output for each item of the batch
  outputs_ptr cpu; ///< what the CPU said
};

/// Returns `what` as JSON: time, device, op, dataset, each item's inputs and both outputs. A number
/// reads back as the same float32; one that JSON cannot say (NaN, infinite) is a string with its
/// bits, "0x7fc00000".
std::string to_json(const wrong_answer& what, std::chrono::system_clock::time_point when);

/// Writes wrong answers to files for a person to look at, on a thread of its own: one file each,
/// "wrong-answer-TIME-PID-NUMBER.json", at most `most_files` in its life. What cannot be written is
/// an event in the log and nothing else. Thread-safe.
class evidence_writer {
public:
  static constexpr std::size_t most_files = 100;

  /// Both must outlive it.
  evidence_writer(event_log& events, const clock_source& clock) : events_(events), clock_(clock) {}
  /// Writes what waits first.
  ~evidence_writer();
  evidence_writer(const evidence_writer&) = delete;
  evidence_writer& operator=(const evidence_writer&) = delete;

  /// Where files go from now on; made when the first is written. Empty: nowhere.
  void set_directory(std::string directory);
  /// Leaves `what` to be written and returns at once.
  void keep(wrong_answer what);

private:
  struct task {
    std::string directory;
    std::size_t number = 0;
    wrong_answer what;
  };
  void serve();
  void write(const task& next);
  void note(const std::string& device, std::string detail);

  event_log& events_;
  const clock_source& clock_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string directory_;
  std::deque<task> waiting_;
  std::size_t kept_ = 0;
  bool told_limit_ = false;
  bool ending_ = false;
  std::thread writer_; ///< from the first directory on
};

} // namespace engram
