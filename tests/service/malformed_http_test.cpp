// Thousands of requests that are none, over real sockets: each gets a status or a closed
// connection, and the service goes on.

#include <gmock/gmock.h>

#include <atomic>
#include <latch>
#include <map>
#include <mutex>
#include <thread>

#include "malformed.hpp"
#include "server_fixture.hpp"

namespace engram::testing {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t seed = 20'241;

struct good_request {
  std::string path;
  std::string body;
};

const std::vector<good_request>& good_requests() {
  static const std::vector<good_request> all{
      {"/v1/search", R"({"collection":"animals","queries":[[1,0,0],[0,1,0]],"k":2,"tenant":"t"})"},
      {"/v1/search", R"({"collection":"stories","text":"a dog barks","deadline_ms":1000})"},
      {"/v1/similarity", R"({"query":[1,0.5],"targets":[[1,0],[0,1]],"priority":1})"},
      {"/v1/score", R"({"collection":"animals","query":[1,0,0],"ids":[0,1,2]})"},
      {"/v1/spread", R"({"graph":"animals","seeds":[{"node":0,"amount":1}],"max_hops":2})"},
      {"/v2/models/search.animals/infer",
       R"({"inputs":[{"name":"query","shape":[1,3],"datatype":"FP32","data":[1,0,0]}]})"}};
  return all;
}

/// Writes one malformed request from the choices of its seed.
class writer {
public:
  explicit writer(std::uint64_t from) : choose_(from), good_(choose_.of(good_requests())) {}

