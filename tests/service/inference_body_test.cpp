// Inferences of the Open Inference Protocol as the bodies of HTTP.

#include "engram/service/oip/inference_body.hpp"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include <cstdint>
#include <cstring>
#include <optional>
#include <ostream>
#include <sstream>
#include <string>
#include <vector>

namespace engram::testing {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

namespace {

constexpr std::uint64_t most = 64 * 1024;

result<infer_request> try_read(const std::string& json, const std::optional<std::string>& binary) {
  static const shared_memory_regions regions{oip_options{}, 1024};
  std::istringstream body{json + binary.value_or("")};
  const auto json_bytes = binary ? std::optional<std::uint64_t>{json.size()} : std::nullopt;
  return read_inference(body, json_bytes, most, regions);
}

infer_request read(const std::string& json, const std::optional<std::string>& binary = {}) {
  auto out = try_read(json, binary);
  EXPECT_TRUE(out) << out.error().message;
  return out ? std::move(*out) : infer_request{};
}

template <class T>
std::vector<T> numbers_of(std::string_view bytes) {
  std::vector<T> out(bytes.size() / sizeof(T));
  std::memcpy(out.data(), bytes.data(), bytes.size());
  return out;
}

template <class T>
std::string raw(std::initializer_list<T> numbers) {
  return {reinterpret_cast<const char*>(numbers.begin()), numbers.size() * sizeof(T)};
}

std::vector<std::string> texts_of(const tensor& from) {
  const auto elements = bytes_elements(from.bytes);
  EXPECT_TRUE(elements);
  return elements ? std::vector<std::string>{elements->begin(), elements->end()}
                  : std::vector<std::string>{};
}

} // namespace

// -- JSON --

TEST(inference_body, every_field_is_kept) {
  const auto in = read(R"({
    "id": "seven", "model_name": "m",
    "parameters": {"k": 3, "timeout": 18446744073709551615, "decay": 0.5, "loud": true, "who": "me"},
    "inputs": [{"name": "q", "shape": [1, 2], "datatype": "FP32", "data": [1, -2.5],
                "parameters": {"content_type": "np"}}],
    "outputs": [{"name": "ids", "parameters": {"binary_data": true}}, {"name": "scores"}]})");
  EXPECT_EQ(in.id, "seven");
  EXPECT_EQ(std::get<std::int64_t>(in.parameters.at("k")), 3);
  EXPECT_EQ(std::get<std::uint64_t>(in.parameters.at("timeout")), 18446744073709551615u);
  EXPECT_EQ(std::get<double>(in.parameters.at("decay")), 0.5);
  EXPECT_EQ(std::get<bool>(in.parameters.at("loud")), true);
  EXPECT_EQ(std::get<std::string>(in.parameters.at("who")), "me");
  ASSERT_EQ(in.inputs.size(), 1u);
  EXPECT_EQ(in.inputs[0].name, "q");
  EXPECT_EQ(in.inputs[0].datatype, "FP32");
  EXPECT_THAT(in.inputs[0].shape, ElementsAre(1, 2));
  EXPECT_THAT(numbers_of<float>(in.inputs[0].bytes), ElementsAre(1.0f, -2.5f));
  ASSERT_EQ(in.outputs.size(), 2u);
  EXPECT_TRUE(in.outputs[0].as_binary);
  EXPECT_FALSE(in.outputs[1].as_binary);
}

TEST(inference_body, null_is_a_field_that_is_not_there) {
  const auto in = read(R"({"id": null, "parameters": {"k": null}, "outputs": null,
    "inputs": [{"name": "q", "shape": [1], "datatype": "FP32", "data": [1], "parameters": null}]})");
  EXPECT_EQ(in.id, "");
  EXPECT_THAT(in.parameters, IsEmpty());
  EXPECT_THAT(in.outputs, IsEmpty());
}

