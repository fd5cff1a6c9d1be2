#include "engram/replay/sender.hpp"

#include <pthread.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

namespace engram::replay {

namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t for_sampling = 4; // what the random number is for; see schedule.cpp

/// Returns how long to spin before a send so that it leaves on time: as long as a sleep may end
/// late, but at most 5 % of a core at this rate.
duration spin_for(double rate) {
  return std::min<duration>(40us, from_seconds(0.05 / std::max(rate, 1.0)));
}

void sleep_until(time_point when) {
  const auto since_epoch = when.time_since_epoch();
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since_epoch);
  timespec until{};
  until.tv_sec = seconds.count();
  until.tv_nsec = std::chrono::nanoseconds{since_epoch - seconds}.count();
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr); // steady_clock's clock
}

/// The kernel's struct sched_attr in its first version; its header does not go with the C
/// library's.
struct scheduling_attributes {
  std::uint32_t size = sizeof(scheduling_attributes);
  std::uint32_t policy = SCHED_OTHER;
  std::uint64_t flags = 0;
  std::int32_t nice = 0;
  std::uint32_t priority = 0;
  std::uint64_t runtime_ns = 0;
  std::uint64_t deadline_ns = 0;
  std::uint64_t period_ns = 0;
};

/// Lets this thread run before others where the system permits it: a generator on another machine
/// would not wait for the target's threads either.
void go_first() {
  const auto thread = static_cast<id_t>(gettid());
  setpriority(PRIO_PROCESS, thread, -10);
  scheduling_attributes wanted;
  wanted.nice = getpriority(PRIO_PROCESS, thread);
  // A thread that asks for short turns gets them soon (Linux 6.12 and later; others do not look at
  // it).
  wanted.runtime_ns = 100'000;
  syscall(SYS_sched_setattr, 0, &wanted, 0);
}

bool is_sampled(const scenario& what, std::uint64_t number) {
  return random_stream{mix(mix(what.seed, for_sampling), number)}.uniform() < what.verify_share;
}

} // namespace

sender::sender(const scenario& what, const request_pool& pool, replay_target& target, send_log& log,
               inbox& answers)
    : what_(what), pool_(pool), target_(target), log_(log), answers_(answers), plan_(what),
      spin_(spin_for(what.rate())) {}

void sender::run(time_point start, const std::stop_token& stop) {
  constexpr duration longest_overrun = 2s;
  pthread_setname_np(pthread_self(), "sender");
  go_first();
  prctl(PR_SET_TIMERSLACK, 1UL); // else sleeps end up to 50 us late on purpose
  start_ = start;
  const auto give_up = start + what_.warm_up + what_.measured + longest_overrun;
  auto next = plan_.next();
  while (next && wait_until(start + next->at, stop) && clock_type::now() < give_up && send(*next))
    next = plan_.next();
  // A stop that was asked for ends the plan; otherwise what is left was due and could not be sent.
  for (; next && !stop.stop_requested(); next = plan_.next())
    unsent_.push_back(*next);
  done_.store(true, std::memory_order_release);
}

bool sender::wait_until(time_point due, const std::stop_token& stop) const {
  constexpr duration longest_sleep = 50ms; // to notice a stop
  while (!stop.stop_requested()) {
    const auto left = due - clock_type::now();
    if (left <= duration::zero()) return true;
    if (left > spin_) sleep_until(clock_type::now() + std::min(left - spin_, longest_sleep));
  }
  return false;
}

bool sender::send(const planned_send& planned) {
  auto* record = log_.next();
  if (!record) return false;
  auto asked = pool_.at(planned.load, planned.variant);
  record->number = log_.size();
  record->scheduled_ns = planned.at.count();
  record->load = planned.load;
  record->variant = planned.variant;
  record->sampled = is_sampled(what_, record->number);
  record->sent_ns = now_ns();
  log_.publish();
  target_.send(std::move(asked),
               [this, record](answer got) { on_answer(*record, std::move(got)); });
  return true;
}

void sender::on_answer(sent_request& request, answer&& got) {
  outcome what;
  what.request = &request;
  what.answered_ns = now_ns();
  what.repeated = request.answers.fetch_add(1, std::memory_order_relaxed) > 0;
  what.code = got.failure.code;
  what.reason = got.trace.reason;
  what.fell_back = got.trace.fell_back;
  what.device = std::move(got.trace.device);
  if (!got.ok() || what.fell_back || request.sampled) {
    what.more = std::make_unique<outcome::details>();
    what.more->cause = std::move(got.trace.cause);
    what.more->message = std::move(got.failure.message);
    if (request.sampled) what.more->output = std::move(got.output);
  }
  answers_.put(std::move(what));
}

std::int64_t sender::now_ns() const {
  return (clock_type::now() - start_).count();
}

} // namespace engram::replay
