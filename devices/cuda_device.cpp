#include "engram/devices/cuda_device.hpp"

#include "engram/devices/cuda_datasets.hpp"
#include "engram/devices/cuda_error.hpp"
#include "engram/devices/cuda_lane.hpp"
#include "engram/devices/cuda_properties.hpp"
#include "engram/devices/cuda_work.hpp"
#include "engram/devices/describe.hpp"
#include "engram/devices/fault_injection.hpp"
#include "engram/devices/gpu_fault_sites.hpp"
#include "engram/kernels/cuda/filter.hpp"

#include <sys/prctl.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <new>
#include <thread>
#include <utility>

namespace engram {

namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t quick_input_bytes = 32u << 10;
// How long to spin on a piece that was just launched: small batches are done by then, and to them a
// sleeping thread's way back would be a large delay.
constexpr auto spin_time = 150us;
// After that it sleeps this share of the time that the youngest batch has taken already, so that
// waiting costs little and makes no batch later than by that share.
constexpr int sleep_share = 8;
constexpr auto longest_sleep = 500us;
// How long a publication waits for a stream to end its batch, which is long unless the batch hangs.
constexpr auto claim_patience = 2s;

/// One batch on its way through the device.
struct job {
  work_batch_ptr batch;
  run_done done;
  std::shared_ptr<const cuda_dataset> resident; ///< null for similarity
  std::unique_ptr<cuda_work> work;
  std::size_t next_unit = 0;
  std::size_t piece_units = 0;
  device_times times;
  time_point begun{};      ///< when it got its lane
  time_point launched{};   ///< when its piece was launched
  time_point not_before{}; ///< held back by an injected delay until then
  cuda_lane* lane = nullptr;
  std::optional<misbehaviour> misdeed; ///< what goes wrong on purpose before it runs
  bool completed = false;              ///< the fault point of completion was asked
  std::atomic<bool> hung = false;      ///< will not be answered; keeps its lane
};
using job_ptr = std::shared_ptr<job>;

class cuda_device final : public attached_device, private cuda_lane_keeper {
public:
  cuda_device(cuda_options options, const cudaDeviceProp& properties, fault_points& faults,
              const clock_source& clock)
      : options_(std::move(options)), info_{options_.name,    device_kind::cuda,
                                            properties.name,  properties.totalGlobalMem,
                                            options_.streams, pci_bus_id_of(options_.ordinal)},
        has_filter_(cuda::filter_is_supported(properties.major, properties.minor)),
        budget_(static_cast<std::uint64_t>(static_cast<double>(properties.totalGlobalMem) *
                                           options_.vram_safety_margin)),
        clock_(clock), faults_(faults, options_.name) {}

  /// Takes streams and memory and starts the device's thread.
  std::optional<device_fault> open() {
    if (auto fault = cuda_fault(cudaSetDevice(options_.ordinal), "choosing the GPU")) return fault;
    if (auto fault = datasets_.open()) return fault;
    lanes_.resize(options_.streams);
    for (auto& lane : lanes_) {
      if (auto fault = lane.open(budget_)) return fault;
      free_lanes_.push_back(&lane);
    }
    server_ = std::thread([this] { serve(); });
    return std::nullopt;
  }

  ~cuda_device() override {
    std::deque<job_ptr> dropped; // freed after the lock: what callbacks captured may be anything
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      dropped.swap(waiting_);
    }
    wake_.notify_all();
    if (server_.joinable()) server_.join();
    {
      std::unique_lock lock(mutex_); // callers of `run` that are launching
      idle_.wait(lock, [this] { return launching_ == 0; });
    }
    cudaSetDevice(options_.ordinal);
    for (auto& lane : lanes_)
      static_cast<void>(lane.drain());
    active_.clear();
    datasets_.stop();
  }

  const device_info& info() const noexcept override { return info_; }
  memory_budget budget() const noexcept override { return {budget_.used(), budget_.total()}; }
  /// Everything a batch needs was reserved when its dataset was published.
  std::uint64_t workspace_bytes(const work_batch&) const noexcept override { return 0; }

