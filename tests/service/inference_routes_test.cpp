// The Open Inference Protocol over HTTP: what clients ask first, inferences, shared memory, and how
// errors look.

#include "engram/service/http/compression.hpp"
#include "engram/service/http/inference_routes.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <set>

#include "server_fixture.hpp"

namespace engram::testing {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

namespace {

template <class T>
std::string raw(std::initializer_list<T> numbers) {
  return {reinterpret_cast<const char*>(numbers.begin()), numbers.size() * sizeof(T)};
}

template <class T>
std::vector<T> numbers_of(std::string_view bytes) {
  std::vector<T> out(bytes.size() / sizeof(T));
  std::memcpy(out.data(), bytes.data(), bytes.size());
  return out;
}

/// Returns a POST with further headers, each with its line end.
std::string post_with(std::string_view path, std::string_view headers, std::string_view body) {
  return "POST " + std::string{path} + " HTTP/1.1\r\nHost: test\r\n" + std::string{headers} +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string{body};
}

constexpr std::string_view search_path = "/v2/models/search.animals/infer";
const std::string search_json =
    R"({"id":"seven","parameters":{"k":2},"inputs":[)"
    R"({"name":"query","shape":[1,3],"datatype":"FP32","data":[1,0,0]}]})";
const std::string binary_search_json =
    R"({"parameters":{"k":2,"binary_data_output":true},"inputs":[)"
    R"({"name":"query","shape":[1,3],"datatype":"FP32","parameters":{"binary_data_size":12}}]})";

} // namespace

class inference_routes_test : public server_test {
protected:
  inference_routes_test() {
    protocol.shared_memory = true;
    protocol.shared_memory_prefix = "/engram-http-test-" + std::to_string(::getpid());
  }
  ~inference_routes_test() override {
    server.reset(); // it asks the models
  }
  void add_routes(http_router& router) override {
    models = std::make_unique<inference_server>(*pipe, protocol, door.max_body_bytes);
    add_inference_routes(router, *http, *models, max_body);
  }

  json get_json(std::string_view path, int status = 200) {
    const auto response = get(port, path);
    EXPECT_EQ(response.status, status) << path << " -> " << response.body;
    return json::parse(response.body, nullptr, false);
  }
  /// Posts a body of JSON with data behind it.
  http_response post_binary(std::string_view path, const std::string& head, const std::string& data,
                            const std::string& headers = {}) {
    return talk(port, post_with(path,
                                headers + "Inference-Header-Content-Length: " +
                                    std::to_string(head.size()) + "\r\n",
                                head + data));
  }

  oip_options protocol;
  std::unique_ptr<inference_server> models;
};

// -- what clients ask first --

TEST_F(inference_routes_test, server_and_models_are_ready_until_readiness_is_held) {
  EXPECT_EQ(get_json("/v2/health/live")["live"], true);
  EXPECT_EQ(get_json("/v2/health/ready")["ready"], true);
  EXPECT_EQ(get_json("/v2/models/search.animals/ready")["name"], "search.animals");
  EXPECT_EQ(get_json("/v2/models/search.animals/versions/1/ready")["ready"], true);
  get_json("/v2/models/search.animals/versions/2/ready", 404);
  get_json("/v2/models/search.nothing/ready", 404);
  server->hold_readiness("loading");
  EXPECT_EQ(get_json("/v2/health/ready", 503)["error"], "not ready: loading");
  get_json("/v2/models/search.animals/ready", 503);
  get_json("/v2/health/live");
}

TEST_F(inference_routes_test, metadata_and_config_describe_the_same_tensors) {
  const auto metadata = get_json("/v2/models/search.stories");
  const auto config = get_json("/v2/models/search.stories/versions/1/config");
  EXPECT_EQ(metadata["versions"], json::array({"1"}));
  EXPECT_GT(config["max_batch_size"], 0);
  EXPECT_EQ(config["model_transaction_policy"]["decoupled"], false);
  ASSERT_EQ(metadata["inputs"].size(), config["input"].size());
  ASSERT_EQ(metadata["outputs"].size(), config["output"].size());
  EXPECT_EQ(metadata["inputs"][0]["shape"], json::array({-1, 16}));
  EXPECT_EQ(config["input"][0]["dims"], json::array({16})) << "without the batch";
  EXPECT_EQ(config["input"][1]["data_type"], "TYPE_STRING");
  EXPECT_EQ(config["input"][1]["optional"], true);
}

TEST_F(inference_routes_test, the_index_lists_every_model_and_the_server_its_extensions) {
  // Without a body there is no Content-Length in the words of tritonclient.
  const auto index = talk(port, "POST /v2/repository/index HTTP/1.1\r\nHost: test\r\n\r\n");
  ASSERT_EQ(index.status, 200) << index.body;
  std::vector<std::string> names;
  for (const auto& each : json::parse(index.body))
    names.push_back(each["name"]);
  EXPECT_THAT(
      names, ElementsAre("search.animals", "spread.animals-graph", "search.stories", "similarity"));
  EXPECT_EQ(post_json("/v2/repository/index", R"({"ready":true})").size(), 4u);
  const auto about = get_json("/v2");
  EXPECT_EQ(about["name"], "engram");
  const std::set<std::string> extensions = about["extensions"];
  EXPECT_TRUE(extensions.contains("binary_tensor_data"));
  EXPECT_TRUE(extensions.contains("system_shared_memory"));
}

TEST_F(inference_routes_test, statistics_have_every_field_that_clients_read) {
  post_json(search_path, search_json);
  post_json(search_path,
            R"({"parameters":{"k":0},"inputs":[)"
            R"({"name":"query","shape":[1,3],"datatype":"FP32","data":[1,0,0]}]})",
            400);
  const auto all = get_json("/v2/models/search.animals/stats")["model_stats"];
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0]["version"], "1");
  EXPECT_EQ(all[0]["inference_count"], 1);
  const auto& parts = all[0]["inference_stats"];
  EXPECT_EQ(parts["success"]["count"], 1);
  EXPECT_GT(parts["success"]["ns"], 0);
  EXPECT_EQ(parts["fail"]["count"], 1);
  for (const auto* part : {"compute_input", "compute_infer", "compute_output", "queue"})
    EXPECT_EQ(parts[part]["count"], 1) << part;
  for (const auto* part : {"cache_hit", "cache_miss"})
    EXPECT_EQ(parts[part], (json{{"count", 0}, {"ns", 0}})) << part;
  EXPECT_EQ(get_json("/v2/models/stats")["model_stats"].size(), 4u);
}

