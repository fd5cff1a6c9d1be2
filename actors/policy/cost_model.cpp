#include "engram/actors/policy/cost_model.hpp"

#include <algorithm>
#include <cmath>

namespace engram {

namespace {

/// A pair counts half after 23 newer ones: enough to average the noise, and 50 show a throttled
/// device.
constexpr double fading = 0.97;
/// Below this variance of work, relative to its square, slope and offset cannot be told apart.
constexpr double least_spread = 1e-2;
/// A pair further than this factor from the line is a surprise.
constexpr double surprising = 2.0;
/// This many surprises in a row are a change of speed.
constexpr int change_of_speed = 5;
/// What a guess counts for, in pairs: enough to lend its slope, too little to argue with what is
/// seen.
constexpr double guess_samples = 0.25;
/// No device answers faster; keeps the weights finite.
constexpr double least_seconds = 1e-9;

} // namespace

void cost_line::add(double work, double seconds) {
  if (!std::isfinite(work) || !std::isfinite(seconds) || work < 0 || seconds < 0) return;
  const auto time = std::max(seconds, least_seconds);
  if (samples_ > 0) watch_speed(time / std::max(estimate(work), least_seconds));

  // Relative errors: a batch of 1 ms is as telling as one of 1 s. Relative to the prediction,
  // because relative to the time seen, fast runs would weigh more and pull the line down. But the
  // further a run was too slow, the less it weighs.
  const auto scale = samples_ > 0 ? std::max(estimate(work), time / surprising) : time;
  const auto weight = 1.0 / (scale * scale);
  s1_ = s1_ * fading + weight;
  sw_ = sw_ * fading + weight * work;
  sww_ = sww_ * fading + weight * work * work;
  st_ = st_ * fading + weight * time;
  swt_ = swt_ * fading + weight * work * time;
  samples_ = samples_ * fading + 1;
  fit();
}

std::optional<double> cost_line::predict(double work) const {
  if (samples_ == 0) return std::nullopt;
  return estimate(work);
}

cost_line cost_line::as_guess() const {
  auto guess = *this;
  const auto share = samples_ > guess_samples ? guess_samples / samples_ : 1.0;
  for (auto* sum : {&guess.s1_, &guess.sw_, &guess.sww_, &guess.st_, &guess.swt_, &guess.samples_})
    *sum *= share;
  guess.surprises_ = 0;
  guess.surprise_log_ = 0;
  return guess;
}

/// Counts runs in a row that took more than `surprising` times longer, or shorter, than predicted.
void cost_line::watch_speed(double ratio) {
  const int side = ratio > surprising ? 1 : ratio < 1 / surprising ? -1 : 0;
  if (side == 0 || side * surprises_ < 0) {
    surprises_ = 0;
    surprise_log_ = 0;
  }
  if (side == 0) return;
  surprises_ += side;
  surprise_log_ += std::log(ratio);
  if (side * surprises_ < change_of_speed) return;
  change_speed(std::exp(surprise_log_ / change_of_speed));
  surprises_ = 0;
  surprise_log_ = 0;
}

/// Takes all pairs as if they had lasted `factor` times as long.
void cost_line::change_speed(double factor) {
  for (auto* sum : {&s1_, &sw_, &sww_})
    *sum /= factor * factor;
  for (auto* sum : {&st_, &swt_})
    *sum /= factor;
  for (auto* part : {&a_, &b_})
    *part *= factor;
}

void cost_line::fit() {
  const auto mean_work = sw_ / s1_;
  const auto mean_time = st_ / s1_;
  const auto variance = sww_ / s1_ - mean_work * mean_work;
  if (variance > least_spread * mean_work * mean_work)
    b_ = std::max((swt_ / s1_ - mean_work * mean_time) / variance, 0.0);
  else if (samples_ == 1)
    b_ = mean_work > 0 ? mean_time / mean_work : 0.0; // a first pair says no more than its rate
  a_ = mean_time - b_ * mean_work; // alike batches keep the slope that was learnt before
  if (a_ < 0) {
    a_ = 0;
    b_ = swt_ / sww_;
  }
}

void cost_model::add(const key& where, double work, double seconds) {
  auto& general = general_[{where.op, where.device}];
  // A dataset's first batches say little about larger or smaller ones; the general line does.
  lines_.try_emplace(where, general.as_guess()).first->second.add(work, seconds);
  general.add(work, seconds);
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
