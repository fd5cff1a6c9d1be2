#pragma once

#include "engram/base/clock.hpp"
#include "engram/devices/host/content.hpp"

#include <cstdint>
#include <future>
#include <map>
#include <vector>

namespace engram {

/// A dataset on its way to the GPU.
struct publication {
  publication(dataset_ptr what, shared_memory copy)
      : data(std::move(what)), content(std::move(copy)) {}

  const dataset_ptr data;
  const shared_memory content;
  time_point give_up{};
  std::promise<result<void>> outcome;
};

/// The datasets that an owner has put on the GPU, with the handles to their memory: as long as they
/// are here, no death of a child frees them.
class resident_set {
public:
  struct resident {
    dataset_ptr data;
    std::uint64_t bytes = 0; ///< of device memory
    host_message handles;    ///< outline, sizes and descriptors, as a runner wants them

    /// Returns what makes a runner serve it.
    host_message attach_message() const;
  };

  /// Adds what the owner's `published` says.
  const resident& add(dataset_ptr data, host_message& published);
  const resident* find(std::uint64_t key) const;
  bool remove(std::uint64_t key) { return residents_.erase(key) > 0; }
  std::vector<std::uint64_t> keys() const;
  std::uint64_t bytes() const noexcept;

private:
  std::map<std::uint64_t, resident> residents_;
};

} // namespace engram
