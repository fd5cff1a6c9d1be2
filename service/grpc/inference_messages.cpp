#include "engram/service/grpc/inference_messages.hpp"

#include "engram/service/error_words.hpp"
#include "engram/service/oip/tensor_parameters.hpp"

#include <cmath>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace engram {

namespace {

using parameter_map = google::protobuf::Map<std::string, inference::InferParameter>;

result<infer_parameter> parameter_of(const std::string& name,
                                     const inference::InferParameter& from) {
  using choice = inference::InferParameter;
  switch (from.parameter_choice_case()) {
  case choice::kBoolParam:
    return infer_parameter{from.bool_param()};
  case choice::kInt64Param:
    return infer_parameter{std::int64_t{from.int64_param()}};
  case choice::kUint64Param:
    return infer_parameter{std::uint64_t{from.uint64_param()}};
  case choice::kDoubleParam:
    return infer_parameter{from.double_param()};
  case choice::kStringParam:
    return infer_parameter{from.string_param()};
  case choice::PARAMETER_CHOICE_NOT_SET:
    break;
  }
  return invalid("parameter " + in_quotes(name) + " has no value");
}

result<infer_parameters> parameters_of(const parameter_map& from) {
  infer_parameters out;
  for (const auto& [name, value] : from) {
    auto taken = parameter_of(name, value);
    if (!taken) return taken.error();
    out.emplace(name, std::move(*taken));
  }
  return out;
}

/// Returns the part of shared memory that a tensor's parameters name, nothing if they name none.
result<std::optional<region_slice>> region_in(const parameter_map& from) {
  const auto parameters = parameters_of(from);
  if (!parameters) return parameters.error();
  return region_of(*parameters);
}

template <class Numbers>
std::string_view bytes_of(const Numbers& numbers) {
  return {reinterpret_cast<const char*>(numbers.data()),
          static_cast<std::size_t>(numbers.size()) * sizeof(*numbers.data())};
}

/// Points `to` at the typed form of a tensor's numbers. Another datatype's has no bytes, and is
/// refused for its datatype.
void take_contents(const inference::InferTensorContents& from,
                   const std::shared_ptr<const void>& owner, tensor& to) {
  to.owner = owner;
  if (to.datatype == oip_fp32) to.bytes = bytes_of(from.fp32_contents());
  if (to.datatype == oip_uint32) to.bytes = bytes_of(from.uint_contents());
  if (to.datatype != oip_bytes) return;
  std::string elements;
  for (const auto& each : from.bytes_contents())
    append_bytes_element(elements, each);
  to = owned_tensor(std::move(to.name), oip_bytes, std::move(to.shape), std::move(elements));
}

/// Refuses more inputs or outputs than the other door takes.
result<void> check_counts(const inference::ModelInferRequest& in) {
  const auto is_many = [](int count) {
    return static_cast<std::size_t>(count) > max_infer_tensors;
  };
  if (!is_many(in.inputs_size()) && !is_many(in.outputs_size())) return {};
  return invalid(std::string{is_many(in.inputs_size()) ? "inputs" : "outputs"} + " has more than " +
                 std::to_string(max_infer_tensors) + " entries: no model takes as many");
}

/// Hands out the raw contents of a request, one for each input that is not in shared memory.
class raw_contents {
public:
  explicit raw_contents(const inference::ModelInferRequest& in) : in_(in) {}

  bool is_used() const { return in_.raw_input_contents_size() > 0; }
  std::optional<std::string_view> next() {
    if (next_ == in_.raw_input_contents_size()) return std::nullopt;
    return in_.raw_input_contents(next_++);
  }
  /// Refuses a request with more of them than inputs.
  result<void> check_end() const {
    if (next_ == in_.raw_input_contents_size()) return {};
    return invalid("raw_input_contents has " + std::to_string(in_.raw_input_contents_size()) +
                   " entries for " + std::to_string(next_) + " inputs outside shared memory");
  }

private:
  const inference::ModelInferRequest& in_;
  int next_ = 0;
};

result<tensor> tensor_of(const inference::ModelInferRequest::InferInputTensor& in,
                         raw_contents& raw, const std::shared_ptr<const void>& owner,
                         shared_memory_regions::reader& regions) {
  tensor out{in.name(), in.datatype(), {in.shape().begin(), in.shape().end()}, {}, {}};
  const std::string name = "input " + in_quotes(in.name());
  const auto region = region_in(in.parameters());
  if (!region) return invalid(name + ": " + region.error().message);
  if (*region) {
    if (in.has_contents()) return invalid(name + " is in shared memory and in the message");
    if (const auto read = regions.read(**region, out); !read)
      return error{read.error().code, name + ": " + read.error().message};
  } else if (raw.is_used()) {
    if (in.has_contents()) return invalid(name + " has contents beside raw_input_contents");
    const auto bytes = raw.next();
    if (!bytes) return invalid(name + " has no entry in raw_input_contents");
    out.bytes = *bytes;
    out.owner = owner;
  } else {
    take_contents(in.contents(), owner, out);
  }
  return out;
}

result<requested_output>
output_of(const inference::ModelInferRequest::InferRequestedOutputTensor& in) {
  const std::string name = "output " + in_quotes(in.name());
  if (in.parameters().contains("classification"))
    return invalid(name + " asks for classification, which no model here does");
  auto region = region_in(in.parameters());
  if (!region) return invalid(name + ": " + region.error().message);
  return requested_output{in.name(), true, std::move(*region)};
}

inference::DataType type_of(std::string_view datatype) {
  if (datatype == oip_fp32) return inference::TYPE_FP32;
  if (datatype == oip_uint32) return inference::TYPE_UINT32;
  return inference::TYPE_STRING;
}

void encode(const tensor_spec& spec, inference::ModelMetadataResponse::TensorMetadata& out) {
  out.set_name(spec.name);
  out.set_datatype(std::string{spec.datatype});
  out.add_shape(-1); // the batch
  for (const auto dim : spec.dims)
    out.add_shape(dim);
}

void encode(std::uint64_t count, duration time, inference::StatisticDuration& out) {
  out.set_count(count);
  out.set_ns(static_cast<std::uint64_t>(time.count()));
}

} // namespace

