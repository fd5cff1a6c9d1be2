#pragma once

#include "engram/devices/cpu_device.hpp"
#include "engram/replay/target.hpp"
#include "engram/replay/verifier.hpp"

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <stop_token>
#include <thread>

namespace engram::replay::test {

/// Answers rightly, one request after the other on a thread of its own, unless told to misbehave.
class fake_target final : public replay_target {
public:
  /// What to do with request number `n` (from 0).
  enum class conduct { answer, lose, answer_twice, answer_wrongly, fail };
  std::function<conduct(std::uint64_t n)> behave = [](std::uint64_t) { return conduct::answer; };
  /// Called in `send`, on the sender's thread, and before each answer, on the answering one.
  std::function<void(std::uint64_t n)> before_send = [](std::uint64_t) {};
  std::function<void(std::uint64_t n)> before_answer = [](std::uint64_t) {};
  std::vector<std::string> armed;
  std::uint64_t corrupted = 0; ///< results that "cpu.result" claims to have changed once it is set

  fake_target() : thread_([this](std::stop_token stop) { serve(std::move(stop)); }) {}
  ~fake_target() override { stop(std::chrono::milliseconds{0}); }

  /// Returns how many requests it was sent.
  std::uint64_t sent() {
    std::lock_guard hold{mutex_};
    return sent_;
  }

  std::string description() const override { return "fake"; }

  void send(request what, std::function<void(answer)> done) override {
    before_send(sent_);
    std::lock_guard hold{mutex_};
    waiting_.push_back({sent_++, std::move(what), std::move(done)});
    changed_.notify_all();
  }

  result<void> arm_fault(std::string_view setting) override {
    armed.emplace_back(setting);
    return {};
  }
  result<void> check_fault(std::string_view setting) const override {
    fault_points points;
    points.site("gpu0.launch", "", {fault_action::kind::fail});
    points.site("cpu.result", "", {fault_action::kind::corrupt});
    return points.check(setting);
  }
  std::vector<fault_points::site_info> faults() const override {
    std::vector<fault_points::site_info> sites;
    sites.push_back(
        {"cpu.result", "", {fault_action::kind::corrupt}, "", armed.empty() ? 0 : corrupted});
    return sites;
  }
  health_report health() const override { return {}; }
  std::vector<pipeline_event> events(std::uint64_t) const override { return {}; }
  std::optional<pipeline_counts> counts() const override { return std::nullopt; }
  void stop(std::chrono::milliseconds) override {
    thread_.request_stop();
    if (thread_.joinable()) thread_.join();
  }

private:
  struct waiting_request {
    std::uint64_t number;
    request what;
    std::function<void(answer)> done;
  };

  void serve(std::stop_token stop) {
    std::unique_lock hold{mutex_};
    while (changed_.wait(hold, stop, [this] { return !waiting_.empty(); })) {
      auto next = std::move(waiting_.front());
      waiting_.pop_front();
      hold.unlock();
      before_answer(next.number);
      reply(next, behave(next.number));
      hold.lock();
    }
  }

  static void reply(const waiting_request& asked, conduct how) {
    if (how == conduct::lose) return;
    answer got;
    got.trace.device = "cpu";
    got.trace.reason = route_reason::no_gpu;
    if (how == conduct::fail) {
      got.failure = {ec::overloaded, "too much"};
    } else {
      got.output = std::move(compute_reference(batch_of(asked.what, nullptr)).front());
      if (how == conduct::answer_wrongly) got.output.scores.front() += 0x1p-20f;
    }
    asked.done(got);
    if (how == conduct::answer_twice) asked.done(got);
  }

  std::uint64_t sent_ = 0;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<waiting_request> waiting_;
  std::jthread thread_;
};

/// Returns a scenario of similarity requests, evenly spaced, which needs no dataset.
inline scenario steady(double rate, duration length) {
  load_spec load;
  load.name = "steady";
  load.op = operation::similarity;
  load.arrival = arrival_kind::constant;
  load.rate = rate;
  load.dim = 4;
  load.distinct = 16;
  load.deadline = std::chrono::milliseconds{100};
  scenario what;
  what.name = "steady";
  what.loads.push_back(load);
  what.measured = length;
  what.verify_share = 1.0;
  return what;
}

} // namespace engram::replay::test
