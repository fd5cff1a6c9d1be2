#pragma once

#include "engram/base/ids.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>

namespace engram {

/// Learns seconds = a + b * work from (work, seconds) pairs, by least squares on relative errors in
/// which a pair's weight fades as newer ones come. a >= 0 and b >= 0 always.
///
/// One pair far from the line moves it little: a preempted CPU proves nothing. Several in a row,
/// all too slow or all too fast, are a device that changed its speed, and the line follows at once.
class cost_line {
public:
  /// Ignores what cannot be a measurement: negative, infinite or NaN.
  void add(double work, double seconds);
  /// Returns nothing before the first pair.
  std::optional<double> predict(double work) const;
  /// Returns how many pairs the line rests on, faded ones in part.
  double samples() const noexcept { return samples_; }
  /// Returns this line as a first guess for a similar one: it weighs less than one pair.
  cost_line as_guess() const;

private:
  double estimate(double work) const noexcept { return a_ + b_ * work; }
  void watch_speed(double ratio);
  void change_speed(double factor);
  void fit();

  // Weighted sums over the pairs seen: of 1, w, w^2, t and w t.
  double s1_ = 0, sw_ = 0, sww_ = 0, st_ = 0, swt_ = 0;
  double samples_ = 0;
  double a_ = 0, b_ = 0;
  // Pairs in a row far from the line, counted negative where too fast, and the sum of log(seen /
  // predicted).
  int surprises_ = 0;
  double surprise_log_ = 0;
};

/// Predicts how long a device takes for a batch, for each operation, device and dataset; a pair
/// without history uses what the operation costs on that device in general. Not thread-safe.
class cost_model {
public:
  struct key {
    operation op;
    std::size_t device;
    std::uint64_t dataset; ///< dataset::key; 0 for none
    friend auto operator<=>(const key&, const key&) = default;
  };

  void add(const key& where, double work, double seconds);
  /// Returns the predicted seconds, or nothing if the device has never run this operation.
  std::optional<double> predict(const key& where, double work) const;
  /// Drops what is known about a dataset.
  void forget_dataset(std::uint64_t dataset);

private:
  std::map<key, cost_line> lines_;
  std::map<std::pair<operation, std::size_t>, cost_line> general_;
};

} // namespace engram