  /// Small inputs are copied and launched in less time than it takes to wake a thread.
  bool is_quick(const work_batch& batch) const noexcept override {
    return input_bytes(batch) <= quick_input_bytes && !datasets_.is_busy();
  }
  void run(work_batch_ptr batch, run_done done) override;
  result<void> publish(const dataset_ptr& data) override { return datasets_.publish(data); }
  result<void> attach(const dataset_ptr& data, const resident_memory& memory) override {
    return datasets_.attach(data, memory);
  }
  bool is_lost() const override {
    const std::lock_guard lock(mutex_);
    return lost_ && !lost_->injected;
  }
  bool pin(std::span<std::byte> memory) override {
    return cudaSetDevice(options_.ordinal) == cudaSuccess && pinned_.add(memory) == cudaSuccess;
  }
  std::uint64_t uploaded_bytes() const noexcept override { return datasets_.uploaded_bytes(); }
  std::uint64_t own_bytes() const override { return budget_.used(); }
  void retire(std::uint64_t key) override { datasets_.retire(key); }
  bool is_resident(std::uint64_t key) const override { return datasets_.contains(key); }
  bool reset() override;

private:
  // -- the way of a batch: admit, begin (a lane), one piece after the other, finish --
  std::optional<device_fault> admit(const job_ptr& work);
  cuda_lane* take_lane();
  void start(std::unique_lock<std::mutex>& lock, cuda_lane& lane, job_ptr work);
  void begin(const job_ptr& work);
  std::optional<device_fault> prepare(job& work);
  std::optional<device_fault> launch_piece(job& work);
  void conclude(const job_ptr& work);
  void finish(const job_ptr& work, std::optional<device_fault> fault);
  void answer(job& work, std::optional<device_fault> fault, std::vector<item_output> outputs);
  void release_lane(const job_ptr& work);
  void lose(const device_fault& fault) override;

  // -- the device's thread --
  void serve();
  bool sweep();
  bool begin_waiting();
  bool look_at(const job_ptr& work);
  void pause(std::unique_lock<std::mutex>& lock);

  // -- for the datasets --
  std::deque<cuda_lane>& lanes() noexcept override { return lanes_; }
  bool claim(cuda_lane& lane) override;
  void unclaim(cuda_lane& lane) override;
  std::optional<device_fault> loss() const override {
    const std::lock_guard lock(mutex_);
    return lost_;
  }

  const cuda_options options_;
  const device_info info_;
  const bool has_filter_;
  vram_budget budget_; // outlives all memory below
  const clock_source& clock_;
  const gpu_fault_sites faults_;

  pinned_regions pinned_; // outlives the lanes, which may still copy from there
  std::deque<cuda_lane> lanes_;
  cuda_datasets datasets_{options_, has_filter_, budget_, faults_, *this};

  mutable std::mutex mutex_;
  std::condition_variable wake_; ///< the server: there is something to look at
  std::condition_variable idle_; ///< a lane is free, or nobody launches any more
  std::deque<job_ptr> waiting_;  ///< without a lane
  std::vector<job_ptr> active_;  ///< with a lane
  std::vector<cuda_lane*> free_lanes_;
  cuda_lane* claimed_ = nullptr; ///< wanted by a publication
  std::uint32_t launching_ = 0;  ///< callers of `run` between taking a lane and handing over
  std::optional<device_fault> lost_;
  bool stopping_ = false;
  std::vector<job_ptr> looked_at_; ///< of the server
  std::thread server_;
};

// -- the way of a batch --

void cuda_device::run(work_batch_ptr batch, run_done done) {
  auto work = std::make_shared<job>();
  work->batch = std::move(batch);
  work->done = std::move(done);
  if (auto fault = admit(work)) return answer(*work, std::move(fault), {});
  if (work->hung) return;
  std::unique_lock lock(mutex_);
  if (stopping_) return;
  auto* lane = work->not_before == time_point{} ? take_lane() : nullptr;
  if (lane) return start(lock, *lane, std::move(work));
  waiting_.push_back(std::move(work));
  wake_.notify_one(); // under the lock: after it the device may end
}

