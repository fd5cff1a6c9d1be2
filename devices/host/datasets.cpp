#include "engram/devices/host/datasets.hpp"

#include <algorithm>
#include <utility>

namespace engram {

namespace {

using namespace std::chrono_literals;

// How long a child may take over a dataset: this, and a second for so many of its bytes.
constexpr auto least_patience = 10s;
constexpr double least_bytes_per_second = 200e6;

} // namespace

host_datasets::host_datasets(const process_device_options& options, const clock_source& clock,
                             const host_policy& policy, host_processes& processes,
                             host_batches& batches)
    : options_(options), clock_(clock), policy_(policy), processes_(processes), batches_(batches) {}

host_datasets::~host_datasets() {
  for (const auto& left : publications_)
    left->outcome.set_value(error{ec::shutting_down, options_.name + " is ending."});
}

void host_datasets::publish(std::shared_ptr<publication> wanted) {
  if (residents_.find(wanted->data->key)) return wanted->outcome.set_value({});
  wanted->give_up = patience_for(*wanted->data) + options_.limits.start_timeout;
  publications_.push_back(std::move(wanted));
  ask_owner();
}

void host_datasets::ask_owner() {
  const auto owner = policy_.owner();
  if (publications_.empty() || owner_is_asked_ || !owner) return;
  auto* process = processes_.find(*owner);
  const auto& wanted = *publications_.front();
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
  if (!is_under_way(message.key)) return;
  uploaded_bytes_ += residents_.add(publications_.front()->data, message).bytes;
  for (auto& process : processes_)
    if (process.role == host_role::runner && process.greeted && !process.is_gone)
      attach(process, message.key);
  if (!policy_.serving()) end_publication({});
}

void host_datasets::on_publication_refused(host_process& owner, const host_message& message) {
  owner_is_asked_ = false;
  owner.asked.erase(message.key);
  end_publication(error{static_cast<ec>(message.numbers[0]), message.text});
}

void host_datasets::on_runner_greeted(host_process& runner) {
  for (const auto key : residents_.keys())
    attach(runner, key);
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
  if (attached) return end_publication({});
  end_publication(error{static_cast<ec>(message.numbers[0]), message.text});
  retire(message.key);
}

void host_datasets::end_publication(result<void> outcome) {
  if (publications_.empty()) return;
  const auto ended = std::move(publications_.front());
  publications_.pop_front();
  ended->outcome.set_value(std::move(outcome));
  ask_owner();
}

bool host_datasets::is_under_way(std::uint64_t key) const {
  return !publications_.empty() && publications_.front()->data->key == key;
}

void host_datasets::retire(std::uint64_t key) {
  if (!residents_.remove(key)) return;
  batches_.remove_dataset(key);
  host_message message;
  message.kind = host_message_kind::retire;
  message.key = key;
  for (auto& process : processes_) {
    process.attached.erase(key);
    if (!process.is_gone && process.greeted) send(process.child.socket(), message);
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
