#include "engram/devices/gpu_advice.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace engram {

namespace {

// The tuning guide's limits.
constexpr unsigned too_hot_celsius = 85;
constexpr unsigned cool_celsius = 75;
constexpr unsigned throttling_celsius = 80; ///< above it, low clocks mean heat
constexpr double compute_bound = 0.9, underused = 0.5, memory_bound = 0.8;
/// A clock this near to its maximum is at its maximum.
constexpr double nearly = 0.95;

std::string number(double value) {
  std::array<char, 32> out{};
  std::snprintf(out.data(), out.size(), "%.4g", value);
  return out.data();
}

std::string percent(double ratio) {
  return number(std::round(100 * ratio)) + " %";
}

/// One GPU in the words that the advice is about.
struct judge {
  const gpu_reading& gpu;
  std::vector<gpu_advice> out = {};

  bool limited_by(throttle_reason why) const {
    return gpu.throttled_by && has(*gpu.throttled_by, why);
  }
  bool idle() const {
    return limited_by(throttle_reason::gpu_idle) ||
           (gpu.utilization_gpu && *gpu.utilization_gpu == 0);
  }
  bool below_its_maximum(std::optional<unsigned> clock, std::optional<unsigned> most) const {
    return clock && most && *clock < nearly * *most;
  }
  bool throttles_by_heat() const {
    if (gpu.throttled_by)
      return limited_by(throttle_reason::sw_thermal_slowdown) ||
             limited_by(throttle_reason::hw_thermal_slowdown);
    return gpu.temperature_celsius && *gpu.temperature_celsius > throttling_celsius && !idle() &&
           below_its_maximum(gpu.sm_clock_mhz, gpu.max_sm_clock_mhz);
  }
  bool too_hot() const {
    return throttles_by_heat() ||
           (gpu.temperature_celsius && *gpu.temperature_celsius > too_hot_celsius);
  }

  /// Returns nvidia-smi with this GPU named and `arguments`.
  std::string show(const std::string& arguments, const std::string& program = "nvidia-smi") const {
    std::string which;
    if (gpu.index)
      which = " -i " + std::to_string(*gpu.index);
    else if (gpu.uuid)
      which = " -i " + *gpu.uuid;
    return program + which + ' ' + arguments;
  }
  std::string change(const std::string& arguments) const { return "sudo " + show(arguments); }
  void say(const char* topic, std::string sentence, std::string command) {
    out.push_back({topic, std::move(sentence), std::move(command)});
  }

  void about_ecc() {
    if (gpu.ecc_uncorrected.value_or(0) > 0)
      say("ecc",
          "The GPU's memory has had " + std::to_string(*gpu.ecc_uncorrected) +
              " errors that could not be corrected since the driver was loaded: what was resident "
              "may be wrong, so reset the GPU, and replace it if they come back.",
          show("-q -d ECC,ROW_REMAPPER,PAGE_RETIREMENT"));
    if (gpu.ecc_enabled == false)
      say("ecc",
          "ECC is off, so a flipped bit in the GPU's memory changes answers without a trace; "
          "turning it on takes effect at the next reset and costs a little memory on some cards.",
          change("-e 1"));
  }

  void about_heat() {
    if (!too_hot()) return;
    std::string sentence;
    if (throttles_by_heat())
      sentence = "The GPU lowers its clocks because of heat";
    else
      sentence = "The GPU is too hot for long work";
    if (gpu.temperature_celsius)
      sentence += " (" + number(*gpu.temperature_celsius) + " C" +
                  (gpu.slowdown_celsius ? ", slowdown at " + number(*gpu.slowdown_celsius) + " C"
                                        : std::string{}) +
                  ")";
    sentence += ": clean its fans, give it more air, or lower its power limit, which costs less "
                "speed than heat does.";
    auto command = show("-q -d TEMPERATURE,POWER,PERFORMANCE");
    if (gpu.power_limit_watts) {
      const double less =
          std::max(std::floor(0.9 * *gpu.power_limit_watts), gpu.min_power_limit_watts.value_or(0));
      if (less > 0 && less < *gpu.power_limit_watts) command = change("-pl " + number(less));
    }
    say(throttles_by_heat() ? "throttling" : "temperature", std::move(sentence), command);
  }

  void about_brakes() {
    const bool brake = limited_by(throttle_reason::hw_power_brake_slowdown);
    if (!brake && (!limited_by(throttle_reason::hw_slowdown) || throttles_by_heat())) return;
    say("throttling",
        brake
            ? "The machine's power brake lowers the GPU's clocks, which points to the power supply "
              "or its cables."
            : "The GPU's hardware lowers its clocks, because of heat, its power supply or a brake "
              "from outside.",
        show("-q -d PERFORMANCE,POWER,TEMPERATURE"));
  }

  void about_power() {
    if (too_hot() || !gpu.temperature_celsius || *gpu.temperature_celsius >= cool_celsius) return;
    if (!gpu.power_limit_watts || !gpu.max_power_limit_watts) return;
    const double limit = *gpu.power_limit_watts, most = *gpu.max_power_limit_watts;
    // Half of what is left, as in the guide's table; at least what the maker has set.
    const double more = std::min(
        std::max(std::floor(limit + (most - limit) / 2), gpu.default_power_limit_watts.value_or(0)),
        most);
    if (more < limit + 1) return;
    std::string sentence = "The power limit is " + number(limit) + " W of at most " + number(most) +
                           " W and the GPU is at " + number(*gpu.temperature_celsius) +
                           " C, below " + number(cool_celsius) + " C";
    if (limited_by(throttle_reason::sw_power_cap))
      sentence += ", and the limit is what holds its clocks back";
    sentence += ": it may draw more for more speed";
    sentence += idle() ? ", if it is as cool under load." : ", while it stays that cool.";
    say("power_limit", std::move(sentence), change("-pl " + number(more)));
  }