// -- inferences --

TEST_F(inference_routes_test, a_search_gives_what_the_library_gives) {
  const auto out = post_json(search_path, search_json);
  const auto direct = pipe->submit(search_request{"animals", {1, 0, 0}, 2, {}}).get();
  EXPECT_EQ(out["id"], "seven");
  EXPECT_EQ(out["model_name"], "search.animals");
  EXPECT_EQ(out["model_version"], "1");
  ASSERT_EQ(out["outputs"].size(), 2u);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(out["outputs"][0]["data"][i], direct.output.hits[i].id);
    EXPECT_EQ(out["outputs"][1]["data"][i].get<float>(), direct.output.hits[i].score);
  }
}

TEST_F(inference_routes_test, the_binary_form_gives_the_same) {
  const auto plain = post_json(search_path, search_json);
  const auto out = post_binary(search_path, binary_search_json, raw({1.0f, 0.0f, 0.0f}));
  ASSERT_EQ(out.status, 200) << out.body;
  EXPECT_TRUE(out.has_header("Content-Type: application/octet-stream"));
  const auto at = out.head.find("Inference-Header-Content-Length: ");
  ASSERT_NE(at, std::string::npos);
  const auto length = std::strtoull(out.head.c_str() + at + 33, nullptr, 10);
  const auto head = json::parse(out.body.substr(0, length));
  EXPECT_EQ(head["outputs"][0]["parameters"]["binary_data_size"], 8);
  const auto data = std::string_view{out.body}.substr(length);
  ASSERT_EQ(data.size(), 16u);
  EXPECT_EQ(json(numbers_of<std::uint32_t>(data.substr(0, 8))), plain["outputs"][0]["data"]);
  EXPECT_EQ(numbers_of<float>(data.substr(8)),
            plain["outputs"][1]["data"].get<std::vector<float>>());
}

TEST_F(inference_routes_test, a_compressed_binary_body_gives_the_same) {
  const auto plain = post_binary(search_path, binary_search_json, raw({1.0f, 0.0f, 0.0f}));
  const auto body = compress(content_coding::gzip, binary_search_json + raw({1.0f, 0.0f, 0.0f}));
  const auto out = talk(port, post_with(search_path,
                                        "Content-Encoding: gzip\r\n"
                                        "Inference-Header-Content-Length: " +
                                            std::to_string(binary_search_json.size()) + "\r\n",
                                        body));
  EXPECT_EQ(out.status, 200);
  EXPECT_EQ(out.body, plain.body);
}

TEST_F(inference_routes_test, a_version_in_the_path_counts) {
  post_json("/v2/models/search.animals/versions/1/infer", search_json);
  const auto out = post_json("/v2/models/search.animals/versions/2/infer", search_json, 404);
  EXPECT_THAT(out["error"], HasSubstr("its version is 1"));
}