TEST(inference_body, data_may_come_before_what_it_is) {
  const auto in = read(R"({"inputs": [
    {"data": [1, 4294967295], "datatype": "UINT32", "name": "a", "shape": [2]},
    {"data": [1.5, 2], "datatype": "FP32", "name": "b", "shape": [2]},
    {"data": ["x", ""], "datatype": "BYTES", "name": "c", "shape": [2]}]})");
  EXPECT_THAT(numbers_of<std::uint32_t>(in.inputs[0].bytes), ElementsAre(1u, 4294967295u));
  EXPECT_THAT(numbers_of<float>(in.inputs[1].bytes), ElementsAre(1.5f, 2.0f));
  EXPECT_THAT(texts_of(in.inputs[2]), ElementsAre("x", ""));
}

TEST(inference_body, nested_data_is_flattened_row_by_row) {
  const auto in = read(R"({"inputs": [
    {"name": "t", "shape": [2, 1, 2], "datatype": "FP32", "data": [[[1, 2]], [[3, 4]]]}]})");
  EXPECT_THAT(numbers_of<float>(in.inputs[0].bytes), ElementsAre(1, 2, 3, 4));
}

TEST(inference_body, numbers_are_rounded_once) {
  // Just above the middle of two float32: through a double it becomes the middle and then the even,
  // lower one.
  const auto in = read(R"({"inputs": [{"name": "q", "shape": [1], "datatype": "FP32",
                                       "data": [1.00000005960464477540]}]})");
  EXPECT_THAT(numbers_of<float>(in.inputs[0].bytes), ElementsAre(1.00000011920928955078125f));
}

TEST(inference_body, another_datatype_has_no_bytes_and_is_left_to_the_model) {
  const auto in = read(R"({"inputs": [{"name": "q", "shape": [1], "datatype": "FP64",
                                       "data": [1.5]}]})");
  EXPECT_EQ(in.inputs[0].bytes, "");
}

// -- binary data --

TEST(inference_body, binary_data_goes_to_the_inputs_in_their_order) {
  const auto in = read(R"({"inputs": [
    {"name": "a", "shape": [2], "datatype": "FP32", "parameters": {"binary_data_size": 8}},
    {"name": "j", "shape": [1], "datatype": "UINT32", "data": [7]},
    {"name": "b", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": 6}},
    {"name": "z", "shape": [0], "datatype": "FP32", "parameters": {"binary_data_size": 0}}],
    "parameters": {"binary_data_output": true}})",
                       raw({1.0f, 2.0f}) + std::string{"\2\0\0\0hi", 6});
  EXPECT_THAT(numbers_of<float>(in.inputs[0].bytes), ElementsAre(1.0f, 2.0f));
  EXPECT_THAT(numbers_of<std::uint32_t>(in.inputs[1].bytes), ElementsAre(7u));
  EXPECT_THAT(texts_of(in.inputs[2]), ElementsAre("hi"));
  EXPECT_EQ(in.inputs[3].bytes, "");
  EXPECT_TRUE(in.default_outputs_as_binary);
}

TEST(inference_body, binary_numbers_lie_where_a_batch_can_use_them_without_a_copy) {
  for (const std::string padding : {"", " ", "  ", "   "}) { // whatever the JSON's length
    const auto in = read(R"({"inputs": [{"name": "q", "shape": [1], "datatype": "FP32",
                             "parameters": {"binary_data_size": 4}}]})" +
                             padding,
                         raw({1.0f}));
    ASSERT_EQ(in.inputs.size(), 1u);
    EXPECT_NE(in.inputs[0].owner, nullptr);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(in.inputs[0].bytes.data()) % alignof(float), 0u);
  }
}

TEST(inference_body, json_that_nothing_follows_may_have_its_length_said) {
  EXPECT_THAT(read(R"({"inputs": []})", "").inputs, IsEmpty());
}

// -- bad input --

struct bad_body {
  const char* name;
  std::string json;
  std::optional<std::string> binary;
  const char* says;
};

void PrintTo(const bad_body& what, std::ostream* out) {
  *out << what.name;
}

