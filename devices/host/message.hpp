#pragma once

/// What the pipeline's process and a GPU's child processes say to each other besides batches: rare
/// messages on a socket, which also carry file descriptors.
///
///   to a child:     hello, publish (owner), attach (runner), retire
///   from a child:   ready or failed, then published, attached, refused, retired

#include "engram/base/error.hpp"
#include "engram/devices/host/handles.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace engram {

enum class host_message_kind : std::uint8_t {
  hello,     ///< who you are: see hello.hpp
  ready,     ///< the child can work; what the GPU is
  failed,    ///< it cannot, and ends; `text` says why
  publish,   ///< a dataset to hold; its content lies in fds[0]
  published, ///< `key` is held; fds are its memory
  attach,    ///< a dataset of the owner to serve; fds are its memory
  attached,  ///< `key` is served
  refused,   ///< `key` is not; `text` says why, numbers[0] is the error code
  retire,    ///< forget `key`
  retired,   ///< it is forgotten
};

// Places in `numbers` of messages about datasets: the bytes of each part of its memory come first.
inline constexpr std::size_t most_parts = 5;
inline constexpr std::size_t detail_place = 5;
inline constexpr std::size_t used_place = 6; ///< device memory in use afterwards

struct host_message {
  host_message_kind kind = host_message_kind::hello;
  std::uint64_t key = 0;
  std::array<std::uint64_t, 16> numbers{};
  std::string text; ///< at most 4,000 bytes travel
  std::vector<unique_fd> fds;
};

/// A pair of connected sockets for messages; each keeps message borders.
struct host_sockets {
  unique_fd ours, theirs;
};
result<host_sockets> make_host_sockets();

/// Sends `message`; `fds` stay open here. False if the other end is gone.
bool send(int socket, const host_message& message);
/// Returns the next message; nothing if there is none now (`wait` false) or the other end is gone.
/// `closed` says which.
std::optional<host_message> receive(int socket, bool wait, bool& closed);

} // namespace engram