TEST_F(inference_routes_test, labels_and_texts_are_strings) {
  const auto out =
      post_json("/v2/models/search.stories/infer",
                R"({"inputs":[{"name":"text","shape":[1,1],"datatype":"BYTES","data":["a cat"]}],)"
                R"("outputs":[{"name":"labels"}],"parameters":{"k":1}})");
  EXPECT_EQ(out["outputs"][0]["data"], json::array({"a cat sleeps"}));
  EXPECT_EQ(post_json(search_path, R"({"inputs":[{"name":"query","shape":[1,3],"datatype":"FP32",)"
                                   R"("data":[0.6,0.8,0]}],"parameters":{"k":1},)"
                                   R"("outputs":[{"name":"labels"}]})")["outputs"][0]["data"],
            json::array({"\"puppy\"\n"}));
}

TEST_F(inference_routes_test, similarities_and_spreads_are_models_too) {
  const auto scores =
      post_json("/v2/models/similarity/infer",
                R"({"inputs":[{"name":"query","shape":[1,2],"datatype":"FP32","data":[[1,0]]},)"
                R"({"name":"targets","shape":[1,2,2],"datatype":"FP32","data":[[[2,0],[0,1]]]}]})");
  EXPECT_EQ(scores["outputs"][0]["data"], json::array({1, 0}));
  const auto lit =
      post_json("/v2/models/spread.animals-graph/infer",
                R"({"inputs":[{"name":"nodes","shape":[1,1],"datatype":"UINT32","data":[2]}]})");
  EXPECT_EQ(lit["outputs"][0]["name"], "nodes");
  EXPECT_EQ(lit["outputs"][0]["data"][0], 2);
}

// -- shared memory --

TEST_F(inference_routes_test, tensors_can_lie_in_shared_memory) {
  const std::string key = protocol.shared_memory_prefix + "-a";
  const int descriptor = ::shm_open(key.c_str(), O_CREAT | O_RDWR, 0600);
  ASSERT_GE(descriptor, 0);
  ASSERT_EQ(::ftruncate(descriptor, 256), 0);
  const auto query = raw({1.0f, 0.0f, 0.0f});
  ASSERT_EQ(::pwrite(descriptor, query.data(), query.size(), 16), 12);
  post_json("/v2/systemsharedmemory/region/mine/register",
            json{{"key", key}, {"byte_size", 256}}.dump());
  EXPECT_EQ(get_json("/v2/systemsharedmemory/region/mine/status"),
            (json::array({{{"name", "mine"}, {"key", key}, {"offset", 0}, {"byte_size", 256}}})));

  const auto infer = [&](int offset, int status) {
    const json in{{"name", "query"},
                  {"shape", {1, 3}},
                  {"datatype", "FP32"},
                  {"parameters",
                   {{"shared_memory_region", "mine"},
                    {"shared_memory_offset", offset},
                    {"shared_memory_byte_size", 12}}}};
    const json ids{{"name", "ids"},
                   {"parameters",
                    {{"shared_memory_region", "mine"},
                     {"shared_memory_offset", 64},
                     {"shared_memory_byte_size", 64}}}};
    const json body{{"inputs", {in}}, {"outputs", {ids}}, {"parameters", {{"k", 2}}}};
    return post_json(search_path, body.dump(), status);
  };
  const auto out = infer(16, 200);
  EXPECT_FALSE(out["outputs"][0].contains("data"));
  std::string bytes(8, '\0');
  EXPECT_EQ(::pread(descriptor, bytes.data(), 8, 64), 8);
  EXPECT_THAT(numbers_of<std::uint32_t>(bytes), ElementsAre(0, 3));
  EXPECT_THAT(infer(250, 400)["error"], HasSubstr("mine"));

  post_json("/v2/systemsharedmemory/region/mine/unregister", "");
  EXPECT_EQ(get_json("/v2/systemsharedmemory/status"), json::array());
  EXPECT_THAT(infer(16, 404)["error"], HasSubstr("mine"));
  ::close(descriptor);
  ::shm_unlink(key.c_str());
}

TEST_F(inference_routes_test, what_clients_take_back_before_they_begin_is_nothing) {
  for (const std::string kind : {"system", "cuda"}) {
    const auto path = "/v2/" + kind + "sharedmemory/";
    EXPECT_EQ(get_json(path + "status"), json::array());
    EXPECT_EQ(talk(port, "POST " + path + "unregister HTTP/1.1\r\nHost: test\r\n\r\n").status, 200);
    EXPECT_EQ(post(port, path + "unregister", "").status, 200);
  }
  post_json("/v2/systemsharedmemory/region/none/unregister", "", 404);
  get_json("/v2/systemsharedmemory/region/none/status", 404);
  EXPECT_THAT(post_json("/v2/cudasharedmemory/region/r/register",
                        R"({"raw_handle":{"b64":"AA=="},"device_id":0,"byte_size":4})",
                        400)["error"],
              HasSubstr("CUDA shared memory is not taken"));
}

