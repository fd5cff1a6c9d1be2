#include "engram/kernels/cosine.hpp"
#include "engram/tests/simulation/life.hpp"

#include <algorithm>
#include <cstdio>
#include <utility>

namespace engram::simulation {

namespace {

std::string describe(const work_payload& work) {
  return std::string{to_string(work.op)} + ", " + std::to_string(work.items()) + " items" +
         (work.data ? " of " + work.data->name + "@" + std::to_string(work.data->version) : "");
}

} // namespace

duration life::random_allowance() {
  if (dice_.chance(0.3)) return generous;
  if (world_.tight_deadlines && dice_.chance(0.5))
    return std::chrono::microseconds{dice_.pick(200, 20'000)};
  return std::chrono::microseconds{dice_.pick(20'000, 2'000'000)};
}

payload_ptr life::random_payload() {
  const auto vectors = core().datasets.find("vectors");
  const auto graph = core().datasets.find("graph");
  const auto items = dice_.pick(1, 20);
  switch (dice_.pick(0, 3)) {
  case 0:
    if (vectors) return search(vectors, items);
    break;
  case 1:
    if (vectors) return score(vectors, items);
    break;
  case 2:
    if (graph) return spread(graph, std::min<std::size_t>(items, 4));
    break;
  default:
    break;
  }
  return similarity(items);
}

payload_ptr life::search(const dataset_ptr& data, std::size_t queries) {
  auto work = std::make_shared<work_payload>();
  work->op = operation::search;
  work->data = data;
  work->dim = data->collection()->dim();
  work->k = static_cast<std::uint32_t>(dice_.pick(1, 5));
  for (std::size_t q = 0; q < queries; ++q) {
    const auto row = data->collection()->row(dice_.pick(0, data->collection()->size() - 1));
    work->inverse_norms.push_back(inverse_norm(row));
    work->queries.insert(work->queries.end(), row.begin(), row.end());
  }
  return work;
}

payload_ptr life::score(const dataset_ptr& data, std::size_t ids) {
  auto work = std::make_shared<work_payload>();
  work->op = operation::score;
  work->data = data;
  work->dim = data->collection()->dim();
  work->queries = data->collection()->row(0);
  work->inverse_norms = {inverse_norm(work->queries)};
  for (std::size_t i = 0; i < ids; ++i)
    work->ids.push_back(static_cast<row_id>(dice_.pick(0, data->collection()->size() - 1)));
  return work;
}

payload_ptr life::similarity(std::size_t targets) {
  auto work = std::make_shared<work_payload>();
  work->op = operation::similarity;
  work->dim = 3;
  work->queries = {1.0f, 2.0f, -3.0f};
  work->inverse_norms = {inverse_norm(work->queries)};
  for (std::size_t i = 0; i < targets * work->dim; ++i)
    work->targets.push_back(static_cast<float>(dice_.pick(0, 9)));
  return work;
}

payload_ptr life::spread(const dataset_ptr& data, std::size_t seed_sets) {
  auto work = std::make_shared<work_payload>();
  work->op = operation::spread;
  work->data = data;
  for (std::size_t i = 0; i < seed_sets; ++i)
    work->seed_sets.push_back({{static_cast<node_id>(dice_.pick(0, nodes - 1)), 1.0f}});
  return work;
}

std::size_t life::ask(payload_ptr payload, duration allowed, int priority) {
  const auto number = asked_.size();
  auto& it = *asked_.emplace_back(std::make_unique<asked>());
  it.payload = payload;
  it.asked_at = clock_->now();
  it.deadline = clock_->now() + allowed;
  number_of_[payload.get()] = number;
  if (tale_.is_told())
    tale_.add("caller", "asks request " + std::to_string(number) + ": " + describe(*payload) +
                            ", within " + milliseconds(allowed) +
                            (priority ? ", priority " + std::to_string(priority) : ""));
  const auto verdict = core().gate.enter();
  if (verdict != admission_gate::verdict::entered) {
    const bool is_full = verdict == admission_gate::verdict::full;
    if (is_full && core().gate.in_flight() < core().gate.limit())
      fail("request " + std::to_string(number) + " was refused although there was room");
    answer refused;
    refused.failure = {is_full ? ec::overloaded : ec::unavailable, "refused at the gate"};
    it.stopped = !is_full;
    on_answer(number, std::move(refused));
    return number;
  }
  it.handle = std::make_shared<pending_request>(
      number + 1, std::move(payload), clock_->now(), it.deadline, priority, core().desk,
      [this, number](answer a) { on_answer(number, std::move(a)); });
  core().inbox.push(it.handle);
  return number;
}

void life::on_answer(std::size_t number, answer a) {
  auto& it = *asked_[number];
  it.answered_at = clock_->now();
  it.stopped = it.stopped || is_over();
  if (tale_.is_told()) tell_answer(number, it, a);
  it.answers.push_back(std::move(a));
}

void life::tell_answer(std::size_t number, const asked& it, const answer& a) {
  tell_events();
  auto text = "request " + std::to_string(number) + " ";
  if (a.ok()) {
    text += "answered by " + a.trace.device + " after " +
            milliseconds(it.answered_at - it.asked_at) + " (" +
            std::string{to_string(a.trace.reason)} + ", batch of " +
            std::to_string(a.trace.batch_items) + " items";
    if (a.trace.attempts > 1) text += ", attempt " + std::to_string(a.trace.attempts);
    if (a.trace.fell_back) text += ", fell back: " + a.trace.cause;
    text += ")";
  } else {
    text += std::string{to_string(a.failure.code)} + " after " +
            milliseconds(it.answered_at - it.asked_at) + ": " + a.failure.message;
  }
  tale_.add("answer", text);
}

void life::tell_events() {
  for (const auto& event : core().events.after(last_event_)) {
    last_event_ = event.number;
    report_.breaker_changes += event.kind == "breaker" ? 1 : 0;
    const auto& restarts = world_.options.supervisor;
    if (event.kind == "restart" && restarts.backoff_ms > 0)
      note_idle(event.when, event.when + from_milliseconds(restarts.max_backoff_ms));
    tale_.add(event.when, event.kind, event.subject + " " + event.detail);
    follow_breakers(event);
  }
}

void life::fail(std::string what) {
  if (report_.failures.size() >= 20 || std::ranges::count(report_.failures, what) > 0) return;
  tale_.add("FAILURE", what);
  report_.failures.push_back(std::move(what));
}

std::string life::name_of(std::size_t device) {
  return device == 0 ? "cpu" : "gpu" + std::to_string(device - 1);
}

std::string life::milliseconds(duration d) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f ms", to_seconds(d) * 1e3);
  return text;
}

} // namespace engram::simulation