/// Returns a body with one input, `q`, that has `fields` beside its name.
std::string input(const std::string& fields) {
  return R"({"inputs":[{"name":"q",)" + fields + "}]}";
}
std::string floats(const std::string& shape, const std::string& data) {
  return input(R"("datatype":"FP32","shape":)" + shape + R"(,"data":)" + data);
}
std::string many(std::size_t count, const std::string& what) {
  std::string out = what;
  for (std::size_t i = 1; i < count; ++i)
    out += ',' + what;
  return out;
}
std::string many_parameters(std::size_t count) {
  std::string out = R"({"parameters":{"a":1)";
  for (std::size_t i = 1; i < count; ++i)
    out += ",\"a" + std::to_string(i) + "\":1";
  return out + "}}";
}

const std::vector<bad_body>& bad_bodies() {
  const std::string fp32 = R"("datatype":"FP32","shape":[1],)";
  static const std::vector<bad_body> all{
      // not JSON
      {"empty", "", {}, "the body is empty"},
      {"not_json", "query please", {}, "not JSON"},
      {"truncated", R"({"inputs":[{"name":"q")", {}, "not JSON"},
      {"two_objects", "{}{}", {}, "not JSON"},
      {"zero_byte", std::string{"{}\0x", 4}, {}, "zero byte"},
      {"nan", floats("[1]", "[NaN]"), {}, "not JSON"},
      {"too_large_a_number", floats("[1]", "[1e999]"), {}, "inputs[0].data has a number too large"},
      {"nesting_bomb", floats("[1]", std::string(20'000, '[')), {}, "nested too deep"},
      {"nested_shape", input(R"("shape":[[1]])"), {}, "inputs[0].shape"},
      {"nested_parameters", R"({"parameters":{"a":{"b":{}}}})", {}, "parameter 'a' is an object"},
      // not what it should be
      {"an_array", "[]", {}, "the body is an array"},
      {"a_number", "7", {}, "the body is 7"},
      {"null", "null", {}, "the body is null"},
      {"unknown_field", R"({"input":[]})", {}, "unknown field 'input' in the body"},
      {"unknown_field_of_an_input", input(R"("dtype":"FP32")"), {}, "'dtype' in inputs[0]"},
      {"data_of_an_output", R"({"outputs":[{"name":"o","data":[1]}]})", {}, "'data' in outputs[0]"},
      {"field_twice", R"({"id":"a","id":"b"})", {}, "id is given twice"},
      {"shape_twice", input(R"("shape":[1],"shape":[1])"), {}, "inputs[0].shape is given twice"},
      {"parameter_twice", R"({"parameters":{"k":1,"k":2}})", {}, "'k' is given twice"},
      {"id_is_a_number", R"({"id":7})", {}, "id is 7: it must be a string"},
      {"inputs_are_an_object", R"({"inputs":{}})", {}, "inputs is an object"},
      {"input_is_a_string", R"({"inputs":["q"]})", {}, "inputs[0] is a string"},
      {"second_input_is_null", R"({"inputs":[{},null]})", {}, "inputs[1] is null"},
      {"parameters_are_an_array", R"({"parameters":[1]})", {}, "parameters is an array"},
      {"shape_has_a_half", input(R"("shape":[1.5])"), {}, "inputs[0].shape has 1.5 in it"},
      {"shape_is_huge", input(R"("shape":[9223372036854775808])"), {}, "shape has 922337203685477"},
      {"data_is_text", floats("[1]", "\"1\""), {}, "inputs[0].data is a string"},
      {"data_has_null", floats("[1]", "[null]"), {}, "inputs[0].data has null in it"},
      {"data_has_truth", floats("[1]", "[true]"), {}, "data has true in it"},
      {"data_has_an_object", floats("[1]", "[{}]"), {}, "data has an object in it"},
      // data and datatype
      {"text_in_numbers", floats("[2]", R"([1,"x"])"), {}, "data element 1 is a string"},
      {"number_in_text", input(R"("datatype":"BYTES","shape":[1],"data":[5])"), {}, "is a number"},
      {"beyond_float32", floats("[2]", "[1,1e39]"), {}, "data element 1 is outside the range"},
      {"negative_uint32", input(R"("datatype":"UINT32","shape":[1],"data":[-1])"), {}, "element 0"},
      {"half_uint32", input(R"("data":[3,0.5],"datatype":"UINT32","shape":[2])"), {}, "element 1"},
      {"huge_uint32",
       input(R"("data":[4294967296],"datatype":"UINT32","shape":[1])"),
       {},
       "is not a whole number from 0 to 4294967295"},
      // nesting and shape
      {"ragged_rows", floats("[2,2]", "[[1,2],[3]]"), {}, "arrays of different lengths"},
      {"mixed_depths", floats("[2,2]", "[1,[2]]"), {}, "arrays of different lengths"},
      {"deeper_after_flat", floats("[2,2]", "[[1],[[2]]]"), {}, "arrays of different lengths"},
      {"other_nesting", floats("[2,3]", "[[1,2],[3,4],[5,6]]"), {}, "not nested as shape [2,3]"},
      // what is missing or too much
      {"no_name", R"({"inputs":[{"shape":[1]}]})", {}, "an input has no name"},
      {"no_datatype", input(R"("shape":[1],"data":[1])"), {}, "has no datatype"},
      {"no_shape", input(R"("datatype":"FP32","data":[1])"), {}, "has no shape"},
      {"no_data", input(R"("datatype":"FP32","shape":[1])"), {}, "has no data"},
      {"output_without_name", R"({"outputs":[{}]})", {}, "an output has no name"},
      {"too_many_inputs", R"({"inputs":[)" + many(1000, "{}") + "]}", {}, "more than 16"},
      {"too_many_outputs", R"({"outputs":[)" + many(1000, "{}") + "]}", {}, "more than 16"},
      {"too_many_dimensions", input(R"("shape":[)" + many(1000, "1") + "]"), {}, "more than 16"},
      {"too_many_parameters", many_parameters(65), {}, "more than 64"},
      {"classification",
       R"({"outputs":[{"name":"o","parameters":{"classification":1}}]})",
       {},
       "classification"},
      {"binary_data_is_text",
       R"({"outputs":[{"name":"o","parameters":{"binary_data":"yes"}}]})",
       {},
       "'binary_data' must be true or false"},
      {"binary_output_is_one",
       R"({"parameters":{"binary_data_output":1}})",
       {},
       "'binary_data_output' must be true or false"},
      {"region_is_a_number",
       input(fp32 + R"("parameters":{"shared_memory_region":1})"),
       {},
       "must be a string"},
      {"region_offset_is_negative",
       input(fp32 + R"("parameters":{"shared_memory_region":"r","shared_memory_offset":-1})"),
       {},
       "'shared_memory_offset' must be a whole number"},
      {"two_ways", input(fp32 + R"("data":[1],"parameters":{"binary_data_size":4})"), "1234",
       "in more than one way"},
      {"memory_is_off",
       input(fp32 + R"("parameters":{"shared_memory_region":"r"})"),
       {},
       "oip.shared_memory"},
      // lengths
      {"binary_without_header",
       input(fp32 + R"("parameters":{"binary_data_size":4})"),
       {},
       "Inference-Header-Content-Length"},
      {"binary_is_short", input(fp32 + R"("parameters":{"binary_data_size":4})"), "123",
       "3 bytes behind its JSON"},
      {"binary_is_long", input(fp32 + R"("parameters":{"binary_data_size":4})"), "12345",
       "goes on behind the 4 bytes"},
      {"binary_is_nobodys", "{}", "1", "goes on behind the 0 bytes"},
      {"binary_is_huge", input(fp32 + R"("parameters":{"binary_data_size":18446744073709551615})"),
       "1234", "there cannot be as many"},
      {"binary_is_negative", input(fp32 + R"("parameters":{"binary_data_size":-4})"), "1234",
       "must be a whole number of bytes"},
      {"binary_sizes_overflow",
       R"({"inputs":[{"name":"a","parameters":{"binary_data_size":65000}},)"
       R"({"name":"b","parameters":{"binary_data_size":18446744073709551000}}]})",
       "", "input 'b' says"},
  };
  return all;
}

class bad_inference_body : public ::testing::TestWithParam<bad_body> {};

TEST_P(bad_inference_body, has_a_sentence) {
  const auto read = try_read(GetParam().json, GetParam().binary);
  ASSERT_FALSE(read);
  EXPECT_THAT(read.error().message, HasSubstr(GetParam().says));
}

INSTANTIATE_TEST_SUITE_P(each, bad_inference_body, ::testing::ValuesIn(bad_bodies()),
                         [](const auto& each) { return std::string{each.param.name}; });

TEST(inference_body, a_length_of_the_json_that_is_none_is_refused) {
  static const shared_memory_regions regions{oip_options{}, 1024};
  const auto says = [&](std::uint64_t json_bytes) {
    std::istringstream body{R"({"inputs": []})"};
    const auto read = read_inference(body, json_bytes, most, regions);
    return read ? std::string{} : read.error().message;
  };
  EXPECT_THAT(says(0), HasSubstr("Inference-Header-Content-Length is 0"));
  EXPECT_THAT(says(15), HasSubstr("ends before the 15 bytes"));
  EXPECT_THAT(says(most), HasSubstr("ends before"));
  EXPECT_THAT(says(most + 1), HasSubstr("at most 65536 bytes"));
  EXPECT_THAT(says(~std::uint64_t{0}), HasSubstr("at most 65536 bytes"));
  EXPECT_THAT(says(5), HasSubstr("not JSON")) << "cut within";
}

// -- answers --

namespace {

infer_response some_answer() {
  infer_response out{"search.c", "1", "seven", {}};
  const auto ids = raw<std::uint32_t>({4, 4294967295});
  std::string labels;
  append_bytes_element(labels, "a \"b\"");
  append_bytes_element(labels, "");
  out.outputs.push_back({owned_tensor("ids", oip_uint32, {1, 2}, ids), false, {}});
  out.outputs.push_back({owned_tensor("scores", oip_fp32, {1, 2}, raw({0.1f, 0.0f})), false, {}});
  out.outputs.push_back({owned_tensor("labels", oip_bytes, {1, 2}, labels), false, {}});
  return out;
}

} // namespace

TEST(inference_answer, is_json_with_the_numbers_in_it) {
  const auto out = write_inference(some_answer());
  EXPECT_FALSE(out.json_bytes);
  EXPECT_EQ(out.body,
            R"({"model_name":"search.c","model_version":"1","id":"seven","outputs":[)"
            R"({"name":"ids","datatype":"UINT32","shape":[1,2],"data":[4,4294967295]},)"
            R"({"name":"scores","datatype":"FP32","shape":[1,2],"data":[0.1,0]},)"
            R"({"name":"labels","datatype":"BYTES","shape":[1,2],"data":["a \"b\"",""]}]})");
}

