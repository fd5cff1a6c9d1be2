#include "engram/service/oip/shared_memory.hpp"

#include "engram/service/error_words.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <limits>
#include <system_error>
#include <utility>

namespace engram {

namespace {

std::string reason_of(int number) {
  return std::generic_category().message(number);
}

/// A key names one object: nothing in a folder, nothing outside the prefix.
result<void> check_key(std::string_view key, std::string_view prefix) {
  if (!key.starts_with(prefix))
    return invalid("shared memory key " + in_quotes(key) + " does not begin with " +
                   in_quotes(prefix) + ", which oip.shared_memory_prefix asks for");
  const auto name = key.substr(key.starts_with('/') ? 1 : 0);
  if (name.empty() || name.size() > NAME_MAX || name.find('/') != std::string_view::npos ||
      name.find('\0') != std::string_view::npos || name == "." || name == "..")
    return invalid("shared memory key " + in_quotes(key) +
                   " is not one name of 1 to 255 bytes with at most a '/' before it");
  return {};
}

} // namespace

error no_cuda_regions() {
  return invalid(
      "CUDA shared memory is not taken here: send the tensors, or register system shared "
      "memory");
}

/// An open shared memory object.
class shared_memory_regions::file {
public:
  explicit file(int descriptor) : descriptor_(descriptor) {}
  ~file() { ::close(descriptor_); }
  file(const file&) = delete;
  file& operator=(const file&) = delete;

  /// Returns the size in bytes, nothing for what is no memory object.
  std::uint64_t size() const {
    struct stat about {};
    if (::fstat(descriptor_, &about) != 0 || !S_ISREG(about.st_mode)) return 0;
    return static_cast<std::uint64_t>(about.st_size);
  }
  bool read(std::uint64_t offset, std::string& to) const {
    std::size_t done = 0;
    while (done < to.size()) {
      const auto count = ::pread(descriptor_, to.data() + done, to.size() - done,
                                 static_cast<off_t>(offset + done));
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return false;
      done += static_cast<std::size_t>(count);
    }
    return true;
  }
  bool write(std::uint64_t offset, std::string_view from) const {
    while (!from.empty()) {
      const auto count =
          ::pwrite(descriptor_, from.data(), from.size(), static_cast<off_t>(offset));
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return false;
      from.remove_prefix(static_cast<std::size_t>(count));
      offset += static_cast<std::uint64_t>(count);
    }
    return true;
  }

private:
  int descriptor_;
};

result<void> shared_memory_regions::enabled() const {
  if (options_.shared_memory) return {};
  return error{ec::unavailable, "system shared memory is off: oip.shared_memory is false"};
}

result<void> shared_memory_regions::add(region what) {
  if (auto on = enabled(); !on) return on;
  if (what.name.empty()) return invalid("a shared memory region needs a name");
  if (auto usable = check_key(what.key, options_.shared_memory_prefix); !usable) return usable;
  const int descriptor = ::shm_open(what.key.c_str(), O_RDWR, 0);
  if (descriptor < 0) {
    const int number = errno;
    return error{number == ENOENT ? ec::not_found : ec::invalid_argument,
                 "cannot open shared memory " + in_quotes(what.key) + ": " + reason_of(number)};
  }
  auto object = std::make_shared<const file>(descriptor);
  const auto size = object->size();
  if (what.byte_size == 0 || what.offset > size || what.byte_size > size - what.offset)
    return invalid("shared memory " + in_quotes(what.key) + " has " + std::to_string(size) +
                   " bytes: a region of " + std::to_string(what.byte_size) + " bytes from byte " +
                   std::to_string(what.offset) + " does not lie in it");
  const std::lock_guard lock{mutex_};
  if (regions_.size() >= max_regions)
    return error{ec::resource_exhausted,
                 std::to_string(max_regions) +
                     " shared memory regions are registered: take one back"};
  std::string name = what.name;
  const auto [at, is_new] = regions_.try_emplace(std::move(name), entry{std::move(what), object});
  if (!is_new)
    return invalid("shared memory region " + in_quotes(at->first) + " is registered already");
  return {};
}

result<void> shared_memory_regions::remove(std::string_view name) {
  const std::lock_guard lock{mutex_};
  if (name.empty()) {
    regions_.clear();
    return {};
  }
  const auto at = regions_.find(name);
  if (at == regions_.end())
    return error{ec::not_found, "there is no shared memory region " + in_quotes(name)};
  regions_.erase(at);
  return {};
}

result<std::vector<shared_memory_regions::region>>
shared_memory_regions::list(std::string_view name) const {
  std::vector<region> out;
  const std::lock_guard lock{mutex_};
  for (const auto& [key, each] : regions_)
    if (name.empty() || name == key) out.push_back(each.what);
  if (out.empty() && !name.empty())
    return error{ec::not_found, "there is no shared memory region " + in_quotes(name)};
  return out;
}

result<shared_memory_regions::entry> shared_memory_regions::find(const region_slice& slice) const {
  if (auto on = enabled(); !on) return on.error();
  const std::lock_guard lock{mutex_};
  const auto at = regions_.find(slice.region);
  if (at == regions_.end())
    return error{ec::not_found, "there is no shared memory region " + in_quotes(slice.region)};
  const auto size = at->second.what.byte_size;
  if (slice.offset > size || slice.byte_size > size - slice.offset)
    return invalid("shared memory region " + in_quotes(slice.region) + " has " +
                   std::to_string(size) + " bytes: " + std::to_string(slice.byte_size) +
                   " bytes from byte " + std::to_string(slice.offset) + " do not lie in it");
  return at->second;
}

result<void> shared_memory_regions::reader::read(const region_slice& from, tensor& to) {
  const auto found = from_.find(from);
  if (!found) return found.error();
  const auto needed = byte_count(to.datatype, to.shape);
  if (!needed) return needed.error();
  if (*needed && **needed != from.byte_size)
    return invalid("shared memory region " + in_quotes(from.region) + " was given " +
                   std::to_string(from.byte_size) + " bytes for a tensor of " +
                   std::to_string(**needed));
  if (from.byte_size > left_)
    return invalid("the inputs in shared memory are larger than " +
                   std::to_string(from_.most_bytes_) +
                   " bytes: send less at once or raise server.max_body_bytes");
  auto bytes = std::make_shared<std::string>(from.byte_size, '\0');
  if (!found->object->read(found->what.offset + from.offset, *bytes))
    return invalid("shared memory region " + in_quotes(from.region) +
                   " is shorter than when it was registered");
  left_ -= from.byte_size;
  to.bytes = *bytes;
  to.owner = std::move(bytes);
  return {};
}

result<void> shared_memory_regions::write(const region_slice& to, std::string_view bytes) const {
  const auto found = find(to);
  if (!found) return found.error();
  if (bytes.size() > to.byte_size)
    return invalid("shared memory region " + in_quotes(to.region) + " was given " +
                   std::to_string(to.byte_size) + " bytes for an output of " +
                   std::to_string(bytes.size()));
  const auto begin = found->what.offset + to.offset;
  // Writing must not make an object longer that its client has shrunk.
  if (found->object->size() < begin + bytes.size() || !found->object->write(begin, bytes))
    return invalid("shared memory region " + in_quotes(to.region) +
                   " is shorter than when it was registered");
  return {};
}

} // namespace engram
