#include "engram/actors/policy/cost_model.hpp"

#include <algorithm>

namespace engram {

namespace {

/// A pair counts half after about 35 newer ones: enough to average noise, quick to notice a throttled device.
constexpr double fading = 0.98;
/// Below this relative spread of work, slope and offset cannot be told apart.
constexpr double least_spread = 1e-3;

} // namespace

void cost_line::add(double work, double seconds) {
  const auto time = std::max(seconds, 1e-9);
  const auto weight = 1.0 / (time * time); // relative errors: a batch of 1 ms is as telling as one of 1 s
  s1_ = s1_ * fading + weight;
  sw_ = sw_ * fading + weight * work;
  sww_ = sww_ * fading + weight * work * work;
  st_ = st_ * fading + weight * time;
  swt_ = swt_ * fading + weight * work * time;
  total_samples_ += 1;

  const auto mean_work = sw_ / s1_;
  const auto mean_time = st_ / s1_;
  const auto variance = sww_ / s1_ - mean_work * mean_work;
  if (variance > least_spread * mean_work * mean_work) {
    b_ = std::max((swt_ / s1_ - mean_work * mean_time) / variance, 0.0);
    a_ = mean_time - b_ * mean_work;
  } else {
    a_ = mean_time - b_ * mean_work; // keeps the slope learnt before, if any
  }
  if (a_ < 0 || (b_ == 0 && variance <= least_spread * mean_work * mean_work)) {
    a_ = 0;
    b_ = mean_work > 0 ? mean_time / mean_work : 0;
    if (b_ == 0) a_ = mean_time;
  }
}

std::optional<double> cost_line::predict(double work) const {
  if (total_samples_ == 0) return std::nullopt;
  return a_ + b_ * work;
}

void cost_model::add(const key& where, double work, double seconds) {
  lines_[where].add(work, seconds);
  general_[{where.op, where.device}].add(work, seconds);
}

std::optional<double> cost_model::predict(const key& where, double work) const {
  if (const auto line = lines_.find(where); line != lines_.end()) return line->second.predict(work);
  if (const auto line = general_.find({where.op, where.device}); line != general_.end())
    return line->second.predict(work);
  return std::nullopt;
}

void cost_model::forget_dataset(std::uint64_t dataset) {
  std::erase_if(lines_, [&](const auto& entry) { return entry.first.dataset == dataset; });
}

} // namespace engram
