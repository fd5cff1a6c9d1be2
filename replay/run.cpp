#include "engram/replay/run.hpp"

#include "engram/replay/breaker_history.hpp"
#include "engram/replay/inbox.hpp"
#include "engram/replay/send_log.hpp"
#include "engram/replay/sender.hpp"
#include "engram/replay/tally.hpp"
#include "engram/replay/verifier.hpp"

#include <algorithm>
#include <ctime>
#include <thread>

namespace engram::replay {

namespace {

using namespace std::chrono_literals;

constexpr duration tick = 50ms;
constexpr duration head_start = 50ms; // from the start of the threads to the first send

std::string utc_now() {
  const auto now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

/// Checks that every fault of the timeline has its site and that the site does it.
result<void> check_faults(const scenario& what, const replay_target& target) {
  for (const auto& mark : what.faults)
    if (auto possible = target.check_fault(mark.setting); !possible) return possible;
  return {};
}

/// Everything that one replay needs while it runs.
class conductor {
public:
  conductor(const scenario& what, replay_target& target, const request_pool& pool,
            const run_options& options)
      : target_(target), options_(options), report_(prepared(what, target)),
        tally_(report_.what, report_), verifier_(pool),
        sender_(report_.what, pool, target, log_, inbox_) {
    // All memory of the books now, so that what grows while it runs is the target's.
    tally_.slice_at(planned_length().count() - 1);
    // Poisson arrivals are hardly ever a hundredth more than planned.
    const auto planned = what.rate() * to_seconds(what.warm_up + what.measured);
    log_.reserve(static_cast<std::size_t>(1.01 * planned));
  }

  report run() {
    const auto health = target_.health();
    for (const auto& device : health.devices) {
      report_.devices.push_back(device.info);
      report_.breaker_at_start[device.info.name] = device.breaker;
    }
    breakers_ = report_.breaker_at_start;
    last_event_ = latest_event();
    start_ = clock_type::now() + head_start;
    std::jthread publishing{[this](const std::stop_token& stop) { publish_on_time(stop); }};
    std::jthread sending{[this](const std::stop_token& stop) { sender_.run(start_, stop); }};
    send_all(sending);
    publishing.request_stop();
    publishing.join();
    drain();
    target_.stop(std::chrono::milliseconds{1'000});
    finish();
    return std::move(report_);
  }

private:
  static report prepared(const scenario& what, const replay_target& target) {
    report made;
    made.what = what;
    made.target = target.description();
    made.started_at = utc_now();
    made.machine = this_machine();
    return made;
  }

  static bool is_empty(const time_slice& slice) {
    return slice.sent + slice.answered + slice.errors == 0;
  }

  duration elapsed() const { return clock_type::now() - start_; }
  time_point zero() const { return start_ + report_.what.warm_up; }

  /// Keeps the books and the fault timeline until the sender is done.
  void send_all(std::jthread& sending) {
    auto next_tick = start_;
    while (!sender_.done()) {
      auto wake = next_tick;
      if (next_fault_ < report_.what.faults.size()) wake = std::min(wake, time_of_next_fault());
      std::this_thread::sleep_until(wake);
      if (options_.stop.stop_requested() && !report_.cut_short) {
        report_.cut_short = true;
        ended_ = elapsed();
        sending.request_stop();
      }
      set_due_faults();
      if (clock_type::now() < next_tick) continue;
      next_tick = std::max(next_tick + tick, clock_type::now());
      keep_books();
      tell(elapsed() < report_.what.warm_up ? progress::phase::warm_up
                                            : progress::phase::measuring);
    }
    sending.join();
    // The measured part lasts until its end, also when its last request was due earlier.
    while (!report_.cut_short && elapsed() < planned_length()) {
      if (options_.stop.stop_requested()) {
        report_.cut_short = true;
        ended_ = elapsed();
      }
      std::this_thread::sleep_until(std::min(start_ + planned_length(), clock_type::now() + tick));
      set_due_faults();
      keep_books();
    }
    for (const auto& planned : sender_.unsent())
      tally_.unsent(planned);
  }

  duration planned_length() const { return report_.what.warm_up + report_.what.measured; }

  /// Waits for what is still out, as long as an answer may take.
  void drain() {
    duration longest = std::chrono::seconds{1};
    for (const auto& load : report_.what.loads)
      longest = std::max(longest, load.deadline.value_or(duration::zero()));
    const auto give_up = clock_type::now() + longest + options_.grace;
    keep_books();
    while (tally_.outstanding() > 0 && clock_type::now() < give_up) {
      std::this_thread::sleep_for(5ms);
      keep_books();
      tell(progress::phase::draining);
    }
    report_.lost = tally_.outstanding();
  }

  void finish() {
    // What comes between the drain and the end of the target is lost all the same, but may be a
    // second answer.
    for (const auto& late : inbox_.take())
      if (late.repeated) ++report_.duplicated;
    hear_events();
    if (report_.cut_short)
      while (!report_.slices.empty() && is_empty(report_.slices.back()))
        report_.slices.pop_back();
    report_.counts = target_.counts();
    count_fired();
    const auto length = report_.cut_short ? ended_ : planned_length();
    report_.measured_seconds = std::max(0.0, to_seconds(length - report_.what.warm_up));
    verifier_.hurry();
    const auto give_up = clock_type::now() + options_.verify_limit;
    while (verifier_.waiting() > 0 && clock_type::now() < give_up) {
      std::this_thread::sleep_for(tick);
      tell(progress::phase::verifying);
    }
    report_.checks = verifier_.finish(std::chrono::ceil<std::chrono::milliseconds>(
        std::max<duration>(give_up - clock_type::now(), tick)));
    excuse(report_.checks, corrupted_);
    report_.judgement = judge(report_);
  }

  void keep_books() {
    // In this order: what is answered has been logged before it was sent.
    auto outcomes = inbox_.take();
    for (const auto size = log_.size(); counted_ < size; ++counted_)
      tally_.sent(log_[counted_]);
    for (auto& each : outcomes) {
      tally_.answered(each);
      if (each.code != ec::none) ++errors_;
      const auto& request = *each.request;
      if (!request.sampled || each.code != ec::none || each.repeated) continue;
      ++report_.sampled;
      verifier_.check(request.number, request.load, request.variant, std::move(each.device),
                      std::move(each.more->output));
    }
    hear_events();
  }

  /// Publishes what is due. On a thread of its own: a publication takes as long as it takes.
  void publish_on_time(const std::stop_token& stop) {
    for (const auto& mark : report_.what.publications) {
      while (!stop.stop_requested() && clock_type::now() < zero() + mark.at)
        std::this_thread::sleep_until(std::min(zero() + mark.at, clock_type::now() + tick));
      if (stop.stop_requested()) return;
      const auto& all = report_.what.datasets;
      const auto described = std::find_if(
          all.begin(), all.end(), [&](const auto& each) { return each.name == mark.dataset; });
      const auto at = to_seconds(clock_type::now() - zero());
      const auto done = options_.publish(*described);
      report_.publications.push_back(
          {at, mark.dataset, done ? std::string{} : done.error().message});
    }
  }

  /// Counts what each fault of the timeline did, from what its site did so far.
  void count_fired() {
    std::map<std::string, std::uint64_t, std::less<>> so_far;
    for (const auto& site : target_.faults())
      so_far[site.name] = site.fired;
    for (auto& [site, mark] : standing_) {
      const auto fired = so_far[site];
      report_.faults[mark.index].fired = fired - mark.fired_before;
      if (site.ends_with(".result"))
        corrupted_[site.substr(0, site.size() - std::string_view{".result"}.size())] = fired;
    }
  }

  void set_fault(const std::string& setting) {
    count_fired();
    const auto site = setting.substr(0, setting.find('='));
    std::uint64_t fired = 0;
    for (const auto& each : target_.faults())
      if (each.name == site) fired = each.fired;
    const auto armed = target_.arm_fault(setting);
    if (armed) standing_[site] = {report_.faults.size(), fired};
    report_.faults.push_back({to_seconds(clock_type::now() - zero()), setting,
                              armed ? std::string{} : armed.error().message});
  }

  time_point time_of_next_fault() const { return zero() + report_.what.faults[next_fault_].at; }

  void set_due_faults() {
    const auto& all = report_.what.faults;
    while (next_fault_ < all.size() && !report_.cut_short &&
           clock_type::now() >= time_of_next_fault()) {
      set_fault(all[next_fault_++].setting);
    }
  }

  std::uint64_t latest_event() const {
    const auto all = target_.events(0);
    return all.empty() ? 0 : all.back().number;
  }

  void hear_events() {
    for (auto& event : target_.events(last_event_)) {
      last_event_ = event.number;
      if (event.kind == "breaker") {
        if (auto change = breaker_change_of(event, zero())) {
          breakers_[change->device] = change->to;
          report_.breaker.push_back(std::move(*change));
          continue;
        }
      }
      if (event.kind == "fault") continue; // our own doing, kept as the timeline
      report_.events.push_back({to_seconds(event.when - zero()), std::move(event.kind),
                                std::move(event.subject), std::move(event.detail)});
    }
  }

  void tell(progress::phase phase) {
    if (!options_.on_progress) return;
    progress now;
    now.now = phase;
    now.at_seconds = to_seconds(elapsed() - report_.what.warm_up);
    now.measured_seconds = to_seconds(report_.what.measured);
    now.sent = report_.sent;
    now.outstanding = tally_.outstanding();
    now.errors = errors_;
    now.late_sends = report_.late_sends;
    now.breakers = breakers_;
    now.to_verify = verifier_.waiting();
    if (const auto* slice = last_complete_slice()) {
      now.sent_per_second = static_cast<double>(slice->sent) / report_.slice_seconds;
      now.answered_per_second = static_cast<double>(slice->answered) / report_.slice_seconds;
      const auto took = slice->all_loads();
      now.p50_ns = took.quantile(0.5);
      now.p99_ns = took.quantile(0.99);
    }
    options_.on_progress(now);
  }

  const time_slice* last_complete_slice() const {
    const auto complete = static_cast<std::size_t>(to_seconds(elapsed()) / report_.slice_seconds);
    if (complete == 0 || complete > report_.slices.size()) return nullptr;
    return &report_.slices[complete - 1];
  }

  replay_target& target_;
  const run_options& options_;
  report report_;
  tally tally_;
  verifier verifier_;
  send_log log_;
  inbox inbox_;
  sender sender_; ///< after what its callbacks use

  time_point start_;
  duration ended_{};        ///< when it was cut short
  std::size_t counted_ = 0; ///< entries of the log that the tally knows
  std::size_t next_fault_ = 0;
  std::uint64_t last_event_ = 0;
  std::uint64_t errors_ = 0;
  struct standing_fault {
    std::size_t index = 0;          ///< in the report's timeline
    std::uint64_t fired_before = 0; ///< of its site, when it was set
  };
  std::map<std::string, standing_fault, std::less<>> standing_; ///< by site
  std::map<std::string, std::uint64_t> corrupted_;              ///< results, by device
  std::map<std::string, breaker_state> breakers_;
};

} // namespace

result<report> run_replay(const scenario& what, replay_target& target, const dataset_finder& find,
                          const run_options& options) {
  if (auto why = complaint(what)) return error{ec::invalid_argument, *why};
  if (!what.publications.empty() && !options.publish)
    return error{ec::invalid_argument, "the scenario publishes while it runs, and here is nothing "
                                       "that can; leave its [[publish]] out"};
  if (auto faults = check_faults(what, target); !faults) return faults.error();
  const auto pool = request_pool::make(what, find);
  if (!pool) return pool.error();
  return conductor{what, target, *pool, options}.run();
}

} // namespace engram::replay
