#include "engram/pipeline/pipeline.hpp"

#include "engram/actors/actors.hpp"
#include "engram/actors/core.hpp"
#include "engram/config/load.hpp"
#include "engram/devices/nvtx.hpp"
#include "engram/pipeline/calibrate.hpp"
#include "engram/pipeline/make_devices.hpp"
#include "engram/pipeline/runtime.hpp"
#include "engram/pipeline/validate.hpp"
#include "engram/pipeline/watch_gpus.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

namespace engram {

namespace {

constexpr fault_tasks fail_or_delay{fault_action::kind::fail, fault_action::kind::delay};

fault_point& publication_site(fault_points& faults) {
  return faults.site("dataset.publish",
                     "a dataset as it is published; return: it fails with unavailable",
                     fail_or_delay);
}

pipeline::door_faults door_sites(fault_points& faults) {
  return {faults.site("http.accept",
                      "a request as it comes in over HTTP; return: it is answered 503 unread",
                      fail_or_delay),
          faults.site("http.send",
                      "an answer as it goes out over HTTP; return: the connection is cut instead",
                      fail_or_delay)};
}

} // namespace

struct pipeline::impl {
  impl(pipeline_options options, std::unique_ptr<fault_points> faults,
       std::vector<std::unique_ptr<device>> devices)
      : core(options, clock, std::move(faults), std::move(devices)),
        publish_faults(publication_site(*core.faults)), http_faults(door_sites(*core.faults)),
        actors(core, options.runtime), gpu_watch(watch_gpus(core)) {}

  steady_clock_source clock;
  pipeline_core core;
  fault_point& publish_faults;
  const door_faults http_faults;
  actor_runtime actors;                   ///< after core: the actors borrow it
  std::unique_ptr<gpu_sampler> gpu_watch; ///< may be null
  std::atomic<request_id> last_request{0};
  std::mutex publishing; ///< one publish or drop at a time
  std::mutex stopping;
  std::optional<bool> stopped_clean;

