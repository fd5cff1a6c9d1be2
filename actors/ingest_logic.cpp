#include "engram/actors/ingest_logic.hpp"

#include <algorithm>

namespace engram {

void ingest_logic::on_requests() {
  core_.inbox.take(requests_);
  const auto now = core_.clock.now();
  const std::size_t most_items = core_.options()->batching.target_batch_size;
  for (const auto& request : requests_) {
    if (request->answered()) continue;
    if (request->deadline() <= now)
      request->fail(ec::deadline_exceeded, "The deadline passed before the request was batched; "
                                           "allow more time or send less.");
    else
      split(request, most_items);
  }
  core_.entries.push_all(entries_);
  requests_.clear();
}

void ingest_logic::split(const request_ptr& request, std::size_t most_items) {
  const auto items = request->payload()->items();
  for (std::size_t first = 0; first < items; first += most_items) {
    const auto count = std::min(most_items, items - first);
    // However slow the devices are, half of the time to the deadline may be spent waiting.
    const auto most = (request->deadline() - request->accepted()) / 2;
    const auto margin = std::min(time_to_run(request, count), most);
    entries_.push_back({request, first, count, request->deadline() - margin});
  }
}

duration ingest_logic::time_to_run(const request_ptr& request, std::size_t items) {
  const auto& payload = *request->payload();
  const cost_model::key where{payload.op, 0, payload.data ? payload.data->key : 0};
  const auto work = work_of(payload, items);
  if (where != last_.where || work != last_.work) {
    // Twice the prediction for the error in it, and a millisecond for the way there and back.
    const auto predicted = core_.costs.predict(where, work).value_or(0.0);
    last_ = {where, work, from_seconds(2 * predicted) + std::chrono::milliseconds{1}};
  }
  return last_.time;
}

} // namespace engram
