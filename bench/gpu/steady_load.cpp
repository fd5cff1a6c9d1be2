#include "engram/bench/gpu/steady_load.hpp"

#include "engram/bench/gpu/statistics.hpp"
#include "engram/replay/verifier.hpp"

#include <pthread.h>

#include <algorithm>
#include <utility>

namespace engram::bench {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t most_examples = 5;
constexpr auto collect_every = 2ms;
// Answers reach the list by way of several threads: how far from ascending they may be.
constexpr std::int64_t disorder_ns = 1'000'000'000;

} // namespace

steady_load::steady_load(pipeline& pipe, const query_set& queries, double rate)
    : pipe_(pipe), queries_(queries), scenario_(queries.steady(rate)),
      target_(replay::make_pipeline_target(pipe)),
      sender_(scenario_, queries.pool(), *target_, log_, answers_), start_(clock_type::now()),
      sending_([this](const std::stop_token& stop) { sender_.run(start_, stop); }),
      collecting_([this](const std::stop_token& stop) {
        pthread_setname_np(pthread_self(), "collector");
        while (!stop.stop_requested()) {
          std::this_thread::sleep_for(collect_every);
          collect();
        }
      }) {}

steady_load::~steady_load() {
  sending_.request_stop();
  if (sending_.joinable()) sending_.join();
  pipe_.stop(0ms); // callbacks of unanswered requests refer to this
}

void steady_load::collect() {
  auto taken = answers_.take();
  const std::lock_guard hold{mutex_};
  for (auto& each : taken)
    take(std::move(each));
}

void steady_load::take(replay::outcome what) {
  const auto& sent = *what.request;
  if (what.repeated) {
    ++outcome_.duplicated;
    return;
  }
  outcome_.answers.push_back({sent.scheduled_ns, what.answered_ns});
  outcome_.fell_back += what.fell_back;
  const auto name = "request " + std::to_string(sent.number) + ": ";
  if (what.code != ec::none) {
    ++outcome_.errors;
    return complain(name + std::string{to_string(what.code)} + ": " + what.more->message);
  }
  if (const auto differs = replay::difference(operation::search, what.more->output,
                                              queries_.expected(sent.variant))) {
    ++outcome_.wrong;
    complain(name + "by " + what.device + ", " + *differs);
  }
  if (!what.device.starts_with("gpu") || what.fell_back) return;
  ++outcome_.by_gpu;
  gpu_answers_.push_back(what.answered_ns);
}

void steady_load::complain(std::string what) {
  if (outcome_.examples.size() < most_examples) outcome_.examples.push_back(std::move(what));
}

std::optional<time_point> steady_load::gpu_answered_since(time_point when) const {
  const auto since = ns_since(start_, when);
  std::optional<std::int64_t> first;
  const std::lock_guard hold{mutex_};
  for (auto at = gpu_answers_.rbegin(); at != gpu_answers_.rend() && *at > since - disorder_ns;
       ++at)
    if (*at >= since) first = first ? std::min(*first, *at) : *at;
  if (!first) return std::nullopt;
  return start_ + std::chrono::nanoseconds{*first};
}

load_outcome steady_load::finish(std::chrono::milliseconds patience) {
  sending_.request_stop();
  sending_.join();
  const auto give_up = clock_type::now() + patience;
  const auto answered = [this] {
    const std::lock_guard hold{mutex_};
    return outcome_.answers.size();
  };
  while (answered() < log_.size() && clock_type::now() < give_up)
    std::this_thread::sleep_for(collect_every);
  // A second answer would come late, if it comes.
  std::this_thread::sleep_for(50ms);
  // What was lost would be answered by the pipeline's end, so that it is counted before.
  collecting_.request_stop();
  collecting_.join();
  collect();
  outcome_.sent = log_.size();
  outcome_.lost = outcome_.sent - outcome_.answers.size();
  pipe_.stop(0ms);
  return std::move(outcome_);
}

latency_summary latencies_within(const std::vector<answered_request>& answers,
                                 std::vector<time_span> spans) {
  std::ranges::sort(spans, {}, &time_span::from_ns);
  std::vector<double> seconds;
  for (const auto& each : answers) {
    // The first span that has not ended when the request was due is the only one that may count.
    const auto span = std::ranges::lower_bound(spans, each.due_ns, {}, &time_span::to_ns);
    if (span != spans.end() && each.answered_ns >= span->from_ns)
      seconds.push_back(static_cast<double>(each.answered_ns - each.due_ns) * 1e-9);
  }
  return {seconds.size(), quantile(seconds, 0.5), quantile(seconds, 0.99)};
}

} // namespace engram::bench
