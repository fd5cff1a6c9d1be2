#pragma once

#include "engram/kernels/cosine.hpp"
#include "engram/tests/actors/virtual_actors.hpp"
#include "engram/tests/support/scripted_device.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace engram::test {

using namespace std::chrono_literals;

/// Actors in virtual time (virtual_actors) on scripted devices, and requests to them.
class virtual_pipeline {
public:
  explicit virtual_pipeline(pipeline_options options = {}, std::size_t gpus = 1) {
    std::vector<std::unique_ptr<device>> devices;
    for (std::size_t d = 0; d <= gpus; ++d) {
      auto made =
          std::make_unique<scripted_device>(d == 0 ? "cpu" : "gpu" + std::to_string(d - 1),
                                            d == 0 ? device_kind::cpu : device_kind::simulated,
                                            clock, d == 0 ? 1 : options.gpu.streams);
      if (d > 0) made->seconds_per_work /= 10;
      scripted_.push_back(made.get());
      devices.push_back(std::move(made));
    }
    actors_ = std::make_unique<virtual_actors>(
        std::move(options), clock, std::make_unique<fault_points>(), std::move(devices));
  }

  /// Ends all actors; requests that are left stay unanswered.
  void stop() { actors_->stop(); }

  pipeline_core& core() { return actors_->core(); }
  scripted_device& cpu() { return *scripted_[0]; }
  scripted_device& gpu(std::size_t i = 0) { return *scripted_[i + 1]; }
  breaker_state breaker(std::size_t i = 0) { return core().workers[i + 1]->breaker; }

  /// Lets every actor do what it can at this moment.
  void run() { actors_->run(); }
  /// Turns the hands on by `d`, stopping at every timer and alarm on the way.
  void advance(duration d) { actors_->advance(d); }

  /// Arms a fault point: "actor.router=1*exit" kills the router at its next message.
  void arm(const std::string& setting) {
    const auto armed = core().faults->arm(setting);
    ASSERT_TRUE(armed) << armed.error().message;
  }

  /// Returns how often a fault point has fired.
  std::uint64_t times_fired(std::string_view site) {
    for (const auto& each : core().faults->list())
      if (each.name == site) return each.fired;
    return 0;
  }

  /// Returns the value of a series, as a scrape shows it; -1 if there is none.
  double metric(const std::string& series) {
    const auto text = "\n" + core().numbers.to_text(core().snapshot());
    const auto found = text.find("\n" + series + " ");
    return found == std::string::npos ? -1 : std::stod(text.substr(found + series.size() + 2));
  }

  // -- datasets and requests
  // -----------------------------------------------------------------------

  /// Publishes `rows` vectors of `dim` whole numbers, here and on every GPU.
  dataset_ptr publish(std::string name = "vectors", std::size_t rows = 50, std::size_t dim = 8) {
    std::vector<float> numbers(rows * dim);
    for (std::size_t i = 0; i < numbers.size(); ++i)
      numbers[i] = static_cast<float>((i * 7919) % 23) - 11.0f;
    auto collection = vector_collection::make({numbers.data(), rows, dim});
    EXPECT_TRUE(collection);
    auto data = core().datasets.publish(std::move(name), *collection);
    EXPECT_TRUE(data);
    for (std::size_t d = 1; d < scripted_.size(); ++d)
      EXPECT_TRUE(scripted_[d]->publish(*data));
    return *data;
  }

  /// Returns a search for `queries` rows of `data`, starting with row `first`.
  payload_ptr search(const dataset_ptr& data, std::size_t queries = 1, std::size_t first = 0) {
    auto work = std::make_shared<work_payload>();
    work->op = operation::search;
    work->data = data;
    work->dim = data->collection()->dim();
    work->k = 3;
    for (std::size_t q = 0; q < queries; ++q) {
      const auto row = data->collection()->row((first + q) % data->collection()->size());
      work->inverse_norms.push_back(inverse_norm(row));
      work->queries.insert(work->queries.end(), row.begin(), row.end());
    }
    return work;
  }

  struct asked {
    payload_ptr payload;
    std::vector<answer> answers; ///< must end up with exactly one
    request_ptr handle;
    time_point deadline;
    time_point answered_at{};
  };

  /// Hands a request over as `pipeline::submit` does, without validation; returns its number.
  std::size_t submit(payload_ptr payload, duration deadline = 1s, int priority = 0) {
    const auto number = requests.size();
    requests.push_back({payload, {}, nullptr, clock.now() + deadline, {}});
    const auto verdict = core().gate.enter();
    if (verdict != admission_gate::verdict::entered) {
      answer refused;
      refused.failure = {
          verdict == admission_gate::verdict::full ? ec::overloaded : ec::shutting_down, "refused"};
      requests[number].answers.push_back(refused);
      return number;
    }
    auto pending =
        std::make_shared<pending_request>(number + 1, payload, clock.now(), clock.now() + deadline,
                                          priority, core().desk, [this, number](answer a) {
                                            requests[number].answered_at = clock.now();
                                            requests[number].answers.push_back(std::move(a));
                                          });
    requests[number].handle = pending;
    core().inbox.push(std::move(pending));
    return number;
  }

  /// Sends `count` searches, one every 100 us, which are all answered rightly soon.
  void expect_service(const dataset_ptr& data, std::size_t count) {
    const auto first = requests.size();
    for (std::size_t i = 0; i < count; ++i) {
      submit(search(data, 1, i));
      advance(100us);
    }
    advance(100ms);
    for (auto r = first; r < requests.size(); ++r)
      EXPECT_TRUE(is_right(r)) << "request " << r;
  }

  /// Gives the first GPU a batch that takes `how_long`, so that what follows waits in a window.
  /// Returns its request, which has time enough.
  std::size_t keep_busy(const dataset_ptr& data, duration how_long) {
    const auto before = std::exchange(gpu().latency, how_long);
    const auto number = submit(search(data), how_long + 1s);
    run();
    gpu().latency = before;
    return number;
  }

  const answer& only_answer(std::size_t number) {
    static const answer none{0, operation::search, {ec::internal, "not answered"}, {}, {}};
    EXPECT_EQ(requests[number].answers.size(), 1u) << "request " << number;
    return requests[number].answers.empty() ? none : requests[number].answers[0];
  }
  bool answered(std::size_t number) const { return !requests[number].answers.empty(); }

  /// True if the one answer is what the scalar kernels say.
  bool is_right(std::size_t number) {
    const auto& got = only_answer(number);
    return got.ok() && got.output == compute_reference(*whole_batch(requests[number].payload))[0];
  }

  manual_alarm_clock clock;
  std::vector<asked> requests;

private:
  std::vector<scripted_device*> scripted_;
  std::unique_ptr<virtual_actors> actors_; ///< gone before what its answers are written to
};

/// Options under which every batch of at least one item may use the GPU.
inline pipeline_options eager_gpu() {
  pipeline_options options;
  options.gpu.gpu_min_batch_size = 1;
  options.gpu.thresholds.gpu_speedup_threshold = 1.0;
  options.batching.max_wait_ms = 0;
  options.routing.shadow_share = 0;
  options.gpu.verification.check_share = 0;
  options.gpu.verification.canary_interval_ms = 0;
  options.gpu.breaker.cool_down_jitter = 0;
  return options;
}

} // namespace engram::test
