#include "engram/replay/target.hpp"

namespace engram::replay {

namespace {

class pipeline_target final : public replay_target {
public:
  explicit pipeline_target(pipeline& pipe) : pipe_(pipe) {}

  std::string description() const override { return "in-process pipeline"; }
  void send(request what, std::function<void(answer)> done) override {
    pipe_.submit(std::move(what), std::move(done));
  }
  result<void> arm_fault(std::string_view setting) override { return pipe_.arm_fault(setting); }
  result<void> check_fault(std::string_view setting) const override {
    return pipe_.check_fault(setting);
  }
  std::vector<fault_points::site_info> faults() const override { return pipe_.faults(); }
  health_report health() const override { return pipe_.health(); }
  std::vector<pipeline_event> events(std::uint64_t after) const override {
    return pipe_.events(after);
  }
  std::optional<pipeline_counts> counts() const override { return pipe_.counts(); }
  void stop(std::chrono::milliseconds drain) override { pipe_.stop(drain); }

private:
  pipeline& pipe_;
};

} // namespace

std::unique_ptr<replay_target> make_pipeline_target(pipeline& pipe) {
  return std::make_unique<pipeline_target>(pipe);
}

} // namespace engram::replay
