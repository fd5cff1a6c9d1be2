#include "engram/service/oip/inference.hpp"

#include "engram/service/dataset_lookup.hpp"
#include "engram/service/error_words.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

namespace engram {

namespace {

constexpr std::uint32_t no_id = std::numeric_limits<std::uint32_t>::max();

// -- parameters --

/// Parameters that the protocol and its clients keep for themselves; they mean nothing here.
bool is_reserved(std::string_view name) {
  constexpr std::array<std::string_view, 5> names{"sequence_id", "sequence_start", "sequence_end",
                                                  "headers", "binary_data_output"};
  return name.starts_with("triton_") || std::ranges::find(names, name) != names.end();
}

result<double> number_of(std::string_view name, const infer_parameter& value) {
  struct {
    std::optional<double> operator()(bool) const { return std::nullopt; }
    std::optional<double> operator()(const std::string&) const { return std::nullopt; }
    std::optional<double> operator()(std::int64_t n) const { return static_cast<double>(n); }
    std::optional<double> operator()(std::uint64_t n) const { return static_cast<double>(n); }
    std::optional<double> operator()(double n) const { return n; }
  } as_number;
  if (const auto number = std::visit(as_number, value)) return *number;
  return invalid("parameter " + in_quotes(name) + " must be a number");
}

result<std::uint32_t> whole_of(std::string_view name, const infer_parameter& value) {
  const auto number = number_of(name, value);
  if (!number) return number.error();
  if (!(*number >= 0) || *number > no_id || *number != std::floor(*number))
    return invalid("parameter " + in_quotes(name) + " must be a whole number from 0 to 4294967295");
  return static_cast<std::uint32_t>(*number);
}

result<float> real_of(std::string_view name, const infer_parameter& value) {
  const auto number = number_of(name, value);
  if (!number) return number.error();
  return static_cast<float>(*number);
}

/// What the parameters of an inference say.
struct settings {
  std::uint32_t k = 10;
  spread_options spread;
  request_options options;
};

template <class T>
result<void> take(result<T> value, T& to) {
  if (!value) return value.error();
  to = *value;
  return {};
}

result<void> take_timeout(const infer_parameter& value, settings& to) {
  const auto microseconds = number_of("timeout", value);
  if (!microseconds) return microseconds.error();
  if (*microseconds == 0) return {}; // no wish
  auto deadline = deadline_of_ms(*microseconds / 1000);
  if (!deadline)
    return invalid("parameter 'timeout' must be above 0 and at most an hour, in microseconds");
  to.options.deadline = *deadline;
  return {};
}

result<void> take_priority(const infer_parameter& value, settings& to) {
  const auto level = whole_of("priority", value);
  if (!level) return level.error();
  constexpr std::uint32_t last = 17; // ours go from 8 to -8
  if (*level > last)
    return invalid("parameter 'priority' must be 0 for no wish, or 1 to 17 with 1 going first");
  to.options.priority = *level == 0 ? 0 : 9 - static_cast<int>(*level);
  return {};
}

result<void> take_parameter(operation op, std::string_view name, const infer_parameter& value,
                            settings& to) {
  if (name == "timeout") return take_timeout(value, to);
  if (name == "priority") return take_priority(value, to);
  if (op == operation::search && name == "k") return take(whole_of(name, value), to.k);
  if (op == operation::spread) {
    if (name == "max_hops") return take(whole_of(name, value), to.spread.max_hops);
    if (name == "top") return take(whole_of(name, value), to.spread.top);
    if (name == "decay") return take(real_of(name, value), to.spread.decay);
    if (name == "threshold") return take(real_of(name, value), to.spread.threshold);
  }
  if (is_reserved(name)) return {};
  const std::string_view own = op == operation::search   ? "k, "
                               : op == operation::spread ? "max_hops, decay, threshold, top, "
                                                         : "";
  return invalid("unknown parameter " + in_quotes(name) + ": " + std::string{to_string(op)} +
                 " takes " + std::string{own} + "timeout and priority");
}

result<settings> settings_of(operation op, const infer_request& in) {
  settings out;
  for (const auto& [name, value] : in.parameters)
    if (auto taken = take_parameter(op, name, value, out); !taken) return taken.error();
  if (in.deadline)
    out.options.deadline = std::min(*in.deadline, out.options.deadline.value_or(*in.deadline));
  return out;
}

// -- inputs --

bool fits(std::span<const std::int64_t> shape, std::span<const std::int64_t> dims) {
  return shape.size() == dims.size() + 1 && std::equal(dims.begin(), dims.end(), shape.begin() + 1,
                                                       [](std::int64_t wanted, std::int64_t given) {
                                                         return wanted == -1 || wanted == given;
                                                       });
}

std::string wanted_shape(std::span<const std::int64_t> dims) {
  std::string out = "[-1";
  for (const auto dim : dims)
    out += ',' + std::to_string(dim);
  return out + ']';
}

/// Checks one tensor against what its model says of it.
result<void> check_input(const served_model& model, const tensor_spec& spec, const tensor& in) {
  const std::string name = "input " + in_quotes(spec.name) + " of model '" + model.name + "'";
  if (in.datatype != spec.datatype)
    return invalid(name + " has datatype " + in_quotes(in.datatype) + ": it must be " +
                   std::string{spec.datatype});
  // A batch of single texts is often sent without its dimension of 1.
  const bool is_flat = spec.dims == std::vector<std::int64_t>{1} && in.shape.size() == 1;
  if (!is_flat && !fits(in.shape, spec.dims))
    return invalid(name + " has shape " + shape_text(in.shape) + ": it must be " +
                   wanted_shape(spec.dims));
  const auto count = element_count(in.shape);
  if (!count) return invalid(name + ": " + count.error().message);
  if (in.shape.front() < 1 || in.shape.front() > max_model_batch)
    return invalid(name + " has a batch of " + std::to_string(in.shape.front()) +
                   ": it must be 1 to " + std::to_string(max_model_batch));
  const std::size_t bytes = *element_size(spec.datatype) * *count;
  if (bytes > 0 && in.bytes.size() != bytes)
    return invalid(name + " has " + std::to_string(in.bytes.size()) + " bytes: shape " +
                   shape_text(in.shape) + " takes " + std::to_string(bytes));
  return {};
}

/// The inputs of an inference in the order of the model's; null: not given.
using input_list = std::vector<const tensor*>;

result<input_list> match_inputs(const served_model& model, const std::vector<tensor>& given) {
  input_list out(model.inputs.size());
  for (const auto& in : given) {
    const auto at = std::ranges::find(model.inputs, in.name, &tensor_spec::name);
    if (at == model.inputs.end())
      return invalid("model '" + model.name + "' has no input " + in_quotes(in.name));
    auto& slot = out[static_cast<std::size_t>(at - model.inputs.begin())];
    if (slot) return invalid("input " + in_quotes(in.name) + " is given twice");
    if (auto fit = check_input(model, *at, in); !fit) return fit.error();
    slot = &in;
  }
  for (std::size_t i = 0; i < out.size(); ++i)
    if (!out[i] && !model.inputs[i].is_optional)
      return invalid("model '" + model.name + "' needs the input " +
                     in_quotes(model.inputs[i].name));
  return out;
}

/// Returns numbers [first, first + count) of a tensor of four-byte numbers, copied only where they
/// are not aligned.
float_buffer floats_of(const tensor& from, std::size_t first, std::size_t count) {
  const auto bytes = from.bytes.substr(first * sizeof(float), count * sizeof(float));
  if (from.owner && reinterpret_cast<std::uintptr_t>(bytes.data()) % alignof(float) == 0)
    return float_buffer::lent({reinterpret_cast<const float*>(bytes.data()), count}, from.owner);
  std::vector<float> copy(count);
  std::memcpy(copy.data(), bytes.data(), bytes.size());
  return float_buffer{std::move(copy)};
}

float_buffer floats_of(const tensor& from) {
  return floats_of(from, 0, from.bytes.size() / sizeof(float));
}

template <class T>
T element_of(const tensor& from, std::size_t at) {
  T out;
  std::memcpy(&out, from.bytes.data() + at * sizeof(T), sizeof(T));
  return out;
}

result<float_buffer> embed_all(const dataset& data, const tensor& texts) {
  const auto elements = bytes_elements(texts.bytes);
  if (!elements) return invalid("input 'text': " + elements.error().message);
  if (elements->size() != *element_count(texts.shape))
    return invalid("input 'text' has " + std::to_string(elements->size()) + " elements: shape " +
                   shape_text(texts.shape) + " takes " +
                   std::to_string(*element_count(texts.shape)));
  std::vector<float> out;
  for (const auto text : *elements) {
    const auto vector = embed_text(data, text);
    if (!vector) return vector.error();
    out.insert(out.end(), vector->begin(), vector->end());
  }
  return float_buffer{std::move(out)};
}

result<std::vector<request>> search_requests(const served_model& model, const input_list& inputs,
                                             settings with) {
  const tensor* query = inputs[0];
  const tensor* text = inputs.size() > 1 ? inputs[1] : nullptr;
  if ((query != nullptr) == (text != nullptr))
    return invalid("model '" + model.name + "' takes exactly one of 'query' and 'text'");
  auto queries = query ? result<float_buffer>{floats_of(*query)} : embed_all(*model.data, *text);
  if (!queries) return queries.error();
  std::vector<request> out;
  out.emplace_back(
      search_request{model.data->name, std::move(*queries), with.k, std::move(with.options)});
  return out;
}

result<std::vector<request>> spread_requests(const served_model& model, const input_list& inputs,
                                             settings with) {
  const tensor &nodes = *inputs[0], *amounts = inputs[1];
  if (amounts && amounts->shape != nodes.shape)
    return invalid("inputs 'nodes' and 'amounts' have shapes " + shape_text(nodes.shape) + " and " +
                   shape_text(amounts->shape) + ": they must be the same");
  const auto sets = static_cast<std::size_t>(nodes.shape[0]);
  const auto width = static_cast<std::size_t>(nodes.shape[1]);
  spread_request what{model.data->name, {}, with.spread, std::move(with.options)};
  what.seed_sets.resize(sets);
  for (std::size_t i = 0; i < sets * width; ++i) {
    const float amount = amounts ? element_of<float>(*amounts, i) : 1.0f;
    // A seed of nothing fills up a shorter set.
    if (amount != 0) what.seed_sets[i / width].push_back({element_of<node_id>(nodes, i), amount});
  }
  std::vector<request> out;
  out.emplace_back(std::move(what));
  return out;
}

result<std::vector<request>> similarity_requests(const input_list& inputs, const settings& with) {
  const tensor &query = *inputs[0], &targets = *inputs[1];
  if (query.shape[0] != targets.shape[0] || query.shape[1] != targets.shape[2])
    return invalid("inputs 'query' and 'targets' have shapes " + shape_text(query.shape) + " and " +
                   shape_text(targets.shape) +
                   ": they must be [b,dim] and [b,m,dim] with the same b and dim");
  const auto dim = static_cast<std::size_t>(query.shape[1]);
  const auto block = static_cast<std::size_t>(targets.shape[1]) * dim;
  std::vector<request> out;
  for (std::size_t b = 0; b < static_cast<std::size_t>(query.shape[0]); ++b)
    out.emplace_back(similarity_request{floats_of(query, b * dim, dim),
                                        floats_of(targets, b * block, block), with.options});
  return out;
}

result<std::vector<request>> requests_of(const served_model& model, const input_list& inputs,
                                         settings with) {
  switch (model.op) {
  case operation::search:
    return search_requests(model, inputs, std::move(with));
  case operation::spread:
    return spread_requests(model, inputs, std::move(with));
  default:
    return similarity_requests(inputs, with);
  }
}

// -- outputs --

result<std::vector<requested_output>> match_outputs(const served_model& model,
                                                    std::vector<requested_output> asked,
                                                    bool default_as_binary) {
  for (auto at = asked.begin(); at != asked.end(); ++at) {
    if (std::ranges::find(model.outputs, at->name, &tensor_spec::name) == model.outputs.end())
      return invalid("model '" + model.name + "' has no output " + in_quotes(at->name));
    if (std::find_if(asked.begin(), at, [&](const auto& o) { return o.name == at->name; }) != at)
      return invalid("output " + in_quotes(at->name) + " is asked for twice");
  }
  if (!asked.empty()) return asked;
  // Labels take longer to write than all the rest, so they come when asked for.
  for (const auto& spec : model.outputs)
    if (spec.name != "labels")
      asked.push_back({.name = spec.name, .as_binary = default_as_binary, .region = {}});
  return asked;
}

template <class T>
void append_number(std::string& out, T number) {
  out.append(reinterpret_cast<const char*>(&number), sizeof number);
}

template <class T>
tensor numbers_tensor(std::string name, std::string_view datatype, std::span<const T> numbers,
                      std::vector<std::int64_t> shape) {
  return owned_tensor(std::move(name), datatype, std::move(shape),
                      {reinterpret_cast<const char*>(numbers.data()), numbers.size_bytes()});
}

/// Calls `write` with every hit, and with null for the padding of rows that are not the longest.
template <class Write>
void for_each_place(const item_output& from, std::size_t width, Write write) {
  auto at = from.hits.begin();
  for (const auto count : from.counts) {
    for (std::size_t i = 0; i < width; ++i)
      write(i < count && at != from.hits.end() ? &*at++ : nullptr);
  }
}

/// Returns one output of a search or a spread.
tensor hits_output(const infer_plan& plan, const answer& given, const std::string& name) {
  const auto& from = given.output;
  const auto rows = static_cast<std::int64_t>(from.counts.size());
  if (name == "counts") return numbers_tensor(name, oip_uint32, std::span{from.counts}, {rows, 1});
  if (name == "hops") return numbers_tensor(name, oip_uint32, std::span{from.hops}, {rows, 1});
  const auto longest = std::ranges::max_element(from.counts);
  const std::size_t width = longest == from.counts.end() ? 0 : *longest;
  const std::vector<std::int64_t> shape{rows, static_cast<std::int64_t>(width)};
  std::string bytes;
  if (name == "labels") {
    // A version that came in between has other labels.
    const bool is_current = given.trace.dataset_version == plan.model.version();
    const dataset* data = is_current ? plan.model.data.get() : nullptr;
    for_each_place(from, width, [&](const hit* h) {
      append_bytes_element(bytes, h ? label_of(data, h->id) : std::string_view{});
    });
    return owned_tensor(name, oip_bytes, shape, std::move(bytes));
  }
  bytes.reserve(from.counts.size() * width * sizeof(float));
  if (name == "scores" || name == "activations") {
    for_each_place(from, width, [&](const hit* h) { append_number(bytes, h ? h->score : 0.0f); });
    return owned_tensor(name, oip_fp32, shape, std::move(bytes));
  }
  for_each_place(from, width,
                 [&](const hit* h) { append_number(bytes, h ? std::uint32_t{h->id} : no_id); });
  return owned_tensor(name, oip_uint32, shape, std::move(bytes));
}

tensor similarity_output(std::span<const answer> answers, const std::string& name) {
  std::vector<float> scores;
  for (const auto& each : answers)
    scores.insert(scores.end(), each.output.scores.begin(), each.output.scores.end());
  const auto rows = static_cast<std::int64_t>(answers.size());
  const auto width = static_cast<std::int64_t>(scores.size() / answers.size());
  return numbers_tensor(name, oip_fp32, std::span<const float>{scores}, {rows, width});
}

} // namespace

result<infer_plan> plan_inference(infer_request in, const pipeline& pipe) {
  infer_plan out;
  auto model = find_model(pipe, in.model, in.version);
  if (!model) return model.error();
  out.model = std::move(*model);
  auto with = settings_of(out.model.op, in);
  if (!with) return with.error();
  const auto inputs = match_inputs(out.model, in.inputs);
  if (!inputs) return inputs.error();
  auto outputs = match_outputs(out.model, std::move(in.outputs), in.default_outputs_as_binary);
  if (!outputs) return outputs.error();
  auto requests = requests_of(out.model, *inputs, std::move(*with));
  if (!requests) return requests.error();
  out.outputs = std::move(*outputs);
  out.requests = std::move(*requests);
  out.id = std::move(in.id);
  return out;
}

infer_response response_of(const infer_plan& plan, std::span<const answer> answers) {
  const auto& first = answers.front();
  const bool is_similarity = plan.model.op == operation::similarity;
  const auto version = is_similarity ? plan.model.version() : first.trace.dataset_version;
  infer_response out{plan.model.name, std::to_string(version), plan.id, {}};
  for (const auto& asked : plan.outputs)
    out.outputs.push_back({is_similarity ? similarity_output(answers, asked.name)
                                         : hits_output(plan, first, asked.name),
                           asked.as_binary, asked.region});
  return out;
}

} // namespace engram
