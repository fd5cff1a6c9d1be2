#include "engram/service/oip/models.hpp"

#include "engram/service/oip/tensor.hpp"

#include <utility>

namespace engram {

namespace {

served_model search_model(dataset_ptr data) {
  const auto& collection = *data->collection();
  const bool takes_text = collection.embedder() != nullptr;
  const auto dim = static_cast<std::int64_t>(collection.dim());
  served_model out{std::string{search_prefix} + data->name, operation::search, data, {}, {}};
  out.inputs.push_back({"query", oip_fp32, {dim}, takes_text});
  if (takes_text) out.inputs.push_back({"text", oip_bytes, {1}, true});
  out.outputs = {{"ids", oip_uint32, {-1}}, {"scores", oip_fp32, {-1}}};
  if (collection.has_labels()) out.outputs.push_back({"labels", oip_bytes, {-1}});
  return out;
}

served_model spread_model(dataset_ptr data) {
  served_model out{std::string{spread_prefix} + data->name, operation::spread, data, {}, {}};
  out.inputs = {{"nodes", oip_uint32, {-1}}, {"amounts", oip_fp32, {-1}, true}};
  out.outputs = {{"nodes", oip_uint32, {-1}},
                 {"activations", oip_fp32, {-1}},
                 {"counts", oip_uint32, {1}},
                 {"hops", oip_uint32, {1}}};
  if (data->graph()->has_labels()) out.outputs.push_back({"labels", oip_bytes, {-1}});
  return out;
}

served_model the_similarity_model() {
  return {std::string{similarity_model},
          operation::similarity,
          nullptr,
          {{"query", oip_fp32, {-1}}, {"targets", oip_fp32, {-1, -1}}},
          {{"scores", oip_fp32, {-1}}}};
}

/// Returns the model, whatever its version; one without inputs if there is none.
served_model model_named(const pipeline& pipe, std::string_view name) {
  if (name == similarity_model) return the_similarity_model();
  const bool is_search = name.starts_with(search_prefix);
  if (!is_search && !name.starts_with(spread_prefix)) return {};
  auto data = pipe.find(name.substr(is_search ? search_prefix.size() : spread_prefix.size()));
  if (!data || (data->collection() != nullptr) != is_search) return {};
  return is_search ? search_model(std::move(data)) : spread_model(std::move(data));
}

} // namespace

std::vector<served_model> models_of(const pipeline& pipe) {
  std::vector<served_model> out;
  for (auto& data : pipe.datasets())
    out.push_back(data->collection() ? search_model(data) : spread_model(data));
  out.push_back(the_similarity_model());
  return out;
}

result<served_model> find_model(const pipeline& pipe, std::string_view name,
                                std::string_view version) {
  auto found = model_named(pipe, name);
  if (found.inputs.empty()) {
    constexpr std::size_t longest = 100;
    return error{ec::not_found, "there is no model '" + std::string{name.substr(0, longest)} +
                                    "': a collection NAME is search.NAME, a graph NAME is "
                                    "spread.NAME, and there is similarity"};
  }
  const auto current = std::to_string(found.version());
  if (!version.empty() && version != current)
    return error{ec::not_found, "model '" + found.name + "' has no version '" +
                                    std::string{version.substr(0, 32)} +
                                    "' in service: its version is " + current};
  return found;
}

result<std::vector<served_model>> models_named(const pipeline& pipe, std::string_view name,
                                               std::string_view version) {
  if (name.empty()) return models_of(pipe);
  auto found = find_model(pipe, name, version);
  if (!found) return found.error();
  return std::vector{std::move(*found)};
}

} // namespace engram
