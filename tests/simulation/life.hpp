#pragma once

#include "engram/actors/core.hpp"
#include "engram/devices/sim_profile.hpp"
#include "engram/tests/actors/virtual_actors.hpp"
#include "engram/tests/simulation/observed_device.hpp"
#include "engram/tests/simulation/simulated_host.hpp"
#include "engram/tests/simulation/simulation.hpp"
#include "engram/tests/simulation/trouble.hpp"
#include "engram/tests/simulation/world.hpp"

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace engram::simulation {

/// An answer may be so late after its deadline.
constexpr duration quantum = std::chrono::milliseconds{1};
/// A timer that got lost is made up for in that time.
constexpr duration timer_guard = std::chrono::milliseconds{5};
/// A request that is given so long has to be answered with a result, whatever happens to GPUs.
constexpr duration generous = std::chrono::seconds{8};

/// One request and what became of it.
struct asked {
  payload_ptr payload;
  request_ptr handle;
  time_point asked_at;
  time_point deadline;
  time_point answered_at{};
  std::vector<answer> answers; ///< has to end up with exactly one
  bool cancelled = false;
  bool made_wrong = false;  ///< a run of it was corrupted on purpose
  bool cpu_gave_up = false; ///< the CPU failed a batch of it for good
  bool stopped = false;     ///< the pipeline stopped or gave up before it was answered
};

struct interval {
  time_point from, to;
};

/// The breaker of one GPU, as the log tells of it.
struct followed_breaker {
  breaker_state state = breaker_state::closed;
  time_point proving_since{};
  /// When the batches were dispatched whose answers are found wrong next.
  std::deque<time_point> found_wrong;
  std::optional<time_point> has_to_open; ///< since a wrong answer was found
};

/// One seed's life. What happens in it is in life.cpp, the requests and what is told of them in
/// life_requests.cpp, and what has to be true in life_promises.cpp.
class life final : public device_watcher {
public:
  life(std::uint64_t seed, const teller& tell);
  seed_report play();

private:
  // -- building the world ------------------------------------------------------------------------

  void build();

  // -- what happens ------------------------------------------------------------------------------

  void step();

  /// Requests, all at once or one after the other.
  void ask_some();
  void pass(duration d) { actors_->advance(d); }

  void trouble();
  void device_trouble();
  void silent_corruption() { arm(trouble_kind::corruption); }
  void cpu_trouble() { arm(trouble_kind::cpu); }
  void actor_death() { arm(trouble_kind::actor); }
  /// A device fails something, an actor dies at what is to follow, and no other message comes that
  /// might repair it by chance.
  void death_in_silence();
  void arm(trouble_kind kind);
  void change_pace();
  void child_trouble();
  void cancel();
  void change();
  void leap_on();

  // -- datasets ----------------------------------------------------------------------------------

  void publish_vectors() { publish_vectors(dice_.pick(1, 60)); }
  void publish_vectors(std::size_t rows);
  void publish_graph();

  /// As `pipeline::publish` does it.
  void publish(const std::string& name, std::variant<collection_ptr, graph_ptr> content);

  /// As `pipeline::drop` does it.
  void drop(const std::string& name);

  // -- requests ----------------------------------------------------------------------------------

  duration random_allowance();
  payload_ptr random_payload();
  payload_ptr search(const dataset_ptr& data, std::size_t queries);
  payload_ptr score(const dataset_ptr& data, std::size_t ids);
  payload_ptr similarity(std::size_t targets);
  payload_ptr spread(const dataset_ptr& data, std::size_t seed_sets);

  /// Hands a request over as `pipeline::submit` does.
  std::size_t ask(payload_ptr payload, duration allowed, int priority = 0);
  void on_answer(std::size_t number, answer a);
  void tell_answer(std::size_t number, const asked& it, const answer& a);

  // -- watching devices --------------------------------------------------------------------------

  void on_begin(std::size_t device, const work_batch_ptr& batch) override;
  void on_end(std::size_t device, const work_batch_ptr& batch, const run_outcome& outcome) override;

  /// Returns " for requests 3 5 7", or nothing for a batch of nobody.
  std::string riders(const work_batch& batch) const;

  // -- what has to be true -----------------------------------------------------------------------

  /// At any time.
  void look();
  void look_at_memory();

  /// Whatever has a time of its own was looked at when it came.
  void look_for_overdue();

  /// Notes whose requests may fail: the CPU has failed their own batch too often.
  void note_cpu_failure(const work_batch_ptr& batch);

  /// Notes what the router will find wrong when it hears of this run.
  void note_finding(std::size_t device, const work_batch_ptr& batch, const run_outcome& outcome);
  /// A checked answer that is wrong opens the breaker of the GPU that gave it, unless that has been
  /// open since.
  void follow_breakers(const pipeline_event& event);

  /// Ends all trouble, and sees everything come back.
  void recover();

  /// A GPU without child processes that an upload lost is found out by the next batch: not here,
  /// where the next one may be long in coming.
  void forgive_lost_uploads();

  /// Each GPU answers by itself.
  void try_devices();

  /// Now nothing goes wrong any more, and everything is answered rightly.
  void serve_as_ever();
  void look_at_what_is_left();

  /// Stops in the middle of everything.
  void stop();
  bool is_over() { return stopped_ || core().state == pipeline_state::unavailable; }

  /// Every request had one answer, right and in time, and nothing is held for any.
  void finish();

  /// Returns what is wrong with the answer of a request, and counts it.
  std::string judge(std::size_t number);

  /// Returns when it had to be answered: as soon as somebody could.
  time_point last_moment(const asked& it) const;
  duration time_lost(const asked& it) const;

  /// In this time something had to be done that nobody could do: the clock leapt, an actor slept
  /// and all others with it, or one that died waited for its back-off.
  void note_idle(time_point from, time_point to);
  void note_hold_ups();

  // -- telling -----------------------------------------------------------------------------------

  /// Tells what the pipeline wrote into its log since.
  void tell_events();
  void fail(std::string what);
  static std::string name_of(std::size_t device);
  static std::string milliseconds(duration d);
  pipeline_core& core() { return actors_->core(); }

  static constexpr pace usual_pace{50e-6, 100e-9};
  static constexpr std::size_t nodes = 30; ///< of every graph

  dice dice_;
  world world_;
  std::shared_ptr<test::manual_alarm_clock> clock_;
  story tale_;
  seed_report report_;
  std::vector<sim_profile> profiles_;  ///< of the GPUs
  std::vector<simulated_host*> hosts_; ///< of the GPUs that are in child processes, or null
  observed_device* cpu_ = nullptr;
  std::vector<std::unique_ptr<asked>> asked_;
  std::map<const work_payload*, std::size_t> number_of_;
  std::map<batch_id, int> cpu_failures_;
  std::vector<interval> idle_; ///< by time
  duration slack_ = quantum;   ///< what an answer may be late by in this world
  std::size_t hold_ups_noted_ = 0;
  std::map<std::size_t, bool> lost_in_upload_; ///< by device: it did not take the last dataset
  std::uint64_t wrong_runs_ = 0;
  std::uint64_t findings_ = 0; ///< wrong answers that were compared in time
  std::map<std::string, followed_breaker, std::less<>> breakers_; ///< by GPU
  std::uint64_t last_event_ = 0;
  bool stopped_ = false;
  std::unique_ptr<test::virtual_actors> actors_; ///< gone before what its answers are written to
};

} // namespace engram::simulation
