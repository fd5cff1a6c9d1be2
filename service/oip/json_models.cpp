#include "engram/service/oip/json_models.hpp"

#include "engram/service/json_reading.hpp"
#include "engram/service/json_writer.hpp"
#include "engram/service/oip/tensor.hpp"

#include <istream>
#include <utility>
#include <vector>

namespace engram {

namespace {

void write_dims(const char* name, std::span<const std::int64_t> dims, bool with_batch,
                json_writer& out) {
  out.key(name).begin_array();
  if (with_batch) out.value(-1);
  for (const auto dim : dims)
    out.value(dim);
  out.end_array();
}

void write_metadata(const char* name, std::span<const tensor_spec> specs, json_writer& out) {
  out.key(name).begin_array();
  for (const auto& spec : specs) {
    out.begin_object().field("name", spec.name).field("datatype", spec.datatype);
    write_dims("shape", spec.dims, true, out);
    out.end_object();
  }
  out.end_array();
}

std::string_view type_of(std::string_view datatype) {
  if (datatype == oip_fp32) return "TYPE_FP32";
  if (datatype == oip_uint32) return "TYPE_UINT32";
  return "TYPE_STRING";
}

void write_config(const char* name, std::span<const tensor_spec> specs, bool is_input,
                  json_writer& out) {
  out.key(name).begin_array();
  for (const auto& spec : specs) {
    out.begin_object().field("name", spec.name).field("data_type", type_of(spec.datatype));
    write_dims("dims", spec.dims, false, out);
    if (is_input) out.field("optional", spec.is_optional);
    out.end_object();
  }
  out.end_array();
}

void write_time(const char* name, std::uint64_t count, duration time, json_writer& out) {
  out.key(name).begin_object().field("count", count).field("ns", time.count()).end_object();
}

void write_statistics(const served_model& model, const model_statistics& numbers,
                      json_writer& out) {
  out.begin_object()
      .field("name", model.name)
      .field("version", std::to_string(model.version()))
      .field("last_inference", numbers.last_inference_ms)
      .field("inference_count", numbers.inference_count)
      .field("execution_count", numbers.executions());
  out.key("inference_stats").begin_object();
  write_time("success", numbers.successes, numbers.success_time, out);
  write_time("fail", numbers.failures, numbers.failure_time, out);
  write_time("queue", numbers.successes, numbers.queue_time, out);
  write_time("compute_input", numbers.successes, numbers.input_time, out);
  write_time("compute_infer", numbers.successes, numbers.infer_time, out);
  write_time("compute_output", numbers.successes, numbers.output_time, out);
  // There is no cache; clients read the fields nevertheless.
  write_time("cache_hit", 0, {}, out);
  write_time("cache_miss", 0, {}, out);
  out.end_object().key("batch_stats").begin_array().end_array().end_object();
}

error not_a_region(const std::string& what) {
  return {ec::invalid_argument, what + ": a region is registered with {\"key\": \"/name\", "
                                       "\"offset\": 0, \"byte_size\": 4096}"};
}

result<std::uint64_t> whole_of(const nlohmann::json& object, const char* name,
                               std::optional<std::uint64_t> if_missing) {
  const auto at = object.find(name);
  if (at == object.end() && if_missing) return *if_missing;
  if (at == object.end() || !at->is_number_unsigned())
    return not_a_region(std::string{name} + " is no whole number, 0 or more");
  return at->get<std::uint64_t>();
}

} // namespace

std::string server_metadata_json(const inference_server& server) {
  json_writer out;
  out.begin_object().field("name", oip_platform).field("version", ENGRAM_VERSION);
  out.key("extensions").begin_array();
  for (const auto& each : server.extensions())
    out.value(each);
  out.end_array().end_object();
  return out.take();
}

std::string metadata_json(const served_model& model) {
  json_writer out;
  out.begin_object().field("name", model.name);
  out.key("versions").begin_array().value(std::to_string(model.version())).end_array();
  out.field("platform", oip_platform);
  write_metadata("inputs", model.inputs, out);
  write_metadata("outputs", model.outputs, out);
  out.end_object();
  return out.take();
}

std::string config_json(const served_model& model) {
  json_writer out;
  out.begin_object()
      .field("name", model.name)
      .field("platform", oip_platform)
      .field("backend", oip_platform)
      .field("max_batch_size", max_model_batch);
  write_config("input", model.inputs, true, out);
  write_config("output", model.outputs, false, out);
  out.key("dynamic_batching").begin_object().end_object();
  out.key("model_transaction_policy").begin_object().field("decoupled", false).end_object();
  out.end_object();
  return out.take();
}

std::string statistics_json(std::span<const served_model> models,
                            const inference_statistics& statistics) {
  json_writer out;
  out.begin_object().key("model_stats").begin_array();
  for (const auto& each : models)
    write_statistics(each, statistics.of(each), out);
  out.end_array().end_object();
  return out.take();
}

std::string index_json(std::span<const served_model> models) {
  json_writer out;
  out.begin_array();
  for (const auto& each : models)
    out.begin_object()
        .field("name", each.name)
        .field("version", std::to_string(each.version()))
        .field("state", "READY")
        .field("reason", "")
        .end_object();
  out.end_array();
  return out.take();
}

std::string regions_json(std::span<const shared_memory_regions::region> regions) {
  json_writer out;
  out.begin_array();
  for (const auto& each : regions)
    out.begin_object()
        .field("name", each.name)
        .field("key", each.key)
        .field("offset", each.offset)
        .field("byte_size", each.byte_size)
        .end_object();
  out.end_array();
  return out.take();
}

result<shared_memory_regions::region> read_region(std::string name, std::istream& body) {
  std::string text(4096, '\0'); // no registration is longer, and a tree is made of it
  body.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (body) return not_a_region("the body is too long");
  text.resize(static_cast<std::size_t>(body.gcount()));
  const auto object = nlohmann::json::parse(text, nullptr, false);
  if (!object.is_object()) return not_a_region("the body is no JSON object");
  const auto key = object.find("key");
  if (key == object.end() || !key->is_string()) return not_a_region("key is no string");
  const auto offset = whole_of(object, "offset", 0);
  if (!offset) return offset.error();
  const auto size = whole_of(object, "byte_size", std::nullopt);
  if (!size) return size.error();
  return shared_memory_regions::region{std::move(name), key->get<std::string>(), *offset, *size};
}

} // namespace engram
