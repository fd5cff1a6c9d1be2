// The gRPC door: what it answers, how it fails, what a stream may do.

#include <engram.grpc.pb.h>
#include <gmock/gmock.h>
#include <grpcpp/client_context.h>

#include <chrono>
#include <cmath>
#include <functional>
#include <future>
#include <map>
#include <ostream>
#include <thread>

#include "grpc_fixture.hpp"

namespace engram::test {

using namespace std::chrono_literals;

class grpc_test : public grpc_fixture {
protected:
  void SetUp() override {
    grpc_fixture::SetUp();
    stub = v1::Engram::NewStub(channel);
  }

  static v1::SearchRequest search_animals() {
    v1::SearchRequest out;
    out.set_collection("animals");
    for (const float x : {1.0f, 0.0f, 0.0f})
      out.mutable_queries()->add_values(x);
    out.set_k(2);
    return out;
  }
  static v1::SimilarityRequest two_targets() {
    v1::SimilarityRequest out;
    for (const float x : {1.0f, 0.0f})
      out.mutable_query()->add_values(x);
    for (const float x : {1.0f, 0.0f, 0.0f, 1.0f})
      out.mutable_targets()->add_values(x);
    return out;
  }

  std::unique_ptr<v1::Engram::Stub> stub;
};

std::string metadata(const grpc::ClientContext& context, const char* name) {
  const auto& all = context.GetServerTrailingMetadata();
  const auto at = all.find(name);
  return at == all.end() ? std::string{} : std::string{at->second.data(), at->second.size()};
}

template <class T>
std::vector<T> list(const google::protobuf::RepeatedField<T>& from) {
  return {from.begin(), from.end()};
}

// -- unary --

TEST_F(grpc_test, search_gives_what_the_library_gives) {
  auto in = search_animals();
  in.mutable_options()->set_with_labels(true);
  v1::SearchResponse out;
  grpc::ClientContext context;
  const auto status = stub->Search(&context, in, &out);
  ASSERT_TRUE(status.ok()) << status.error_message();
  const auto direct = pipe->submit(search_request{"animals", {1, 0, 0}, 2, {}}).get();
  ASSERT_EQ(out.results_size(), 1);
  ASSERT_EQ(direct.output.hits.size(), 2u);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(out.results(0).ids(i), direct.output.hits[static_cast<std::size_t>(i)].id);
    EXPECT_EQ(out.results(0).scores(i), direct.output.hits[static_cast<std::size_t>(i)].score);
  }
  EXPECT_EQ(out.results(0).labels(0), "dog");
  EXPECT_EQ(out.results(0).labels(1), "\"puppy\"\n");
  EXPECT_EQ(out.trace().device(), "cpu");
  EXPECT_EQ(out.trace().reason(), "no_gpu");
  EXPECT_EQ(out.trace().dataset_version(), 1u);
  EXPECT_GT(out.trace().total_ms(), 0.0f);
}

TEST_F(grpc_test, raw_bytes_and_packed_numbers_give_the_same) {
  const auto packed = two_targets();
  v1::SimilarityRequest raw;
  const auto bytes_of = [](const v1::Floats& from) {
    return std::string(reinterpret_cast<const char*>(from.values().data()),
                       sizeof(float) * static_cast<std::size_t>(from.values_size()));
  };
  raw.mutable_query()->set_raw(bytes_of(packed.query()));
  raw.mutable_targets()->set_raw(bytes_of(packed.targets()));
  v1::SimilarityResponse a, b;
  grpc::ClientContext first, second;
  ASSERT_TRUE(stub->Similarity(&first, packed, &a).ok());
  ASSERT_TRUE(stub->Similarity(&second, raw, &b).ok());
  EXPECT_EQ(list(a.scores()), (std::vector<float>{1, 0}));
  EXPECT_EQ(list(b.scores()), list(a.scores()));
}