/// Returns a free lane that no publication waits for, or null.
cuda_lane* cuda_device::take_lane() {
  const auto found =
      std::ranges::find_if(free_lanes_, [this](const cuda_lane* lane) { return lane != claimed_; });
  if (found == free_lanes_.end()) return nullptr;
  auto* lane = *found;
  free_lanes_.erase(found);
  return lane;
}

/// Asks the fault points of admission and finds the batch's dataset.
std::optional<device_fault> cuda_device::admit(const job_ptr& work) {
  if (auto lost = loss()) return lost;
  const auto action = faults_.alloc.point.fire();
  if (auto fault = injected_fault(faults_.alloc.name, action)) {
    if (is_loss(*fault)) lose(*fault);
    return fault;
  }
  work->hung = action.what == fault_action::kind::hang;
  if (action.what == fault_action::kind::delay) work->not_before = clock_.now() + action.wait;
  if (!work->batch->data) return std::nullopt;
  work->resident = datasets_.find(work->batch->data->key);
  if (work->resident) return std::nullopt;
  return device_fault{fault_class::transient,
                      "dataset " + describe(*work->batch->data) + " is not on " + options_.name};
}

/// Launches the first piece of `work` on `lane`, with the lock released meanwhile and after.
void cuda_device::start(std::unique_lock<std::mutex>& lock, cuda_lane& lane, job_ptr work) {
  work->lane = &lane;
  ++launching_;
  lock.unlock();
  begin(work);
  lock.lock();
  --launching_;
  wake_.notify_one(); // under the lock: after it the device may end
  idle_.notify_all();
  lock.unlock();
}

void cuda_device::begin(const job_ptr& work) {
  work->begun = clock_.now();
  const auto action = faults_.launch.point.fire();
  if (action.what == fault_action::kind::misbehave) {
    work->misdeed = action.misdeed;
  } else if (auto fault = injected_fault(faults_.launch.name, action)) {
    if (is_loss(*fault)) lose(*fault);
    return finish(work, std::move(fault));
  }
  work->hung = action.what == fault_action::kind::hang;
  if (action.what == fault_action::kind::delay) work->not_before = work->begun + action.wait;
  std::optional<device_fault> fault;
  if (!work->hung && action.what != fault_action::kind::delay) fault = prepare(*work);
  if (fault) return finish(work, std::move(fault));
  const std::lock_guard lock(mutex_);
  active_.push_back(work);
}

/// Cuts the batch into pieces and launches the first one.
std::optional<device_fault> cuda_device::prepare(job& work) {
  cudaGetLastError(); // what others left on this thread is no fault of this batch
  if (auto fault = cuda_fault(cudaSetDevice(options_.ordinal), "choosing the GPU")) return fault;
  if (work.misdeed)
    if (auto fault = work.lane->misbehave(*work.misdeed)) return fault;
  try {
    work.work = make_cuda_work(*work.batch, work.resident, has_filter_, pinned_);
    return launch_piece(work);
  } catch (const std::bad_alloc&) {
    return device_fault{fault_class::oom, "the host has no memory left for this batch"};
  }
}

/// Launches what comes next; without a unit left it launches nothing.
std::optional<device_fault> cuda_device::launch_piece(job& work) {
  auto& pieces = *work.work;
  work.piece_units = 0;
  if (work.next_unit == pieces.units()) return std::nullopt;
  const auto& memory = work.lane->memory();
  work.piece_units = pieces.fitting(work.next_unit, memory);
  if (work.piece_units == 0)
    return device_fault{fault_class::oom, "a single item of the batch is larger than the memory "
                                          "that " +
                                              options_.name + " has reserved for a stream"};
  const auto inputs = pieces.fill(work.next_unit, work.piece_units, memory);
  work.launched = clock_.now();
  return work.lane->launch(pieces, inputs);
}

