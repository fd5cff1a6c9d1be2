#include "engram/devices/host/resident_set.hpp"

#include <algorithm>
#include <utility>

namespace engram {

host_message resident_set::resident::attach_message() const {
  host_message message;
  message.kind = host_message_kind::attach;
  message.numbers = handles.numbers;
  put_outline(*data, message);
  for (const auto& each : handles.fds)
    if (auto copy = each.duplicate()) message.fds.push_back(std::move(*copy));
  return message;
}

const resident_set::resident& resident_set::add(dataset_ptr data, host_message& published) {
  auto& made = residents_[data->key];
  made.data = std::move(data);
  made.handles = std::move(published);
  for (std::size_t i = 0; i < std::min(made.handles.fds.size(), most_parts); ++i)
    made.bytes += made.handles.numbers[i];
  return made;
}

const resident_set::resident* resident_set::find(std::uint64_t key) const {
  const auto found = residents_.find(key);
  return found == residents_.end() ? nullptr : &found->second;
}

std::vector<std::uint64_t> resident_set::keys() const {
  std::vector<std::uint64_t> out;
  for (const auto& [key, _] : residents_)
    out.push_back(key);
  return out;
}

std::uint64_t resident_set::bytes() const noexcept {
  std::uint64_t sum = 0;
  for (const auto& [_, each] : residents_)
    sum += each.bytes;
  return sum;
}

} // namespace engram
