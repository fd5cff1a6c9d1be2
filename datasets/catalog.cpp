#include "engram/datasets/catalog.hpp"

#include <algorithm>
#include <atomic>
#include <utility>

namespace engram {

namespace {

/// Counts all versions of all names of all catalogs in this process.
std::uint64_t next_key() noexcept {
  static std::atomic<std::uint64_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

bool is_letter_or_digit(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool holds_nothing(const std::variant<collection_ptr, graph_ptr>& content) noexcept {
  return std::visit([](const auto& held) { return held == nullptr; }, content);
}

} // namespace

result<void> check_dataset_name(std::string_view name) {
  const bool fits = !name.empty() && name.size() <= 64 && is_letter_or_digit(name.front()) &&
                    std::all_of(name.begin(), name.end(), [](char c) {
                      return is_letter_or_digit(c) || c == '_' || c == '-' || c == '.';
                    });
  if (fits) return {};
  // A name from the outside may be of any length; the message is not.
  const bool long_name = name.size() > 80;
  return error{ec::invalid_argument,
               "'" + std::string(name.substr(0, 80)) + (long_name ? "...'" : "'") +
                   " is no dataset name; use 1 to 64 letters, digits, '_', '-' or '.', starting "
                   "with a letter or digit"};
}

catalog::catalog() : current_(std::make_shared<const map>()) {}

result<dataset_ptr> catalog::publish(std::string name,
                                     std::variant<collection_ptr, graph_ptr> content) {
  if (auto fits = check_dataset_name(name); !fits) return std::move(fits).error();
  if (holds_nothing(content))
    return error{ec::invalid_argument, "nothing was given to publish as '" + name + "'"};

  const std::lock_guard one_publisher(publishing_);
  if (const auto old = find(name); old && old->content.index() != content.index())
    return error{ec::invalid_argument, "'" + name + "' is a " +
                                           (old->graph() ? "graph" : "vector collection") +
                                           " and cannot be replaced by a " +
                                           (old->graph() ? "vector collection" : "graph") +
                                           "; drop it first or use another name"};
  auto made = std::make_shared<dataset>();
  made->name = name;
  made->version = ++last_versions_[name];
  made->content = std::move(content);
  made->key = next_key();
  dataset_ptr published = std::move(made);

  // Only publishers replace current_, and this is the only one now.
  auto changed = std::make_shared<map>(*current_);
  changed->insert_or_assign(std::move(name), published);
  std::shared_ptr<const map> replacement = std::move(changed);
  {
    const std::unique_lock exclusive(mutex_);
    current_.swap(replacement);
  }
  return published; // the old version, if this was its last holder, is freed outside the lock
}

dataset_ptr catalog::find(std::string_view name) const {
  const std::shared_lock shared(mutex_);
  const auto found = current_->find(name);
  return found == current_->end() ? nullptr : found->second;
}

result<dataset_ptr> catalog::drop(std::string_view name) {
  const std::lock_guard one_publisher(publishing_);
  dataset_ptr dropped = find(name);
  if (!dropped)
    return error{ec::not_found, "there is no dataset '" + std::string(name) + "' to drop"};
  auto changed = std::make_shared<map>(*current_);
  changed->erase(changed->find(name));
  std::shared_ptr<const map> replacement = std::move(changed);
  {
    const std::unique_lock exclusive(mutex_);
    current_.swap(replacement);
  }
  return dropped;
}

std::vector<dataset_ptr> catalog::list() const {
  std::shared_ptr<const map> snapshot;
  {
    const std::shared_lock shared(mutex_);
    snapshot = current_;
  }
  std::vector<dataset_ptr> all;
  all.reserve(snapshot->size());
  for (const auto& [name, held] : *snapshot)
    all.push_back(held);
  return all;
}

} // namespace engram
