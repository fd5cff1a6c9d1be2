// Thousands of broken HTTP/2 frames, gRPC messages and plain garbage on the gRPC port: each call or
// connection ends, and the service goes on.

#include <engram.grpc.pb.h>
#include <gmock/gmock.h>
#include <grpcpp/client_context.h>
#include <inference.grpc.pb.h>

#include <atomic>
#include <limits>
#include <map>
#include <mutex>
#include <thread>

#include "grpc_fixture.hpp"
#include "malformed.hpp"

namespace engram::test {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t seed = 20'242;
constexpr std::string_view preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

enum frame_type : char {
  data = 0,
  headers = 1,
  reset = 3,
  settings = 4,
  ping = 6,
  go_away = 7,
  window_update = 8,
  continuation = 9
};
constexpr char end_stream = 1, end_headers = 4;

std::string big_endian(std::uint32_t value, int bytes) {
  std::string out;
  for (int at = bytes - 1; at >= 0; --at)
    out += static_cast<char>(value >> (8 * at));
  return out;
}

std::string frame(char type, char flags, std::uint32_t stream, std::string_view payload) {
  return big_endian(static_cast<std::uint32_t>(payload.size()), 3) + type + flags +
         big_endian(stream, 4) + std::string{payload};
}

/// A header in HPACK's plainest form: literal, not to be remembered, uncompressed.
std::string header(std::string_view name, std::string_view value) {
  return std::string(1, '\0') + static_cast<char>(name.size()) + std::string{name} +
         static_cast<char>(value.size()) + std::string{value};
}

std::string call_headers(std::string_view path,
                         std::string_view content_type = "application/grpc") {
  return header(":method", "POST") + header(":scheme", "http") + header(":path", path) +
         header(":authority", "test") + header("te", "trailers") +
         header("content-type", content_type);
}

/// A message as gRPC sends it, with its length in front.
std::string prefixed(std::string_view message, std::uint32_t length, char compressed = 0) {
  return compressed + big_endian(length, 4) + std::string{message};
}
std::string prefixed(std::string_view message) {
  return prefixed(message, static_cast<std::uint32_t>(message.size()));
}

/// How the other side ended what it was sent.
enum class ending {
  none,    ///< not yet
  status,  ///< stream 1, with a grpc-status
  reset,   ///< stream 1
  go_away, ///< the whole connection
  damaged  ///< stream 1, without a status; or with what are no frames
};

ending ending_of(std::string_view bytes) {
  while (bytes.size() >= 9) {
    const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(bytes[at]); };
    const std::size_t length = std::size_t{byte(0)} << 16 | std::size_t{byte(1)} << 8 | byte(2);
    if (byte(3) > continuation || length > 16'384) return ending::damaged;
    if (bytes.size() < 9 + length) return ending::none;
    const bool of_stream_1 = byte(8) == 1;
    if (bytes[3] == go_away) return ending::go_away;
    if (of_stream_1 && bytes[3] == reset) return ending::reset;
    if (of_stream_1 && bytes[3] == headers && (bytes[4] & end_stream) != 0)
      // The first time on its connection, so that HPACK has no shorter form for its name.
      return bytes.substr(9, length).find("grpc-status") == std::string_view::npos ? ending::damaged
                                                                                   : ending::status;
    bytes.remove_prefix(9 + length);
  }
  return ending::none;
}

struct good_call {
  std::string path;
  std::string message;
};

const std::vector<good_call>& good_calls() {
  static const auto made = [] {
    v1::SearchRequest search;
    search.set_collection("animals");
    for (const float x : {1.0f, 0.0f, 0.0f})
      search.mutable_queries()->add_values(x);
    search.mutable_options()->set_tenant("t");
    v1::SimilarityRequest similarity;
    similarity.mutable_query()->set_raw(std::string(8, '\1'));
    similarity.mutable_targets()->set_raw(std::string(16, '\2'));
    v1::ScoreRequest score;
    score.set_collection("animals");
    for (const float x : {1.0f, 0.0f, 0.0f})
      score.mutable_query()->add_values(x);
    score.add_ids(2);
    v1::SpreadRequest spread;
    spread.set_graph("animals");
    spread.add_seed_sets()->add_seeds()->set_node(0);
    v1::StreamRequest stream;
    *stream.add_requests()->mutable_search() = search;
    inference::ModelInferRequest infer;
    infer.set_model_name("search.animals");
    auto& input = *infer.add_inputs();
    input.set_name("query");
    input.set_datatype("FP32");
    input.add_shape(1);
    input.add_shape(3);
    infer.add_raw_input_contents(std::string(12, '\3'));
    return std::vector<good_call>{
        {"/engram.v1.Engram/Search", search.SerializeAsString()},
        {"/engram.v1.Engram/Similarity", similarity.SerializeAsString()},
        {"/engram.v1.Engram/Score", score.SerializeAsString()},
        {"/engram.v1.Engram/Spread", spread.SerializeAsString()},
        {"/engram.v1.Engram/Stream", stream.SerializeAsString()},
        {"/inference.GRPCInferenceService/ModelInfer", infer.SerializeAsString()},
        {"/inference.GRPCInferenceService/ModelStreamInfer", infer.SerializeAsString()}};
  }();
  return made;
}

struct malformed_call {
  std::string bytes;
  /// HTTP/2 is spoken well enough in it for an answer that has a status.
  bool is_http2 = true;
};

/// Writes one malformed call from the choices of its seed.
class writer {
public:
  explicit writer(std::uint64_t from) : choose_(from), good_(choose_.of(good_calls())) {}

