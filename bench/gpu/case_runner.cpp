#include "engram/bench/gpu/case_runner.hpp"

#include "engram/bench/gpu/pipeline_case.hpp"
#include "engram/bench/gpu/statistics.hpp"

#include <utility>

namespace engram::bench {

namespace {

// Different inputs that a case goes round.
constexpr std::size_t input_sets = 8;
// Hops of the short run that a dense hop's marginal time is taken from: the first of them still
// fills the frontier.
constexpr std::uint32_t short_hops = 2;

result<void> success_or(const result<device_samples>& samples) {
  if (!samples) return samples.error();
  return {};
}

} // namespace

case_runner::~case_runner() {
  vacate();
}

void case_runner::vacate() {
  if (resident_) devices_.gpu->retire(resident_->key);
  resident_.reset();
}

result<dataset_ptr> case_runner::prepare(const work_shape& shape) {
  auto data = shelf_.get(shape);
  if (!data || !*data || *data == resident_) return data;
  vacate();
  if (auto published = devices_.gpu->publish(*data); !published) return published.error();
  resident_ = *data;
  return data;
}

result<void> case_runner::add_gpu(const work_shape& shape, const dataset_ptr& data,
                                  case_record& into, std::vector<item_output>& first_answer) {
  const auto batches = make_batches(shape, data, input_sets);
  auto gpu = measure_device(*devices_.gpu, batches, settings_.limits);
  if (!gpu) return success_or(gpu);
  into.seconds["gpu"] = std::move(gpu->wall);
  into.seconds["transfer"] = std::move(gpu->transfer);
  into.seconds["kernel"] = std::move(gpu->kernel);
  into.seconds["device"] = std::move(gpu->device);
  first_answer = std::move(gpu->first_answer);
  return {};
}

result<void> case_runner::compare(const bench_case& what, case_record& into) {
  const auto data = prepare(what.work);
  if (!data) return data.error();
  std::vector<item_output> gpu_answer;
  auto done = add_gpu(what.work, *data, into, gpu_answer);
  if (settings_.skip_cpu) return done;
  auto cpu =
      measure_device(*devices_.cpu, make_batches(what.work, *data, input_sets), settings_.limits);
  if (!cpu) return success_or(cpu);
  into.seconds["cpu"] = std::move(cpu->wall);
  if (done && cpu->first_answer != gpu_answer)
    return error{ec::internal, "the GPU's answer is not the CPU's"};
  return done;
}

/// Takes a long and a short run. The whole time over the hops has the seeding and the selection in
/// it, their difference over the hops between them has dense hops only.
result<void> case_runner::hop(const bench_case& what, case_record& into) {
  const auto data = prepare(what.work);
  if (!data) return data.error();
  std::vector<item_output> answer;
  auto shape = what.work;
  shape.spread.max_hops = short_hops;
  if (auto done = add_gpu(shape, *data, into, answer); !done) return done;
  const double before = median(into.seconds["kernel"]);
  if (auto done = add_gpu(what.work, *data, into, answer); !done) return done;
  const double kernel = median(into.seconds["kernel"]);
  const auto hops = what.work.spread.max_hops;
  for (const auto taken : answer.front().hops)
    if (taken != hops) return error{ec::internal, "the frontier died out before the last hop"};
  into.figures["kernel_seconds_per_hop"] = kernel / hops;
  into.figures["marginal_kernel_seconds_per_hop"] = (kernel - before) / (hops - short_hops);
  return {};
}

case_record case_runner::run(const bench_case& what) {
  case_record record{.name = what.name,
                     .family = what.family,
                     .title = what.title,
                     .unit = what.unit,
                     .size = what.size,
                     .seconds = {},
                     .figures = {},
                     .trouble = {}};
  result<void> done;
  if (what.kind == case_kind::compare)
    done = compare(what, record);
  else if (what.kind == case_kind::hop)
    done = hop(what, record);
  else {
    vacate(); // the pipeline has a GPU device of its own
    done = run_pipeline_case(what, settings_, shelf_, record);
  }
  if (!done) record.trouble = done.error().message;
  return record;
}

} // namespace engram::bench
