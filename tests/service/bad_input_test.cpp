#include <gmock/gmock.h>

#include <fstream>
#include <ostream>

#include "server_fixture.hpp"

namespace engram::test {

using nlohmann::json;

/// A request that must be refused, and words that its message must have.
struct refusal {
  std::string_view name;
  std::string_view path;
  std::string body;
  int status;
  std::string_view code;
  std::string_view says;
};

void PrintTo(const refusal& r, std::ostream* out) {
  *out << r.name;
}

std::string nested(std::size_t depth) {
  return R"({"collection":"animals","query":)" + std::string(depth, '[') + "}";
}

const std::vector<refusal>& refusals() {
  static const std::vector<refusal> all{
      // not JSON
      {"not_json", "/v1/search", "queries please", 400, "invalid_argument",
       "not JSON: parse error at line 1, column 1"},
      {"second_line", "/v1/search", "{\n  \"k\": }", 400, "invalid_argument", "line 2, column 8"},
      {"truncated", "/v1/search", R"({"collection":"animals","query":[1,0)", 400,
       "invalid_argument", "unexpected end"},
      {"empty", "/v1/search", "", 400, "invalid_argument", "the body is empty"},
      {"two_objects", "/v1/search", R"({"collection":"animals","query":[1,0,0]}{})", 400,
       "invalid_argument", "not JSON"},
      {"zero_byte_and_more", "/v1/search",
       std::string{R"({"collection":"animals","query":[1,0,0]})"} + std::string(1, '\0') + "more",
       400, "invalid_argument", "zero byte"},
      {"bad_utf8", "/v1/search", "{\"text\":\"\xff\xfe\"}", 400, "invalid_argument", "UTF-8"},
      {"nan", "/v1/search", R"({"collection":"animals","query":[1,NaN,0]})", 400,
       "invalid_argument", "not JSON"},
      {"too_large_a_number", "/v1/search", R"({"collection":"animals","query":[1,1e999,0]})", 400,
       "invalid_argument", "query[1]"},
      {"beyond_float32", "/v1/search", R"({"collection":"animals","query":[1,0,1e39]})", 400,
       "invalid_argument", "query[2]"},
      {"nesting_bomb", "/v1/search", nested(20'000), 400, "invalid_argument",
       "query[0] is an array"},
      {"nested_objects", "/v1/spread", R"({"graph":"animals","seeds":[{"node":{"node":{}}}]})", 400,
       "invalid_argument", "seeds[0].node is an object"},
      // not what it should be
      {"an_array", "/v1/search", "[1,2]", 400, "invalid_argument", "the body is an array"},
      {"a_number", "/v1/search", "7", 400, "invalid_argument", "must be a JSON object"},
      {"a_string", "/v1/search", "\"x\"", 400, "invalid_argument", "must be a JSON object"},
      {"null", "/v1/search", "null", 400, "invalid_argument", "must be a JSON object"},
      {"unknown_field", "/v1/search", R"({"collection":"animals","query":[1,0,0],"top_k":3})", 400,
       "invalid_argument", "unknown field \"top_k\""},
      {"field_twice", "/v1/search", R"({"k":1,"collection":"animals","k":2})", 400,
       "invalid_argument", "\"k\" is given twice"},
      {"k_is_text", "/v1/search", R"({"collection":"animals","query":[1,0,0],"k":"ten"})", 400,
       "invalid_argument", "k is a string"},
      {"k_is_half", "/v1/search", R"({"collection":"animals","query":[1,0,0],"k":1.5})", 400,
       "invalid_argument", "k is 1.5"},
      {"k_is_negative", "/v1/search", R"({"collection":"animals","query":[1,0,0],"k":-1})", 400,
       "invalid_argument", "k is -1"},
      {"k_is_zero", "/v1/search", R"({"collection":"animals","query":[1,0,0],"k":0})", 400,
       "invalid_argument", "k"},
      {"k_is_huge", "/v1/search", R"({"collection":"animals","query":[1,0,0],"k":4294967296})", 400,
       "invalid_argument", "k is 4294967296"},
      {"k_is_past_the_limit", "/v1/search", R"({"collection":"animals","query":[1,0,0],"k":2049})",
       400, "invalid_argument", "2048"},
      {"query_has_text", "/v1/search", R"({"collection":"animals","query":[1,"0",0]})", 400,
       "invalid_argument", "query[1] is a string"},
      {"query_has_null", "/v1/search", R"({"collection":"animals","query":[1,0,null]})", 400,
       "invalid_argument", "query[2] is null"},
      {"queries_are_flat", "/v1/search", R"({"collection":"animals","queries":[1,0,0]})", 400,
       "invalid_argument", "queries[0] is 1"},
      {"ragged", "/v1/search", R"({"collection":"animals","queries":[[1,0,0],[1,0]]})", 400,
       "invalid_argument", "queries[1] has 2 numbers"},
      {"wrong_dim", "/v1/search", R"({"collection":"animals","query":[1,0,0,0]})", 400,
       "invalid_argument", "dimension 3"},
      // six numbers are two rows of three, but not two rows of two and one of two
      {"wrong_dim_that_fits", "/v1/search",
       R"({"collection":"animals","queries":[[1,0],[1,0],[1,0]]})", 400, "invalid_argument",
       "dimension 3"},
      {"no_queries", "/v1/search", R"({"collection":"animals","queries":[]})", 400,
       "invalid_argument", "queries is empty"},
      {"empty_query", "/v1/search", R"({"collection":"animals","query":[]})", 400,
       "invalid_argument", "dimension 3"},
      {"no_way_to_ask", "/v1/search", R"({"collection":"animals"})", 400, "invalid_argument",
       "exactly one of query, queries and text"},
      {"two_ways_to_ask", "/v1/search", R"({"collection":"animals","query":[1,0,0],"text":"dog"})",
       400, "invalid_argument", "exactly one"},
      {"no_collection", "/v1/search", R"({"query":[1,0,0]})", 400, "invalid_argument",
       "no collection"},
      {"unknown_collection", "/v1/search", R"({"collection":"plants","query":[1,0,0]})", 404,
       "not_found", "no collection \"plants\""},
      {"a_graph_is_no_collection", "/v1/search",
       R"({"collection":"animals-graph","query":[1,0,0]})", 400, "invalid_argument", "is a graph"},
      {"no_embedder", "/v1/search", R"({"collection":"animals","text":"dog"})", 400,
       "invalid_argument", "no embedder"},
      {"unknown_words", "/v1/search", R"({"collection":"stories","text":"qwzx"})", 400,
       "invalid_argument", "qwzx"},
      {"deadline_zero", "/v1/search", R"({"collection":"animals","query":[1,0,0],"deadline_ms":0})",
       400, "invalid_argument", "deadline_ms"},
      {"deadline_forever", "/v1/search",
       R"({"collection":"animals","query":[1,0,0],"deadline_ms":1e300})", 400, "invalid_argument",
       "deadline_ms"},
      {"priority_half", "/v1/search", R"({"collection":"animals","query":[1,0,0],"priority":0.5})",
       400, "invalid_argument", "priority is 0.5"},
      {"priority_huge", "/v1/search", R"({"collection":"animals","query":[1,0,0],"priority":99})",
       400, "invalid_argument", "priority"},
      {"tenant_number", "/v1/search", R"({"collection":"animals","query":[1,0,0],"tenant":5})", 400,
       "invalid_argument", "tenant is 5"},
      // similarity
      {"no_targets", "/v1/similarity", R"({"query":[1,0]})", 400, "invalid_argument", "no targets"},
      {"targets_of_another_dim", "/v1/similarity", R"({"query":[1,0],"targets":[[1,0,0]]})", 400,
       "invalid_argument", "dimension 2"},
      {"no_target", "/v1/similarity", R"({"query":[1,0],"targets":[]})", 400, "invalid_argument",
       "targets is empty"},
      {"empty_vectors", "/v1/similarity", R"({"query":[],"targets":[[]]})", 400, "invalid_argument",
       "query"},
      // score
      {"no_ids", "/v1/score", R"({"collection":"animals","query":[1,0,0]})", 400,
       "invalid_argument", "no ids"},
      {"empty_ids", "/v1/score", R"({"collection":"animals","query":[1,0,0],"ids":[]})", 400,
       "invalid_argument", "ids"},
      {"id_is_half", "/v1/score", R"({"collection":"animals","query":[1,0,0],"ids":[0,1.5]})", 400,
       "invalid_argument", "ids[1] is 1.5"},
      {"id_is_negative", "/v1/score", R"({"collection":"animals","query":[1,0,0],"ids":[0,-1]})",
       400, "invalid_argument", "ids[1] is -1"},
      {"id_is_text", "/v1/score", R"({"collection":"animals","query":[1,0,0],"ids":["0"]})", 400,
       "invalid_argument", "ids[0] is a string"},
      {"ids_are_nested", "/v1/score", R"({"collection":"animals","query":[1,0,0],"ids":[[0]]})",
       400, "invalid_argument", "ids[0] is an array"},
      {"unknown_id", "/v1/score", R"({"collection":"animals","query":[1,0,0],"ids":[0,4]})", 400,
       "invalid_argument", "4"},
      {"id_past_32_bits", "/v1/score",
       R"({"collection":"animals","query":[1,0,0],"ids":[4294967296]})", 400, "invalid_argument",
       "4294967296"},
      // spread
      {"unknown_graph", "/v1/spread", R"({"graph":"plants","seeds":[{"node":0}]})", 404,
       "not_found", "no graph \"plants\""},
      {"a_collection_without_a_graph", "/v1/spread", R"({"graph":"stories","seeds":[{"node":0}]})",
       400, "invalid_argument", "stories-graph"},
      {"no_seeds", "/v1/spread", R"({"graph":"animals"})", 400, "invalid_argument", "seeds"},
      {"empty_seeds", "/v1/spread", R"({"graph":"animals","seeds":[]})", 400, "invalid_argument",
       "empty"},
      {"empty_seed_sets", "/v1/spread", R"({"graph":"animals","seed_sets":[]})", 400,
       "invalid_argument", "seed"},
      {"seeds_and_seed_sets", "/v1/spread",
       R"({"graph":"animals","seeds":[{"node":0}],"seed_sets":[[{"node":1}]]})", 400,
       "invalid_argument", "exactly one of seeds and seed_sets"},
      {"seed_without_a_node", "/v1/spread", R"({"graph":"animals","seeds":[{"amount":1}]})", 400,
       "invalid_argument", "seeds[0] has neither"},
      {"seed_with_both", "/v1/spread", R"({"graph":"animals","seeds":[{"node":0,"label":"cat"}]})",
       400, "invalid_argument", "seeds[0] has both"},
      {"seed_is_a_number", "/v1/spread", R"({"graph":"animals","seeds":[0]})", 400,
       "invalid_argument", "seeds[0] is 0"},
      {"seed_has_more", "/v1/spread", R"({"graph":"animals","seeds":[{"node":0,"weight":1}]})", 400,
       "invalid_argument", "unknown field \"weight\" in seeds[0]"},
      {"seed_field_twice", "/v1/spread", R"({"graph":"animals","seeds":[{"node":0,"node":1}]})",
       400, "invalid_argument", "seeds[0].node is given twice"},
      {"seed_node_negative", "/v1/spread", R"({"graph":"animals","seeds":[{"node":-1}]})", 400,
       "invalid_argument", "seeds[0].node is -1"},
      {"seed_node_unknown", "/v1/spread", R"({"graph":"animals","seeds":[{"node":4}]})", 400,
       "invalid_argument", "4"},
      {"seed_label_unknown", "/v1/spread", R"({"graph":"animals","seeds":[{"label":"unicorn"}]})",
       404, "not_found", "unicorn"},
      {"seed_amount_zero", "/v1/spread", R"({"graph":"animals","seeds":[{"node":0,"amount":0}]})",
       400, "invalid_argument", "amount"},
      {"seed_amount_text", "/v1/spread", R"({"graph":"animals","seeds":[{"node":0,"amount":"1"}]})",
       400, "invalid_argument", "seeds[0].amount is a string"},
      {"seed_set_flat", "/v1/spread", R"({"graph":"animals","seed_sets":[{"node":0}]})", 400,
       "invalid_argument", "seed_sets[0] is an object"},
      {"hops_zero", "/v1/spread", R"({"graph":"animals","seeds":[{"node":0}],"max_hops":0})", 400,
       "invalid_argument", "max_hops"},
      {"decay_two", "/v1/spread", R"({"graph":"animals","seeds":[{"node":0}],"decay":2})", 400,
       "invalid_argument", "decay"},
      {"threshold_one", "/v1/spread", R"({"graph":"animals","seeds":[{"node":0}],"threshold":1})",
       400, "invalid_argument", "threshold"},
      // routes
      {"unknown_route", "/v1/serch", "{}", 404, "not_found", "/v1/serch"},
      {"unknown_version", "/v3/search", "{}", 404, "not_found", "/v3/search"},
      {"post_to_metrics", "/metrics", "{}", 405, "invalid_argument", "takes GET, HEAD only"},
  };
  return all;
}

class bad_request : public server_test, public ::testing::WithParamInterface<refusal> {};

TEST_P(bad_request, is_refused_in_words_and_leaves_the_service_alive) {
  const auto& given = GetParam();
  const auto out = post_json(given.path, given.body, given.status);
  ASSERT_TRUE(out.contains("code"));
  EXPECT_EQ(out["code"], given.code);
  EXPECT_EQ(out["status"], given.status);
  const auto message = out["detail"].get<std::string>();
  EXPECT_NE(message.find(given.says), std::string::npos) << message;
  EXPECT_TRUE(is_alive());
}

INSTANTIATE_TEST_SUITE_P(http, bad_request, ::testing::ValuesIn(refusals()),
                         [](const auto& at) { return std::string{at.param.name}; });

/// Bytes that are not quite a request, and the statuses that may answer them.
struct odd_bytes {
  std::string_view name;
  std::string bytes;
  std::vector<int> statuses; ///< 0: closed without a word
};

void PrintTo(const odd_bytes& o, std::ostream* out) {
  *out << o.name;
}

std::string head(std::string_view first_line, std::string_view headers) {
  return std::string{first_line} + " HTTP/1.1\r\nHost: test\r\nConnection: close\r\n" +
         std::string{headers} + "\r\n";
}

const std::vector<odd_bytes>& oddities() {
  static const std::vector<odd_bytes> all{
      {"no_length", head("POST /v1/search", ""), {411}},
      {"length_is_text", head("POST /v1/search", "Content-Length: many\r\n"), {400, 411}},
      {"length_is_negative", head("POST /v1/search", "Content-Length: -5\r\n"), {400, 411}},
      {"length_past_64_bits",
       head("POST /v1/search", "Content-Length: 99999999999999999999999\r\n"),
       {400, 411, 413}},
      {"chunk_size_is_text",
       head("POST /v1/search", "Transfer-Encoding: chunked\r\n") + "zz\r\nabc\r\n",
       {400, 408}},
      {"unknown_transfer_encoding",
       head("POST /v1/search", "Transfer-Encoding: rot13\r\n") + "{}",
       {400, 411, 501}},
      {"wrong_method", head("DELETE /v1/search", ""), {405}},
      {"get_of_a_post_route", head("GET /v1/search", ""), {405}},
      {"unknown_page", head("GET /../../etc/passwd", ""), {400, 404}},
      {"not_http", "hello\r\n\r\n", {0, 400}},
      {"not_a_version", "GET / HTTP/9.9\r\n\r\n", {400, 505}},
      {"endless_header", "GET / HTTP/1.1\r\nX: " + std::string(100'000, 'x'), {0, 400, 413, 431}},
      {"upgrade", head("GET /healthz", "Upgrade: websocket\r\n"), {200}},
  };
  return all;
}

class odd_request : public server_test, public ::testing::WithParamInterface<odd_bytes> {};

TEST_P(odd_request, is_answered_in_json_and_leaves_the_service_alive) {
  const auto& given = GetParam();
  const auto response = talk(port, given.bytes);
  EXPECT_THAT(given.statuses, ::testing::Contains(response.status))
      << response.head << response.body;
  if (response.status >= 400) {
    EXPECT_TRUE(json::parse(response.body, nullptr, false).contains("detail")) << response.body;
  }
  EXPECT_TRUE(is_alive());
}

INSTANTIATE_TEST_SUITE_P(http, odd_request, ::testing::ValuesIn(oddities()),
                         [](const auto& at) { return std::string{at.param.name}; });

class http_body_limit : public server_test {
protected:
  /// Returns the memory that this process holds, in bytes.
  static std::size_t resident_bytes() {
    std::ifstream statm{"/proc/self/statm"};
    std::size_t total = 0, resident = 0;
    statm >> total >> resident;
    return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  }
};

TEST_F(http_body_limit, a_gibibyte_is_refused_unread_and_the_refusal_arrives) {
  constexpr std::size_t size = std::size_t{1} << 30;
  const std::string piece(std::size_t{1} << 20, ' ');
  const auto before = resident_bytes();
  http_connection connection{port};
  connection.send("POST /v1/search HTTP/1.1\r\nHost: test\r\nContent-Length: " +
                  std::to_string(size) + "\r\n\r\n");
  for (std::size_t sent = 0; sent < size && connection.send(piece); sent += piece.size()) {
  }
  const auto response = connection.receive();
  EXPECT_EQ(response.status, 413);
  EXPECT_TRUE(response.has_header("Connection: close"));
  EXPECT_NE(response.body.find("server.max_body_bytes"), std::string::npos);
  EXPECT_LT(resident_bytes(), before + (std::size_t{64} << 20));
  EXPECT_TRUE(is_alive());
}

TEST_F(http_body_limit, an_endless_chunked_body_is_refused_on_the_way) {
  http_connection connection{port};
  connection.send("POST /v1/search HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n");
  const std::string chunk = "10000\r\n" + std::string(0x10000, ' ') + "\r\n";
  for (int i = 0; i < 64 && connection.send(chunk); ++i) {
  }
  EXPECT_EQ(connection.receive().status, 413);
  EXPECT_TRUE(is_alive());
}

TEST_F(http_body_limit, a_client_that_asks_first_is_refused_before_it_sends) {
  http_connection connection{port};
  connection.send("POST /v1/search HTTP/1.1\r\nHost: test\r\nExpect: "
                  "100-continue\r\nContent-Length: 1073741824\r\n\r\n");
  EXPECT_EQ(connection.receive().status, 413);
}

TEST_F(http_body_limit, a_body_of_exactly_the_limit_is_read) {
  std::string body = R"({"query":[1],"targets":[[1]]})";
  body.append(max_body - body.size(), ' ');
  EXPECT_EQ(post(port, "/v1/similarity", body).status, 200);
  EXPECT_EQ(post(port, "/v1/similarity", body + ' ').status, 413);
}

TEST_F(http_body_limit, a_client_that_hangs_up_half_way_harms_nobody) {
  for (int i = 0; i < 20; ++i) {
    http_connection connection{port};
    connection.send(
        "POST /v1/search HTTP/1.1\r\nHost: test\r\nContent-Length: 1000\r\n\r\n{\"collection\":");
  }
  EXPECT_TRUE(is_alive());
}

TEST_F(http_body_limit, a_refused_request_leaves_its_connection_usable) {
  http_connection connection{port};
  connection.send(post_text("/v1/search", R"([ "this is refused at its first byte" , )" +
                                              std::string(30'000, ' ')));
  EXPECT_EQ(connection.receive().status, 400);
  connection.send(post_text("/v1/similarity", R"({"query":[1],"targets":[[1]]})"));
  EXPECT_EQ(connection.receive().status, 200);
}

TEST_F(http_body_limit, an_endless_body_that_is_refused_at_its_first_byte_ends_the_connection) {
  http_connection connection{port};
  connection.send("POST /v1/search HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n");
  const std::string chunk = "1000\r\n" + std::string(0x1000, '7') + "\r\n";
  connection.send("1\r\n[\r\n");
  for (int i = 0; i < 16; ++i)
    connection.send(chunk);
  const auto response = connection.receive();
  EXPECT_EQ(response.status, 400);
  EXPECT_TRUE(response.has_header("Connection: close"));
  EXPECT_TRUE(is_alive());
}

} // namespace engram::test
