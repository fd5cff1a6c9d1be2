#include "engram/bench/gpu/pipeline_case.hpp"

#include "engram/base/clock.hpp"
#include "engram/pipeline/pipeline.hpp"

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

namespace engram::bench {

namespace {

constexpr const char* dataset_name = "random";
constexpr std::size_t input_sets = 64;
// Requests that a flood keeps in flight: several full windows.
constexpr std::size_t flood_in_flight = 1024;
constexpr std::size_t warm_up_requests = 100;

pipeline_options options_for(const run_settings& settings, bool flood) {
  pipeline_options options;
  options.gpu.devices = {pipeline_name(settings.gpu)};
  options.gpu.gpu_min_batch_size = 1;
  options.gpu.thresholds.gpu_speedup_threshold = 1;
  options.gpu.isolation = "none";
  options.batching.max_wait_ms = flood ? 1 : 0;
  options.batching.target_batch_size = flood ? 256 : 128;
  options.cpu.threads = settings.cpu_threads;
  options.runtime.pin_threads = settings.pin_threads;
  options.routing.shadow_share = 0; // nothing else works beside what is measured
  options.admission.default_deadline_ms = 60'000;
  return options;
}

request make_request(const work_shape& shape, const dataset_ptr& data, std::uint64_t seed) {
  auto payload = make_payload(shape, data, seed);
  return search_request{dataset_name, std::move(payload->queries), shape.k, {}};
}

/// What the answers said; callbacks write to it.
struct tally {
  std::mutex mutex;
  std::vector<double> seconds;
  std::map<std::string, std::size_t> reasons; ///< "cpu, below_speedup"
  std::size_t by_gpu = 0;
  std::string failure; ///< the first one
  std::atomic<std::size_t> answered{0};
};

void count(tally& all, const answer& a, double seconds) {
  {
    std::lock_guard lock(all.mutex);
    all.seconds.push_back(seconds);
    if (!a.ok() && all.failure.empty()) all.failure = a.failure.message;
    const bool gpu = a.trace.device.starts_with("gpu");
    all.by_gpu += gpu;
    if (!gpu) ++all.reasons[a.trace.device + ", " + std::string{to_string(a.trace.reason)}];
  }
  all.answered.fetch_add(1, std::memory_order_release);
}

/// Sends requests, with at most `in_flight` unanswered, until the limits say stop.
void drive(pipeline& pipe, const std::vector<request>& requests, std::size_t in_flight,
           const repeat_limits& limits, tally& all) {
  const auto begin = clock_type::now();
  std::size_t sent = 0;
  const auto is_enough = [&] {
    return sent >= limits.repeats ||
           (sent >= limits.least && to_seconds(clock_type::now() - begin) > limits.seconds);
  };
  for (; !is_enough(); ++sent) {
    request copy = requests[sent % requests.size()];
    const auto submitted = clock_type::now();
    pipe.submit(std::move(copy), [&all, submitted](const answer& a) {
      count(all, a, to_seconds(clock_type::now() - submitted));
    });
    while (sent + 1 - all.answered.load(std::memory_order_acquire) >= in_flight)
      std::this_thread::yield();
  }
  while (all.answered.load(std::memory_order_acquire) < sent)
    std::this_thread::yield();
}

/// Returns at most `most` of them, evenly spread: a flood makes more than anyone wants to keep.
std::vector<double> thinned(std::vector<double> values, std::size_t most) {
  if (values.size() <= most) return values;
  for (std::size_t i = 0; i < most; ++i)
    values[i] = values[i * values.size() / most];
  values.resize(most);
  return values;
}

std::string said_why(const tally& all) {
  std::string text = "not every request was answered by the GPU:";
  for (const auto& [reason, times] : all.reasons)
    text += ' ' + std::to_string(times) + " by " + reason + ';';
  text.back() = '.';
  return text;
}

} // namespace

result<void> run_pipeline_case(const bench_case& what, const run_settings& settings,
                               dataset_shelf& shelf, case_record& into) {
  const bool flood = what.kind == case_kind::pipeline_flood;
  const auto data = shelf.get(what.work);
  if (!data) return data.error();
  auto pipe = pipeline::start(options_for(settings, flood));
  if (!pipe) return pipe.error();
  if (*data)
    if (auto published = (*pipe)->publish(dataset_name, (*data)->content); !published)
      return published.error();
  std::vector<request> requests;
  for (std::uint64_t seed = 1; seed <= input_sets; ++seed)
    requests.push_back(make_request(what.work, *data, seed));

  tally warm, all;
  auto limits = settings.limits;
  const std::size_t in_flight = flood ? flood_in_flight : 1;
  limits.repeats *= flood ? 1000 : 10; // time ends a flood
  drive(**pipe, requests, in_flight, {warm_up_requests, 10, limits.seconds / 4}, warm);
  const auto begin = clock_type::now();
  drive(**pipe, requests, in_flight, limits, all);
  const double rate = static_cast<double>(all.answered) / to_seconds(clock_type::now() - begin);
  (*pipe)->stop();

  if (!all.failure.empty()) return error{ec::internal, all.failure};
  const auto vectors = std::max(what.work.rows, what.work.items);
  into.figures["gpu_share"] = static_cast<double>(all.by_gpu) / static_cast<double>(all.answered);
  into.figures["requests_per_second"] = rate;
  into.figures["vectors_per_second"] = rate * static_cast<double>(vectors);
  into.seconds["gpu"] = thinned(std::move(all.seconds), 2000);
  // Under load the CPU takes its share rightly.
  if (!flood && all.by_gpu != all.answered) into.trouble = said_why(all);
  return {};
}

} // namespace engram::bench
