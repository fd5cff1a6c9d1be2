#pragma once

/// What the dashboard's page is told, as JSON.

#include "engram/actors/event_log.hpp"
#include "engram/service/dashboard/history.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace engram {

/// Returns what a page needs that knows nothing yet:
///   {version, kept_samples, operations, reasons, item_bounds, options, samples, now, events}
/// `samples` has all that are kept and `now` is the latest reading:
///   samples: [{number, at, accepted, ok, refused, failed, batches, in_flight, queues, runs,
///   success,
///              latency: [[p50, p90, p99] in seconds or null], sizes: [[bucket, count]],
///              routes: [[device, reason, count]]}]
///   now:     {at, state, ready, in_flight, totals, actors, devices}
///   events:  [{number, at, kind, subject, detail}]
/// `held_state` stands in place of the pipeline's readiness ("loading"), unless it is empty. `at`
/// is in seconds since the first reading; rates are per second; actors, devices, operations and
/// reasons are meant by their place in their list.
std::string encode_dashboard(const dashboard_history& history, std::string_view held_state,
                             const pipeline_options& options,
                             std::span<const pipeline_event> events);

/// Returns {samples, now, events} with the samples whose number is above `after`.
std::string encode_dashboard_update(const dashboard_history& history, std::string_view held_state,
                                    std::uint64_t after, std::span<const pipeline_event> events);

} // namespace engram