/// Goes on after a piece: the next one, or the end.
void cuda_device::conclude(const job_ptr& work) {
  if (work->piece_units) {
    const auto spent = work->lane->times();
    work->times.transfer_seconds += spent.transfer_seconds;
    work->times.kernel_seconds += spent.kernel_seconds;
    work->work->collect(work->lane->memory());
    work->next_unit += work->piece_units;
  }
  if (work->next_unit < work->work->units()) {
    if (auto fault = launch_piece(*work)) finish(work, std::move(fault));
    return;
  }
  if (!std::exchange(work->completed, true)) {
    const auto action = faults_.complete.point.fire();
    if (auto fault = injected_fault(faults_.complete.name, action)) {
      if (is_loss(*fault)) lose(*fault);
      return finish(work, std::move(fault));
    }
    work->piece_units = 0;
    work->hung = action.what == fault_action::kind::hang;
    if (action.what == fault_action::kind::delay) work->not_before = clock_.now() + action.wait;
    if (action) return;
  }
  finish(work, std::nullopt);
}

/// Takes `work` off the device and answers it.
void cuda_device::finish(const job_ptr& work, std::optional<device_fault> fault) {
  std::vector<item_output> outputs;
  if (fault) {
    if (is_loss(*fault)) lose(*fault);
    if (work->lane) // nothing of it may still read or write when the next batch comes
      if (const auto more = work->lane->drain(); more && is_loss(*more)) lose(*more);
  } else {
    outputs = work->work->outputs();
    if (faults_.result.point.fire().what == fault_action::kind::corrupt) corrupt(outputs);
    work->times.device_seconds = to_seconds(clock_.now() - work->begun);
  }
  answer(*work, std::move(fault), std::move(outputs));
  release_lane(work);
}

void cuda_device::answer(job& work, std::optional<device_fault> fault,
                         std::vector<item_output> outputs) {
  run_outcome outcome;
  outcome.outputs = std::move(outputs);
  outcome.fault = std::move(fault);
  outcome.times = work.times;
  std::exchange(work.done, nullptr)(std::move(outcome));
}

void cuda_device::release_lane(const job_ptr& work) {
  work->work.reset();
  const std::lock_guard lock(mutex_);
  std::erase(active_, work);
  if (auto* lane = std::exchange(work->lane, nullptr)) free_lanes_.push_back(lane);
  if (claimed_) idle_.notify_all();
}

/// From now on every batch fails with `fault`. Those on lanes are failed by the server.
void cuda_device::lose(const device_fault& fault) {
  {
    const std::lock_guard lock(mutex_);
    if (!lost_ || (lost_->injected && !fault.injected)) lost_ = fault;
  }
  wake_.notify_one();
}

bool cuda_device::reset() {
  const auto action = faults_.reset.point.fire();
  if (action.what == fault_action::kind::hang || injected_fault(faults_.reset.name, action))
    return false;
  std::vector<job_ptr> given_up; // freed after the lock: what callbacks captured may be anything
  const std::lock_guard lock(mutex_);
  if (lost_ && !lost_->injected) return false; // the process never gets this GPU back
  lost_.reset();
  std::ranges::copy_if(active_, std::back_inserter(given_up),
                       [](const job_ptr& work) { return work->hung.load(); });
  for (const auto& work : given_up) {
    std::erase(active_, work);
    free_lanes_.push_back(std::exchange(work->lane, nullptr));
  }
  wake_.notify_one();
  idle_.notify_all(); // a publication may wait for one of these lanes
  return true;
}

// -- the device's thread --

void cuda_device::serve() {
  if (const auto fault = cuda_fault(cudaSetDevice(options_.ordinal), "choosing the GPU"))
    lose(*fault);
  prctl(PR_SET_TIMERSLACK, 1UL); // sleeps are shorter than the usual slack
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (active_.empty() && waiting_.empty()) {
      wake_.wait(lock);
      continue;
    }
    lock.unlock();
    const bool progressed = sweep();
    lock.lock();
    if (!progressed && !stopping_) pause(lock);
  }
}

