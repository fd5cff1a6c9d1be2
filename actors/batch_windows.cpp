#include "engram/actors/batch_windows.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

namespace engram {

namespace {

/// Deadlines in the same millisecond count as equal, so that priority can decide between them.
constexpr auto deadline_grain = std::chrono::milliseconds{1};
/// One step of priority is worth this much waiting: a request of low priority that has waited
/// longer goes before a fresh one of high priority, so that it is never starved.
constexpr auto priority_step = std::chrono::milliseconds{50};
/// Windows of dataset versions that are gone are dropped once there are this many.
constexpr std::size_t most_empty_windows = 64;

auto urgency(const window_entry& entry) {
  const auto& r = *entry.request;
  return std::tuple{r.deadline().time_since_epoch() / deadline_grain,
                    r.accepted() - r.priority() * priority_step, r.id(), entry.first};
}

/// For the heap: true if `a` goes after `b`.
bool goes_later(const window_entry& a, const window_entry& b) {
  return urgency(a) > urgency(b);
}

} // namespace

void batch_windows::set_limits(window_limits limits) {
  limits_ = limits;
  for (auto& [_, w] : windows_)
    w.rule.set_limits(limits);
}

void batch_windows::add(window_entry entry) {
  const auto& payload = *entry.request->payload();
  const key k{payload.op, payload.data ? payload.data->key : 0, payload.dim};
  auto& w = windows_.try_emplace(k, limits_).first->second;
  if (w.heap.empty()) w.open = async_trace_range{"window"};
  w.rule.add(entry.count, entry.request->accepted(), entry.run_by);
  w.heap.push_back(std::move(entry));
  std::push_heap(w.heap.begin(), w.heap.end(), goes_later);
  ++waiting_;
}

std::optional<batch_order> batch_windows::close(time_point now, bool everything_is_due) {
  while (true) {
    window* most_urgent = nullptr;
    for (auto& [_, w] : windows_) {
      if (w.heap.empty() || !(everything_is_due || w.rule.is_due(now))) continue;
      if (!most_urgent || *w.rule.due() < *most_urgent->rule.due()) most_urgent = &w;
    }
    if (!most_urgent) return std::nullopt;
    batch_order order;
    order.batch = std::make_shared<work_batch>();
    order.closed = now;
    fill(*most_urgent, order);
    if (windows_.size() > most_empty_windows)
      std::erase_if(windows_, [](const auto& each) { return each.second.heap.empty(); });
    if (!order.requests.empty()) return order; // else all had been answered meanwhile
  }
}

void batch_windows::fill(window& from, batch_order& order) {
  std::size_t items = 0;
  const auto take = [&](window_entry entry) {
    --waiting_;
    if (entry.request->answered()) return;
    const auto& payload = entry.request->payload();
    items += entry.count;
    if (order.requests.empty()) {
      order.batch->op = payload->op;
      order.batch->data = payload->data;
      order.batch->dim = payload->dim;
      order.earliest_deadline = entry.request->deadline();
    }
    order.earliest_deadline = std::min(order.earliest_deadline, entry.request->deadline());
    order.batch->items.push_back({payload, entry.first, entry.count});
    order.requests.push_back(std::move(entry.request));
  };
  if (from.rule.items() <= limits_.target_items) { // the usual case: all of it, in any order
    order.batch->items.reserve(from.heap.size());
    order.requests.reserve(from.heap.size());
    for (auto& entry : from.heap)
      take(std::move(entry));
    from.heap.clear();
    from.rule.clear();
    from.open.end();
    return;
  }
  while (!from.heap.empty() &&
         (items == 0 || items + from.heap.front().count <= limits_.target_items))
    take(pop(from));
  settle(from);
  // What is left over is in a window of its own.
  from.open = from.heap.empty() ? async_trace_range{} : async_trace_range{"window"};
}

window_entry batch_windows::pop(window& from) {
  std::pop_heap(from.heap.begin(), from.heap.end(), goes_later);
  auto entry = std::move(from.heap.back());
  from.heap.pop_back();
  from.rule.remove(entry.count);
  return entry;
}

void batch_windows::settle(window& w) const {
  // A full window is due whoever is oldest, so a long backlog need not be walked for each batch.
  if (w.rule.is_full()) return;
  w.rule.clear();
  for (const auto& entry : w.heap)
    w.rule.add(entry.count, entry.request->accepted(), entry.run_by);
}

std::vector<request_ptr> batch_windows::take_expired(time_point now) {
  std::vector<request_ptr> expired;
  for (auto& [_, w] : windows_) {
    const auto before = w.heap.size();
    while (!w.heap.empty() && w.heap.front().request->deadline() <= now)
      expired.push_back(pop(w).request);
    waiting_ -= before - w.heap.size();
    if (before != w.heap.size()) settle(w);
    if (w.heap.empty()) w.open.end();
  }
  return expired;
}

std::vector<request_ptr> batch_windows::take_all() {
  std::vector<request_ptr> all;
  for (auto& [_, w] : windows_) {
    for (auto& entry : w.heap)
      all.push_back(std::move(entry.request));
    w.heap.clear();
    w.rule.clear();
    w.open.end();
  }
  waiting_ = 0;
  return all;
}

std::optional<time_point> batch_windows::due() const {
  std::optional<time_point> first;
  for (const auto& [_, w] : windows_)
    if (const auto each = w.rule.due()) first = first ? std::min(*first, *each) : *each;
  return first;
}

std::optional<time_point> batch_windows::next_deadline() const {
  std::optional<time_point> first;
  for (const auto& [_, w] : windows_)
    if (!w.heap.empty()) {
      const auto each = w.heap.front().request->deadline();
      first = first ? std::min(*first, each) : each;
    }
  return first;
}

} // namespace engram