TEST_F(grpc_test, score_answers_in_the_order_of_the_ids) {
  v1::ScoreRequest in;
  in.set_collection("stories");
  in.set_text("the cat");
  for (const std::uint32_t id : {2u, 1u})
    in.add_ids(id);
  in.mutable_options()->set_with_labels(true);
  in.mutable_options()->set_omit_trace(true);
  v1::ScoreResponse out;
  grpc::ClientContext context;
  const auto status = stub->Score(&context, in, &out);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(out.scores_size(), 2);
  EXPECT_LT(out.scores(0), out.scores(1));
  EXPECT_EQ(out.labels(1), "a cat sleeps");
  EXPECT_FALSE(out.has_trace());
}

TEST_F(grpc_test, spread_takes_labels_and_nodes) {
  v1::SpreadRequest in;
  in.set_graph("animals");
  in.add_seed_sets()->add_seeds()->set_label("domestic dog");
  in.add_seed_sets()->add_seeds()->set_node(2);
  in.mutable_options()->set_with_labels(true);
  v1::SpreadResponse out;
  grpc::ClientContext context;
  const auto status = stub->Spread(&context, in, &out);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(out.results_size(), 2);
  EXPECT_EQ(list(out.results(1).nodes()), (std::vector<std::uint32_t>{2, 3}));
  EXPECT_EQ(list(out.results(1).activations()), (std::vector<float>{1.0f, 0.5f}));
  EXPECT_EQ(out.results(1).labels(1), "howl");
  EXPECT_EQ(out.results(0).nodes(0), 0u);
}

TEST_F(grpc_test, datasets_are_listed) {
  v1::ListDatasetsResponse out;
  grpc::ClientContext context;
  ASSERT_TRUE(stub->ListDatasets(&context, {}, &out).ok());
  std::map<std::string, v1::Dataset> found;
  for (const auto& each : out.datasets())
    found[each.name()] = each;
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found["animals"].collection().rows(), 4u);
  EXPECT_EQ(found["animals"].collection().dim(), 3u);
  EXPECT_EQ(found["animals"].collection().element_type(), "f32");
  EXPECT_TRUE(found["stories"].collection().takes_text());
  EXPECT_EQ(found["animals-graph"].graph().edges(), 3u);
  EXPECT_EQ(found["animals"].devices(0), "cpu");
}

// -- errors --

struct bad_call {
  const char* name;
  std::function<void(v1::SearchRequest&)> spoil;
  grpc::StatusCode code;
  const char* sentence;
};

void PrintTo(const bad_call& bad, std::ostream* out) {
  *out << bad.name;
}

