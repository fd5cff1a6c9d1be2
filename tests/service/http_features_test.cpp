// What the HTTP server does for every route: request ids, worded errors, compression, the index.

#include "engram/service/http/compression.hpp"
#include "engram/service/http/http_router.hpp"
#include "engram/service/http/openapi.hpp"
#include "engram/service/http/request_id.hpp"

#include <gmock/gmock.h>

#include <new>
#include <sstream>
#include <stdexcept>

#include "server_fixture.hpp"

namespace engram::testing {

using nlohmann::json;

std::string inflate(std::string_view bytes) {
  std::istringstream source{std::string{bytes}};
  inflated_body body{*source.rdbuf(), 1u << 24};
  std::istream in{&body};
  return {std::istreambuf_iterator<char>{in}, {}};
}

std::string request_with(std::string_view headers, std::string_view path, std::string_view body) {
  return "POST " + std::string{path} + " HTTP/1.1\r\nHost: test\r\n" + std::string{headers} +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string{body};
}

constexpr std::string_view a_similarity = R"({"query":[1],"targets":[[1]]})";

// -- request ids --

class request_id_of : public server_test {
protected:
  std::string given_to(std::string_view headers) {
    const auto response = talk(port, request_with(headers, "/v1/similarity", a_similarity));
    const auto at = response.head.find("X-Request-Id: ");
    if (at == std::string::npos) return "none";
    return response.head.substr(at + 14, response.head.find("\r\n", at) - at - 14);
  }
};

TEST_F(request_id_of, a_client_that_names_its_request_comes_back) {
  EXPECT_EQ(given_to("X-Request-Id: order-7.a/b\r\n"), "order-7.a/b");
}

TEST_F(request_id_of, others_are_made_up_and_differ) {
  const auto first = given_to(""), second = given_to("");
  EXPECT_NE(first, "none");
  EXPECT_NE(first, second);
}

TEST_F(request_id_of, a_name_that_could_break_out_of_a_header_or_a_log_is_not_taken) {
  for (const auto& wish : {std::string{"two words"}, std::string{"quote\""}, std::string(129, 'x')})
    EXPECT_NE(given_to("X-Request-Id: " + wish + "\r\n"), wish);
}

// -- errors --

using http_failure = server_test;

TEST_F(http_failure, is_a_problem_document_with_the_requests_name) {
  const auto response =
      talk(port, request_with("X-Request-Id: mine\r\n", "/v1/search", R"({"collection":"none"})"));
  EXPECT_EQ(response.status, 400);
  EXPECT_TRUE(response.has_header("Content-Type: application/problem+json\r\n"));
  const auto out = json::parse(response.body);
  EXPECT_EQ(out.at("type"), "about:blank");
  EXPECT_EQ(out.at("title"), "Bad Request");
  EXPECT_EQ(out.at("status"), 400);
  EXPECT_EQ(out.at("code"), "invalid_argument");
  EXPECT_EQ(out.at("request_id"), "mine");
  EXPECT_FALSE(out.at("detail").get<std::string>().empty());
}

TEST_F(http_failure, below_v2_is_worded_as_triton_words_it) {
  const auto response = post(port, "/v2/nothing", "{}");
  EXPECT_EQ(response.status, 404);
  EXPECT_TRUE(response.has_header("Content-Type: application/json\r\n"));
  EXPECT_TRUE(json::parse(response.body).at("error").is_string());
}

// -- compression --

using http_compression = server_test;

std::string many_targets(int count) {
  std::string body = R"({"query":[1,2],"targets":[[1,2])";
  for (int i = 1; i < count; ++i)
    body += ",[1,2]";
  return body + "]}";
}

TEST_F(http_compression, answers_a_client_that_likes_it) {
  const auto body = many_targets(1'000);
  for (const auto* coding : {"gzip", "deflate"}) {
    const auto response =
        talk(port, request_with("Accept-Encoding: " + std::string{coding} + "\r\n",
                                "/v1/similarity", body));
    ASSERT_EQ(response.status, 200);
    EXPECT_TRUE(response.has_header("Content-Encoding: " + std::string{coding} + "\r\n"));
    EXPECT_TRUE(response.has_header("Vary: Accept-Encoding"));
    EXPECT_EQ(json::parse(inflate(response.body)).at("scores").size(), 1'000u);
  }
}

TEST_F(http_compression, spares_small_answers_and_clients_that_do_not_ask) {
  const auto small =
      talk(port, request_with("Accept-Encoding: gzip\r\n", "/v1/similarity", a_similarity));
  EXPECT_FALSE(small.has_header("Content-Encoding"));
  const auto plain = post(port, "/v1/similarity", many_targets(1'000));
  EXPECT_FALSE(plain.has_header("Content-Encoding"));
  EXPECT_EQ(json::parse(plain.body).at("scores").size(), 1'000u);
}

TEST_F(http_compression, reads_compressed_bodies) {
  const auto body = many_targets(50);
  for (const auto coding : {content_coding::gzip, content_coding::deflate}) {
    const auto response =
        talk(port, request_with("Content-Encoding: " + std::string{name_of(coding)} + "\r\n",
                                "/v1/similarity", compress(coding, body)));
    EXPECT_EQ(response.status, 200) << response.body;
  }
}

TEST_F(http_compression, a_small_body_that_swells_past_the_limit_is_refused) {
  const auto bomb = compress(content_coding::gzip, std::string(50 * max_body, ' '));
  ASSERT_LT(bomb.size(), max_body);
  const auto response =
      talk(port, request_with("Content-Encoding: gzip\r\n", "/v1/similarity", bomb));
  EXPECT_EQ(response.status, 413);
  EXPECT_TRUE(is_alive());
}

TEST_F(http_compression, a_body_that_is_not_what_it_says_is_refused_in_words) {
  const auto whole = compress(content_coding::gzip, a_similarity);
  for (const auto& bytes : {std::string{a_similarity}, whole.substr(0, whole.size() - 9)}) {
    const auto response =
        talk(port, request_with("Content-Encoding: gzip\r\n", "/v1/similarity", bytes));
    EXPECT_EQ(response.status, 400);
    EXPECT_NE(response.body.find("not whole gzip data"), std::string::npos) << response.body;
  }
  const auto unknown =
      talk(port, request_with("Content-Encoding: br\r\n", "/v1/similarity", a_similarity));
  EXPECT_EQ(unknown.status, 415);
}

TEST(preferred_coding, follows_the_weights) {
  EXPECT_EQ(preferred_coding("gzip, deflate, br"), content_coding::gzip);
  EXPECT_EQ(preferred_coding("gzip;q=0.2, deflate;q=0.9"), content_coding::deflate);
  EXPECT_EQ(preferred_coding("*"), content_coding::gzip);
  EXPECT_EQ(preferred_coding("gzip;q=0, *;q=0.5"), content_coding::deflate);
  for (const auto* none : {"", "br", "gzip;q=0", "identity, gzip;q=0.5", ";;,,=q", "*;q=0"})
    EXPECT_EQ(preferred_coding(none), std::nullopt) << none;
}

TEST(compression, gives_back_what_it_was_given) {
  for (const std::size_t size : {0u, 1u, 65'536u, 1'000'000u}) {
    std::string text(size, 'a');
    for (std::size_t i = 0; i < size; ++i)
      text[i] = static_cast<char>(i * i % 251);
    for (const auto coding : {content_coding::gzip, content_coding::deflate})
      EXPECT_EQ(inflate(compress(coding, text)), text) << size;
  }
}

// -- the table of routes --

http_router sample_router() {
  http_router out;
  const auto handler = [](const http_request&) { return http_reply{}; };
  out.add({"GET", "/", role::none, "root", handler});
  out.add({"GET", "/v2/models/{model}", role::query, "a model", handler});
  out.add({"POST", "/v2/models/{model}/versions/{version}/infer", role::query, "asks", handler});
  out.add({"PUT", "/v2/models/{model}", role::admin, "sets", handler});
  return out;
}

TEST(http_router, finds_the_route_and_what_its_braces_stand_for) {
  const auto router = sample_router();
  const auto found = router.find("POST", "/v2/models/search.a/versions/3/infer");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->route->meaning, "asks");
  EXPECT_EQ(found->parameters[0], "search.a");
  EXPECT_EQ(found->parameters[1], "3");
  ASSERT_TRUE(router.find("HEAD", "/v2/models/x"));
  ASSERT_TRUE(router.find("GET", "/"));
}

TEST(http_router, tells_an_unknown_path_from_an_unknown_method) {
  const auto router = sample_router();
  for (const auto* path : {"/v2", "/v2/models/", "/v2/models/a/", "/v2/models/a/b", "", "//",
                           "/v2/models//versions/1/infer"})
    EXPECT_EQ(router.find("GET", path).error().code, ec::not_found) << path;
  const auto wrong = router.find("DELETE", "/v2/models/a");
  EXPECT_EQ(wrong.error().code, ec::invalid_argument);
  EXPECT_EQ(wrong.error().message, "/v2/models/a takes GET, PUT, HEAD only");
}

// -- what is there --

using http_index = server_test;

TEST_F(http_index, and_the_openapi_document_name_every_route) {
  const auto index = json::parse(get(port, "/v1").body);
  const auto document = json::parse(get(port, "/openapi.json").body);
  EXPECT_EQ(document.at("openapi"), "3.1.0");
  ASSERT_GE(index.at("routes").size(), 10u);
  for (const auto& route : index["routes"]) {
    std::string method = route.at("method");
    for (char& c : method)
      c = static_cast<char>(std::tolower(c));
    ASSERT_TRUE(document["paths"].contains(route.at("path"))) << route;
    EXPECT_TRUE(document["paths"][std::string{route["path"]}].contains(method)) << route;
  }
}

TEST_F(http_index, every_reference_of_the_openapi_document_leads_somewhere) {
  const auto document = json::parse(get(port, "/openapi.json").body);
  int references = 0;
  const std::function<void(const json&)> look = [&](const json& at) {
    for (const auto& [key, value] : at.items()) {
      if (key == "$ref") {
        ++references;
        const std::string pointer = value.get<std::string>().substr(1);
        EXPECT_TRUE(document.contains(json::json_pointer{pointer})) << value;
      } else if (value.is_structured()) {
        look(value);
      }
    }
  };
  look(document);
  EXPECT_GT(references, 20);
}

TEST_F(http_index, the_openapi_document_lists_every_name_of_an_error) {
  const auto document = json::parse(get(port, "/openapi.json").body);
  std::vector<std::string> names;
  for (auto code = 1; code <= static_cast<int>(ec::last_); ++code)
    names.emplace_back(to_string(static_cast<ec>(code)));
  names.insert(names.end(), {"unauthenticated", "forbidden"});
  EXPECT_THAT(
      document.at("components").at("schemas").at("Problem").at("properties").at("code").at("enum"),
      ::testing::UnorderedElementsAreArray(names));
}

// -- what is thrown --

class http_throwing : public server_test {
protected:
  void add_routes(http_router& router) override {
    const auto add = [&router](std::string_view path, http_handler serve) {
      router.add({"GET", path, role::none, "throws", std::move(serve)});
    };
    add("/unexpected",
        [](const http_request&) -> http_reply { throw std::runtime_error{"no such luck"}; });
    add("/memory", [](const http_request&) -> http_reply { throw std::bad_alloc{}; });
    add("/midway", [](const http_request&) {
      http_reply reply;
      reply.stream = [](http_stream& out) {
        out.write("begun");
        throw std::runtime_error{"no such luck"};
      };
      return reply;
    });
  }
};

TEST_F(http_throwing, is_answered_in_words) {
  const auto unexpected = get(port, "/unexpected");
  EXPECT_EQ(unexpected.status, 500);
  EXPECT_TRUE(unexpected.has_header("Content-Type: application/problem+json\r\n"));
  EXPECT_EQ(json::parse(unexpected.body).at("code"), "internal");
  EXPECT_EQ(json::parse(unexpected.body).at("detail"), "unexpected: no such luck");
  const auto memory = get(port, "/memory");
  EXPECT_EQ(memory.status, 507);
  EXPECT_EQ(json::parse(memory.body).at("code"), "resource_exhausted");
  EXPECT_TRUE(is_alive());
}

TEST_F(http_throwing, in_the_middle_of_an_answer_ends_it_without_its_end) {
  for (int i = 0; i < 3; ++i) { // as many as may be at once, and one more
    http_connection connection{port};
    connection.send("GET /midway HTTP/1.1\r\nHost: localhost\r\n\r\n");
    EXPECT_EQ(connection.receive().status, 200);
    EXPECT_EQ(connection.receive_until("no such mark"), "5\r\nbegun\r\n");
  }
  EXPECT_TRUE(is_alive());
}

// -- answers without an end --

class http_streaming : public server_test {
protected:
  void add_routes(http_router& router) override {
    router.add({"GET", "/ticks", role::none, "counts for ever", [](const http_request&) {
                  http_reply reply;
                  reply.content_type = "text/event-stream";
                  reply.stream = [](http_stream& out) {
                    for (int i = 0; out.write("tick " + std::to_string(i) + "\n");)
                      if (++i == 3 && !out.wait(std::chrono::hours{1})) break;
                    out.write("end\n");
                  };
                  return reply;
                }});
  }
};

TEST_F(http_streaming, come_as_they_are_written_and_end_with_the_server) {
  http_connection connection{port};
  ASSERT_TRUE(connection.send("GET /ticks HTTP/1.1\r\nHost: test\r\n\r\n"));
  const auto begin = connection.receive();
  EXPECT_EQ(begin.status, 200);
  EXPECT_TRUE(begin.has_header("Transfer-Encoding: chunked"));
  EXPECT_TRUE(begin.has_header("Content-Type: text/event-stream"));
  EXPECT_EQ(connection.receive_until("tick 2\n\r\n"), "7\r\ntick 0\n\r\n7\r\ntick 1\n\r\n7\r\n");
  EXPECT_TRUE(server->stop(std::chrono::seconds{20})) << "the answer was not cut off";
  EXPECT_EQ(connection.receive_until("0\r\n\r\n"), "4\r\nend\n\r\n");
}

TEST_F(http_streaming, keep_no_more_than_a_quarter_of_the_threads) {
  const std::string request = "GET /ticks HTTP/1.1\r\nHost: test\r\n\r\n";
  http_connection first{port}, second{port};
  first.send(request);
  second.send(request);
  EXPECT_EQ(first.receive().status, 200);
  EXPECT_EQ(second.receive().status, 200);
  const auto refused = talk(port, request);
  EXPECT_EQ(refused.status, 503);
  EXPECT_TRUE(refused.has_header("Retry-After: 1"));
  EXPECT_TRUE(is_alive());
}

} // namespace engram::testing
