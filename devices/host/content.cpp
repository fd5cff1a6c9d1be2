#include "engram/devices/host/content.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace engram {

namespace {

// Places in host_message::numbers; they leave the first ones to the messages.
enum place : std::size_t { is_graph = 8, version, count, width, type };

/// Finds places for arrays, one after the other and aligned as the CPU's kernels want them.
class places {
public:
  template <class T>
  std::size_t next(std::size_t values) noexcept {
    const auto at = bytes_;
    bytes_ += (values * sizeof(T) + 63) / 64 * 64;
    return at;
  }
  std::size_t bytes() const noexcept { return bytes_; }

private:
  std::size_t bytes_ = 0;
};

struct row_places : places {
  explicit row_places(const row_view& rows)
      : data(next<std::byte>(rows.rows * rows.dim * size_of(rows.type))),
        norms(next<float>(rows.rows)) {}
  std::size_t data, norms;
};

struct graph_places : places {
  explicit graph_places(const graph_view& g)
      : in_offsets(next<std::uint64_t>(g.nodes + 1)), in_sources(next<node_id>(g.edges)),
        in_weights(next<float>(g.edges)), out_offsets(next<std::uint64_t>(g.nodes + 1)),
        out_targets(next<node_id>(g.edges)), out_weights(next<float>(g.edges)) {}
  std::size_t in_offsets, in_sources, in_weights, out_offsets, out_targets, out_weights;
};

template <class T>
const T* at(const shared_memory& memory, std::size_t place) {
  return reinterpret_cast<const T*>(memory.bytes().data() + place);
}

template <class T>
void copy(const shared_memory& memory, std::size_t place, const T* values, std::size_t count) {
  std::memcpy(memory.bytes().data() + place, values, count * sizeof(T));
}

result<dataset_ptr> misfit() {
  return error{ec::invalid_argument, "The shared memory is not that of the dataset."};
}

} // namespace

void put_outline(const dataset& data, host_message& message) {
  message.key = data.key;
  message.text = data.name;
  message.numbers[version] = data.version;
  if (const auto* rows = data.collection()) {
    message.numbers[is_graph] = 0;
    message.numbers[count] = rows->size();
    message.numbers[width] = rows->dim();
    message.numbers[type] = static_cast<std::uint64_t>(rows->type());
  } else {
    message.numbers[is_graph] = 1;
    message.numbers[count] = data.graph()->nodes();
    message.numbers[width] = data.graph()->edges();
  }
}

result<dataset_ptr> take_outline(const host_message& message,
                                 std::shared_ptr<const shared_memory> content) {
  auto data = std::make_shared<dataset>();
  data->key = message.key;
  data->name = message.text;
  data->version = message.numbers[version];
  if (message.numbers[is_graph] == 0) {
    row_view rows{nullptr, static_cast<element_type>(message.numbers[type]), message.numbers[count],
                  message.numbers[width], nullptr};
    if (content) {
      const row_places where(rows);
      if (content->bytes().size() < where.bytes()) return misfit();
      rows.data = at<std::byte>(*content, where.data);
      rows.inverse_norms = at<float>(*content, where.norms);
    }
    data->content = vector_collection::borrow(rows, std::move(content));
  } else {
    graph_view graph{.nodes = message.numbers[count], .edges = message.numbers[width]};
    if (content) {
      const graph_places where(graph);
      if (content->bytes().size() < where.bytes()) return misfit();
      graph.in_offsets = at<std::uint64_t>(*content, where.in_offsets);
      graph.in_sources = at<node_id>(*content, where.in_sources);
      graph.in_weights = at<float>(*content, where.in_weights);
      graph.out_offsets = at<std::uint64_t>(*content, where.out_offsets);
      graph.out_targets = at<node_id>(*content, where.out_targets);
      graph.out_weights = at<float>(*content, where.out_weights);
    }
    data->content = activation_graph::borrow(graph, std::move(content));
  }
  return dataset_ptr{std::move(data)};
}

result<shared_memory> copy_content(const dataset& data) {
  if (const auto* collection = data.collection()) {
    const auto rows = collection->rows();
    const row_places where(rows);
    auto memory = shared_memory::create("engram-dataset", where.bytes());
    if (!memory) return memory;
    copy(*memory, where.data, static_cast<const std::byte*>(rows.data),
         rows.rows * rows.dim * size_of(rows.type));
    copy(*memory, where.norms, rows.inverse_norms, rows.rows);
    return memory;
  }
  const auto graph = data.graph()->view();
  const graph_places where(graph);
  auto memory = shared_memory::create("engram-dataset", where.bytes());
  if (!memory) return memory;
  copy(*memory, where.in_offsets, graph.in_offsets, graph.nodes + 1);
  copy(*memory, where.in_sources, graph.in_sources, graph.edges);
  copy(*memory, where.in_weights, graph.in_weights, graph.edges);
  copy(*memory, where.out_offsets, graph.out_offsets, graph.nodes + 1);
  copy(*memory, where.out_targets, graph.out_targets, graph.edges);
  copy(*memory, where.out_weights, graph.out_weights, graph.edges);
  return memory;
}

} // namespace engram