/// Looks at every batch once; true if one of them got further.
bool cuda_device::sweep() {
  bool progressed = false;
  {
    const std::lock_guard lock(mutex_);
    looked_at_ = active_;
  }
  for (const auto& work : looked_at_)
    progressed = look_at(work) || progressed;
  looked_at_.clear();
  return begin_waiting() || progressed;
}

/// Gives the first batch that may begin a lane; true if there was one.
bool cuda_device::begin_waiting() {
  std::unique_lock lock(mutex_);
  const auto now = clock_.now();
  const auto ready = std::ranges::find_if(
      waiting_, [&](const job_ptr& work) { return lost_ || work->not_before <= now; });
  if (ready == waiting_.end() || stopping_) return false;
  if (const auto lost = lost_) {
    const auto work = std::move(*ready);
    waiting_.erase(ready);
    lock.unlock();
    answer(*work, lost, {});
    return true;
  }
  auto* lane = take_lane();
  if (!lane) return false;
  auto work = std::move(*ready);
  waiting_.erase(ready);
  start(lock, *lane, std::move(work));
  return true;
}

/// True if `work` got further.
bool cuda_device::look_at(const job_ptr& work) {
  std::optional<device_fault> fault;
  {
    const std::lock_guard lock(mutex_);
    if (work->hung || !work->lane) return false;
    fault = lost_;
  }
  if (fault) {
    finish(work, std::move(fault));
    return true;
  }
  if (clock_.now() < work->not_before) return false;
  if (!work->work) { // its launch was delayed
    if (fault = prepare(*work); fault) finish(work, std::move(fault));
    return true;
  }
  if (work->piece_units) {
    const auto state = work->lane->poll(fault);
    if (state == cuda_lane::progress::running) return false;
    if (state == cuda_lane::progress::failed) {
      finish(work, std::move(fault));
      return true;
    }
  }
  try {
    conclude(work);
  } catch (const std::bad_alloc&) {
    finish(work, device_fault{fault_class::oom, "the host has no memory left for the answers"});
  }
  return true;
}

/// Spins while the youngest piece may be done any moment, then sleeps a share of its age; woken by
/// new work.
void cuda_device::pause(std::unique_lock<std::mutex>& lock) {
  duration age = spin_time * sleep_share;
  const auto now = clock_.now();
  for (const auto& work : active_)
    if (!work->hung) age = std::min(age, now - work->launched);
  if (age < spin_time && !active_.empty()) {
    lock.unlock();
    std::this_thread::yield();
    lock.lock();
    return;
  }
  wake_.wait_for(lock, std::min<duration>(age / sleep_share, longest_sleep));
}

// -- for the datasets --

bool cuda_device::claim(cuda_lane& lane) {
  std::unique_lock lock(mutex_);
  claimed_ = &lane;
  const bool taken =
      idle_.wait_for(lock, claim_patience, [&] { return std::erase(free_lanes_, &lane) > 0; });
  claimed_ = nullptr;
  return taken;
}

void cuda_device::unclaim(cuda_lane& lane) {
  {
    const std::lock_guard lock(mutex_);
    free_lanes_.push_back(&lane);
  }
  wake_.notify_one();
}

} // namespace

result<std::unique_ptr<attached_device>>
make_cuda_device(cuda_options options, fault_points& faults, const clock_source& clock) {
  const auto properties = cuda_properties(options.ordinal);
  if (!properties) return properties.error();
  const auto ordinal = options.ordinal;
  auto made = std::make_unique<cuda_device>(std::move(options), *properties, faults, clock);
  if (auto fault = made->open()) return unusable_gpu(ordinal, fault->message);
  return std::unique_ptr<attached_device>{std::move(made)};
}

} // namespace engram