  malformed_call write() {
    const auto hello = std::string{preface} + frame(settings, 0, 0, "");
    auto message = good_.message;
    switch (choose_.below(16)) {
    case 0:
    case 1:
      choose_.damage(message);
      return {hello + call(prefixed(message))};
    case 2:
      message.resize(choose_.below(message.size()));
      return {hello + call(prefixed(message))};
    case 3: // shorter or longer than it says
      return {hello + call(prefixed(
                          message, static_cast<std::uint32_t>(choose_.below(2 * message.size()))))};
    case 4:
      return {hello + call(prefixed(message, choose_.of<std::uint32_t>(
                                                 {0x10001, 0x7fffffff, 0x80000000, 0xffffffff})))};
    case 5: // past the door's limit for messages, and past HTTP/2's window
      return {hello + call(prefixed(choose_.bytes(100'000), 100'000)), false};
    case 6:
      return {hello +
              call(prefixed(message, static_cast<std::uint32_t>(message.size()), choose_.byte()))};
    case 7:
      return {hello + call(prefixed(with_odd_numbers()))};
    case 8: { // frames whose bytes are damaged
      auto text = call(prefixed(message));
      choose_.damage(text);
      return {hello + text, false};
    }
    case 9:
      return {(hello + call(prefixed(message))).substr(0, choose_.below(hello.size() + 150)),
              false};
    case 10:
      return {choose_.bytes(1 + choose_.below(600)), false};
    case 11:
      return {"POST /v1/search HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n\r\n{}", false};
    case 12:
      return {hello + strange_headers() + frame(data, end_stream, 1, prefixed(message)), false};
    case 13:
      return {hello + strange_frame(), false};
    case 14: // more or fewer messages than the call takes
      message = choose_.below(2) == 0 ? "" : prefixed(message) + prefixed(message);
      return {hello + call(message)};
    default:
      return {std::string{preface} + choose_.bytes(1 + choose_.below(300)), false};
    }
  }

private:
  std::string call(std::string_view body) const {
    std::string out = frame(headers, end_headers, 1, call_headers(good_.path));
    for (; body.size() > 16'384; body.remove_prefix(16'384))
      out += frame(data, 0, 1, body.substr(0, 16'384));
    return out + frame(data, end_stream, 1, body);
  }

  /// A message that is well-formed, with numbers that are none and lengths that do not fit.
  std::string with_odd_numbers() {
    v1::SearchRequest search;
    search.set_collection("animals");
    const auto odd = choose_.of<float>({std::numeric_limits<float>::quiet_NaN(),
                                        std::numeric_limits<float>::infinity(),
                                        -std::numeric_limits<float>::infinity(), 1e-45f, 3e38f});
    for (std::size_t n = choose_.below(6); n > 0; --n)
      search.mutable_queries()->add_values(odd);
    if (choose_.below(2) == 0) search.mutable_queries()->set_raw(choose_.bytes(choose_.below(20)));
    search.set_k(choose_.of<std::uint32_t>({0, 1, 2049, 0xffffffff}));
    search.mutable_options()->set_deadline_ms(odd);
    return search.SerializeAsString();
  }

  std::string strange_headers() {
    switch (choose_.below(5)) {
    case 0:
      return frame(headers, end_headers, 1, call_headers("/engram.v1.Engram/Nothing"));
    case 1:
      return frame(headers, end_headers, 1, call_headers(good_.path, "text/plain"));
    case 2:
      return frame(headers, end_headers, 1, header(":path", good_.path));
    case 3:
      return frame(
          headers, end_headers, 1,
          call_headers(good_.path) +
              header("grpc-timeout", choose_.of<std::string>({"-1S", "S", "99999999999H", "1n"})));
    default:
      return frame(headers, choose_.byte(), 1, choose_.bytes(choose_.below(200)));
    }
  }

  std::string strange_frame() {
    switch (choose_.below(5)) {
    case 0:
      return frame(data, end_stream, static_cast<std::uint32_t>(choose_.below(4)), good_.message);
    case 1:
      return frame(window_update, 0, 0, big_endian(choose_.of<std::uint32_t>({0, 0x7fffffff}), 4));
    case 2:
      return frame(settings, choose_.byte(), 0, choose_.bytes(choose_.below(40)));
    case 3:
      return frame(ping, 0, 0, choose_.bytes(choose_.below(12)));
    default:
      return frame(choose_.byte(), choose_.byte(), static_cast<std::uint32_t>(choose_.below(3)),
                   choose_.bytes(choose_.below(100)));
    }
  }

  chooser choose_;
  const good_call& good_;
};

class malformed_grpc : public grpc_fixture {
protected:
  void SetUp() override {
    grpc_fixture::SetUp();
    stub_ = v1::Engram::NewStub(channel);
  }

  bool serves_grpc() {
    v1::SearchRequest in;
    in.ParseFromString(good_calls().front().message);
    v1::SearchResponse out;
    grpc::ClientContext context;
    return stub_->Search(&context, in, &out).ok() && out.results_size() == 1;
  }

  /// Returns what is wrong with how the call that `at` writes was taken; empty: nothing.
  std::string trouble_with(std::uint64_t at) {
    raw_connection connection{grpc_door->port()};
    if (!connection.connected()) return "no connection";
    const auto call = writer{at}.write();
    connection.send(call.bytes);
    // What ends as HTTP/2 wants it has a status coming; the others only notice that we hang up.
    const std::chrono::milliseconds silence = call.is_http2 ? 10s : 100ms;
    const auto answer = connection.receive(
        silence, [](std::string_view bytes) { return ending_of(bytes) != ending::none; });
    const auto how = ending_of(answer.bytes);
    if (!answer.ended) return "neither an answer nor an end";
    if (how == ending::damaged) return "an answer that is none";
    if (call.is_http2 && how != ending::status) return "an end without a status";
    ++(how == ending::none ? hung_up_ : answered_);
    return "";
  }

  std::string trouble_with(std::size_t first, std::size_t last) {
    std::mutex lock;
    std::string trouble;
    std::atomic<std::size_t> next{first};
    {
      std::vector<std::jthread> clients;
      for (int i = 0; i < 16; ++i) // some wait for what does not come
        clients.emplace_back([&] {
          for (auto at = next++; at < last; at = next++)
            if (const auto found = trouble_with(seed + at); !found.empty()) {
              const std::lock_guard hold{lock};
              if (trouble.empty()) trouble = "call " + std::to_string(at) + ": " + found;
            }
        });
    }
    return trouble;
  }

  std::unique_ptr<v1::Engram::Stub> stub_;
  std::atomic<std::size_t> answered_{0}, hung_up_{0};
};

TEST_F(malformed_grpc, calls_get_an_end_and_leave_nothing_behind) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  RecordProperty("seed", std::to_string(seed));
  constexpr std::size_t block = 500;
  holdings before;
  for (std::size_t first = 0; first < malformed_requests; first += block) {
    ASSERT_EQ(trouble_with(first, first + block), "");
    ASSERT_TRUE(serves_grpc()) << "after call " << first + block;
    ASSERT_TRUE(is_alive()) << "after call " << first + block;
    if (first == block) before = holdings::now(); // by now all has been used that is kept for later
  }
  const auto after = holdings::back_to(before);
  EXPECT_LE(after.descriptors, before.descriptors);
  // gRPC keeps its threads for a while, as many as there was work for.
  EXPECT_LE(after.threads, before.threads + 8);
  EXPECT_LT(after.resident_bytes, before.resident_bytes + memory_slack);
  // Else the calls are not what they should be.
  EXPECT_GT(answered_, malformed_requests / 2);
  EXPECT_GT(hung_up_, malformed_requests / 100);
}

TEST_F(malformed_grpc, clients_that_send_a_byte_now_and_then_do_not_stop_the_others) {
  const auto& good = good_calls().front();
  const auto text = std::string{preface} + frame(settings, 0, 0, "") +
                    frame(headers, end_headers, 1, call_headers(good.path)) +
                    frame(data, end_stream, 1, prefixed(good.message));
  std::atomic<bool> enough{false};
  std::vector<std::jthread> slow;
  for (int i = 0; i < 16; ++i)
    slow.emplace_back([&] {
      raw_connection connection{grpc_door->port()};
      for (std::size_t at = 0; at < text.size() && !enough; ++at) {
        connection.send(text.substr(at, 1));
        std::this_thread::sleep_for(20ms);
      }
    });
  for (int i = 0; i < 200; ++i)
    ASSERT_TRUE(serves_grpc());
  enough = true;
}

} // namespace
} // namespace engram::test
