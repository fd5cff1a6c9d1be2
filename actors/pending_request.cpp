#include "engram/actors/pending_request.hpp"

#include <algorithm>
#include <utility>

namespace engram {

pending_request::pending_request(request_id id, payload_ptr payload, time_point accepted,
                                 time_point deadline, int priority, answer_desk& desk,
                                 std::function<void(answer)> done)
    : id_(id), payload_(std::move(payload)), accepted_(accepted), deadline_(deadline),
      priority_(priority), desk_(desk), done_(std::move(done)) {}

pending_request::~pending_request() {
  if (answered()) return;
  desk_.lost.fetch_add(1, std::memory_order_relaxed);
  fail(ec::internal, "The request was dropped without an answer; this is a bug in Engram.");
}

bool pending_request::fail(ec code, std::string message) {
  answer a;
  a.failure = {code, std::move(message)};
  return complete(std::move(a));
}

void pending_request::deliver(std::size_t first, std::size_t count, item_output output,
                              const answer_trace& trace) {
  if (answered()) {
    desk_.late_answers.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  if (count == payload_->items()) {
    answer a;
    a.output = std::move(output);
    a.trace = trace;
    complete(std::move(a));
    return;
  }
  if (!parts_.try_emplace(first, part{std::move(output), trace}).second) return;
  items_delivered_ += count;
  if (items_delivered_ == payload_->items()) complete(join_parts());
}

answer pending_request::join_parts() {
  answer whole;
  for (auto& [first, piece] : parts_) {
    auto& out = whole.output;
    auto& in = piece.output;
    out.hits.insert(out.hits.end(), in.hits.begin(), in.hits.end());
    out.counts.insert(out.counts.end(), in.counts.begin(), in.counts.end());
    out.hops.insert(out.hops.end(), in.hops.begin(), in.hops.end());
    out.scores.insert(out.scores.end(), in.scores.begin(), in.scores.end());

    auto& t = whole.trace;
    const auto& p = piece.trace;
    if (t.device.find(p.device) == std::string::npos)
      t.device += (t.device.empty() ? "" : "+") + p.device;
    t.reason = p.reason;
    t.attempts = std::max(t.attempts, p.attempts);
    t.fell_back = t.fell_back || p.fell_back;
    if (!p.cause.empty()) t.cause = p.cause;
    t.batch_items = std::max(t.batch_items, p.batch_items);
    t.dataset_version = p.dataset_version;
    t.queue_seconds = std::max(t.queue_seconds, p.queue_seconds);
    t.window_seconds = std::max(t.window_seconds, p.window_seconds);
    t.transfer_seconds = std::max(t.transfer_seconds, p.transfer_seconds);
    t.kernel_seconds = std::max(t.kernel_seconds, p.kernel_seconds);
  }
  parts_.clear();
  return whole;
}

bool pending_request::complete(answer what) {
  if (answered_.exchange(true, std::memory_order_acq_rel)) {
    if (what.ok()) desk_.late_answers.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  what.id = id_;
  what.op = payload_->op;
  what.trace.total_seconds = to_seconds(desk_.clock.now() - accepted_);
  desk_.numbers.count_answer(what.op, what.failure.code, what.trace);
  desk_.answered.fetch_add(1, std::memory_order_relaxed);
  auto done = std::exchange(done_, nullptr);
  // After this the desk may be gone: whoever stops the pipeline waits for the gate to empty.
  desk_.gate.leave();
  try {
    done(std::move(what));
  } catch (...) {
    // The caller's own trouble must not become that of the others in the batch.
  }
  return true;
}

} // namespace engram
