#pragma once

#include "engram/actors/core.hpp"

#include <vector>

namespace engram {

/// What INGEST does: takes accepted requests out of the callers' hands, drops what was answered
/// meanwhile or is past its deadline, cuts oversized requests into parts, and says by when each
/// must leave.
class ingest_logic {
public:
  explicit ingest_logic(pipeline_core& core) : core_(core) {}

  void on_requests();

private:
  void split(const request_ptr& request, std::size_t most_items);
  duration time_to_run(const request_ptr& request, std::size_t items);

  pipeline_core& core_;
  std::vector<request_ptr> requests_;
  std::vector<window_entry> entries_;
  // The last prediction: requests of a kind come in runs.
  struct {
    cost_model::key where{};
    double work = -1;
    duration time{};
  } last_;
};

} // namespace engram
