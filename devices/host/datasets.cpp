#include "engram/devices/host/datasets.hpp"

#include "engram/devices/describe.hpp"

#include <algorithm>
#include <utility>

namespace engram {

namespace {

using namespace std::chrono_literals;

// How long a child may take over a dataset: this, and a second for so many of its bytes.
constexpr auto least_patience = 10s;
constexpr double least_bytes_per_second = 200e6;

host_message retirement(std::uint64_t key, std::uint64_t bytes) {
  host_message message;
  message.kind = host_message_kind::retire;
  message.key = key;
  message.numbers[0] = bytes;
  return message;
}

} // namespace

host_datasets::host_datasets(const process_device_options& options, const clock_source& clock,
                             const host_policy& policy, host_processes& processes,
                             host_batches& batches)
    : options_(options), clock_(clock), policy_(policy), processes_(processes), batches_(batches) {}

host_datasets::~host_datasets() {
  for (const auto& left : publications_)
    left->outcome.set_value(error{ec::shutting_down, options_.name + " is ending."});
}

result<void> host_datasets::room_for(const dataset& data, const memory_budget& budget) const {
  const auto free = budget.budget_bytes - std::min(budget.budget_bytes, budget.used_bytes);
  if (residents_.find(data.key) || data.resident_bytes() <= free) return {};
  return error{ec::resource_exhausted, no_room(options_.name, "dataset " + describe(data),
                                               data.resident_bytes(), free, budget.budget_bytes)};
}

void host_datasets::publish(std::shared_ptr<publication> wanted) {
  wanted->give_up = patience_for(*wanted->data) + options_.limits.start_timeout;
  publications_.push_back(std::move(wanted));
  if (publications_.size() == 1) advance();
}

/// Does what the first publication needs next.
void host_datasets::advance() {
  while (!publications_.empty() && serves(publications_.front()->data->key))
    end_first({});
  if (publications_.empty() || owner_is_asked_) return;
  const auto& wanted = *publications_.front();
  if (!residents_.find(wanted.data->key)) return ask_owner(wanted);
  // The runner that serves has refused it before, or has not answered yet.
  auto* runner = processes_.find(*policy_.serving());
  const auto key = wanted.data->key;
  if (!runner->asked.contains(key) && !runner->attached.contains(key)) attach(*runner, key);
}

/// Returns true if whoever runs batches on `key` finds it; without a runner the next one brings it.
bool host_datasets::serves(std::uint64_t key) const {
  return residents_.find(key) && (!policy_.serving() || batches_.has_dataset(key));
}

void host_datasets::ask_owner(const publication& wanted) {
  const auto owner = policy_.owner();
  if (!owner) return;
  auto* process = processes_.find(*owner);
  host_message message;
  message.kind = host_message_kind::publish;
  put_outline(*wanted.data, message);
  if (auto content = wanted.content.share()) message.fds.push_back(std::move(*content));
  process->asked[wanted.data->key] = patience_for(*wanted.data);
  owner_is_asked_ = send(process->child.socket(), message);
}

void host_datasets::on_published(host_process& owner, host_message& message) {
  owner_is_asked_ = false;
  owner.asked.erase(message.key);
  if (!is_under_way(message.key)) { // given up meanwhile
    send(owner.child.socket(), retirement(message.key, 0));
    return advance();
  }
  uploaded_bytes_ += residents_.add(publications_.front()->data, message).bytes;
  for (auto& process : processes_)
    if (process.role == host_role::runner && process.greeted && !process.is_gone)
      attach(process, message.key);
  advance();
}

void host_datasets::on_publication_refused(host_process& owner, const host_message& message) {
  owner_is_asked_ = false;
  owner.asked.erase(message.key);
  if (!is_under_way(message.key)) return advance();
  end_publication(error{static_cast<ec>(message.numbers[0]), message.text});
}

void host_datasets::on_runner_greeted(host_process& runner) {
  for (const auto key : residents_.keys())
    attach(runner, key);
}

void host_datasets::on_serving(const host_process& runner) {
  batches_.begin_serving(runner.link, runner.attached);
  advance();
}

void host_datasets::attach(host_process& runner, std::uint64_t key) {
  const auto* resident = residents_.find(key);
  runner.asked[key] = patience_for(*resident->data);
  send(runner.child.socket(), resident->attach_message());
}

void host_datasets::on_attach_answer(host_process& runner, const host_message& message) {
  runner.asked.erase(message.key);
  const bool attached = message.kind == host_message_kind::attached && residents_.find(message.key);
  if (attached) runner.attached.insert(message.key);
  if (runner.id != policy_.serving()) return;
  if (attached) batches_.add_dataset(message.key);
  if (!is_under_way(message.key)) return;
  if (attached) return advance();
  end_publication(error{static_cast<ec>(message.numbers[0]), message.text});
  retire(message.key);
}

void host_datasets::end_publication(result<void> outcome) {
  end_first(std::move(outcome));
  advance();
}

void host_datasets::end_first(result<void> outcome) {
  const auto ended = std::move(publications_.front());
  publications_.pop_front();
  ended->outcome.set_value(std::move(outcome));
}

bool host_datasets::is_under_way(std::uint64_t key) const {
  return !publications_.empty() && publications_.front()->data->key == key;
}

void host_datasets::retire(std::uint64_t key) {
  const auto* resident = residents_.find(key);
  if (!resident) return;
  const auto message = retirement(key, resident->bytes);
  residents_.remove(key);
  batches_.remove_dataset(key);
  for (auto& process : processes_) {
    process.attached.erase(key);
    // An owner that is starting was told of this memory as its predecessor's.
    if (!process.is_gone && (process.greeted || process.role == host_role::owner))
      send(process.child.socket(), message);
  }
}

time_point host_datasets::patience_for(const dataset& data) const {
  return clock_.now() + least_patience +
         from_seconds(static_cast<double>(data.resident_bytes()) / least_bytes_per_second);
}

void host_datasets::look_for_the_slow() {
  const auto now = clock_.now();
  for (auto& process : processes_)
    if (!process.is_gone && std::ranges::any_of(process.asked, [now](const auto& each) {
          return each.second <= now;
        })) {
      process.asked.clear();
      processes_.kill(process.id, "hung");
    }
  if (!publications_.empty() && publications_.front()->give_up <= now)
    end_publication(error{ec::unavailable, options_.name + " could not take the dataset in time."});
}

} // namespace engram
