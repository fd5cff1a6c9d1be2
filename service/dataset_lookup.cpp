#include "engram/service/dataset_lookup.hpp"

#include "engram/datasets/text_embedder.hpp"

#include <tuple>
#include <utility>

namespace engram {

namespace {

std::string in_double_quotes(std::string_view text) {
  return '"' + std::string{text} + '"';
}

error unknown_dataset(const pipeline& pipe, std::string_view kind, std::string_view name) {
  std::string known;
  for (const auto& data : pipe.datasets())
    known += (known.empty() ? "" : ", ") + data->name;
  return {ec::not_found, "there is no " + std::string{kind} + " " + in_double_quotes(name) + ": " +
                             (known.empty() ? "no dataset is loaded" : "loaded are " + known)};
}

/// Returns `name` as labels are compared: lower-case ASCII with blanks for '_'.
std::string folded(std::string_view name) {
  std::string out{name};
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (c == '_') c = ' ';
  }
  return out;
}

} // namespace

result<dataset_ptr> find_collection(const pipeline& pipe, std::string_view name) {
  auto data = pipe.find(name);
  if (!data) return unknown_dataset(pipe, "collection", name);
  if (!data->collection())
    return error{ec::invalid_argument,
                 in_double_quotes(name) + " is a graph: search and score want a vector collection"};
  return data;
}

result<dataset_ptr> find_graph(const pipeline& pipe, std::string_view name) {
  auto data = pipe.find(name);
  if (data && data->graph()) return data;
  auto sibling = pipe.find(std::string{name} + std::string{graph_suffix});
  if (sibling && sibling->graph()) return sibling;
  if (!data) return unknown_dataset(pipe, "graph", name);
  return error{ec::invalid_argument,
               in_double_quotes(name) + " is a vector collection and there is no graph " +
                   in_double_quotes(std::string{name} + std::string{graph_suffix}) +
                   ": spread wants a graph"};
}

result<std::vector<float>> embed_text(const dataset& data, std::string_view text) {
  const auto embedder = data.collection()->embedder();
  if (!embedder)
    return error{ec::invalid_argument, "collection " + in_double_quotes(data.name) +
                                           " has no embedder for text: give the query as a vector"};
  return embedder->embed(text);
}

std::string_view label_of(const dataset* data, std::uint32_t id) {
  if (!data) return {};
  if (const auto* c = data->collection()) return id < c->size() ? c->label(id) : std::string_view{};
  return id < data->graph()->nodes() ? data->graph()->label(id) : std::string_view{};
}

result<duration> deadline_of_ms(double milliseconds) {
  constexpr double longest_ms = 3.6e6;
  if (milliseconds > 0 && milliseconds <= longest_ms) return from_seconds(milliseconds / 1000);
  return error{ec::invalid_argument, "deadline_ms must be above 0 and at most 3600000"};
}

bool label_index::is_better(const candidate& a, const candidate& b) noexcept {
  // Reversed for the node: the lower number wins.
  return std::tuple{a.is_first_name, a.edges, b.node} >
         std::tuple{b.is_first_name, b.edges, a.node};
}

label_index::label_index(const activation_graph& graph) {
  const graph_view view = graph.view();
  for (node_id node = 0; node < view.nodes && graph.has_labels(); ++node) {
    candidate mine{node, true,
                   view.in_offsets[node + 1] - view.in_offsets[node] + view.out_offsets[node + 1] -
                       view.out_offsets[node]};
    for (std::string_view rest = graph.label(node); !rest.empty(); mine.is_first_name = false) {
      const auto comma = rest.find(", ");
      const auto [at, is_new] = by_name_.try_emplace(folded(rest.substr(0, comma)), mine);
      if (!is_new && is_better(mine, at->second)) at->second = mine;
      rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 2);
    }
  }
}

std::optional<node_id> label_index::find(std::string_view label) const {
  const auto at = by_name_.find(folded(label));
  if (at == by_name_.end()) return std::nullopt;
  return at->second.node;
}

std::shared_ptr<const label_index> label_finder::index_of(const dataset_ptr& data) {
  // Held while an index is built: whoever wants the same one would build it too.
  const std::lock_guard lock{mutex_};
  std::erase_if(entries_, [](const auto& item) { return item.second.data.expired(); });
  auto& mine = entries_[data->key];
  if (!mine.index) mine = {data, std::make_shared<const label_index>(*data->graph())};
  return mine.index;
}

result<node_id> label_finder::find(const dataset_ptr& data, std::string_view label) {
  if (!data->graph()->has_labels())
    return error{ec::invalid_argument, "graph " + in_double_quotes(data->name) +
                                           " has no labels: name seeds by their node number"};
  if (const auto node = index_of(data)->find(label)) return *node;
  return error{ec::not_found, "no node of graph " + in_double_quotes(data->name) + " is called " +
                                  in_double_quotes(label)};
}

} // namespace engram
