// What the gRPC door carries, beside a bare gRPC server that answers with messages of the same size
// and computes nothing. Server and load generator share this machine and this process; the rounds
// of both alternate.
//
//   unary      calls, a fixed number under way
//   stream     one request a message
//   batches    many requests a message
//   latency    batches at a steady rate: from when a message was due to when its answers are there,
//              and how much of it passed outside the pipeline
//
//   bench_grpc [--rounds N] [--seconds S] [--concurrency N] [--per-message N] [--rate N] [--only
//   NAME]

#include "engram/pipeline/pipeline.hpp"
#include "engram/service/grpc/grpc_server.hpp"

#include <CLI/CLI.hpp>
#include <grpcpp/create_channel.h>
#include <grpcpp/server_builder.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "echo_service.hpp"
#include "grpc_load.hpp"

namespace {

using namespace engram;
using namespace engram::bench;

struct settings {
  int rounds = 5;
  double seconds = 2;
  std::size_t concurrency = 64;
  std::size_t per_message = 64;
  double rate = 150'000;
  std::string only;
};

/// Three scores of eight numbers.
v1::SimilarityRequest tiny(bool omit_trace) {
  v1::SimilarityRequest out;
  const std::vector<float> query(8, 0.5f), targets(24, 0.25f);
  out.mutable_query()->mutable_values()->Add(query.begin(), query.end());
  out.mutable_targets()->mutable_values()->Add(targets.begin(), targets.end());
  out.mutable_options()->set_omit_trace(omit_trace);
  return out;
}

std::unique_ptr<v1::Engram::Stub> connect(int port) {
  return v1::Engram::NewStub(
      grpc::CreateChannel("127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials()));
}

v1::SimilarityResponse one_answer(v1::Engram::Stub& stub, const v1::SimilarityRequest& what) {
  grpc::ClientContext context;
  v1::SimilarityResponse out;
  if (const auto status = stub.Similarity(&context, what, &out); !status.ok()) {
    std::fprintf(stderr, "bench_grpc: %s\n", status.error_message().c_str());
    std::exit(3);
  }
  return out;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// Prints what both carried.
void compare(const char* name, const settings& s, v1::Engram::Stub& echo, v1::Engram::Stub& engram,
             const std::function<load_result(v1::Engram::Stub&)>& load) {
  if (!s.only.empty() && s.only != name) return;
  std::vector<double> theirs, ours;
  std::uint64_t failed = 0;
  for (int round = 0; round < s.rounds; ++round) {
    const auto a = load(echo), b = load(engram);
    theirs.push_back(a.requests_per_second);
    ours.push_back(b.requests_per_second);
    failed += a.failed + b.failed;
  }
  const auto [low, high] = std::minmax_element(ours.begin(), ours.end());
  std::printf("%-8s  engram %8.0f/s (%.0f..%.0f)   echo %8.0f/s   %5.1f %%   failed %llu\n", name,
              median(ours), *low, *high, median(theirs), 100 * median(ours) / median(theirs),
              static_cast<unsigned long long>(failed));
  std::fflush(stdout);
}

void print_latency(const settings& s, v1::Engram::Stub& stub) {
  if (!s.only.empty() && s.only != "latency") return;
  for (int round = 0; round < s.rounds; ++round) {
    paced_result out;
    paced_stream_load(stub, tiny(false), s.per_message, s.rate, s.seconds, out);
    const auto us = [](std::uint64_t ns) { return static_cast<double>(ns) / 1e3; };
    std::printf("latency   %8.0f/s   p50 %6.0f us  p99 %6.0f us   outside the pipeline p50 %6.0f "
                "us  p99 %6.0f us   failed %llu\n",
                out.load.requests_per_second, us(out.response.quantile(0.5)),
                us(out.response.quantile(0.99)), us(out.outside.quantile(0.5)),
                us(out.outside.quantile(0.99)), static_cast<unsigned long long>(out.load.failed));
    std::fflush(stdout);
  }
}

int run(const settings& s) {
  pipeline_options options;
  options.gpu.enabled = false;
  options.batching.max_wait_ms = 0;
  auto pipe = pipeline::start(options);
  if (!pipe) {
    std::fprintf(stderr, "bench_grpc: %s\n", pipe.error().message.c_str());
    return 3;
  }
  server_options door;
  door.grpc_port = 0;
  engram::inference_server models{**pipe, {}, door.max_body_bytes};
  auto keeper = engram::doorkeeper::make(door, std::chrono::system_clock::now());
  if (!keeper) {
    std::fprintf(stderr, "bench_grpc: %s\n", keeper.error().message.c_str());
    return 3;
  }
  auto server = engram::grpc_server::start(**pipe, models, door, **keeper);
  if (!server) {
    std::fprintf(stderr, "bench_grpc: %s\n", server.error().message.c_str());
    return 3;
  }
  const auto engram = connect((*server)->port());
  const auto what = tiny(true);
  engram::bench::echo_service service{one_answer(*engram, what)};
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  const auto bare = builder.BuildAndStart();
  const auto echo = connect(port);
  one_answer(*echo, what);

  compare("unary", s, *echo, *engram,
          [&](auto& stub) { return unary_load(stub, what, s.concurrency, s.seconds); });
  compare("stream", s, *echo, *engram, [&](auto& stub) {
    return stream_load(stub, what, {1, s.concurrency}, s.seconds);
  });
  compare("batches", s, *echo, *engram, [&](auto& stub) {
    return stream_load(stub, what, {s.per_message, 32 * s.per_message}, s.seconds);
  });
  print_latency(s, *engram);
  bare->Shutdown();
  (*server)->stop();
  return 0;
}

} // namespace

int main(int argc, char** argv) {
  settings s;
  CLI::App app{"What the gRPC door carries, beside a bare gRPC server"};
  app.add_option("--rounds", s.rounds, "of each case")->capture_default_str();
  app.add_option("--seconds", s.seconds, "a round takes")->capture_default_str();
  app.add_option("--concurrency", s.concurrency, "requests under way in unary and stream")
      ->capture_default_str();
  app.add_option("--per-message", s.per_message, "requests in a message of batches and latency")
      ->capture_default_str();
  app.add_option("--rate", s.rate, "requests a second in latency")->capture_default_str();
  app.add_option("--only", s.only, "one case: unary, stream, batches or latency");
  CLI11_PARSE(app, argc, argv);
  return run(s);
}
