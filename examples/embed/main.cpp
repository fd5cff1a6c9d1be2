// Engram inside a program: start a pipeline, publish vectors, ask in the three ways there are.

#include "engram/datasets/vector_collection.hpp"
#include "engram/pipeline/pipeline.hpp"

#include <coroutine>
#include <cstdio>
#include <exception>
#include <future>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace engram;

constexpr std::size_t dim = 3;

/// Four colours as [red, green, blue], with their names as labels.
result<collection_ptr> make_colours() {
  const std::vector<float> rows{1.0f, 0.0f, 0.0f,  //
                                1.0f, 0.5f, 0.0f,  //
                                0.0f, 0.2f, 1.0f,  //
                                0.5f, 0.5f, 0.5f}; //
  return vector_collection::make({rows.data(), rows.size() / dim, dim}, element_type::f32,
                                 {"red", "orange", "blue", "grey"});
}

search_request nearest_to(std::vector<float> colour) {
  return {.collection = "colours", .queries = std::move(colour), .k = 2, .options = {}};
}

/// Prints the labels and scores of an answer; returns false if it is an error.
bool print(const char* way, const answer& got, const collection_ptr& colours) {
  if (!got.ok()) {
    std::fprintf(stderr, "%s: %s\n", way, got.failure.message.c_str());
    return false;
  }
  std::printf("%s:", way);
  for (const hit& h : got.output.hits)
    std::printf(" %s %.3f", std::string{colours->label(h.id)}.c_str(),
                static_cast<double>(h.score));
  std::printf("  (on %s)\n", got.trace.device.c_str());
  return true;
}

/// The least coroutine that can wait for an answer and hand it to somebody who blocks.
struct task {
  struct promise_type {
    std::promise<answer> outcome;
    task get_return_object() { return {outcome.get_future()}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_value(answer got) { outcome.set_value(std::move(got)); }
    void unhandled_exception() { outcome.set_exception(std::current_exception()); }
  };
  std::future<answer> outcome;
};

task ask(pipeline& pipe, search_request what) {
  // Goes on, on a thread of the pipeline, when the answer is there.
  answer got = co_await pipe.ask(std::move(what));
  co_return got;
}

int run() {
  auto started = pipeline::start();
  if (!started) {
    std::fprintf(stderr, "start: %s\n", started.error().message.c_str());
    return 1;
  }
  pipeline& pipe = **started;

  auto colours = make_colours();
  if (!colours) {
    std::fprintf(stderr, "colours: %s\n", colours.error().message.c_str());
    return 1;
  }
  if (auto published = pipe.publish("colours", *colours); !published) {
    std::fprintf(stderr, "publish: %s\n", published.error().message.c_str());
    return 1;
  }

  bool fine = print("by future", pipe.submit(nearest_to({0.9f, 0.1f, 0.0f})).get(), *colours);

  std::promise<answer> called_back;
  pipe.submit(nearest_to({0.0f, 0.0f, 1.0f}),
              [&called_back](answer got) { called_back.set_value(std::move(got)); });
  fine &= print("by callback", called_back.get_future().get(), *colours);

  fine &= print("by co_await", ask(pipe, nearest_to({1.0f, 1.0f, 1.0f})).outcome.get(), *colours);

  pipe.stop();
  return fine ? 0 : 1;
}

} // namespace

int main() {
  return run();
}
