#include "engram/tests/simulation/observed_device.hpp"

#include <algorithm>
#include <utility>

namespace engram::simulation {

void observed_device::run(work_batch_ptr batch, run_done done) {
  watcher_.on_begin(index_, batch);
  if (!is_paced_)
    return inner_->run(batch, [this, batch, done = std::move(done)](run_outcome outcome) {
      end(batch, std::move(outcome), done);
    });

  inner_->run(batch, [&](run_outcome outcome) {
    const auto took = pace_.seconds_each + pace_.seconds_per_work * batch->work();
    outcome.times.kernel_seconds = outcome.times.device_seconds = took;
    free_at_ = std::max(free_at_, clock_.now()) + from_seconds(took);
    clock_.call_at(free_at_, [this, batch, done, outcome = std::move(outcome)]() mutable {
      end(batch, std::move(outcome), done);
    });
  });
}

void observed_device::end(const work_batch_ptr& batch, run_outcome outcome, const run_done& done) {
  watcher_.on_end(index_, batch, outcome);
  done(std::move(outcome));
}

} // namespace engram::simulation