const std::vector<bad_call>& bad_calls() {
  static const std::vector<bad_call> all{
      {"unknown_collection", [](auto& in) { in.set_collection("plants"); },
       grpc::StatusCode::NOT_FOUND, "\"plants\""},
      {"text_that_is_none", [](auto& in) { in.set_collection("\xff"); },
       grpc::StatusCode::INVALID_ARGUMENT, "not UTF-8"},
      {"a_graph", [](auto& in) { in.set_collection("animals-graph"); },
       grpc::StatusCode::INVALID_ARGUMENT, "is a graph"},
      {"no_query", [](auto& in) { in.clear_queries(); }, grpc::StatusCode::INVALID_ARGUMENT,
       "exactly one of queries and text"},
      {"empty_query", [](auto& in) { in.mutable_queries()->clear_values(); },
       grpc::StatusCode::INVALID_ARGUMENT, "queries is empty"},
      {"query_and_text", [](auto& in) { in.set_text("dog"); }, grpc::StatusCode::INVALID_ARGUMENT,
       "exactly one of queries and text"},
      {"text_without_embedder",
       [](auto& in) {
         in.clear_queries();
         in.set_text("dog");
       },
       grpc::StatusCode::INVALID_ARGUMENT, "no embedder"},
      {"both_forms", [](auto& in) { in.mutable_queries()->set_raw("\0\0\0\0", 4); },
       grpc::StatusCode::INVALID_ARGUMENT, "both values and raw"},
      {"raw_of_odd_length",
       [](auto& in) {
         in.mutable_queries()->Clear();
         in.mutable_queries()->set_raw("12345");
       },
       grpc::StatusCode::INVALID_ARGUMENT, "no multiple of 4"},
      {"wrong_dim", [](auto& in) { in.mutable_queries()->add_values(1); },
       grpc::StatusCode::INVALID_ARGUMENT, "dimension 3"},
      {"nan", [](auto& in) { in.mutable_queries()->set_values(1, std::nanf("")); },
       grpc::StatusCode::INVALID_ARGUMENT, "row 0, column 1"},
      {"k_0", [](auto& in) { in.set_k(0); }, grpc::StatusCode::INVALID_ARGUMENT, "k is 0"},
      {"deadline_0", [](auto& in) { in.mutable_options()->set_deadline_ms(0); },
       grpc::StatusCode::INVALID_ARGUMENT, "deadline_ms"},
      {"deadline_nan", [](auto& in) { in.mutable_options()->set_deadline_ms(std::nan("")); },
       grpc::StatusCode::INVALID_ARGUMENT, "deadline_ms"},
      {"priority_9", [](auto& in) { in.mutable_options()->set_priority(9); },
       grpc::StatusCode::INVALID_ARGUMENT, "priority is 9"},
  };
  return all;
}

class bad_grpc_call : public grpc_test, public ::testing::WithParamInterface<bad_call> {};

TEST_P(bad_grpc_call, has_a_status_and_a_sentence_and_the_next_one_is_served) {
  auto in = search_animals();
  GetParam().spoil(in);
  v1::SearchResponse out;
  grpc::ClientContext context;
  const auto status = stub->Search(&context, in, &out);
  EXPECT_EQ(status.error_code(), GetParam().code);
  EXPECT_THAT(status.error_message(), ::testing::HasSubstr(GetParam().sentence));
  EXPECT_FALSE(metadata(context, "engram-code").empty());
  grpc::ClientContext next;
  EXPECT_TRUE(stub->Search(&next, search_animals(), &out).ok());
}

INSTANTIATE_TEST_SUITE_P(each, bad_grpc_call, ::testing::ValuesIn(bad_calls()),
                         [](const auto& each) { return std::string{each.param.name}; });

