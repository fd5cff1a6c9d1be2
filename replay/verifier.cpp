#include "engram/replay/verifier.hpp"

#include "engram/devices/cpu_device.hpp"
#include "engram/kernels/cosine.hpp"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <cstdio>

namespace engram::replay {

namespace {

constexpr std::size_t max_waiting_bytes = 256u << 20;
constexpr std::size_t max_examples = 5;

void set_policy(pthread_t thread, int policy) {
  sched_param none{};
  pthread_setschedparam(thread, policy, &none);
}

std::size_t bytes_of(const item_output& output) {
  return sizeof(output) + output.hits.size() * sizeof(hit) +
         (output.counts.size() + output.hops.size() + output.scores.size()) * 4;
}

void fill(work_payload& to, const search_request& from) {
  to.queries = float_buffer{from.queries}.take();
  to.dim = to.data->collection()->dim();
  to.k = from.k;
}

void fill(work_payload& to, const similarity_request& from) {
  to.queries = float_buffer{from.query}.take();
  to.dim = from.query.size();
  to.targets = float_buffer{from.targets}.take();
}

void fill(work_payload& to, const score_request& from) {
  to.queries = float_buffer{from.query}.take();
  to.dim = from.query.size();
  to.ids = from.ids;
}

void fill(work_payload& to, const spread_request& from) {
  to.seed_sets = from.seed_sets;
  to.spread = from.spread;
}

constexpr operation op_of(const search_request&) {
  return operation::search;
}
constexpr operation op_of(const similarity_request&) {
  return operation::similarity;
}
constexpr operation op_of(const score_request&) {
  return operation::score;
}
constexpr operation op_of(const spread_request&) {
  return operation::spread;
}

std::string pair_text(const hit& what) {
  char text[64];
  std::snprintf(text, sizeof text, "%u (%.9g)", what.id, double{what.score});
  return text;
}

std::string counted(std::size_t got, std::size_t expected, const char* what) {
  return std::to_string(got) + ' ' + what + " instead of " + std::to_string(expected);
}

} // namespace

work_batch batch_of(const request& what, const dataset_ptr& data) {
  auto payload = std::make_shared<work_payload>();
  payload->data = data;
  std::visit(
      [&](const auto& asked) {
        payload->op = op_of(asked);
        fill(*payload, asked);
      },
      what);
  const auto queries = payload->query_rows();
  for (std::size_t q = 0; q < queries.rows(); ++q)
    payload->inverse_norms.push_back(inverse_norm(queries.row(q)));
  return *whole_batch(payload);
}

std::optional<std::string> difference(operation op, const item_output& got,
                                      const item_output& expected) {
  if (got == expected) return std::nullopt;
  if (got.hits.size() != expected.hits.size())
    return counted(got.hits.size(), expected.hits.size(), "hits");
  for (std::size_t i = 0; i < got.hits.size(); ++i)
    if (!(got.hits[i] == expected.hits[i]))
      return "hit " + std::to_string(i) + " is " + pair_text(got.hits[i]) + " instead of " +
             pair_text(expected.hits[i]);
  if (got.scores.size() != expected.scores.size())
    return counted(got.scores.size(), expected.scores.size(), "scores");
  for (std::size_t i = 0; i < got.scores.size(); ++i)
    if (got.scores[i] != expected.scores[i])
      return "score " + std::to_string(i) + " is " +
             pair_text({static_cast<std::uint32_t>(i), got.scores[i]}) + " instead of " +
             pair_text({static_cast<std::uint32_t>(i), expected.scores[i]});
  return op == operation::spread ? "the hops or counts of a seed set differ"
                                 : "the counts of a query differ";
}

void excuse(verification& what, const std::map<std::string, std::uint64_t>& changed) {
  for (const auto& [device, differing] : what.differing) {
    const auto found = changed.find(device);
    if (found == changed.end()) continue;
    const auto made = std::min(differing, found->second);
    what.made_wrong += made;
    what.wrong -= made;
  }
}

verifier::verifier(const request_pool& pool)
    : pool_(pool), thread_([this](std::stop_token stop) { work(std::move(stop)); }) {
  // The reference is slow on purpose: it must not take the processor from what is measured.
  set_policy(thread_.native_handle(), SCHED_IDLE);
}

verifier::~verifier() = default;

void verifier::check(std::uint64_t number, std::uint32_t load, std::uint32_t variant,
                     std::string device, item_output output) {
  std::lock_guard hold{mutex_};
  const auto bytes = bytes_of(output);
  if (waiting_bytes_ + bytes > max_waiting_bytes) {
    ++so_far_.skipped;
    return;
  }
  waiting_bytes_ += bytes;
  waiting_.push_back({number, load, variant, std::move(device), std::move(output)});
  changed_.notify_all();
}

std::size_t verifier::waiting() const {
  std::lock_guard hold{mutex_};
  return waiting_.size();
}

void verifier::hurry() {
  set_policy(thread_.native_handle(), SCHED_OTHER);
}

verification verifier::finish(std::chrono::milliseconds limit) {
  {
    std::unique_lock hold{mutex_};
    changed_.wait_for(hold, limit, [this] { return waiting_.empty() && !busy_; });
    so_far_.skipped += waiting_.size();
    waiting_.clear();
  }
  thread_.request_stop();
  thread_.join(); // waits for the comparison that is being made
  return so_far_;
}

void verifier::work(std::stop_token stop) {
  pthread_setname_np(pthread_self(), "verifier");
  std::unique_lock hold{mutex_};
  while (changed_.wait(hold, stop, [this] { return !waiting_.empty(); })) {
    const auto next = std::move(waiting_.front());
    waiting_.pop_front();
    waiting_bytes_ -= bytes_of(next.output);
    busy_ = true;
    hold.unlock();
    compare(next);
    hold.lock();
    busy_ = false;
    changed_.notify_all();
  }
}

void verifier::compare(const sample& what) {
  const auto op =
      std::visit([](const auto& asked) { return op_of(asked); }, pool_.at(what.load, what.variant));
  const auto differs = difference(op, what.output, expected(what.load, what.variant));
  std::lock_guard hold{mutex_};
  ++so_far_.checked;
  if (!differs) return;
  ++so_far_.wrong;
  ++so_far_.differing[what.device];
  if (so_far_.examples.size() < max_examples)
    so_far_.examples.push_back("request " + std::to_string(what.number) + " (" +
                               std::string{to_string(op)} + ", by " + what.device +
                               "): " + *differs);
}

const item_output& verifier::expected(std::uint32_t load, std::uint32_t variant) {
  auto [at, is_new] = references_.try_emplace({load, variant});
  if (is_new)
    at->second = std::move(
        compute_reference(batch_of(pool_.at(load, variant), pool_.data_of(load))).front());
  return at->second;
}

} // namespace engram::replay
