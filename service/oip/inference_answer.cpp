#include "engram/service/json_writer.hpp"
#include "engram/service/oip/inference_body.hpp"

#include <cstring>
#include <utility>

namespace engram {

namespace {

template <class T>
void write_numbers(std::string_view bytes, json_writer& out) {
  for (std::size_t at = 0; at + sizeof(T) <= bytes.size(); at += sizeof(T)) {
    T number;
    std::memcpy(&number, bytes.data() + at, sizeof number);
    out.value(number);
  }
}

void write_data(const tensor& from, json_writer& out) {
  out.key("data").begin_array();
  if (from.datatype == oip_fp32) {
    write_numbers<float>(from.bytes, out);
  } else if (from.datatype == oip_uint32) {
    write_numbers<std::uint32_t>(from.bytes, out);
  } else if (const auto elements = bytes_elements(from.bytes)) {
    for (const auto element : *elements)
      out.value(element);
  }
  out.end_array();
}

void write_output(const output_tensor& from, json_writer& out) {
  out.begin_object().field("name", from.content.name).field("datatype", from.content.datatype);
  out.key("shape").begin_array();
  for (const auto dim : from.content.shape)
    out.value(dim);
  out.end_array();
  // A client of Triton takes parameters for a sign of binary data, so shared memory has none.
  if (!from.region && from.as_binary)
    out.key("parameters")
        .begin_object()
        .field("binary_data_size", from.content.bytes.size())
        .end_object();
  else if (!from.region)
    write_data(from.content, out);
  out.end_object();
}

} // namespace

inference_answer write_inference(const infer_response& from) {
  json_writer json;
  json.begin_object().field("model_name", from.model).field("model_version", from.version);
  if (!from.id.empty()) json.field("id", from.id);
  json.key("outputs").begin_array();
  std::size_t binary_bytes = 0;
  bool has_binary = false;
  for (const auto& each : from.outputs) {
    write_output(each, json);
    if (each.region || !each.as_binary) continue;
    has_binary = true;
    binary_bytes += each.content.bytes.size();
  }
  json.end_array().end_object();

  inference_answer out{json.take(), std::nullopt};
  if (!has_binary) return out;
  out.json_bytes = out.body.size();
  out.body.reserve(out.body.size() + binary_bytes);
  for (const auto& each : from.outputs)
    if (!each.region && each.as_binary) out.body.append(each.content.bytes);
  return out;
}

} // namespace engram
