#include "engram/datasets/import.hpp"

#include "engram/datasets/formats.hpp"
#include "engram/datasets/labels.hpp"

#include <new>
#include <string>
#include <utility>

namespace engram {

namespace {

result<std::vector<std::string>> labels_of(const std::optional<std::filesystem::path>& path) {
  if (!path) return std::vector<std::string>{};
  return read_labels(*path);
}

error out_of_memory(const std::filesystem::path& file) {
  return {ec::resource_exhausted,
          file.string() + ": there is not enough memory to import it; free some or import less"};
}

result<collection_ptr> collection_from(const std::filesystem::path& path, element_type type,
                                       const std::optional<std::filesystem::path>& labels_path) {
  const auto ending = path.extension();
  if (ending != ".npy" && ending != ".fvecs")
    return error{ec::invalid_argument,
                 path.string() + ": ends neither in .npy nor in .fvecs, the formats that are read"};
  const auto file = input_file::open(path);
  if (!file) return file.error();
  if (file->size() == 0) return file->problem("is empty");
  auto labels = labels_of(labels_path);
  if (!labels) return std::move(labels).error();
  auto builder = ending == ".npy" ? read_npy(*file, type) : read_fvecs(*file, type);
  if (!builder) return std::move(builder).error();
  if (labels_path && labels->size() != builder->rows())
    return error{ec::invalid_argument,
                 labels_path->string() + ": has " + std::to_string(labels->size()) +
                     " lines, but " + path.string() + " has " + std::to_string(builder->rows()) +
                     " rows; give one label a line for each row"};
  return std::move(*builder).finish(*std::move(labels), nullptr);
}

result<graph_ptr> graph_from(const std::filesystem::path& path,
                             const std::optional<std::filesystem::path>& labels_path) {
  const auto file = input_file::open(path);
  if (!file) return file.error();
  if (file->size() == 0) return file->problem("is empty");
  auto labels = labels_of(labels_path);
  if (!labels) return std::move(labels).error();
  const auto nodes = labels_path ? std::optional(labels->size()) : std::nullopt;
  const auto read =
      path.extension() == ".mtx" ? read_matrix_market(*file, nodes) : read_edge_list(*file, nodes);
  if (!read) return read.error();
  auto graph = activation_graph::make(read->nodes, read->edges, *std::move(labels));
  if (graph) return graph;
  // Every edge is fine by itself, so two of them must be for one pair.
  if (const auto twice = find_duplicate_edge(read->edges)) {
    const edge& e = read->edges[twice->second];
    return file->problem_in_line(read->lines[twice->second],
                                 "the edge from " + std::to_string(e.source) + " to " +
                                     std::to_string(e.target) + " (counted from 0) is in line " +
                                     std::to_string(read->lines[twice->first]) + " already");
  }
  return file->with_path(std::move(graph).error());
}

} // namespace

result<collection_ptr> import_collection(const std::filesystem::path& file, element_type type,
                                         const std::optional<std::filesystem::path>& labels) {
  try {
    return collection_from(file, type, labels);
  } catch (const std::bad_alloc&) {
    return out_of_memory(file);
  }
}

result<graph_ptr> import_graph(const std::filesystem::path& file,
                               const std::optional<std::filesystem::path>& labels) {
  try {
    return graph_from(file, labels);
  } catch (const std::bad_alloc&) {
    return out_of_memory(file);
  }
}

} // namespace engram
