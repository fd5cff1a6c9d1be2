#pragma once

/// Every role and every message: the whole conversation. Messages are doorbells; the work itself
/// lies in the handoffs of `pipeline_core`, which outlives every actor.
///
///   callers --requests_waiting--> INGEST --entries_waiting--> BATCHER --orders_waiting--> ROUTER
///   ROUTER --jobs_waiting--> CPU_WORKER, GPU_WORKER --reports_waiting--> ROUTER
///   ROUTER --outcomes_waiting--> TELEMETRY --probes_wanted--> ROUTER
///   ROUTER --capacity_freed--> BATCHER        SUPERVISOR --workers_changed--> ROUTER
///   SUPERVISOR --watch_actor--> GUARDIAN

#include "engram/actors/core.hpp"

#include <caf/actor_addr.hpp>
#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/fwd.hpp>
#include <caf/replies_to.hpp>
#include <caf/type_id.hpp>
#include <caf/typed_actor.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>

namespace engram {

struct requests_waiting {};
struct entries_waiting {};
struct orders_waiting {};
struct jobs_waiting {};
struct reports_waiting {};
struct outcomes_waiting {};
struct probes_wanted {};
struct capacity_freed {};
struct workers_changed {};
struct pulse_wanted {};
struct stop_pipeline {};
/// The timer that was armed as number `epoch` has come, or the guard that looks whether one was
/// lost; an older one is stale.
struct timer_due {
  std::uint64_t epoch = 0;
  bool is_guard = false;
};
/// Hear of the death of `who`.
struct watch_actor {
  enum class role : std::uint8_t { supervisor, stage, worker };
  caf::actor_addr who;
  role is = role::stage;
};
/// The back-off of child number `child` is over.
struct restart_due {
  std::size_t child = 0;
};

/// INGEST: takes requests out of the callers' hands.
using ingest_actor = caf::typed_actor<
    // A caller left requests in `inbox`.
    caf::reacts_to<requests_waiting>>;

/// The BATCHER: holds requests until their window closes.
using batcher_actor = caf::typed_actor<
    // INGEST left entries.
    caf::reacts_to<entries_waiting>,
    // The ROUTER struck a batch while requests were held.
    caf::reacts_to<capacity_freed>,
    // INTERNAL: a window or a deadline is due.
    caf::reacts_to<timer_due>>;

/// The ROUTER: chooses a device for each batch and answers its requests.
using router_actor = caf::typed_actor<
    // The BATCHER left batches.
    caf::reacts_to<orders_waiting>,
    // A worker's device finished runs.
    caf::reacts_to<reports_waiting>,
    // The SUPERVISOR: a worker died or came back.
    caf::reacts_to<workers_changed>,
    // TELEMETRY: a half-open GPU gets no traffic to prove itself on.
    caf::reacts_to<probes_wanted>,
    // INTERNAL: a run's limit or a deadline is due.
    caf::reacts_to<timer_due>>;

/// CPU_WORKER and GPU_WORKER: run batches on their device.
using worker_actor = caf::typed_actor<
    // The ROUTER left jobs.
    caf::reacts_to<jobs_waiting>>;

/// TELEMETRY: hears every outcome; keeps breakers and cost model.
using telemetry_actor = caf::typed_actor<
    // The ROUTER left reports.
    caf::reacts_to<outcomes_waiting>,
    // INTERNAL: a breaker's time or a probe's time has come.
    caf::reacts_to<timer_due>>;

/// The SUPERVISOR: spawns and monitors all others, restarts them with limits.
using supervisor_actor = caf::typed_actor<
    // The pipeline: end every actor, then yourself.
    caf::reacts_to<stop_pipeline>,
    // The pipeline: show that you can be reached, and count it in `pulses`.
    caf::reacts_to<pulse_wanted>,
    // INTERNAL: a back-off is over.
    caf::reacts_to<restart_due>>;

/// The GUARDIAN: outlives the SUPERVISOR. Should that one die, it ends the others and answers what
/// is pending with `unavailable`.
using guardian_actor = caf::typed_actor<
    // The SUPERVISOR: I am, or I have started somebody.
    caf::reacts_to<watch_actor>>;

/// How actors are spawned.
struct spawn_options {
  /// Workers get a thread each. Off under the test scheduler, which cannot see detached actors.
  bool detach_workers = true;
};

/// Spawns the GUARDIAN and the SUPERVISOR, which spawns the rest. `core` must outlive the actor
/// system.
supervisor_actor spawn_pipeline(caf::actor_system& system, pipeline_core& core,
                                spawn_options options);

/// Takes every actor's doorbell off `core`, so that no handle outlives the actor system.
void detach_doorbells(pipeline_core& core);

} // namespace engram

CAF_BEGIN_TYPE_ID_BLOCK(engram, caf::first_custom_type_id)
CAF_ADD_TYPE_ID(engram, (engram::requests_waiting))
CAF_ADD_TYPE_ID(engram, (engram::entries_waiting))
CAF_ADD_TYPE_ID(engram, (engram::orders_waiting))
CAF_ADD_TYPE_ID(engram, (engram::jobs_waiting))
CAF_ADD_TYPE_ID(engram, (engram::reports_waiting))
CAF_ADD_TYPE_ID(engram, (engram::outcomes_waiting))
CAF_ADD_TYPE_ID(engram, (engram::probes_wanted))
CAF_ADD_TYPE_ID(engram, (engram::capacity_freed))
CAF_ADD_TYPE_ID(engram, (engram::workers_changed))
CAF_ADD_TYPE_ID(engram, (engram::pulse_wanted))
CAF_ADD_TYPE_ID(engram, (engram::stop_pipeline))
CAF_ADD_TYPE_ID(engram, (engram::timer_due))
CAF_ADD_TYPE_ID(engram, (engram::restart_due))
CAF_ADD_TYPE_ID(engram, (engram::watch_actor))
CAF_END_TYPE_ID_BLOCK(engram)

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(engram::requests_waiting)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(engram::entries_waiting)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(engram::orders_waiting)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(engram::jobs_waiting)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(engram::reports_waiting)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(engram::outcomes_waiting)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(engram::probes_wanted)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(engram::capacity_freed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(engram::workers_changed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(engram::pulse_wanted)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(engram::stop_pipeline)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(engram::timer_due)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(engram::restart_due)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(engram::watch_actor)
