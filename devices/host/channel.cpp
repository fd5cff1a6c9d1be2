#include "engram/devices/host/channel.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

namespace engram {

namespace {

constexpr std::size_t head_bytes = (sizeof(host_segment) + 4095) / 4096 * 4096;

} // namespace

void host_queue::push(std::uint32_t number) noexcept {
  const auto at = written.load(std::memory_order_relaxed);
  slot[at % places] = number;
  written.store(at + 1, std::memory_order_release);
}

std::optional<std::uint32_t> host_queue::pop(std::uint32_t slots) noexcept {
  if (const auto left = unread(); left == 0 || left > places) return std::nullopt;
  const auto at = read.load(std::memory_order_relaxed);
  const auto number = slot[at % places];
  read.store(at + 1, std::memory_order_release);
  return number < slots ? std::optional{number} : std::nullopt;
}

void host_text::set(std::string_view text) noexcept {
  const auto length = std::min(text.size(), characters.size() - 1);
  std::memcpy(characters.data(), text.data(), length);
  characters[length] = '\0';
}

std::string host_text::get() const {
  return {characters.data(), std::find(characters.begin(), characters.end(), '\0')};
}

host_channel::host_channel(shared_memory memory, std::uint32_t slots, std::size_t slot_bytes,
                           unique_fd runner_event, unique_fd sender_event)
    : memory_(std::move(memory)), runner_event_(std::move(runner_event)),
      sender_event_(std::move(sender_event)), slots_(slots), slot_bytes_(slot_bytes) {}

result<host_channel> host_channel::create(std::uint32_t slots, std::size_t slot_bytes,
                                          unique_fd runner_event, unique_fd sender_event) {
  auto memory = shared_memory::create("engram-channel", head_bytes + slots * slot_bytes);
  if (!memory) return std::move(memory).error();
  new (memory->bytes().data()) host_segment;
  return host_channel{std::move(*memory), slots, slot_bytes, std::move(runner_event),
                      std::move(sender_event)};
}

result<host_channel> host_channel::join(unique_fd fd, std::uint32_t slots, std::size_t slot_bytes,
                                        unique_fd runner_event, unique_fd sender_event) {
  auto memory = shared_memory::map(std::move(fd), true);
  if (!memory) return std::move(memory).error();
  if (memory->bytes().size() != head_bytes + slots * slot_bytes)
    return error{ec::invalid_argument, "The shared memory is not that of a channel."};
  return host_channel{std::move(*memory), slots, slot_bytes, std::move(runner_event),
                      std::move(sender_event)};
}

std::span<std::byte> host_channel::payload(std::uint32_t number) const noexcept {
  return memory_.bytes().subspan(head_bytes + number * slot_bytes_, slot_bytes_);
}

void host_channel::submit(std::uint32_t slot) noexcept {
  const std::lock_guard lock(*writing_);
  head().submitted.push(slot);
}

void host_channel::trim(std::uint32_t number) noexcept {
  const auto& used = slot(number);
  if (used.in_bytes + used.out_bytes <= kept_bytes) return;
  memory_.drop_pages(head_bytes + number * slot_bytes_ + kept_bytes, slot_bytes_ - kept_bytes);
}

std::optional<std::uint32_t> host_channel::next_submitted() noexcept {
  if (head().submitted.empty()) return std::nullopt;
  // A slot comes back from the thread that completed it through the other process; the lock shows
  // that order to whoever checks this one.
  const std::lock_guard lock(*writing_);
  return head().submitted.pop(slots_);
}

void host_channel::complete(std::uint32_t slot) noexcept {
  {
    const std::lock_guard lock(*writing_);
    head().completed.push(slot);
  }
  head().to_sender.ring(sender_event_.get());
}

void host_channel::announce_loss(std::string_view why) noexcept {
  {
    const std::lock_guard lock(*writing_);
    if (head().is_lost.load() != 0) return;
    head().loss.set(why);
    head().is_lost.store(1);
  }
  head().to_sender.ring(sender_event_.get());
}

} // namespace engram
