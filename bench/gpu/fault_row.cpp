#include "engram/bench/gpu/fault_row.hpp"

#include "engram/bench/gpu/bench_devices.hpp"

#include <signal.h>
#include <sys/prctl.h>

#include <algorithm>
#include <charconv>
#include <thread>
#include <utility>

namespace engram::bench {

namespace {

using namespace std::chrono_literals;

constexpr const char* gpu_name = "gpu0";
constexpr const char* launch_site = "gpu0.launch";
constexpr auto start_patience = 60s;
// How long until a fault is noticed: a hang is by the watchdog, after a second, or at most these.
constexpr auto notice_patience = 15s;
constexpr auto unseen_patience = 3s; // for what may never be noticed
constexpr auto look_every = 20us;

const device_health* gpu_of(const health_report& health) {
  const auto found = std::ranges::find_if(
      health.devices, [](const device_health& each) { return each.info.name == gpu_name; });
  return found == health.devices.end() ? nullptr : &*found;
}

int pid_of(const device_health& gpu, std::string_view role) {
  const auto found = std::ranges::find(gpu.processes, role, &device_process::role);
  return found == gpu.processes.end() ? 0 : found->pid;
}

/// Calls `is_so` until it returns true or `patience` is over.
template <class Condition>
bool wait_for(duration patience, duration step, Condition is_so) {
  const auto give_up = clock_type::now() + patience;
  while (!is_so()) {
    if (clock_type::now() > give_up) return false;
    std::this_thread::sleep_for(step);
  }
  return true;
}

/// One pipeline under load, and the faults that happen to it.
class fault_session {
public:
  fault_session(pipeline& pipe, steady_load& load, const recovery_settings& settings,
                const fault_plan& plan, recovery_row& row)
      : pipe_(pipe), load_(load), settings_(settings), plan_(plan), row_(row) {}

  /// Makes every fault happen; ends early when the GPU stays away.
  void run() {
    prctl(PR_SET_TIMERSLACK, 1UL); // short sleeps while a fault is watched
    if (!wait_until_ready(start_patience)) return;
    std::this_thread::sleep_for(settings_.warm_up);
    const auto uploaded = uploaded_bytes();
    for (std::uint32_t i = 0; i < plan_.times; ++i) {
      if (i > 0 && !wait_until_ready(settings_.patience)) return;
      std::this_thread::sleep_for(settings_.between);
      if (!one_fault()) return;
    }
    if (!wait_until_ready(settings_.patience)) return;
    if (const auto now = uploaded_bytes(); now && uploaded) row_.uploaded_bytes = *now - *uploaded;
  }

private:
  std::optional<double> uploaded_bytes() const {
    return metric_value(pipe_.metrics(), "engram_gpu_uploaded_bytes_total", gpu_name);
  }

  bool give_up(std::string why) {
    row_.trouble = "after " + std::to_string(row_.happened) + " faults: " + std::move(why);
    return false;
  }

  /// Waits until the GPU's breaker is closed, it answers, a standby is ready, if one is kept, and
  /// whatever was killed has been replaced.
  bool wait_until_ready(duration patience) {
    const auto since = clock_type::now();
    std::string missing;
    const bool is_ready = wait_for(patience, 2ms, [&] {
      const auto health = pipe_.health();
      const auto* gpu = gpu_of(health);
      if (!gpu || !gpu->available)
        missing = "the GPU's breaker is " +
                  std::string{gpu ? to_string(gpu->breaker) : "missing with the GPU"};
      else if (!gpu->processes.empty() && !plan_.cold && !pid_of(*gpu, "standby"))
        missing = "no standby is ready";
      else if (killed_ && pid_of(*gpu, plan_.kind.role) == killed_)
        missing = "the killed process is still there";
      else if (killed_ && !pid_of(*gpu, plan_.kind.role))
        missing = "the killed process was not replaced";
      else if (!load_.gpu_answered_since(since))
        missing = "the GPU answers nothing, though its breaker is closed";
      else
        return true;
      return false;
    });
    return is_ready || give_up(missing + " after " +
                               std::to_string(static_cast<int>(to_seconds(patience))) + " s.");
  }