TEST(inference_answer, binary_outputs_follow_the_json_in_their_order) {
  auto in = some_answer();
  in.id.clear();
  in.outputs[0].as_binary = true;
  in.outputs[2].as_binary = true;
  const auto out = write_inference(in);
  ASSERT_TRUE(out.json_bytes);
  const auto json = nlohmann::json::parse(out.body.substr(0, *out.json_bytes));
  EXPECT_FALSE(json.contains("id"));
  EXPECT_EQ(json["outputs"][0]["parameters"]["binary_data_size"], 8);
  EXPECT_FALSE(json["outputs"][0].contains("data"));
  EXPECT_TRUE(json["outputs"][1].contains("data"));
  EXPECT_EQ(out.body.substr(*out.json_bytes),
            std::string{in.outputs[0].content.bytes} + std::string{in.outputs[2].content.bytes});
}

TEST(inference_answer, what_went_to_shared_memory_is_in_no_form) {
  auto in = some_answer();
  in.outputs.resize(1);
  in.outputs[0].as_binary = true;
  in.outputs[0].region = region_slice{"r", 0, 8};
  const auto out = write_inference(in);
  EXPECT_FALSE(out.json_bytes);
  const auto output = nlohmann::json::parse(out.body)["outputs"][0];
  EXPECT_FALSE(output.contains("data"));
  EXPECT_FALSE(output.contains("parameters")) << "the C++ client takes them for binary data";
}

} // namespace engram::testing
