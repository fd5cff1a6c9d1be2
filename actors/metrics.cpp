#include "engram/actors/metrics.hpp"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <map>
#include <utility>

namespace engram {

namespace {

using prometheus::Counter;
using prometheus::Gauge;
using prometheus::Histogram;

using labels = std::map<std::string, std::string>;

const Histogram::BucketBoundaries second_bounds{
    10e-6, 25e-6, 50e-6,  100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3,
    20e-3, 50e-3, 100e-3, 250e-3, 500e-3, 1.0,    2.5,  5.0,    10.0};
const Histogram::BucketBoundaries item_bounds{1,   2,   4,   8,    16,   32,   64,   96,    128,
                                              192, 256, 512, 1024, 2048, 4096, 8192, 16384, 65536};

constexpr std::size_t hedge_fate_count = static_cast<std::size_t>(hedge_fate::last_) + 1;
constexpr std::size_t status_count = answer_status_count;

std::size_t index_of(operation op) {
  return static_cast<std::size_t>(op);
}

template <class T>
using by_op = std::array<T, operation_count>;

std::string status_name(ec status) {
  return status == ec::none ? "ok" : std::string{to_string(status)};
}

std::uint64_t whole(double count) {
  return static_cast<std::uint64_t>(count);
}

std::uint64_t count_of(const Counter* counter) {
  return counter ? whole(counter->Value()) : 0;
}

histogram_counts counts_of(const Histogram& histogram) {
  const auto collected = histogram.Collect().histogram;
  histogram_counts out;
  out.sum = collected.sample_sum;
  std::uint64_t below = 0;
  for (const auto& bucket : collected.bucket) {
    out.buckets.push_back(bucket.cumulative_count - below);
    below = bucket.cumulative_count;
  }
  return out;
}

/// Calls `f(labels, metric)` for each series of a family that gets new ones while it runs.
template <class Family, class F>
void for_each_series(const Family& family, F&& f) {
  for (const auto& all : family.Collect())
    for (const auto& metric : all.metric) {
      labels of;
      for (const auto& label : metric.label)
        of[label.name] = label.value;
      f(of, metric);
    }
}

} // namespace

std::string_view to_string(hedge_fate fate) noexcept {
  switch (fate) {
  case hedge_fate::cancelled:
    return "cancelled";
  case hedge_fate::dropped:
    return "dropped";
  case hedge_fate::failed:
    return "failed";
  }
  return "failed";
}

struct metrics::families {
  explicit families(prometheus::Registry& r)
      : requests(prometheus::BuildCounter()
                     .Name("engram_requests_total")
                     .Help("Answered requests")
                     .Register(r)),
        latency(histogram(r, "engram_request_latency_seconds", "Accepted to answered")),
        queue(histogram(r, "engram_queue_seconds", "Batch closed to started on a device")),
        window(histogram(r, "engram_window_seconds", "Accepted to batch closed")),
        transfer(histogram(r, "engram_transfer_seconds",
                           "Copies to and from the device, for each batch")),
        kernel(histogram(r, "engram_kernel_seconds", "Computation on the device, for each batch")),
        batch_size(histogram(r, "engram_batch_size", "Items in each batch")),
        batches(prometheus::BuildCounter()
                    .Name("engram_batches_total")
                    .Help("Routing decisions")
                    .Register(r)),
        launches(prometheus::BuildCounter()
                     .Name("engram_gpu_launch_total")
                     .Help("Batches started on a GPU")
                     .Register(r)),
        fallbacks(prometheus::BuildCounter()
                      .Name("engram_gpu_fallback_total")
                      .Help("Batches that a GPU failed and another device answered")
                      .Register(r)),
        fallback_causes(prometheus::BuildCounter()
                            .Name("engram_gpu_fallback_causes_total")
                            .Help("Fallbacks by what the GPU did")
                            .Register(r)),
        ooms(prometheus::BuildCounter()
                 .Name("engram_gpu_oom_total")
                 .Help("Batches for which GPU memory did not suffice")
                 .Register(r)),
        checks(prometheus::BuildCounter()
                   .Name("engram_gpu_checks_total")
                   .Help("Answers of a GPU that were compared with the CPU's")
                   .Register(r)),
        wrong_answers(prometheus::BuildCounter()
                          .Name("engram_gpu_wrong_answers_total")
                          .Help("Answers of a GPU that differed from the CPU's")
                          .Register(r)),
        hedged(prometheus::BuildCounter()
                   .Name("engram_hedged_batches_total")
                   .Help("Batches that a GPU was late with and that the CPU was given as well")
                   .Register(r)),
        hedge_wins(prometheus::BuildCounter()
                       .Name("engram_hedge_wins_total")
                       .Help("Hedged batches by who answered first")
                       .Register(r)),
        hedge_losers(prometheus::BuildCounter()
                         .Name("engram_hedge_losers_total")
                         .Help("Runs of hedged batches that did not answer them")
                         .Register(r)),
        worker_restarts(prometheus::BuildCounter()
                            .Name("engram_gpu_worker_restarts_total")
                            .Help("GPU workers started again")
                            .Register(r)),
        actor_restarts(prometheus::BuildCounter()
                           .Name("engram_actor_restarts_total")
                           .Help("Actors started again")
                           .Register(r)),
        speedup(prometheus::BuildGauge()
                    .Name("engram_gpu_speedup_ratio")
                    .Help("Predicted CPU time / GPU time of the batch routed last")
                    .Register(r)),
        success_rate(prometheus::BuildGauge()
                         .Name("engram_gpu_success_rate")
                         .Help("Share of good outcomes in the sliding window")
                         .Register(r)),
        available(prometheus::BuildGauge()
                      .Name("engram_gpu_available")
                      .Help("1 if the worker is up and the breaker closed")
                      .Register(r)),
        breaker(prometheus::BuildGauge()
                    .Name("engram_gpu_breaker_state")
                    .Help("1 for the state the breaker is in")
                    .Register(r)),
        breaker_overrides(prometheus::BuildGauge()
                              .Name("engram_gpu_breaker_override")
                              .Help("1 for what an operator said about the breaker")
                              .Register(r)),
        memory_used(prometheus::BuildGauge()
                        .Name("engram_gpu_memory_used_bytes")
                        .Help("Reserved device memory")
                        .Register(r)),
        memory_budget(prometheus::BuildGauge()
                          .Name("engram_gpu_memory_budget_bytes")
                          .Help("Device memory that may be used")
                          .Register(r)),
        uploaded(prometheus::BuildCounter()
                     .Name("engram_gpu_uploaded_bytes_total")
                     .Help("Bytes of datasets that were copied to the device")
                     .Register(r)),
        in_flight(prometheus::BuildGauge()
                      .Name("engram_in_flight_requests")
                      .Help("Accepted and unanswered requests")
                      .Register(r)),
        queue_depth(prometheus::BuildGauge()
                        .Name("engram_queue_depth")
                        .Help("Work that waits for an actor")
                        .Register(r)) {}

