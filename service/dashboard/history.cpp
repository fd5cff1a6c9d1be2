#include "engram/service/dashboard/history.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

namespace engram {

namespace {

using bucket_counts = std::vector<std::uint64_t>;

bucket_counts difference(const bucket_counts& now, const bucket_counts& before) {
  auto out = now;
  for (std::size_t i = 0; i < std::min(out.size(), before.size()); ++i)
    out[i] -= std::min(out[i], before[i]);
  return out;
}

void add_to(bucket_counts& sum, const bucket_counts& more) {
  sum.resize(std::max(sum.size(), more.size()));
  for (std::size_t i = 0; i < more.size(); ++i)
    sum[i] += more[i];
}

std::optional<dashboard_sample::percentiles> percentiles_of(const bucket_counts& counts,
                                                            std::span<const double> bounds) {
  const auto p50 = quantile_of(counts, bounds, 0.5);
  if (!p50) return std::nullopt;
  return dashboard_sample::percentiles{*p50, *quantile_of(counts, bounds, 0.9),
                                       *quantile_of(counts, bounds, 0.99)};
}

/// Which of the three rates of answers a status belongs to.
double& rate_of(dashboard_sample& sample, ec status) {
  switch (status) {
  case ec::none:
    return sample.ok_rate;
  case ec::invalid_argument:
  case ec::not_found:
  case ec::overloaded:
  case ec::cancelled:
  case ec::shutting_down:
    return sample.refused_rate;
  case ec::deadline_exceeded:
  case ec::resource_exhausted:
  case ec::unavailable:
  case ec::internal:
    break;
  }
  return sample.failed_rate;
}

void compare_operations(dashboard_sample& sample, const pipeline_figures& now,
                        const pipeline_figures& before, double seconds) {
  bucket_counts latency, items;
  for (std::size_t o = 0; o < operation_count; ++o) {
    const auto &op = now.operations[o], &was = before.operations[o];
    for (std::size_t s = 0; s < answer_status_count; ++s)
      rate_of(sample, static_cast<ec>(s)) +=
          static_cast<double>(op.answers[s] - was.answers[s]) / seconds;
    const auto fresh = difference(op.latency.buckets, was.latency.buckets);
    sample.latency[o] = percentiles_of(fresh, now.second_bounds);
    add_to(latency, fresh);
    add_to(items, difference(op.batch_items.buckets, was.batch_items.buckets));
  }
  sample.latency[operation_count] = percentiles_of(latency, now.second_bounds);
  for (std::size_t i = 0; i < items.size(); ++i)
    if (items[i] > 0) sample.batch_items.push_back({i, items[i]});
}

void compare_devices(dashboard_sample& sample, const pipeline_figures& now,
                     const pipeline_figures& before, double seconds) {
  for (std::size_t d = 0; d < now.devices.size(); ++d) {
    const auto &device = now.devices[d], &was = before.devices[d];
    sample.run_rates.push_back(static_cast<double>(device.runs - was.runs) / seconds);
    for (std::size_t r = 0; r < route_reason_count; ++r)
      if (const auto count = device.batches[r] - was.batches[r]; count > 0)
        sample.routes.push_back({d, static_cast<route_reason>(r), count});
  }
}

} // namespace

std::optional<double> quantile_of(std::span<const std::uint64_t> counts,
                                  std::span<const double> bounds, double share) {
  const auto all = std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
  if (all == 0) return std::nullopt;
  const double wanted = share * static_cast<double>(all);
  double below = 0;
  for (std::size_t i = 0; i < bounds.size(); ++i) {
    const auto here = static_cast<double>(counts[i]);
    if (here > 0 && below + here >= wanted) {
      const double from = i == 0 ? 0 : bounds[i - 1];
      return from + (bounds[i] - from) * (wanted - below) / here;
    }
    below += here;
  }
  return bounds.empty() ? 0 : bounds.back();
}

dashboard_reading read_pipeline(const pipeline& pipe, time_point now) {
  return {now, pipe.figures(), pipe.health(), pipe.counts()};
}

void dashboard_history::add(dashboard_reading reading) {
  if (!latest_) {
    begin_ = reading.at;
    latest_ = std::move(reading);
    return;
  }
  const double seconds = to_seconds(reading.at - latest_->at);
  if (seconds <= 0) return;
  const auto &now = reading.figures, &before = latest_->figures;
  dashboard_sample sample;
  sample.number = ++last_number_;
  sample.at_seconds = to_seconds(reading.at - begin_);
  sample.accepted_rate =
      static_cast<double>(reading.counts.accepted - latest_->counts.accepted) / seconds;
  sample.batch_rate =
      static_cast<double>(reading.counts.batches - latest_->counts.batches) / seconds;
  sample.in_flight = reading.health.in_flight;
  for (const auto& actor : now.actors)
    sample.queue_depths.push_back(actor.queue_depth);
  for (const auto& device : reading.health.devices)
    sample.success_rates.push_back(device.success_rate);
  compare_operations(sample, now, before, seconds);
  compare_devices(sample, now, before, seconds);
  samples_.push_back(std::move(sample));
  if (samples_.size() > most_samples_) samples_.pop_front();
  latest_ = std::move(reading);
}

} // namespace engram
