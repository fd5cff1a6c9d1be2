#include "engram/devices/host/hello.hpp"

#include <bit>
#include <tuple>
#include <utility>

namespace engram {

namespace {

/// Cuts `text` at the first line break.
std::pair<std::string, std::string> two_lines(const std::string& text) {
  const auto end = text.find('\n');
  if (end == std::string::npos) return {text, {}};
  return {text.substr(0, end), text.substr(end + 1)};
}

} // namespace

host_message to_message(const host_hello& hello) {
  host_message out;
  out.kind = host_message_kind::hello;
  out.text = hello.gpu + '\n' + hello.name;
  out.numbers = {static_cast<std::uint64_t>(hello.role),
                 hello.streams,
                 std::bit_cast<std::uint64_t>(hello.vram_safety_margin),
                 hello.cpu_threads,
                 hello.held_bytes,
                 hello.slots,
                 hello.slot_bytes,
                 hello.exits_at_once,
                 hello.never_ready};
  return out;
}

host_hello to_hello(const host_message& message) {
  host_hello out;
  std::tie(out.gpu, out.name) = two_lines(message.text);
  const auto& n = message.numbers;
  out.role = static_cast<host_role>(n[0]);
  out.streams = static_cast<std::uint32_t>(n[1]);
  out.vram_safety_margin = std::bit_cast<double>(n[2]);
  out.cpu_threads = static_cast<std::uint32_t>(n[3]);
  out.held_bytes = n[4];
  out.slots = static_cast<std::uint32_t>(n[5]);
  out.slot_bytes = n[6];
  out.exits_at_once = n[7] != 0;
  out.never_ready = n[8] != 0;
  return out;
}

host_message to_message(const host_ready& ready) {
  host_message out;
  out.kind = host_message_kind::ready;
  out.text = ready.model + '\n' + ready.pci_bus_id;
  out.numbers = {ready.memory_bytes, ready.budget_bytes, ready.used_bytes};
  return out;
}

host_ready to_ready(const host_message& message) {
  host_ready out;
  std::tie(out.model, out.pci_bus_id) = two_lines(message.text);
  out.memory_bytes = message.numbers[0];
  out.budget_bytes = message.numbers[1];
  out.used_bytes = message.numbers[2];
  return out;
}

} // namespace engram