  ticket refuse(request_id id, operation op, error why, const std::function<void(answer)>& done) {
    answer refused;
    refused.id = id;
    refused.op = op;
    refused.failure = std::move(why);
    core.numbers.count_answer(op, refused.failure.code, refused.trace);
    try {
      done(std::move(refused));
    } catch (...) {
      // As for any other answer: a callback's exceptions are its own.
    }
    return {};
  }
  error closed_error() const {
    if (core.state == pipeline_state::unavailable)
      return {ec::unavailable, std::string{core.why_unavailable()}};
    return {ec::shutting_down, "The pipeline is stopping and takes no new requests."};
  }
};

// -- life
// ------------------------------------------------------------------------------------------

namespace {

std::optional<std::string> unusable(const pipeline_options& options) {
  if (options.batching.adaptive)
    return "batching.adaptive = true: this version has no adaptive window; set it to false and "
           "choose batching.max_wait_ms.";
  return complaint(options);
}

} // namespace

pipeline::pipeline() = default;

result<std::unique_ptr<pipeline>> pipeline::start(pipeline_options options) {
  if (auto wrong = unusable(options)) return error{ec::invalid_argument, *wrong};
  start_nvtx(); // before the first range
  auto faults = std::make_unique<fault_points>();
  auto made = make_devices(options, *faults);
  if (!made) return made.error();
  std::unique_ptr<pipeline> started{new pipeline};
  started->impl_ = std::make_unique<impl>(options, std::move(faults), std::move(made->devices));
  auto& core = started->impl_->core;
  for (auto& why : made->left_out)
    core.events.add(core.clock.now(), "unavailable", "gpu", std::move(why));
  calibrate(core, nullptr);
  if (auto armed = core.faults->arm_all(options.faults.points); !armed) return armed.error();
  return started;
}

pipeline::~pipeline() {
  if (impl_) stop(std::chrono::milliseconds{0});
}

bool pipeline::stop(std::chrono::milliseconds drain) {
  auto& i = *impl_;
  const std::lock_guard lock{i.stopping};
  if (i.stopped_clean) return *i.stopped_clean;
  if (i.core.state == pipeline_state::ready) i.core.state = pipeline_state::draining;
  i.core.gate.close();
  i.core.capacity_freed.ring(); // the batcher lets go of what it holds
  const auto until = i.clock.now() + drain;
  while (i.core.gate.in_flight() > 0 && i.clock.now() < until)
    std::this_thread::sleep_for(std::chrono::microseconds{200});
  const bool clean = i.core.gate.in_flight() == 0;
  i.actors.stop();
  // A caller may be between the gate and the inbox; nobody leaves before all are answered.
  while (i.core.gate.in_flight() > 0) {
    i.core.fail_everything(ec::shutting_down,
                           "The pipeline stopped before the request was answered.");
    std::this_thread::yield();
  }
  i.core.state = pipeline_state::stopped;
  i.stopped_clean = clean;
  return clean;
}

// -- datasets
// --------------------------------------------------------------------------------------

result<dataset_ptr> pipeline::publish(std::string name,
                                      std::variant<collection_ptr, graph_ptr> content) {
  auto& core = impl_->core;
  const std::lock_guard lock{impl_->publishing};
  const auto trouble = impl_->publish_faults.fire();
  if (trouble.what == fault_action::kind::delay) impl_->clock.sleep_for(trouble.wait);
  if (trouble.what == fault_action::kind::fail)
    return error{ec::unavailable, "Dataset \"" + name +
                                      "\" was not published and nothing has changed: fault point "
                                      "dataset.publish is armed."};
  const auto before = core.datasets.find(name);
  auto published = core.datasets.publish(std::move(name), std::move(content));
  if (!published) return published;
  const auto& data = *published;
  std::string where = "cpu";
  for (std::size_t d = 1; d < core.workers.size(); ++d) {
    auto& device = *core.workers[d]->device;
    auto uploaded = device.publish(data);
    if (!uploaded && before) { // no room beside the old version: the CPU serves meanwhile
      device.retire(before->key);
      uploaded = device.publish(data);
    }
    if (uploaded)
      where += " " + device.info().name;
    else
      core.events.add(core.clock.now(), "publish", data->name,
                      "not resident on " + device.info().name + ": " + uploaded.error().message);
    if (before) device.retire(before->key);
  }
  if (before) core.costs.forget_dataset(before->key);
  calibrate(core, data);
  core.events.add(core.clock.now(), "publish", data->name,
                  "version " + std::to_string(data->version) + " on " + where);
  return published;
}

result<void> pipeline::drop(std::string_view name) {
  auto& core = impl_->core;
  const std::lock_guard lock{impl_->publishing};
  auto dropped = core.datasets.drop(name);
  if (!dropped) return dropped.error();
  for (std::size_t d = 1; d < core.workers.size(); ++d)
    core.workers[d]->device->retire((*dropped)->key);
  core.costs.forget_dataset((*dropped)->key);
  core.events.add(core.clock.now(), "drop", std::string{name},
                  "version " + std::to_string((*dropped)->version));
  return {};
}

dataset_ptr pipeline::find(std::string_view name) const {
  return impl_->core.datasets.find(name);
}
std::vector<dataset_ptr> pipeline::datasets() const {
  return impl_->core.datasets.list();
}

// -- requests
// --------------------------------------------------------------------------------------

ticket pipeline::submit(request what, std::function<void(answer)> done) {
  auto& core = impl_->core;
  const auto id = impl_->last_request.fetch_add(1, std::memory_order_relaxed) + 1;
  const auto op = operation_of(what);
  const auto accepted = impl_->clock.now();
  const auto options = options_of(what);
  auto payload = to_payload(std::move(what), core.datasets);
  if (!payload) return impl_->refuse(id, op, std::move(payload).error(), done);

  switch (core.gate.enter()) {
  case admission_gate::verdict::entered:
    break;
  case admission_gate::verdict::closed:
    return impl_->refuse(id, op, impl_->closed_error(), done);
  case admission_gate::verdict::full:
    return impl_->refuse(id, op,
                         {ec::overloaded, "The pipeline has " + std::to_string(core.gate.limit()) +
                                              " requests in flight, its limit; try again later."},
                         done);
  }
  core.accepted.fetch_add(1, std::memory_order_relaxed);
  const auto deadline =
      accepted + options.deadline.value_or(core.default_deadline.load(std::memory_order_relaxed));
  request_ptr pending;
  try {
    pending = std::make_shared<pending_request>(id, std::move(*payload), accepted, deadline,
                                                options.priority, core.desk, std::move(done));
  } catch (...) {
    core.gate.leave();
    throw;
  }
  ticket handle{id, std::weak_ptr<void>{pending}};
  auto kept = pending;
  core.inbox.push(std::move(pending));
  // The supervisor may have given up and answered everything just before the push.
  if (core.state == pipeline_state::unavailable)
    kept->fail(ec::unavailable, impl_->closed_error().message);
  return handle;
}

std::future<answer> pipeline::submit(request what) {
  auto promise = std::make_shared<std::promise<answer>>();
  auto future = promise->get_future();
  submit(std::move(what), [promise](answer a) { promise->set_value(std::move(a)); });
  return future;
}

pipeline::awaitable pipeline::ask(request what) {
  return {*this, std::move(what)};
}

bool ticket::cancel() const {
  const auto held = std::static_pointer_cast<pending_request>(request_.lock());
  return held && held->fail(ec::cancelled, "The caller took the request back.");
}

// -- running it
// ------------------------------------------------------------------------------------

result<void> pipeline::reload(const pipeline_options& next) {
  if (auto wrong = unusable(next)) return error{ec::invalid_argument, *wrong};
  auto& core = impl_->core;
  engram::options from, to;
  from.pipeline = *core.options();
  to.pipeline = next;
  if (const auto keys = restart_needed(from, to); !keys.empty()) {
    std::string list;
    for (const auto& key : keys)
      list += (list.empty() ? "" : ", ") + key;
    return error{ec::invalid_argument,
                 "Nothing was changed: " + list + " cannot change without a restart."};
  }
  core.set_options(next);
  core.capacity_freed.ring(); // windows follow at once
  core.events.add(core.clock.now(), "reload", "configuration", "taken over");
  return {};
}

pipeline_options pipeline::options() const {
  return *impl_->core.options();
}

health_report pipeline::health() const {
  const auto& core = impl_->core;
  const pipeline_state state = core.state;
  health_report report;
  report.live = state == pipeline_state::ready || state == pipeline_state::draining;
  report.ready = state == pipeline_state::ready;
  report.supervised = core.supervised;
  report.state = to_string(state);
  report.in_flight = core.gate.in_flight();
  for (const auto& slot : core.workers) {
    device_health each;
    each.info = slot->device->info();
    each.breaker = slot->breaker;
    each.overridden = slot->override_held;
    each.available = slot->up && each.breaker == breaker_state::closed;
    each.success_rate = slot->success_rate;
    each.memory = slot->device->budget();
    each.restarts = slot->restarts;
    each.processes = slot->device->processes();
    for (const auto& data : core.datasets.list())
      if (slot->device->is_resident(data->key)) each.resident.push_back(data->key);
    report.devices.push_back(std::move(each));
  }
  return report;
}

bool pipeline::responds(std::chrono::milliseconds patience) const {
  auto& core = impl_->core;
  const auto before = core.pulses.load();
  const auto until = impl_->clock.now() + patience;
  core.pulse_wanted.ring();
  while (core.pulses == before) {
    if (impl_->clock.now() >= until) return false;
    std::this_thread::sleep_for(std::chrono::microseconds{200});
  }
  return true;
}

pipeline_counts pipeline::counts() const {
  const auto& core = impl_->core;
  return {.accepted = core.accepted,
          .answered = core.desk.answered,
          .lost = core.desk.lost,
          .late_answers = core.desk.late_answers,
          .batches = core.batches,
          .shadow_runs = core.shadow_runs,
          .shadow_mismatches = core.shadow_mismatches,
          .actor_restarts = core.actor_restarts};
}

pipeline_figures pipeline::figures() const {
  const auto& core = impl_->core;
  return core.numbers.figures(core.snapshot());
}

std::vector<pipeline_event> pipeline::events(std::uint64_t after) const {
  return impl_->core.events.after(after);
}

std::string pipeline::metrics() const {
  auto& core = impl_->core;
  if (!core.options()->gpu.telemetry.telemetry_enabled) return {};
  auto now = core.snapshot();
  if (impl_->gpu_watch) now.samples = impl_->gpu_watch->latest();
  return core.numbers.to_text(now);
}

result<void> pipeline::override_breaker(std::string_view device, breaker_override what) {
  auto& core = impl_->core;
  std::string known;
  for (std::size_t d = 0; d < core.workers.size(); ++d) {
    const auto& name = core.workers[d]->device->info().name;
    known += (known.empty() ? "" : ", ") + name;
    if (name != device) continue;
    if (d == 0)
      return error{ec::invalid_argument, "The CPU has no breaker: without it nobody would serve."};
    auto& slot = *core.workers[d];
    slot.override_wanted = what;
    device_report said;
    said.what = device_report::kind::overridden;
    said.device = d;
    core.device_reports.push(std::move(said));
    const auto until = impl_->clock.now() + std::chrono::seconds{1};
    while (slot.override_held != what && impl_->clock.now() < until)
      std::this_thread::sleep_for(std::chrono::microseconds{200});
    return {};
  }
  return error{ec::not_found, "There is no device \"" + std::string{device.substr(0, 80)} +
                                  "\": the devices are " + known + "."};
}

result<void> pipeline::arm_fault(std::string_view setting) {
  const std::string one{setting};
  return arm_faults({&one, 1});
}

result<void> pipeline::arm_faults(std::span<const std::string> settings) {
  auto armed = impl_->core.faults->arm_all(settings);
  if (armed)
    for (const auto& setting : settings)
      impl_->core.events.add(impl_->clock.now(), "fault", setting.substr(0, setting.find('=')),
                             setting);
  return armed;
}

result<void> pipeline::check_fault(std::string_view setting) const {
  return impl_->core.faults->check(setting);
}

void pipeline::disarm_faults() {
  auto& faults = *impl_->core.faults;
  const auto sites = faults.list();
  const bool any = std::any_of(sites.begin(), sites.end(),
                               [](const auto& site) { return site.setting != "off"; });
  faults.disarm_all();
  if (any) impl_->core.events.add(impl_->clock.now(), "fault", "all", "off");
}

std::vector<fault_points::site_info> pipeline::faults() const {
  return impl_->core.faults->list();
}

pipeline::door_faults pipeline::http_faults() const {
  return impl_->http_faults;
}

} // namespace engram
