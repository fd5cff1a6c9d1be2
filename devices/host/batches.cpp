#include "engram/devices/host/batches.hpp"

#include <utility>

namespace engram {

namespace {

using kind = fault_action::kind;

/// Returns a batch of one item with hardly any work.
work_batch_ptr make_probe() {
  auto payload = std::make_shared<work_payload>();
  payload->op = operation::similarity;
  payload->dim = 1;
  payload->queries = payload->targets = payload->inverse_norms = {1.0f};
  return whole_batch(payload);
}

} // namespace

host_batches::host_batches(std::string name, fault_points& faults, const gpu_fault_sites& sites,
                           const clock_source& clock, host_agenda& agenda)
    : name_(std::move(name)), sites_(sites),
      doorbell_(make_fault_site(faults, name_, "doorbell",
                                "the ring that tells a runner of a batch: return loses it",
                                {kind::fail, kind::delay})),
      clock_(clock), agenda_(agenda) {}

void host_batches::run(work_batch_ptr batch, run_done done) {
  host_job job;
  job.batch = std::move(batch);
  job.done = std::move(done);
  order_trouble(job);
  if (job.at_start.what == kind::delay) {
    const auto when = clock_.now() + std::exchange(job.at_start, {}).wait;
    auto held = std::make_shared<host_job>(std::move(job));
    return agenda_.at(when, [this, held] { dispatch(std::move(*held)); });
  }
  dispatch(std::move(job));
}

void host_batches::run_probe(run_done done) {
  host_job job;
  job.batch = make_probe();
  job.done = std::move(done);
  dispatch(std::move(job));
}

/// Asks the fault points of a batch. The runner does what they say.
void host_batches::order_trouble(host_job& job) {
  job.at_start = sites_.alloc.point.fire();
  if (!job.at_start) job.at_start = sites_.launch.point.fire();
  job.at_end = sites_.complete.point.fire();
  const auto ring = doorbell_.point.fire();
  job.ring_is_lost = ring.what == kind::fail;
  if (ring.what == kind::delay && !job.at_start) job.at_start = ring;
}

void host_batches::dispatch(host_job job) {
  job.begun = clock_.now();
  while (!stopped_) {
    const auto runner = serving();
    if (!runner) return fail(job, fault_class::no_device, name_ + " has no runner now");
    switch (runner->send(job)) {
    case runner_link::verdict::sent:
      return look_out();
    case runner_link::verdict::closed: {
      const std::lock_guard lock(mutex_);
      if (serving_ == runner) serving_ = nullptr;
      break; // another one may serve already
    }
    case runner_link::verdict::too_large:
      return fail(job, fault_class::oom,
                  "the batch is larger than the memory that a runner shares for one");
    case runner_link::verdict::full:
      return let_wait(std::move(job), *runner);
    }
  }
}

/// The next batch that ends makes room.
void host_batches::let_wait(host_job job, const runner_link& runner) {
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(job));
  }
  // All may have ended while it was on its way here.
  if (!runner.is_full()) agenda_.at(clock_.now(), [this] { dispatch_waiting(); });
}

/// Wakes the device's thread for a first batch: it looks for the answer without sleeping, and knows
/// when the batch is late.
void host_batches::look_out() {
  if (is_asleep_.exchange(false)) agenda_.wake_thread();
}

void host_batches::fail(host_job& job, fault_class how, std::string why) {
  run_outcome outcome;
  outcome.fault = device_fault{how, std::move(why)};
  std::exchange(job.done, nullptr)(std::move(outcome));
}

void host_batches::end(host_job job, run_outcome outcome) {
  if (job.at_end.what == kind::delay) {
    const auto when = clock_.now() + std::exchange(job.at_end, {}).wait;
    auto held =
        std::make_shared<std::pair<host_job, run_outcome>>(std::move(job), std::move(outcome));
    return agenda_.at(when, [this, held] { end(std::move(held->first), std::move(held->second)); });
  }
  if (!outcome.fault && sites_.result.point.fire().what == kind::corrupt) corrupt(outcome.outputs);
  std::exchange(job.done, nullptr)(std::move(outcome));
}

// -- who serves --

void host_batches::begin_serving(std::shared_ptr<runner_link> runner,
                                 std::set<std::uint64_t> datasets) {
  const std::lock_guard lock(mutex_);
  serving_ = std::move(runner);
  datasets_ = std::move(datasets);
}

void host_batches::end_serving() {
  const std::lock_guard lock(mutex_);
  serving_ = nullptr;
  datasets_.clear();
}

void host_batches::add_dataset(std::uint64_t key) {
  const std::lock_guard lock(mutex_);
  datasets_.insert(key);
}

void host_batches::remove_dataset(std::uint64_t key) {
  const std::lock_guard lock(mutex_);
  datasets_.erase(key);
}

std::shared_ptr<runner_link> host_batches::serving() const {
  const std::lock_guard lock(mutex_);
  return serving_;
}

bool host_batches::has_dataset(std::uint64_t key) const {
  const std::lock_guard lock(mutex_);
  return datasets_.contains(key);
}

runner_link::load host_batches::load() const {
  const auto runner = serving();
  return runner ? runner->what_it_has() : runner_link::load{};
}

// -- on the device's thread --

bool host_batches::collect(runner_link& runner) {
  bool any = false;
  while (auto ended = runner.next_ended()) {
    any = true;
    end(std::move(ended->job), std::move(ended->outcome));
  }
  return any;
}

void host_batches::settle(runner_link& runner, std::string_view why) {
  collect(runner); // what it had ended before counts
  for (auto& job : runner.close())
    fail(job, fault_class::sticky, name_ + " lost its runner: " + std::string{why});
}

void host_batches::dispatch_waiting() {
  std::deque<host_job> waiting;
  {
    const std::lock_guard lock(mutex_);
    waiting.swap(waiting_);
  }
  for (auto& job : waiting)
    dispatch(std::move(job));
}

bool host_batches::fall_asleep() {
  is_asleep_ = true;
  return !load().oldest; // sent a moment ago
}

} // namespace engram