// -- bad input --

TEST_F(inference_routes_test, errors_are_a_sentence_and_the_next_one_is_served) {
  struct bad {
    const char* name;
    std::string request;
    int status;
    const char* says;
  };
  const auto with_length = [](const char* length) {
    return post_with(search_path,
                     "Inference-Header-Content-Length: " + std::string{length} + "\r\n", "{}");
  };
  const auto query = [](const std::string& fields) {
    return post_text(search_path, R"({"inputs":[{"name":"query",)" + fields + "}]}");
  };
  const auto nan = raw({std::nanf(""), 0.0f, 0.0f});
  const std::vector<bad> all{
      {"no_model", post_text("/v2/models/animals/infer", search_json), 404, "search.NAME"},
      {"no_route", post_text("/v2/models/search.animals/explain", "{}"), 404, "there is no"},
      {"another_method", "GET " + std::string{search_path} + " HTTP/1.1\r\nHost: t\r\n\r\n", 405,
       "POST"},
      {"not_json", post_text(search_path, "query"), 400, "not JSON"},
      {"no_input", post_text(search_path, "{}"), 400, "needs the input 'query'"},
      {"no_length", "POST " + std::string{search_path} + " HTTP/1.1\r\nHost: t\r\n\r\n", 411,
       "Content-Length"},
      {"length_is_text", with_length("many"), 400, "must be a whole number"},
      {"length_is_negative", with_length("-1"), 400, "must be a whole number"},
      {"length_overflows", with_length("99999999999999999999"), 400, "must be a whole number"},
      {"length_is_zero", with_length("0"), 400, "is 0"},
      {"length_is_beyond_the_body", with_length("3"), 400, "ends before the 3 bytes"},
      {"length_is_huge", with_length("18446744073709551615"), 400, "at most"},
      {"wrong_datatype", query(R"("shape":[1,3],"datatype":"FP64","data":[1,0,0])"), 400,
       "must be FP32"},
      {"unknown_datatype", query(R"("shape":[1,3],"datatype":"FP33","data":[1,0,0])"), 400,
       "must be FP32"},
      {"wrong_dim", query(R"("shape":[1,4],"datatype":"FP32","data":[1,0,0,0])"), 400, "[-1,3]"},
      {"short_data", query(R"("shape":[1,3],"datatype":"FP32","data":[1,0])"), 400, "takes 12"},
      {"negative_dim", query(R"("shape":[-1,3],"datatype":"FP32","data":[1,0,0])"), 400,
       "negative"},
      {"unknown_parameter",
       post_text(search_path,
                 R"({"parameters":{"topk":1},"inputs":[)"
                 R"({"name":"query","shape":[1,3],"datatype":"FP32","data":[1,0,0]}]})"),
       400, "search takes k"},
      {"nan",
       post_with(search_path,
                 "Inference-Header-Content-Length: " + std::to_string(binary_search_json.size()) +
                     "\r\n",
                 binary_search_json + nan),
       400, "row 0"},
      {"load", post_text("/v2/repository/models/search.animals/load", "{}"), 400, "is a dataset"},
      {"register_without_key", post_text("/v2/systemsharedmemory/region/r/register", "{}"), 400,
       "key is no string"},
      {"register_nonsense", post_text("/v2/systemsharedmemory/region/r/register", "[[[["), 400,
       "no JSON object"},
      {"register_negative",
       post_text("/v2/systemsharedmemory/region/r/register", R"({"key":"/k","byte_size":-1})"), 400,
       "byte_size is no whole number"},
      {"register_at_length",
       post_text("/v2/systemsharedmemory/region/r/register", std::string(10'000, '[')), 400,
       "too long"},
      {"register_outside",
       post_text("/v2/systemsharedmemory/region/r/register", R"({"key":"/etc","byte_size":1})"),
       400, "oip.shared_memory_prefix"},
  };
  for (const auto& each : all) {
    const auto out = talk(port, each.request);
    EXPECT_EQ(out.status, each.status) << each.name << ": " << out.body;
    const auto body = json::parse(out.body, nullptr, false);
    ASSERT_TRUE(body.is_object() && body.contains("error")) << each.name << ": " << out.body;
    EXPECT_THAT(body["error"].get<std::string>(), HasSubstr(each.says)) << each.name;
    EXPECT_TRUE(out.has_header("Content-Type: application/json")) << each.name;
  }
  post_json(search_path, search_json);
}

} // namespace engram::testing
