#include "engram/replay/tally.hpp"

#include <algorithm>

namespace engram::replay {

namespace {

constexpr std::int64_t shortest_slice_ns = 250'000'000;
constexpr std::int64_t most_slices = 240; // of the planned length; keeps memory and the page small

std::uint64_t since(std::int64_t from, std::int64_t to) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(0, to - from));
}

} // namespace

tally::tally(const scenario& what, report& into)
    : report_(into), warm_up_ns_(what.warm_up.count()),
      end_ns_((what.warm_up + what.measured).count()),
      slice_ns_(std::max(shortest_slice_ns, end_ns_ / most_slices)),
      late_ns_(what.late_limit().count()) {
  report_.slice_seconds = static_cast<double>(slice_ns_) * 1e-9;
  report_.total.name = "all";
  for (const auto& load : what.loads) {
    load_result result;
    result.name = load.name;
    result.op = load.op;
    report_.loads.push_back(std::move(result));
  }
}

time_slice& tally::slice_at(std::int64_t ns) {
  // Answers may come after the end, until the drain gives up; what is later still is put into the
  // last slice.
  constexpr std::int64_t beyond_the_end = 40;
  const auto last = end_ns_ / slice_ns_ + beyond_the_end;
  const auto index = static_cast<std::size_t>(std::clamp<std::int64_t>(ns / slice_ns_, 0, last));
  while (report_.slices.size() <= index) {
    time_slice slice;
    const auto start = static_cast<std::int64_t>(report_.slices.size()) * slice_ns_ - warm_up_ns_;
    slice.start_seconds = static_cast<double>(start) * 1e-9;
    slice.response.resize(report_.loads.size());
    report_.slices.push_back(std::move(slice));
  }
  return report_.slices[index];
}

void tally::sent(const sent_request& request) {
  ++report_.sent;
  ++outstanding_;
  ++slice_at(request.sent_ns).sent;
  if (!is_measured(request.scheduled_ns)) return;
  for (auto* result : {&report_.total, &report_.loads[request.load]}) {
    ++result->requested;
    ++result->sent;
  }
  const auto late = since(request.scheduled_ns, request.sent_ns);
  report_.lateness.record(late);
  if (late > static_cast<std::uint64_t>(late_ns_)) ++report_.late_sends;
}

void tally::unsent(const planned_send& request) {
  ++report_.unsent;
  if (!is_measured(request.at.count())) return;
  ++report_.total.requested;
  ++report_.loads[request.load].requested;
}

void tally::answered(const outcome& what) {
  if (what.repeated) {
    ++report_.duplicated;
    return;
  }
  --outstanding_;
  const auto& deadline = report_.what.loads[what.request->load].deadline;
  if (deadline && what.answered_ns - what.request->sent_ns > (*deadline + overdue_grace).count())
    ++report_.overdue;
  if (what.code == ec::none)
    add_result(what);
  else
    add_error(what);
}

void tally::add_result(const outcome& what) {
  const auto& request = *what.request;
  const auto response = since(request.scheduled_ns, what.answered_ns);
  auto& now = slice_at(what.answered_ns);
  ++now.answered;
  ++now.by_device[what.device];
  slice_at(request.scheduled_ns).response[request.load].record(response);
  if (!is_measured(request.scheduled_ns)) return;
  const auto service = since(request.sent_ns, what.answered_ns);
  add_to(report_.total, what, response, service);
  add_to(report_.loads[request.load], what, response, service);
  ++report_.by_device[{what.device, what.reason, what.fell_back}];
  if (!what.fell_back) return;
  ++report_.fell_back;
  ++report_.fallback_causes[what.more ? what.more->cause : ""];
}

void tally::add_to(load_result& result, const outcome& what, std::uint64_t response,
                   std::uint64_t service) {
  ++result.answered;
  if (what.answered_ns <= end_ns_) ++result.completed;
  const auto& limit = report_.what.goal.p99;
  if (limit && response <= static_cast<std::uint64_t>(limit->count())) ++result.in_time;
  result.took.response.record(response);
  result.took.service.record(service);
}

void tally::add_error(const outcome& what) {
  ++slice_at(what.answered_ns).errors;
  if (!is_measured(what.request->scheduled_ns)) return;
  ++report_.total.errors;
  ++report_.loads[what.request->load].errors;
  const std::string code{to_string(what.code)};
  ++report_.errors[code];
  if (what.more) report_.error_examples.try_emplace(code, what.more->message);
}

} // namespace engram::replay
