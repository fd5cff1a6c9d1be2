#include "engram/bench/gpu/run_json.hpp"

#include "engram/bench/gpu/derived.hpp"
#include "engram/bench/gpu/statistics.hpp"

#include <nlohmann/json.hpp>

#include <cmath>

namespace engram::bench {

namespace {

using nlohmann::json;

constexpr const char* format_name = "engram gpu_performance_validation";
constexpr int format_version = 1;

json to_json(const time_shares& shares) {
  return {{"kernel_seconds", shares.kernel},
          {"transfer_seconds", shares.transfer},
          {"launch_seconds", shares.launch},
          {"idle_seconds", shares.idle},
          {"total_seconds", shares.total}};
}

json to_json(const case_record& record) {
  json out = {{"name", record.name},       {"family", record.family},  {"title", record.title},
              {"unit", record.unit},       {"size", record.size},      {"seconds", record.seconds},
              {"figures", record.figures}, {"trouble", record.trouble}};
  for (const auto& [which, values] : record.seconds) {
    if (values.empty()) continue;
    out["p50_seconds"][which] = median(values);
    out["p99_seconds"][which] = quantile(values, 0.99);
  }
  if (const auto speedup = speedup_of(record)) out["speedup"] = *speedup;
  if (const auto shares = shares_of(record)) out["shares"] = to_json(*shares);
  return out;
}

std::string_view name_of(break_even::kind kind) {
  using enum break_even::kind;
  return kind == at ? "at" : kind == always ? "always" : kind == never ? "never" : "unknown";
}

json family_json(const run_record& run, const std::string& family) {
  const auto even = break_even_of(run, family);
  json out = {{"family", family},
              {"break_even", {{"kind", name_of(even.what)}, {"size", even.size}}}};
  if (const auto shares = shares_of_family(run, family)) out["shares"] = to_json(*shares);
  return out;
}

case_record case_from(const json& in) {
  case_record record;
  in.at("name").get_to(record.name);
  in.at("family").get_to(record.family);
  in.at("title").get_to(record.title);
  in.at("unit").get_to(record.unit);
  in.at("size").get_to(record.size);
  in.at("seconds").get_to(record.seconds);
  in.at("figures").get_to(record.figures);
  in.at("trouble").get_to(record.trouble);
  return record;
}

run_record run_from(const json& in) {
  run_record run;
  in.at("version").get_to(run.version);
  in.at("commit").get_to(run.commit);
  in.at("taken").get_to(run.taken);
  const auto& machine = in.at("machine");
  machine.at("processor").get_to(run.processor);
  machine.at("cores").get_to(run.cores);
  machine.at("cores_used_by_others").get_to(run.cores_used_by_others);
  machine.at("kernel").get_to(run.kernel);
  machine.at("compiler").get_to(run.compiler);
  machine.at("instruction_set").get_to(run.instruction_set);
  const auto& gpu = in.at("gpu");
  gpu.at("name").get_to(run.gpu.name);
  gpu.at("model").get_to(run.gpu.model);
  gpu.at("driver").get_to(run.gpu.driver);
  gpu.at("memory_bytes").get_to(run.gpu.memory_bytes);
  gpu.at("simulated").get_to(run.gpu.simulated);
  for (const auto& each : in.at("cases"))
    run.cases.push_back(case_from(each));
  return run;
}

/// Returns what no run of ours can have left; empty if all is plausible.
std::string implausible(const run_record& run) {
  for (const auto& record : run.cases)
    for (const auto& [which, values] : record.seconds)
      for (const double value : values)
        if (!std::isfinite(value) || value < 0)
          return record.name + " has a time of \"" + which + "\" below 0";
  return {};
}

error wrong(const std::string& what) {
  return {ec::invalid_argument, what};
}

} // namespace

std::string to_json(const run_record& run) {
  json out = {{"format", format_name},
              {"format_version", format_version},
              {"version", run.version},
              {"commit", run.commit},
              {"taken", run.taken},
              {"machine",
               {{"processor", run.processor},
                {"cores", run.cores},
                {"cores_used_by_others", run.cores_used_by_others},
                {"kernel", run.kernel},
                {"compiler", run.compiler},
                {"instruction_set", run.instruction_set}}},
              {"gpu",
               {{"name", run.gpu.name},
                {"model", run.gpu.model},
                {"driver", run.gpu.driver},
                {"memory_bytes", run.gpu.memory_bytes},
                {"simulated", run.gpu.simulated}}},
              {"cases", json::array()},
              {"families", json::array()}};
  for (const auto& record : run.cases)
    out["cases"].push_back(to_json(record));
  for (const auto& family : families_of(run))
    out["families"].push_back(family_json(run, family));
  return out.dump(1, ' ', false, json::error_handler_t::replace) + '\n';
}

result<run_record> run_from_json(std::string_view text) {
  try {
    const auto in = json::parse(text);
    if (!in.is_object() || in.value("format", "") != format_name)
      return wrong("it was not written by this program");
    if (in.at("format_version") != format_version)
      return wrong("it has format version " + in.at("format_version").dump() + ", not " +
                   std::to_string(format_version));
    auto run = run_from(in);
    if (const auto trouble = implausible(run); !trouble.empty()) return wrong(trouble);
    return run;
  } catch (const json::parse_error& trouble) {
    return wrong("it is no JSON from byte " + std::to_string(trouble.byte) + " on");
  } catch (const json::exception& trouble) {
    return wrong(std::string{"a part of it is missing or of the wrong type: "} + trouble.what());
  }
}

} // namespace engram::bench