  static prometheus::Family<Histogram>& histogram(prometheus::Registry& r, const char* name,
                                                  const char* help) {
    return prometheus::BuildHistogram().Name(name).Help(help).Register(r);
  }

  prometheus::Family<Counter>& requests;
  prometheus::Family<Histogram>&latency, &queue, &window, &transfer, &kernel, &batch_size;
  prometheus::Family<Counter>&batches, &launches, &fallbacks, &fallback_causes, &ooms, &checks,
      &wrong_answers, &hedged, &hedge_wins, &hedge_losers, &worker_restarts, &actor_restarts;
  prometheus::Family<Gauge>&speedup, &success_rate, &available, &breaker, &breaker_overrides,
      &memory_used, &memory_budget;
  prometheus::Family<Counter>& uploaded;
  prometheus::Family<Gauge>&in_flight, &queue_depth;

  // Handles of the hot path.
  by_op<std::array<Counter*, status_count>> request_of{};
  by_op<Histogram*> latency_of{}, queue_of{}, window_of{}, batch_size_of{};
  struct of_device {
    by_op<std::array<Counter*, route_reason_count>> batches{};
    by_op<Histogram*> transfer{}, kernel{};
    by_op<Gauge*> speedup{};
    Counter *launches = nullptr, *fallbacks = nullptr, *ooms = nullptr, *hedged = nullptr;
    Counter *checks = nullptr, *wrong_answers = nullptr;
    std::array<Counter*, 2> hedge_wins{}; ///< of the CPU, of the GPU
    std::array<Counter*, hedge_fate_count> hedge_losers{};
  };
  std::vector<of_device> device;
};

metrics::metrics(std::vector<std::string> devices)
    : registry_(std::make_unique<prometheus::Registry>()),
      families_(std::make_unique<families>(*registry_)), devices_(std::move(devices)) {
  auto& f = *families_;
  f.device.resize(devices_.size());
  for (std::size_t o = 0; o < operation_count; ++o) {
    const labels op{{"op", std::string{to_string(static_cast<operation>(o))}}};
    for (std::size_t s = 0; s < status_count; ++s) {
      auto with_status = op;
      with_status["status"] = status_name(static_cast<ec>(s));
      f.request_of[o][s] = &f.requests.Add(with_status);
    }
    f.latency_of[o] = &f.latency.Add(op, second_bounds);
    f.queue_of[o] = &f.queue.Add(op, second_bounds);
    f.window_of[o] = &f.window.Add(op, second_bounds);
    f.batch_size_of[o] = &f.batch_size.Add(op, item_bounds);
    for (std::size_t d = 0; d < devices_.size(); ++d) {
      auto& mine = f.device[d];
      auto of = op;
      of["device"] = devices_[d];
      mine.transfer[o] = &f.transfer.Add(of, second_bounds);
      mine.kernel[o] = &f.kernel.Add(of, second_bounds);
      for (std::size_t r = 0; r < route_reason_count; ++r) {
        auto why = of;
        why["reason"] = std::string{to_string(static_cast<route_reason>(r))};
        // On a GPU for one reason only; on the CPU for all others.
        if ((d > 0) == (static_cast<route_reason>(r) == route_reason::gpu))
          mine.batches[o][r] = &f.batches.Add(why);
      }
    }
  }
  for (std::size_t d = 1; d < devices_.size(); ++d) {
    const labels of{{"device", devices_[d]}};
    f.device[d].launches = &f.launches.Add(of);
    f.device[d].fallbacks = &f.fallbacks.Add(of);
    f.device[d].ooms = &f.ooms.Add(of);
    f.device[d].checks = &f.checks.Add(of);
    f.device[d].wrong_answers = &f.wrong_answers.Add(of);
    add_hedge_series(d);
  }
  add_rare_series();
}

void metrics::add_hedge_series(std::size_t gpu) {
  auto& f = *families_;
  auto& mine = f.device[gpu];
  const auto& name = devices_[gpu];
  mine.hedged = &f.hedged.Add({{"device", name}});
  mine.hedge_wins = {&f.hedge_wins.Add({{"device", name}, {"winner", "cpu"}}),
                     &f.hedge_wins.Add({{"device", name}, {"winner", "gpu"}})};
  for (std::size_t i = 0; i < hedge_fate_count; ++i)
    mine.hedge_losers[i] = &f.hedge_losers.Add(
        {{"device", name}, {"fate", std::string{to_string(static_cast<hedge_fate>(i))}}});
}

/// Series that seldom move are there from the start, so that a rate sees their first step.
void metrics::add_rare_series() {
  auto& f = *families_;
  for (const auto* actor : {"ingest", "batcher", "router", "telemetry"})
    f.actor_restarts.Add({{"actor", actor}});
  for (std::size_t d = 0; d < devices_.size(); ++d) {
    f.actor_restarts.Add({{"actor", devices_[d] + "_worker"}});
    f.actor_restarts.Add({{"actor", devices_[d] + "_quick_worker"}});
    if (d == 0) continue;
    f.worker_restarts.Add({{"device", devices_[d]}, {"cause", "worker_exit"}});
    for (const auto* cause : {"time_limit", "worker_lost"})
      f.fallback_causes.Add({{"device", devices_[d]}, {"cause", cause}});
    for (std::size_t c = 0; c <= static_cast<std::size_t>(fault_class::last_); ++c)
      f.fallback_causes.Add({{"device", devices_[d]},
                             {"cause", std::string{to_string(static_cast<fault_class>(c))}}});
  }
}

metrics::~metrics() = default;

void metrics::count_answer(operation op, ec status, const answer_trace& trace) {
  auto& f = *families_;
  const auto o = index_of(op);
  f.request_of[o][static_cast<std::size_t>(status)]->Increment();
  if (trace.total_seconds > 0)
    f.latency_of[o]->Observe(trace.total_seconds); // refusals were never accepted
  if (status != ec::none) return;
  f.queue_of[o]->Observe(trace.queue_seconds);
  f.window_of[o]->Observe(trace.window_seconds);
}

void metrics::count_batch(operation op, std::size_t device, route_reason reason,
                          std::size_t items) {
  auto& f = *families_;
  f.batch_size_of[index_of(op)]->Observe(static_cast<double>(items));
  f.device[device].batches[index_of(op)][static_cast<std::size_t>(reason)]->Increment();
}

void metrics::observe_run(operation op, std::size_t device, const device_times& times) {
  auto& mine = families_->device[device];
  mine.transfer[index_of(op)]->Observe(times.transfer_seconds);
  mine.kernel[index_of(op)]->Observe(times.kernel_seconds);
}

void metrics::count_launch(std::size_t device) {
  families_->device[device].launches->Increment();
}

void metrics::count_fallback(std::size_t device, const std::string& cause) {
  families_->device[device].fallbacks->Increment();
  families_->fallback_causes.Add({{"device", devices_[device]}, {"cause", cause}}).Increment();
}

void metrics::count_oom(std::size_t device) {
  families_->device[device].ooms->Increment();
}

void metrics::count_check(std::size_t gpu) {
  families_->device[gpu].checks->Increment();
}

void metrics::count_wrong_answer(std::size_t gpu) {
  families_->device[gpu].wrong_answers->Increment();
}

void metrics::count_hedge(std::size_t gpu) {
  families_->device[gpu].hedged->Increment();
}

void metrics::count_hedge_win(std::size_t gpu, bool gpu_was_first) {
  families_->device[gpu].hedge_wins[gpu_was_first ? 1 : 0]->Increment();
}

void metrics::count_hedge_loser(std::size_t gpu, hedge_fate fate) {
  families_->device[gpu].hedge_losers[static_cast<std::size_t>(fate)]->Increment();
}

void metrics::count_worker_restart(std::size_t device, const std::string& cause) {
  families_->worker_restarts.Add({{"device", devices_[device]}, {"cause", cause}}).Increment();
}

void metrics::count_actor_restart(const std::string& actor) {
  families_->actor_restarts.Add({{"actor", actor}}).Increment();
}

void metrics::set_speedup(operation op, std::size_t device, double ratio) {
  auto*& gauge = families_->device[device].speedup[index_of(op)];
  // Not before there is a ratio: 0 would read as infinitely slow.
  if (!gauge)
    gauge =
        &families_->speedup.Add({{"op", std::string{to_string(op)}}, {"device", devices_[device]}});
  gauge->Set(ratio);
}

std::string metrics::to_text(const snapshot& now) {
  auto& f = *families_;
  f.in_flight.Add({}).Set(static_cast<double>(now.in_flight));
  for (const auto& [actor, depth] : now.queue_depths)
    f.queue_depth.Add({{"actor", actor}}).Set(static_cast<double>(depth));
  for (const auto& gpu : now.gpus) {
    const labels of{{"device", devices_[gpu.device]}};
    f.available.Add(of).Set(gpu.available ? 1 : 0);
    f.success_rate.Add(of).Set(gpu.success_rate);
    f.memory_used.Add(of).Set(static_cast<double>(gpu.memory.used_bytes));
    f.memory_budget.Add(of).Set(static_cast<double>(gpu.memory.budget_bytes));
    auto& uploaded = f.uploaded.Add(of);
    uploaded.Increment(static_cast<double>(gpu.uploaded_bytes) - uploaded.Value());
    for (std::size_t s = 0; s <= static_cast<std::size_t>(breaker_state::last_); ++s) {
      const auto state = static_cast<breaker_state>(s);
      f.breaker.Add({{"device", devices_[gpu.device]}, {"state", std::string{to_string(state)}}})
          .Set(state == gpu.breaker ? 1 : 0);
    }
    for (std::size_t o = 0; o <= static_cast<std::size_t>(breaker_override::last_); ++o) {
      const auto what = static_cast<breaker_override>(o);
      f.breaker_overrides
          .Add({{"device", devices_[gpu.device]}, {"override", std::string{to_string(what)}}})
          .Set(what == gpu.overridden ? 1 : 0);
    }
  }
  auto collected = registry_->Collect();
  add_gpu_gauges(collected, now.samples);
  add_guide_names(collected);
  return prometheus::TextSerializer{}.Serialize(collected);
}

pipeline_figures metrics::figures(const snapshot& now) const {
  const auto& f = *families_;
  pipeline_figures out;
  out.second_bounds = second_bounds;
  out.item_bounds = item_bounds;
  for (std::size_t o = 0; o < operation_count; ++o) {
    auto& op = out.operations[o];
    for (std::size_t s = 0; s < status_count; ++s)
      op.answers[s] = count_of(f.request_of[o][s]);
    op.latency = counts_of(*f.latency_of[o]);
    op.batch_items = counts_of(*f.batch_size_of[o]);
  }
  for (std::size_t d = 0; d < devices_.size(); ++d)
    out.devices.push_back(figures_of(d));
  for_each_series(f.speedup, [&](const labels& of, const prometheus::ClientMetric& metric) {
    for (std::size_t o = 0; o < operation_count; ++o)
      for (auto& device : out.devices)
        if (device.name == of.at("device") && to_string(static_cast<operation>(o)) == of.at("op"))
          device.speedup[o] = metric.gauge.value;
  });
  for (const auto& [name, depth] : now.queue_depths)
    out.actors.push_back({name, depth, 0});
  for_each_series(f.actor_restarts, [&](const labels& of, const prometheus::ClientMetric& metric) {
    auto name = of.at("actor");
    if (const auto at = name.find("_quick_worker"); at != std::string::npos)
      name.replace(at, std::string::npos, "_worker");
    for (auto& actor : out.actors)
      if (actor.name == name) actor.restarts += whole(metric.counter.value);
  });
  return out;
}

device_figures metrics::figures_of(std::size_t device) const {
  const auto& mine = families_->device[device];
  device_figures out;
  out.name = devices_[device];
  for (std::size_t o = 0; o < operation_count; ++o) {
    for (std::size_t r = 0; r < route_reason_count; ++r)
      out.batches[r] += count_of(mine.batches[o][r]);
    const auto kernel = mine.kernel[o]->Collect().histogram;
    out.runs += kernel.sample_count;
    out.kernel_seconds += kernel.sample_sum;
    out.transfer_seconds += mine.transfer[o]->Collect().histogram.sample_sum;
  }
  out.launches = count_of(mine.launches);
  out.fallbacks = count_of(mine.fallbacks);
  out.ooms = count_of(mine.ooms);
  out.hedged = count_of(mine.hedged);
  out.wrong_answers = count_of(mine.wrong_answers);
  return out;
}

} // namespace engram