  /// Makes one fault happen and waits for its end; false if the row cannot go on.
  bool one_fault() {
    const auto events = pipe_.events();
    last_event_ = events.empty() ? 0 : events.back().number;
    const auto before = fired();
    const auto health = pipe_.health();
    stopped_ = killed_ = 0;
    const auto triggered = clock_type::now();
    if (auto done = trigger(health); !done) return give_up(done.error().message);
    ++row_.happened;
    const auto lost = watch_for_loss(triggered, before);
    const bool is_seen = lost.has_value();
    if (!is_seen) ++row_.unseen;
    auto back = lost ? watch_for_return(*lost) : std::optional<time_point>{clock_type::now()};
    if (stopped_) kill(stopped_, SIGCONT); // unless it was killed meanwhile
    row_.fault_spans.push_back({ns_since(load_.start(), triggered),
                                ns_since(load_.start(), back.value_or(clock_type::now()))});
    if (!is_seen && !plan_.kind.may_go_unseen)
      return give_up("the pipeline did not notice the last one.");
    return back || give_up("the GPU did not serve again in time.");
  }

  result<void> trigger(const health_report& health) {
    if (!plan_.kind.setting.empty())
      return pipe_.arm_fault(std::string{launch_site} + '=' + std::string{plan_.kind.setting});
    const auto* gpu = gpu_of(health);
    const int pid = gpu ? pid_of(*gpu, plan_.kind.role) : 0;
    if (pid <= 0)
      return error{ec::unavailable, "the GPU has no child process \"" +
                                        std::string{plan_.kind.role} + "\" to send a signal to."};
    (plan_.kind.signal == SIGSTOP ? stopped_ : killed_) = pid;
    if (kill(pid, plan_.kind.signal) == 0) return {};
    return error{ec::unavailable,
                 "no signal could be sent to process " + std::to_string(pid) + "."};
  }

  std::uint64_t fired() const {
    for (const auto& site : pipe_.faults())
      if (site.name == launch_site) return site.fired;
    return 0;
  }

  /// Waits for the event that calls the GPU lost; notes how long after the fault it came.
  std::optional<time_point> watch_for_loss(time_point triggered, std::uint64_t fired_before) {
    const bool fires = !plan_.kind.setting.empty();
    auto began = triggered;
    bool has_fired = !fires;
    std::optional<time_point> lost;
    wait_for(plan_.kind.may_go_unseen ? unseen_patience : notice_patience, look_every, [&] {
      if (!has_fired) {
        const auto now = clock_type::now();
        has_fired = fired() != fired_before;
        if (!has_fired) began = now;
      }
      lost = event_since(triggered, [](const pipeline_event& each) {
        return each.kind == "device" && each.detail.starts_with("lost");
      });
      // A GPU in this process does not call itself lost; its breaker does.
      if (!lost)
        lost = event_since(triggered, [](const pipeline_event& each) {
          return each.kind == "breaker" && each.detail.starts_with("closed -> open");
        });
      return lost.has_value();
    });
    // It may have fired and been noticed between two looks.
    if (lost) row_.detect_seconds.push_back(to_seconds(*lost - std::min(began, *lost)));
    return lost;
  }

  /// Waits for the first answer of the GPU after its breaker has closed; notes when it came.
  std::optional<time_point> watch_for_return(time_point lost) {
    std::optional<time_point> back;
    wait_for(settings_.patience, 1ms, [&] {
      const auto closed = event_since(lost, [](const pipeline_event& each) {
        return each.kind == "breaker" && each.detail.starts_with("half_open -> closed");
      });
      if (closed) back = load_.gpu_answered_since(*closed);
      return back.has_value();
    });
    if (back) row_.back_seconds.push_back(to_seconds(*back - lost));
    return back;
  }