  void about_persistence() {
    if (gpu.persistence_mode != false) return;
    say("persistence_mode",
        "Persistence mode is off, so the driver lets go of the GPU when no program uses it, and "
        "the "
        "next start takes longer and finds its settings forgotten.",
        change("-pm 1"));
  }

  void about_clocks() {
    if (limited_by(throttle_reason::applications_clocks_setting) &&
        below_its_maximum(gpu.sm_clock_mhz, gpu.max_sm_clock_mhz)) {
      say("clocks",
          "Somebody has set application clocks, which hold the SM clock at " +
              number(*gpu.sm_clock_mhz) + " of " + number(*gpu.max_sm_clock_mhz) + " MHz.",
          change("-rac"));
      return;
    }
    // A lock neither cools a GPU nor lifts its power limit.
    if (too_hot() || (limited_by(throttle_reason::sw_power_cap) && !idle())) return;
    about_clock("SM", gpu.sm_clock_mhz, gpu.max_sm_clock_mhz, "-lgc ", "-rgc");
    about_clock("memory", gpu.memory_clock_mhz, gpu.max_memory_clock_mhz, "-lmc ", "-rmc");
  }
  void about_clock(const std::string& which, std::optional<unsigned> clock,
                   std::optional<unsigned> most, const char* lock, const std::string& unlock) {
    if (!below_its_maximum(clock, most)) return;
    say("clocks",
        "The " + which + " clock is at " + number(*clock) + " of " + number(*most) + " MHz" +
            (idle() ? " because the GPU is idle, and the first batches wait for it to rise"
                    : " while the GPU works") +
            ": locked at its maximum it makes p99 latency lower and steadier, for more power (not "
            "for shared or badly cooled GPUs; " +
            unlock + " undoes it).",
        change(lock + number(*most)));
  }

  void about_pcie() {
    // An idle link lowers its generation to save power, but not its width.
    const auto generation =
        idle() || !gpu.pcie_generation ? gpu.max_pcie_generation : gpu.pcie_generation;
    const auto width = gpu.pcie_width ? gpu.pcie_width : gpu.max_pcie_width;
    if (!generation || !width) return;
    const auto card_generation = std::max(
        {*generation, gpu.max_pcie_generation.value_or(0), gpu.card_pcie_generation.value_or(0)});
    const auto card_width = std::max(*width, gpu.max_pcie_width.value_or(0));
    // Each generation doubles the rate of a lane.
    const auto rate = [](unsigned gen, unsigned lanes) {
      return std::ldexp(lanes, static_cast<int>(gen));
    };
    const double now = rate(*generation, *width), card = rate(card_generation, card_width);
    const double enough = rate(3, 16);
    if (now <= 0 || (now >= card && now >= enough)) return;
    const bool card_is_held_back = now < card;
    const auto link = [](unsigned gen, unsigned lanes) {
      return "generation " + std::to_string(gen) + " x" + std::to_string(lanes);
    };
    say("pcie",
        "The PCIe link is " + link(*generation, *width) + ", less than " +
            (card_is_held_back ? "the card's " + link(card_generation, card_width) : link(3, 16)) +
            ", so that copies to and from the GPU take " +
            number((card_is_held_back ? card : enough) / now) + " times as long" +
            (card_is_held_back ? ": check the slot, the riser and the BIOS."
                               : ": keep data resident rather than in requests."),
        show("--query-gpu=pcie.link.gen.current,pcie.link.gen.max,pcie.link.width.current,"
             "pcie.link.width.max --format=csv"));
  }

  void about_mig() {
    if (gpu.mig_enabled != true) return;
    say("mig",
        "MIG is on, so that this process has one slice of the GPU, the first or the one that "
        "CUDA_VISIBLE_DEVICES names, and power, clocks and temperature are shared with the others; "
        "turn it off if Engram is to have the whole GPU.",
        change("-mig 0"));
  }

  void about_utilization() {
    if (!gpu.utilization_gpu) return;
    const double busy = *gpu.utilization_gpu, memory = gpu.utilization_memory.value_or(0);
    std::string sentence;
    if (idle())
      sentence = "The GPU was idle while it was read: look again under load, because clocks, power "
                 "and temperature say little now.";
    else if (memory > memory_bound)
      sentence =
          "Memory was in use " + percent(memory) +
          " of the time, so the GPU waits for its memory: f16 or bf16 storage halves what it "
          "has to read.";
    else if (busy < compute_bound)
      sentence = "A kernel ran " + percent(busy) + " of the time, so the GPU " +
                 (busy < underused ? "waits for work" : "could do more") +
                 ": under full load that calls for larger batches (batching.target_batch_size, "
                 "batching.max_wait_ms) or more requests at once.";
    else
      return;
    say("utilization", std::move(sentence), show("-s puct -c 100", "nvidia-smi dmon"));
  }
};

} // namespace

std::vector<gpu_advice> advise(const gpu_reading& gpu) {
  judge each{gpu};
  each.about_ecc();
  each.about_heat();
  each.about_brakes();
  each.about_power();
  each.about_persistence();
  each.about_clocks();
  each.about_pcie();
  each.about_mig();
  each.about_utilization();
  return std::move(each.out);
}

} // namespace engram
