#include "engram/service/dashboard/feed.hpp"

#include "engram/service/dashboard/messages.hpp"

#include <algorithm>
#include <chrono>
#include <string_view>
#include <utility>

namespace engram {

namespace {

constexpr duration interval = std::chrono::seconds{1};
/// So long after a reading is due listeners look for it, and again while it is late.
constexpr duration slack = std::chrono::milliseconds{10};

std::string server_sent_event(std::string_view name, const std::string& data) {
  return "event: " + std::string{name} + "\ndata: " + data + "\n\n";
}

} // namespace

dashboard_feed::dashboard_feed(const pipeline& pipe)
    : pipe_(pipe), next_reading_(clock_.now()), watcher_([this] { watch(); }) {}

dashboard_feed::~dashboard_feed() {
  {
    const std::lock_guard lock{mutex_};
    stopped_ = true;
  }
  stopping_.notify_all();
  watcher_.join();
}

void dashboard_feed::watch() {
  std::unique_lock lock{mutex_};
  while (!stopped_) {
    lock.unlock();
    auto reading = read_pipeline(pipe_, clock_.now());
    lock.lock();
    history_.add(std::move(reading));
    ++readings_;
    next_reading_ = std::max(next_reading_ + interval, clock_.now());
    stopping_.wait_until(lock, next_reading_, [this] { return stopped_; });
  }
}

void dashboard_feed::hold_readiness(std::string state) {
  const std::lock_guard lock{mutex_};
  held_state_ = std::move(state);
}

std::string dashboard_feed::news(place& listener) {
  const std::lock_guard lock{mutex_};
  if (readings_ == listener.reading) return {};
  const auto events = pipe_.events(listener.event);
  auto text = listener.reading == 0
                  ? server_sent_event(
                        "history", encode_dashboard(history_, held_state_, pipe_.options(), events))
                  : server_sent_event("update", encode_dashboard_update(history_, held_state_,
                                                                        listener.sample, events));
  listener.reading = readings_;
  if (!history_.samples().empty()) listener.sample = history_.samples().back().number;
  if (!events.empty()) listener.event = events.back().number;
  return text;
}

duration dashboard_feed::until_news() const {
  const std::lock_guard lock{mutex_};
  return std::max(next_reading_ - clock_.now(), duration::zero()) + slack;
}

} // namespace engram