result<infer_request> decode_inference(const inference::ModelInferRequest& in,
                                       const std::shared_ptr<const void>& owner,
                                       const shared_memory_regions& regions) {
  if (auto few = check_counts(in); !few) return few.error();
  auto parameters = parameters_of(in.parameters());
  if (!parameters) return parameters.error();
  infer_request out{
      in.model_name(), in.model_version(), in.id(), std::move(*parameters), {}, {}, {}};
  raw_contents raw{in};
  shared_memory_regions::reader reader{regions};
  for (const auto& each : in.inputs()) {
    auto taken = tensor_of(each, raw, owner, reader);
    if (!taken) return taken.error();
    out.inputs.push_back(std::move(*taken));
  }
  if (auto all = raw.check_end(); !all) return all.error();
  for (const auto& each : in.outputs()) {
    auto taken = output_of(each);
    if (!taken) return taken.error();
    out.outputs.push_back(std::move(*taken));
  }
  return out;
}

void encode(const infer_response& from, inference::ModelInferResponse& out) {
  out.set_model_name(from.model);
  out.set_model_version(from.version);
  out.set_id(from.id);
  for (const auto& each : from.outputs) {
    auto& to = *out.add_outputs();
    to.set_name(each.content.name);
    to.set_datatype(each.content.datatype);
    for (const auto dim : each.content.shape)
      to.add_shape(dim);
    // Clients count the raw contents by the outputs before theirs.
    out.add_raw_output_contents(each.content.bytes.data(), each.content.bytes.size());
    if (!each.region) continue;
    auto& parameters = *to.mutable_parameters();
    parameters["shared_memory_region"].set_string_param(each.region->region);
    parameters["shared_memory_offset"].set_uint64_param(each.region->offset);
    parameters["shared_memory_byte_size"].set_uint64_param(each.region->byte_size);
  }
}

void encode_metadata(const served_model& model, inference::ModelMetadataResponse& out) {
  out.set_name(model.name);
  out.add_versions(std::to_string(model.version()));
  out.set_platform(std::string{oip_platform});
  for (const auto& spec : model.inputs)
    encode(spec, *out.add_inputs());
  for (const auto& spec : model.outputs)
    encode(spec, *out.add_outputs());
}

void encode_config(const served_model& model, inference::ModelConfig& out) {
  out.set_name(model.name);
  out.set_platform(std::string{oip_platform});
  out.set_backend(std::string{oip_platform});
  out.set_max_batch_size(max_model_batch);
  for (const auto& spec : model.inputs) {
    auto& to = *out.add_input();
    to.set_name(spec.name);
    to.set_data_type(type_of(spec.datatype));
    to.mutable_dims()->Assign(spec.dims.begin(), spec.dims.end());
    to.set_optional(spec.is_optional);
  }
  for (const auto& spec : model.outputs) {
    auto& to = *out.add_output();
    to.set_name(spec.name);
    to.set_data_type(type_of(spec.datatype));
    to.mutable_dims()->Assign(spec.dims.begin(), spec.dims.end());
  }
  out.mutable_dynamic_batching();
  out.mutable_model_transaction_policy()->set_decoupled(false);
}

void encode_statistics(const served_model& model, const model_statistics& numbers,
                       inference::ModelStatistics& out) {
  out.set_name(model.name);
  out.set_version(std::to_string(model.version()));
  out.set_last_inference(numbers.last_inference_ms);
  out.set_inference_count(numbers.inference_count);
  out.set_execution_count(numbers.executions());
  auto& to = *out.mutable_inference_stats();
  const auto count = numbers.successes;
  encode(count, numbers.success_time, *to.mutable_success());
  encode(numbers.failures, numbers.failure_time, *to.mutable_fail());
  encode(count, numbers.queue_time, *to.mutable_queue());
  encode(count, numbers.input_time, *to.mutable_compute_input());
  encode(count, numbers.infer_time, *to.mutable_compute_infer());
  encode(count, numbers.output_time, *to.mutable_compute_output());
  // There is no cache; clients read the fields nevertheless.
  encode(0, {}, *to.mutable_cache_hit());
  encode(0, {}, *to.mutable_cache_miss());
}

} // namespace engram
