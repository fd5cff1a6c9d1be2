#include "engram/replay/schedule.hpp"

#include <cmath>

namespace engram::replay {

namespace {

// What a load's random streams are for; part of their seeds.
constexpr std::uint64_t for_arrivals = 1;
constexpr std::uint64_t for_variants = 2;

} // namespace

arrival_stream::arrival_stream(const load_spec& load, std::uint64_t seed) noexcept
    : kind_(load.arrival), rate_(load.rate), burst_size_(load.burst_size),
      burst_seconds_(to_seconds(load.burst_period)), random_(seed) {}

duration arrival_stream::next() noexcept {
  const auto number = count_++;
  switch (kind_) {
  case arrival_kind::poisson:
    seconds_ += random_.exponential() / rate_;
    break;
  case arrival_kind::constant:
    seconds_ = static_cast<double>(number) / rate_;
    break;
  case arrival_kind::bursts: {
    const auto burst = number / burst_size_;
    seconds_ = static_cast<double>(burst) * burst_seconds_;
    break;
  }
  }
  return duration{std::llround(seconds_ * 1e9)};
}

schedule::schedule(const scenario& what) : end_(what.warm_up + what.measured) {
  for (std::uint32_t i = 0; i < what.loads.size(); ++i) {
    const auto& load = what.loads[i];
    const auto seed = mix(what.seed, i);
    sources_.push_back({arrival_stream{load, mix(seed, for_arrivals)},
                        random_stream{mix(seed, for_variants)}, load.distinct});
    refill(i);
  }
}

void schedule::refill(std::uint32_t load) {
  const auto at = sources_[load].arrivals.next();
  if (at < end_) next_.push({at, load});
}

std::optional<planned_send> schedule::next() {
  if (next_.empty()) return std::nullopt;
  const auto first = next_.top();
  next_.pop();
  refill(first.load);
  auto& source = sources_[first.load];
  const auto variant = static_cast<std::uint32_t>(source.variants.between(0, source.distinct - 1));
  return planned_send{first.at, first.load, variant};
}

} // namespace engram::replay
