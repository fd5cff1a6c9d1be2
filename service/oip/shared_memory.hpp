#pragma once

#include "engram/base/error.hpp"
#include "engram/config/options.hpp"
#include "engram/service/oip/tensor.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace engram {

/// Returns what to say to whoever registers CUDA's shared memory, or asks for a region of it.
error no_cuda_regions();

/// System shared memory that clients have registered, by name. Regions are read and written through
/// their file, never mapped: a client that shrinks one gets an error for its own request, where a
/// mapping would end the process. Thread-safe.
///
/// Everything fails with `unavailable` while oip.shared_memory is false, but for taking all regions
/// back, which clients do before they know.
class shared_memory_regions {
public:
  struct region {
    std::string name;
    std::string key;          ///< as for shm_open: "/weather"
    std::uint64_t offset = 0; ///< where the region begins in the object
    std::uint64_t byte_size = 0;
  };
  static constexpr std::size_t max_regions = 1024;

  /// An inference reads at most `most_bytes`.
  shared_memory_regions(oip_options options, std::uint64_t most_bytes)
      : options_(std::move(options)), most_bytes_(most_bytes) {}

  /// `invalid_argument` for a name that is taken or empty, a key outside oip.shared_memory_prefix
  /// or with a further '/', or a range outside the object; `not_found` for no such object;
  /// `resource_exhausted` for more than max_regions.
  result<void> add(region what);
  /// Forgets one region, or all for an empty name. `not_found`.
  result<void> remove(std::string_view name);
  /// Returns one region, or all for an empty name. `not_found`.
  result<std::vector<region>> list(std::string_view name) const;

  /// What one inference reads.
  class reader {
  public:
    explicit reader(const shared_memory_regions& from) : from_(from), left_(from.most_bytes_) {}

    /// Gives `to`, whose datatype and shape are known, a copy of a part of a region, which must
    /// have the tensor's size; nothing is read before that is known. `not_found`, or
    /// `invalid_argument` for another size, for more than an inference may read, and for a part
    /// that lies outside, also because the client has shrunk the object.
    result<void> read(const region_slice& from, tensor& to);

  private:
    const shared_memory_regions& from_;
    std::uint64_t left_; ///< bytes
  };

  /// Writes `bytes` to the beginning of `to`. `not_found`, or `invalid_argument` for a part that
  /// lies outside, as above, or has no room.
  result<void> write(const region_slice& to, std::string_view bytes) const;

private:
  class file;
  struct entry {
    region what;
    std::shared_ptr<const file> object;
  };
  result<void> enabled() const;
  result<entry> find(const region_slice& slice) const;

  const oip_options options_;
  const std::uint64_t most_bytes_;
  mutable std::mutex mutex_;
  std::map<std::string, entry, std::less<>> regions_;
};

} // namespace engram
