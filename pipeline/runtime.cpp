#include "engram/pipeline/runtime.hpp"

#include "engram/actors/actors.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/logger.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>
#include <caf/thread_hook.hpp>
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>

#include <atomic>
#include <thread>

namespace engram {

namespace {

/// Prepares every thread that CAF starts: exact timers, and a core of its own where asked.
class thread_setup final : public caf::thread_hook {
public:
  explicit thread_setup(bool pin) : pin_(pin) {}

  void init(caf::actor_system&) override {}
  void thread_started() override {
    prctl(PR_SET_TIMERSLACK, 1UL); // windows would close 50 us late otherwise
    if (!pin_) return;
    const auto cores = std::max(std::thread::hardware_concurrency(), 1u);
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((cores - 1 + started_++) % cores, &set);
    pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
  }
  void thread_terminates() override {}

private:
  bool pin_;
  std::atomic<unsigned> started_{0};
};

struct system_config : caf::actor_system_config {
  explicit system_config(const runtime_options& options) {
    // The default scheduler polls and sleeps between messages and starts sibling work late.
    set("scheduler.policy", caf::atom("sharing"));
    set("scheduler.max-threads", std::size_t{options.scheduler_threads});
    add_message_types<caf::id_block::engram>();
    add_thread_hook<thread_setup>(options.pin_threads);
  }
};

} // namespace

struct actor_runtime::system {
  explicit system(const runtime_options& options) : config(options), actors(config) {}
  system_config config;
  caf::actor_system actors;
  supervisor_actor supervisor;
};

actor_runtime::actor_runtime(pipeline_core& core, const runtime_options& options)
    : system_(std::make_unique<system>(options)), core_(core) {
  system_->supervisor = spawn_pipeline(system_->actors, core_, {});
  // CAF keeps its logger in a variable of this thread, and the destructor of the actor system waits
  // for the last user of the logger: another thread could never stop what this one has started.
  caf::logger::set_current_actor_system(nullptr);
}

actor_runtime::~actor_runtime() {
  stop();
}

void actor_runtime::stop() {
  if (!system_) return;
  {
    caf::scoped_actor self{system_->actors};
    self->send(system_->supervisor, stop_pipeline{});
    self->wait_for(system_->supervisor);
  }
  // A handle that outlives the actor system would keep its destructor waiting for ever.
  detach_doorbells(core_);
  system_->supervisor = nullptr;
  system_.reset();
}

} // namespace engram
