#pragma once

#include "engram/base/error.hpp"
#include "engram/datasets/dataset.hpp"
#include "engram/pipeline/requests.hpp"
#include "engram/replay/scenario.hpp"

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

namespace engram::replay {

/// Returns the current version of a dataset by name, or nullptr.
using dataset_finder = std::function<dataset_ptr(std::string_view)>;

/// The requests of a scenario, made before it starts so that sending one is a copy. Immutable once
/// made, therefore thread-safe.
class request_pool {
public:
  /// Makes the distinct requests of every load from the scenario's seed. `not_found` for a dataset
  /// that `find` does not know, `invalid_argument` for one of the wrong kind, `resource_exhausted`
  /// when they would take more than 2 GiB.
  static result<request_pool> make(const scenario& what, const dataset_finder& find);

  const request& at(std::uint32_t load, std::uint32_t variant) const {
    return loads_[load].requests[variant];
  }
  /// Returns what the requests of `load` ask about; null for similarity.
  const dataset_ptr& data_of(std::uint32_t load) const { return loads_[load].data; }

private:
  struct load_requests {
    dataset_ptr data;
    std::vector<request> requests;
  };
  std::vector<load_requests> loads_;
};

} // namespace engram::replay