TEST_F(grpc_test, a_message_above_the_limit_is_refused) {
  auto in = two_targets();
  in.mutable_targets()->set_raw(std::string(max_body + 8, '\0'));
  v1::SimilarityResponse out;
  grpc::ClientContext context;
  EXPECT_EQ(stub->Similarity(&context, in, &out).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_F(grpc_test, the_deadline_of_a_call_is_the_requests) {
  ASSERT_TRUE(pipe->arm_fault("cpu.launch=delay(400)"));
  v1::SimilarityResponse out;
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + 100ms);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(stub->Similarity(&context, two_targets(), &out).error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 350ms);
}

TEST_F(grpc_test, a_deadline_in_the_message_is_reported_with_engrams_name) {
  ASSERT_TRUE(pipe->arm_fault("cpu.launch=delay(400)"));
  auto in = two_targets();
  in.mutable_options()->set_deadline_ms(50);
  v1::SimilarityResponse out;
  grpc::ClientContext context;
  EXPECT_EQ(stub->Similarity(&context, in, &out).error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(metadata(context, "engram-code"), "deadline_exceeded");
}

TEST_F(grpc_test, a_call_taken_back_is_taken_back_from_the_pipeline) {
  ASSERT_TRUE(pipe->arm_fault("cpu.launch=delay(2000)"));
  grpc::ClientContext context;
  auto asked = std::async(std::launch::async, [&] {
    v1::SimilarityResponse out;
    return stub->Similarity(&context, two_targets(), &out).error_code();
  });
  while (pipe->counts().accepted == 0)
    std::this_thread::sleep_for(1ms);
  context.TryCancel();
  EXPECT_EQ(asked.get(), grpc::StatusCode::CANCELLED);
  // Answered long before the device is.
  for (int i = 0; i < 1000 && pipe->health().in_flight > 0; ++i)
    std::this_thread::sleep_for(1ms);
  EXPECT_EQ(pipe->health().in_flight, 0u);
}

class small_gate : public grpc_test {
protected:
  small_gate() { options.admission.max_in_flight = 1; }
};

TEST_F(small_gate, overload_says_when_to_come_back) {
  ASSERT_TRUE(pipe->arm_fault("cpu.launch=1*delay(300)"));
  auto slow = pipe->submit(similarity_request{{1, 0}, {1, 0}, {}});
  v1::SimilarityResponse out;
  grpc::ClientContext context;
  EXPECT_EQ(stub->Similarity(&context, two_targets(), &out).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(metadata(context, "engram-code"), "overloaded");
  EXPECT_EQ(metadata(context, "grpc-retry-pushback-ms"), "50");
  EXPECT_TRUE(slow.get().ok());
}

// -- streams --

TEST_F(grpc_test, a_stream_answers_many_requests_by_their_ids) {
  grpc::ClientContext context;
  const auto stream = stub->Stream(&context);
  constexpr std::uint64_t messages = 20, per_message = 50;
  for (std::uint64_t m = 0; m < messages; ++m) {
    v1::StreamRequest out;
    for (std::uint64_t i = 0; i < per_message; ++i) {
      auto& each = *out.add_requests();
      each.set_id(m * per_message + i);
      if (i % 2 == 0)
        *each.mutable_similarity() = two_targets();
      else
        *each.mutable_search() = search_animals();
    }
    ASSERT_TRUE(stream->Write(out));
  }
  stream->WritesDone();
  std::vector<int> seen(messages * per_message);
  for (v1::StreamResponse in; stream->Read(&in);)
    for (const auto& each : in.responses()) {
      ++seen.at(each.id());
      if (each.id() % 2 == 0)
        EXPECT_EQ(list(each.similarity().scores()), (std::vector<float>{1, 0}));
      else
        EXPECT_EQ(each.search().results(0).ids(0), 0u);
    }
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_THAT(seen, ::testing::Each(1));
}

TEST_F(grpc_test, one_bad_request_of_a_stream_is_its_own_trouble) {
  grpc::ClientContext context;
  const auto stream = stub->Stream(&context);
  v1::StreamRequest out;
  auto& bad = *out.add_requests();
  bad.set_id(1);
  *bad.mutable_search() = search_animals();
  bad.mutable_search()->set_collection("plants");
  out.add_requests()->set_id(2); // no operation
  auto& good = *out.add_requests();
  good.set_id(3);
  *good.mutable_similarity() = two_targets();
  ASSERT_TRUE(stream->Write(out));
  stream->WritesDone();
  std::map<std::uint64_t, v1::Response> got;
  for (v1::StreamResponse in; stream->Read(&in);)
    for (const auto& each : in.responses())
      got[each.id()] = each;
  EXPECT_TRUE(stream->Finish().ok());
  ASSERT_EQ(got.size(), 3u);
  EXPECT_EQ(got[1].error().status(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(got[1].error().code(), "not_found");
  EXPECT_THAT(got[2].error().message(), ::testing::HasSubstr("names no operation"));
  EXPECT_EQ(got[3].similarity().scores_size(), 2);
}

TEST_F(grpc_test, a_message_of_too_many_requests_ends_its_stream) {
  grpc::ClientContext context;
  const auto stream = stub->Stream(&context);
  v1::StreamRequest out;
  for (int i = 0; i < 8193; ++i)
    out.add_requests();
  ASSERT_TRUE(stream->Write(out));
  v1::StreamResponse in;
  EXPECT_FALSE(stream->Read(&in));
  const auto status = stream->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), ::testing::HasSubstr("has 8193 requests"));
}

TEST_F(grpc_test, an_answer_does_not_wait_for_one_asked_for_before_it) {
  ASSERT_TRUE(pipe->arm_fault("cpu.launch=1*delay(300)"));
  grpc::ClientContext context;
  const auto stream = stub->Stream(&context);
  v1::StreamRequest out;
  auto& slow = *out.add_requests();
  slow.set_id(1);
  *slow.mutable_similarity() = two_targets();
  auto& refused = *out.add_requests();
  refused.set_id(2);
  *refused.mutable_search() = search_animals();
  refused.mutable_search()->set_k(0);
  ASSERT_TRUE(stream->Write(out));
  stream->WritesDone();
  std::vector<std::uint64_t> order;
  for (v1::StreamResponse in; stream->Read(&in);)
    for (const auto& each : in.responses())
      order.push_back(each.id());
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(order, (std::vector<std::uint64_t>{2, 1}));
}

TEST_F(grpc_test, a_stream_that_is_cut_takes_its_requests_back) {
  ASSERT_TRUE(pipe->arm_fault("cpu.launch=delay(2000)"));
  grpc::ClientContext context;
  const auto stream = stub->Stream(&context);
  v1::StreamRequest out;
  for (int i = 0; i < 10; ++i)
    *out.add_requests()->mutable_similarity() = two_targets();
  ASSERT_TRUE(stream->Write(out));
  while (pipe->counts().accepted < 10)
    std::this_thread::sleep_for(1ms);
  context.TryCancel();
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  for (int i = 0; i < 1000 && pipe->health().in_flight > 0; ++i)
    std::this_thread::sleep_for(1ms);
  EXPECT_EQ(pipe->health().in_flight, 0u);
  EXPECT_EQ(pipe->counts().lost, 0u);
}

TEST_F(grpc_test, a_client_that_fetches_no_answers_is_read_no_further) {
  constexpr std::size_t messages = 4'000, per_message = 250;
  grpc::ClientContext context;
  const auto stream = stub->Stream(&context);
  v1::StreamRequest out;
  for (std::size_t i = 0; i < per_message; ++i)
    *out.add_requests()->mutable_similarity() = two_targets();
  std::jthread writer{[&] {
    for (std::size_t m = 0; m < messages && stream->Write(out); ++m) {
    }
  }};
  // It comes to rest long before all is read.
  std::uint64_t accepted = 0;
  for (int still = 0; still < 20; ++still) {
    std::this_thread::sleep_for(20ms);
    if (std::exchange(accepted, pipe->counts().accepted) != pipe->counts().accepted) still = 0;
  }
  EXPECT_GT(accepted, per_message);
  EXPECT_LT(accepted, messages * per_message / 4);
  context.TryCancel();
  writer.join();
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

// -- life --

TEST_F(grpc_test, a_taken_port_is_an_error_that_names_it) {
  door.grpc_port = grpc_door->port();
  const auto second = engram::grpc_server::start(*pipe, *models, door, *keeper);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ec::unavailable);
  EXPECT_THAT(second.error().message, ::testing::HasSubstr(std::to_string(door.grpc_port)));
}

TEST_F(grpc_test, calls_under_way_are_answered_before_the_door_closes) {
  ASSERT_TRUE(pipe->arm_fault("cpu.launch=1*delay(300)"));
  auto asked = std::async(std::launch::async, [&] {
    grpc::ClientContext context;
    v1::SimilarityResponse out;
    return stub->Similarity(&context, two_targets(), &out).ok();
  });
  while (pipe->counts().accepted == 0)
    std::this_thread::sleep_for(1ms);
  EXPECT_TRUE(grpc_door->stop(5s));
  EXPECT_TRUE(asked.get());
}

} // namespace engram::test