  std::string write() {
    switch (choose_.below(14)) {
    case 0:
      return cut(request(good_.body));
    case 1:
      return wrong_length();
    case 2: {
      auto body = good_.body;
      choose_.damage(body);
      return request(body);
    }
    case 3:
      return request(with_value(choose_.of<std::string>(
          {"NaN", "Infinity", "-Infinity", "1e999", "-1e39", "1e-999", "0x10", "01", "--1", "."})));
    case 4:
      return request(
          with_value(choose_.of<std::string>({"null", "true", "\"1\"", "{}", "[]", "[[[]]]", "-1",
                                              "0.5", "18446744073709551616", "\"\""})));
    case 5: {
      auto body = good_.body;
      body.insert(choose_.below(body.size()),
                  choose_.of<std::string>({"\xff", "\xc0\xaf", "\xed\xa0\x80", "\xf5"}));
      return request(body);
    }
    case 6:
      return request(
          with_value(std::string(1 + choose_.below(20'000), choose_.below(2) == 0 ? '[' : '{')));
    case 7:
      return request("{" + good_.body.substr(1, good_.body.size() - 2) + ',' +
                     good_.body.substr(1));
    case 8:
      return head("POST " + good_.path, length(std::size_t{1} << (17 + choose_.below(40)))) +
             good_.body;
    case 9:
      return bad_chunks();
    case 10:
      return bad_head();
    case 11:
      return choose_.bytes(1 + choose_.below(600)) + (choose_.below(2) == 0 ? "\r\n\r\n" : "");
    case 12:
      return head("POST " + good_.path, "Inference-Header-Content-Length: " + number() + "\r\n" +
                                            length(good_.body.size())) +
             good_.body;
    default:
      return head("POST " + good_.path,
                  "Content-Encoding: " +
                      choose_.of<std::string>({"gzip", "deflate", "br", "gzip, gzip", ""}) +
                      "\r\n" + length(good_.body.size())) +
             good_.body;
    }
  }

private:
  static std::string head(const std::string& first, const std::string& headers) {
    return first + " HTTP/1.1\r\nHost: test\r\n" + headers + "\r\n";
  }
  static std::string length(std::size_t bytes) {
    return "Content-Length: " + std::to_string(bytes) + "\r\n";
  }

  std::string request(const std::string& body) const {
    return head("POST " + good_.path, length(body.size())) + body;
  }

  std::string cut(std::string text) {
    text.resize(choose_.below(text.size()));
    return text;
  }

  std::string number() {
    return choose_.of<std::string>(
        {"-1", "0", "1", "17", "99999999999999999999", "1e3", "many", "", " 5 5"});
  }

  /// The good body, with something else in place of one value.
  std::string with_value(const std::string& value) {
    auto body = good_.body;
    std::vector<std::size_t> values;
    for (std::size_t i = 0; i + 1 < body.size(); ++i)
      if (body[i] == ':' || body[i] == '[') values.push_back(i + 1);
    const auto begin = choose_.of(values);
    const auto end = body.find_first_of(",]}", begin);
    return body.replace(begin, end - begin, value);
  }

  std::string wrong_length() {
    auto size = good_.body.size();
    size = choose_.below(2) == 0 ? size + 1 + choose_.below(500) : choose_.below(size);
    return head("POST " + good_.path, length(size)) + good_.body;
  }

  std::string bad_chunks() {
    const auto size = choose_.of<std::string>(
        {"zz", "-4", "FFFFFFFFFFFFFFFFF", "7fffffffffffffff", "3;x=\"", "", "0x5"});
    const auto end =
        choose_.of<std::string>({"\r\n", "\n", "", "\r\n0\r\n", "\r\n0\r\n\r\n", "\r\n\r\n"});
    return head("POST " + good_.path, "Transfer-Encoding: chunked\r\n") + size + "\r\n" +
           good_.body + end;
  }

  std::string bad_head() {
    switch (choose_.below(8)) {
    case 0:
      return head("POST " + good_.path, "no colon here\r\n" + length(good_.body.size())) +
             good_.body;
    case 1:
      return head("POST " + good_.path,
                  "X: " + choose_.bytes(50) + "\r\n" + length(good_.body.size())) +
             good_.body;
    case 2:
      return head("POST " + good_.path,
                  "X: " + std::string(choose_.below(40'000), 'x') + "\r\n" + length(2)) +
             "{}";
    case 3:
      return head("POST " + good_.path, "Content-Length: " + number() + "\r\n") + good_.body;
    case 4:
      return head("POST " + good_.path, length(2) + length(good_.body.size())) + good_.body;
    case 5:
      return head(choose_.of<std::string>({"PO ST /", "get /v1/search", "POST", "", "TRACE /",
                                           "POST /%zz", "POST /../..", "CONNECT x:1",
                                           "POST //v1//search"}),
                  length(2)) +
             "{}";
    case 6: {
      std::string many;
      for (std::size_t i = choose_.below(300); i > 0; --i)
        many += "H" + std::to_string(i) + ": x\r\n";
      return head("POST " + good_.path, many + length(good_.body.size())) + good_.body;
    }
    default: {
      auto text = head("POST " + good_.path, length(good_.body.size()));
      choose_.damage(text);
      return text + good_.body;
    }
    }
  }

  chooser choose_;
  const good_request& good_;
};

class malformed_http : public server_test {
protected:
  /// Returns what is wrong with the service's way to take the request that `at` writes; empty:
  /// nothing.
  std::string trouble_with(std::uint64_t at) {
    raw_connection connection{port};
    if (!connection.connected()) return "no connection";
    connection.send(writer{at}.write());
    connection.end_of_sending();
    const auto answer = connection.receive(20s, [](std::string_view) { return false; });
    if (!answer.ended) return "neither an answer nor an end: " + answer.bytes;
    if (answer.bytes.empty()) {
      ++ended_without;
      return {};
    }
    if (!answer.bytes.starts_with("HTTP/1.1 ")) return "no HTTP: " + answer.bytes;
    const auto status = std::atoi(answer.bytes.c_str() + 9);
    count(status);
    // 500 says that we are at fault, and nothing that is sent may make us so.
    if (status < 200 || status > 505 || status == 500)
      return "not a status for this: " + answer.bytes;
    return {};
  }

  /// Sends requests first..last-1 from four clients and returns the first trouble.
  std::string trouble_with(std::size_t first, std::size_t last) {
    std::mutex lock;
    std::string trouble;
    std::atomic<std::size_t> next{first};
    {
      std::vector<std::jthread> clients;
      for (int i = 0; i < 4; ++i)
        clients.emplace_back([&] {
          for (auto at = next++; at < last; at = next++)
            if (const auto found = trouble_with(seed + at); !found.empty()) {
              const std::lock_guard hold{lock};
              if (trouble.empty()) trouble = "request " + std::to_string(at) + ": " + found;
            }
        });
    }
    return trouble;
  }

  void count(int status) {
    const std::lock_guard hold{counts_lock};
    ++counts[status];
  }

  std::atomic<std::size_t> ended_without{0};
  std::mutex counts_lock;
  std::map<int, std::size_t> counts;
};

TEST_F(malformed_http, requests_get_a_status_or_an_end_and_leave_nothing_behind) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  RecordProperty("seed", std::to_string(seed));
  constexpr std::size_t block = 500;
  holdings before;
  for (std::size_t first = 0; first < malformed_requests; first += block) {
    ASSERT_EQ(trouble_with(first, first + block), "");
    ASSERT_TRUE(is_alive()) << "after request " << first + block;
    if (first == block) before = holdings::now(); // by now all has been used that is kept for later
  }
  const auto after = holdings::back_to(before);
  EXPECT_LE(after.descriptors, before.descriptors);
  EXPECT_LE(after.threads, before.threads);
  EXPECT_LT(after.resident_bytes, before.resident_bytes + memory_slack);
  // Else the requests are not what they should be.
  for (const int status : {200, 400, 404, 408, 411, 413})
    EXPECT_GT(counts[status], 0u) << status;
  EXPECT_GT(ended_without, 0u);
}

TEST_F(malformed_http, clients_that_send_a_byte_now_and_then_do_not_stop_the_others) {
  const auto text = post_text("/v1/similarity", R"({"query":[1],"targets":[[1]]})");
  std::atomic<bool> enough{false};
  std::latch connected{door.threads}; // they hold every thread
  std::vector<std::jthread> slow;
  for (std::uint32_t i = 0; i < door.threads; ++i)
    slow.emplace_back([&] {
      http_connection connection{port, "127.0.0.2"};
      connection.send(text.substr(0, 1));
      connected.count_down();
      for (std::size_t at = 1; at < text.size() && !enough; ++at) {
        connection.send(text.substr(at, 1));
        std::this_thread::sleep_for(100ms);
      }
    });
  connected.wait();
  for (int i = 0; i < 200; ++i)
    ASSERT_TRUE(is_alive());
  enough = true;
}

} // namespace
} // namespace engram::testing
