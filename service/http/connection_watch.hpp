#pragma once

#include "engram/base/clock.hpp"
#include "engram/service/http/connection_shares.hpp"

#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

namespace engram {

/// Sees to it that slow clients do not keep the server's threads from others. CivetWeb waits for as
/// long as a byte comes now and then, so a thread of this looks at the sockets from outside, a few
/// times a second, and shuts down those whose clients are too slow or have too many. Thread-safe.
class connection_watch {
  /// A connection by its client's end: address in numbers and port.
  using end = std::pair<std::string, std::uint16_t>;
  /// What a connection that is being served is doing.
  struct state {
    time_point due = time_point::max(); ///< when its client will have been waited for long enough
    bool is_sending = false;            ///< it is the client that should send
  };

public:
  /// A client has `patience` for what it is waited for.
  connection_watch(const clock_source& clock, duration patience)
      : clock_(clock), patience_(patience) {}
  ~connection_watch() { stop(); }
  connection_watch(const connection_watch&) = delete;
  connection_watch& operator=(const connection_watch&) = delete;

  /// Watches the connections to `port` of this process.
  void start(std::uint16_t port, connection_shares shares);
  void stop();

  /// A request that is being answered while this lives.
  class serving {
  public:
    serving(connection_watch& watch, std::string_view address, std::uint16_t port);
    ~serving();
    serving(const serving&) = delete;
    serving& operator=(const serving&) = delete;

    /// Returns by when a client that is sent `bytes` from now on is to have taken them all: the
    /// watch's patience for each MiB, the last one whole.
    time_point due_for(std::uint64_t bytes) const;

  private:
    friend class connection_watch;
    connection_watch& watch_;
    std::multimap<end, state>::iterator mine_;
  };

  /// The client is waited for, for at most the watch's patience and no longer than until `latest`,
  /// while this lives.
  class waiting {
  public:
    enum class direction { sending, taking };
    waiting(serving& of, direction what, time_point latest = time_point::max());
    ~waiting();
    waiting(const waiting&) = delete;
    waiting& operator=(const waiting&) = delete;

  private:
    serving& of_;
  };

private:
  void run(const std::stop_token& token);
  void look();

  const clock_source& clock_;
  std::uint16_t port_ = 0;
  connection_shares shares_;
  const duration patience_;
  std::set<end> known_; ///< at the last look

  std::mutex mutex_; ///< of what follows
  std::condition_variable_any woken_;
  /// A client may come again from the same end before its last request has been answered.
  std::multimap<end, state> served_;
  std::jthread watcher_; ///< last: it uses all of the above
};

} // namespace engram
