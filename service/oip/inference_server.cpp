#include "engram/service/oip/inference_server.hpp"

#include "engram/service/guarded.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace engram {

/// One inference until all its requests are answered. The pipeline's callbacks keep it.
class inference_server::call : public std::enable_shared_from_this<call> {
public:
  call(inference_server& server, infer_plan plan, done then)
      : server_(server), plan_(std::move(plan)), then_(std::move(then)),
        begin_(server.clock_.now()), answers_(plan_.requests.size()), left_(answers_.size()) {
    tickets_.reserve(answers_.size()); // nothing may fail once the last request is handed over
  }

  void start() {
    auto requests = std::move(plan_.requests);
    for (std::size_t i = 0; i < requests.size(); ++i) {
      auto given =
          server_.pipe_.submit(std::move(requests[i]), [self = shared_from_this(), i](answer a) {
            self->take(i, std::move(a));
          });
      const std::lock_guard lock{mutex_};
      if (is_cancelled_)
        given.cancel();
      else
        tickets_.push_back(std::move(given));
    }
  }

  void cancel() {
    std::vector<engram::ticket> all;
    {
      const std::lock_guard lock{mutex_};
      is_cancelled_ = true;
      all.swap(tickets_);
    }
    for (const auto& each : all)
      each.cancel();
  }

private:
  void take(std::size_t at, answer given) {
    answers_[at] = std::move(given);
    if (left_.fetch_sub(1) == 1) end();
  }

  void end() {
    std::optional<result<infer_response>> response;
    const auto made = guarded([&] {
      server_.statistics_.count(plan_.model, answers_, server_.clock_.now() - begin_,
                                std::chrono::system_clock::now());
      const auto failed = std::ranges::find_if_not(answers_, &answer::ok);
      response = failed == answers_.end() ? finish() : std::move(failed->failure);
    });
    then_(made ? std::move(*response) : made.error());
  }

  result<infer_response> finish() {
    auto out = response_of(plan_, answers_);
    for (auto& each : out.outputs) {
      if (!each.region) continue;
      auto written = server_.regions_.write(*each.region, each.content.bytes);
      if (!written) return written.error();
      each.region->byte_size = each.content.bytes.size();
      each.content.bytes = {};
      each.content.owner.reset();
    }
    return out;
  }

  inference_server& server_;
  infer_plan plan_;
  done then_;
  time_point begin_;
  std::vector<answer> answers_;
  std::atomic<std::size_t> left_;

  std::mutex mutex_;
  bool is_cancelled_ = false;
  std::vector<engram::ticket> tickets_;
};

void inference_server::ticket::cancel() const {
  if (const auto held = call_.lock()) static_cast<call*>(held.get())->cancel();
}

inference_server::ticket inference_server::infer(infer_request in, done then) {
  ticket out;
  auto plan = plan_inference(std::move(in), pipe_);
  if (!plan) {
    then(plan.error());
    return out;
  }
  const auto made = std::make_shared<call>(*this, std::move(*plan), std::move(then));
  out.call_ = made;
  made->start();
  return out;
}

std::vector<std::string> inference_server::extensions() const {
  std::vector<std::string> out{"model_configuration", "statistics", "binary_tensor_data",
                               "model_repository", "parameters"};
  if (options_.shared_memory) out.emplace_back("system_shared_memory");
  return out;
}

} // namespace engram