  template <class Wanted>
  std::optional<time_point> event_since(time_point when, Wanted wanted) const {
    for (const auto& each : pipe_.events(last_event_))
      if (each.subject == gpu_name && each.when >= when && wanted(each)) return each.when;
    return std::nullopt;
  }

  pipeline& pipe_;
  steady_load& load_;
  const recovery_settings& settings_;
  const fault_plan& plan_;
  recovery_row& row_;
  std::uint64_t last_event_ = 0;
  int stopped_ = 0, killed_ = 0; ///< by the last fault
};

result<std::unique_ptr<pipeline>> start_with(pipeline_options options, const collection_ptr& data) {
  auto pipe = pipeline::start(std::move(options));
  if (!pipe) return pipe.error();
  if (auto published = (*pipe)->publish(recovery_dataset, data); !published)
    return published.error();
  return pipe;
}

} // namespace

pipeline_options recovery_options(const recovery_settings& settings, bool cold) {
  pipeline_options options;
  options.gpu.devices = {pipeline_name(settings.gpu)};
  options.gpu.gpu_min_batch_size = 1;
  options.gpu.thresholds.gpu_speedup_threshold = 1;
  options.gpu.isolation = settings.isolation;
  options.gpu.host.program = settings.program;
  options.gpu.host.standby = !cold;
  options.gpu.host.late_timeout_ms = settings.late_ms;
  options.gpu.host.crash_period_ms = 1;         // likewise: each death is alone
  options.gpu.host.crash_intensity = 1'000'000; // what is measured here is no crash loop
  options.batching.max_wait_ms = settings.wait_ms;
  options.cpu.threads = settings.cpu_threads;
  return options;
}

result<latency_summary> measure_cpu_only(const recovery_settings& settings,
                                         const collection_ptr& data, const query_set& queries) {
  auto options = recovery_options(settings, false);
  options.gpu.enabled = false;
  auto pipe = start_with(std::move(options), data);
  if (!pipe) return pipe.error();
  steady_load load{**pipe, queries, settings.rate};
  std::this_thread::sleep_for(settings.warm_up + settings.cpu_only);
  const auto end = ns_since(load.start(), clock_type::now());
  const auto outcome = load.finish();
  if (!outcome.is_clean())
    return error{ec::overloaded,
                 "The CPU alone does not keep up with this load (" +
                     (outcome.examples.empty() ? "requests were lost" : outcome.examples.front()) +
                     "): lower --rate or --rows."};
  const auto begin = std::chrono::nanoseconds{settings.warm_up}.count();
  return latencies_within(outcome.answers, {{begin, end}});
}

recovery_row measure_row(const recovery_settings& settings, const fault_plan& plan,
                         const collection_ptr& data, const query_set& queries) {
  recovery_row row;
  row.fault = plan.name();
  row.kind = plan.kind;
  row.cold = plan.cold;
  row.wanted = plan.times;
  auto pipe = start_with(recovery_options(settings, plan.cold), data);
  if (!pipe) {
    row.trouble = pipe.error().message;
    return row;
  }
  steady_load load{**pipe, queries, settings.rate};
  fault_session{**pipe, load, settings, plan, row}.run();
  row.load = load.finish();
  row.in_faults = latencies_within(row.load.answers, row.fault_spans);
  return row;
}

std::optional<double> metric_value(std::string_view text, std::string_view metric,
                                   std::string_view label) {
  std::optional<double> sum;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    const auto line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!line.starts_with(metric)) continue;
    const auto rest = line.substr(metric.size());
    const auto close = rest.find('}');
    if (!rest.starts_with('{') || close == rest.npos) continue;
    if (rest.substr(0, close).find('"' + std::string{label} + '"') == rest.npos) continue;
    const auto number = rest.substr(std::min(rest.find_first_not_of(' ', close + 1), rest.size()));
    double value = 0;
    if (std::from_chars(number.data(), number.data() + number.size(), value).ec == std::errc{})
      sum = sum.value_or(0) + value;
  }
  return sum;
}

} // namespace engram::bench
