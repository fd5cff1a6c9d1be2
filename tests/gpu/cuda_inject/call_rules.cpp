#include "engram/tests/gpu/cuda_inject/call_rules.hpp"

#include "engram/replay/random.hpp"

#include <driver_types.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <utility>

namespace engram::inject {

namespace {

using json = nlohmann::json;

struct named_code {
  std::string_view name;
  int code;
};
constexpr std::array named_codes{
    named_code{"cudaErrorInvalidValue", cudaErrorInvalidValue},
    named_code{"cudaErrorMemoryAllocation", cudaErrorMemoryAllocation},
    named_code{"cudaErrorInitializationError", cudaErrorInitializationError},
    named_code{"cudaErrorInvalidConfiguration", cudaErrorInvalidConfiguration},
    named_code{"cudaErrorDevicesUnavailable", cudaErrorDevicesUnavailable},
    named_code{"cudaErrorNoDevice", cudaErrorNoDevice},
    named_code{"cudaErrorECCUncorrectable", cudaErrorECCUncorrectable},
    named_code{"cudaErrorNotReady", cudaErrorNotReady},
    named_code{"cudaErrorIllegalAddress", cudaErrorIllegalAddress},
    named_code{"cudaErrorLaunchOutOfResources", cudaErrorLaunchOutOfResources},
    named_code{"cudaErrorLaunchTimeout", cudaErrorLaunchTimeout},
    named_code{"cudaErrorAssert", cudaErrorAssert},
    named_code{"cudaErrorHardwareStackError", cudaErrorHardwareStackError},
    named_code{"cudaErrorIllegalInstruction", cudaErrorIllegalInstruction},
    named_code{"cudaErrorMisalignedAddress", cudaErrorMisalignedAddress},
    named_code{"cudaErrorLaunchFailure", cudaErrorLaunchFailure},
    named_code{"cudaErrorNotPermitted", cudaErrorNotPermitted},
    named_code{"cudaErrorNotSupported", cudaErrorNotSupported},
    named_code{"cudaErrorSystemNotReady", cudaErrorSystemNotReady},
    named_code{"cudaErrorUnknown", cudaErrorUnknown},
};

constexpr std::string_view get_last_error = "cudaGetLastError";
constexpr std::string_view peek_at_last_error = "cudaPeekAtLastError";

/// What CUPTI tells of and returns no code.
constexpr std::array codeless_calls{std::string_view{"cudaGetErrorString"},
                                    std::string_view{"cudaGetErrorName"},
                                    std::string_view{"cudaCreateChannelDesc"}};

bool returns_a_code(std::string_view plain_name) noexcept {
  return !plain_name.starts_with('_') &&
         std::ranges::find(codeless_calls, plain_name) == codeless_calls.end();
}

call_api api_of(std::string_view call) noexcept {
  const bool is_driver =
      call.size() > 2 && call.starts_with("cu") && call[2] >= 'A' && call[2] <= 'Z';
  return is_driver ? call_api::driver : call_api::runtime;
}

error wrong(const std::string& what) {
  return {ec::invalid_argument, what};
}

} // namespace

std::string_view plain_call_name(std::string_view name) noexcept {
  if (name.starts_with("__cudaLaunchKernel")) name.remove_prefix(2);
  // A version comes before a stream suffix or after it.
  for (int pass = 0; pass < 2; ++pass) {
    for (const std::string_view suffix : {"_ptsz", "_ptds"})
      if (name.ends_with(suffix)) name.remove_suffix(suffix.size());
    const auto version = name.rfind("_v");
    if (version != name.npos && version + 2 < name.size() &&
        name.find_first_not_of("0123456789", version + 2) == name.npos)
      name = name.substr(0, version);
  }
  return name;
}

// -- reading

/// Turns JSON into rules, and says where it does not.
struct call_rules::reader {
  call_rules& into;
  std::uint64_t process;
  std::uint64_t seed = 0;

  using maybe_error = std::optional<error>;

  static maybe_error check_keys(const json& object, const std::string& where,
                                std::initializer_list<std::string_view> known) {
    if (!object.is_object()) return wrong(where + " is no object.");
    for (const auto& [key, unused] : object.items())
      if (std::find(known.begin(), known.end(), key) == known.end())
        return wrong(where + " has the unknown key \"" + key + "\".");
    return std::nullopt;
  }

  /// Reads a number from `lowest` to `highest`, if it is there.
  static maybe_error number(const json& object, const char* key, const std::string& where,
                            double lowest, double highest, double& to) {
    if (!object.contains(key)) return std::nullopt;
    const auto& value = object[key];
    if (value.is_number()) to = value.get<double>();
    if (value.is_number() && to >= lowest && to <= highest) return std::nullopt;
    return wrong(where + ": \"" + key + "\" is " + value.dump() + "; allowed are numbers from " +
                 json(lowest).dump() + " to " + json(highest).dump() + ".");
  }

  maybe_error file(const json& root) {
    if (auto bad = check_keys(root, "the file", {"seed", "seed_by_process", "log", "rules"}))
      return bad;
    double given_seed = 0;
    if (auto bad = number(root, "seed", "the file", 0, 9e15, given_seed)) return bad;
    seed = static_cast<std::uint64_t>(given_seed);
    if (root.contains("seed_by_process")) {
      if (!root["seed_by_process"].is_boolean())
        return wrong("the file: \"seed_by_process\" is neither true nor false.");
      if (root["seed_by_process"].get<bool>()) seed = replay::mix(seed, process);
    }
    if (root.contains("log")) {
      if (!root["log"].is_string()) return wrong("the file: \"log\" is no path.");
      into.log_ = root["log"].get<std::string>();
    }
    if (!root.contains("rules") || !root["rules"].is_array())
      return wrong("the file has no list \"rules\".");
    for (const auto& each : root["rules"])
      if (auto bad = one_rule(each)) return bad;
    return std::nullopt;
  }

  maybe_error one_rule(const json& from) {
    const auto number_of_it = into.rules_.size() + 1;
    const auto where = "rule " + std::to_string(number_of_it);
    if (auto bad =
            check_keys(from, where, {"calls", "error", "percent", "count", "skip", "after_ms"}))
      return bad;
    auto made = std::make_unique<rule>();
    made->seed = replay::mix(seed, number_of_it);
    if (auto bad = calls(from, where, *made)) return bad;
    if (auto bad = code(from, where, *made)) return bad;
    double percent = 100, count = 9e15, skip = 0, after_ms = 0;
    if (auto bad = number(from, "percent", where, 0, 100, percent)) return bad;
    if (auto bad = number(from, "count", where, 0, 9e15, count)) return bad;
    if (auto bad = number(from, "skip", where, 0, 9e15, skip)) return bad;
    if (auto bad = number(from, "after_ms", where, 0, 1e9, after_ms)) return bad;
    made->probability = percent / 100;
    made->count = static_cast<std::uint64_t>(count);
    made->skip = static_cast<std::uint64_t>(skip);
    made->after = from_seconds(after_ms / 1000);
    into.rules_.push_back(std::move(made));
    return std::nullopt;
  }

  static maybe_error calls(const json& from, const std::string& where, rule& to) {
    const auto names = from.value("calls", json{});
    for (const auto& name : names.is_string() ? json::array({names}) : names) {
      if (!name.is_string() || name.get<std::string>().empty())
        return wrong(where + ": \"calls\" has " + name.dump() + ", which is no name of a call.");
      pattern made{name.get<std::string>(), false};
      if (made.text.ends_with('*')) {
        made.text.pop_back();
        made.is_beginning = true;
      }
      if (!made.text.empty() && !made.text.starts_with("cu"))
        return wrong(where + ": no CUDA call is named \"" + name.get<std::string>() + "\".");
      to.calls.push_back(std::move(made));
    }
    if (to.calls.empty()) return wrong(where + " names no \"calls\".");
    return std::nullopt;
  }

  static maybe_error code(const json& from, const std::string& where, rule& to) {
    const auto value = from.value("error", json{});
    if (value.is_number_integer()) {
      to.code = value.get<int>();
    } else if (value.is_string()) {
      const auto name = value.get<std::string>();
      const auto found = std::ranges::find(named_codes, name, &named_code::name);
      if (found != named_codes.end()) to.code = found->code;
    }
    if (to.code > 0) return std::nullopt;
    return wrong(where + ": \"error\" is " + value.dump() +
                 ", neither a number above 0 nor a name such as \"cudaErrorLaunchFailure\".");
  }
};

result<call_rules> call_rules::parse(std::string_view text, std::uint64_t process) {
  const auto root = json::parse(text, nullptr, false, true);
  if (root.is_discarded()) return wrong("the file is no JSON.");
  call_rules rules;
  reader from{rules, process};
  if (auto bad = from.file(root)) return std::move(*bad);
  return rules;
}

// -- deciding

bool call_rules::rule::names(call_api api, std::string_view name) const noexcept {
  return std::ranges::any_of(calls, [&](const pattern& each) {
    if (each.text.empty()) return api == call_api::runtime;
    if (api_of(name) != api) return false;
    return each.is_beginning ? name.starts_with(each.text) : name == each.text;
  });
}

/// Decides about one more call that the rule names.
bool call_rules::rule::fires() noexcept {
  const auto number = looked_at.fetch_add(1, std::memory_order_relaxed);
  if (number < skip) return false;
  if (replay::random_stream{replay::mix(seed, number)}.uniform() >= probability) return false;
  if (substituted.fetch_add(1, std::memory_order_relaxed) < count) return true;
  substituted.fetch_sub(1, std::memory_order_relaxed);
  return false;
}

std::optional<call_rules::substitute> call_rules::leave(thread_calls& thread, call_api api,
                                                        std::string_view name, int code,
                                                        duration since_start) noexcept {
  // The call that loads the library is seen to end and not to begin.
  if (thread.depth > 0) --thread.depth;
  if (thread.depth > 0) return std::nullopt;
  const auto plain = plain_call_name(name);
  if (!returns_a_code(plain)) return std::nullopt;
  const bool asks =
      api == call_api::runtime && (plain == get_last_error || plain == peek_at_last_error);
  const int last_error = asks ? thread.last_error : 0;
  if (asks && plain == get_last_error) thread.last_error = 0;
  const bool succeeded = code == cudaSuccess || code == cudaErrorNotReady;
  if (!succeeded) return std::nullopt;
  if (last_error) return substitute{last_error, false};
  for (const auto& each : rules_) {
    if (since_start < each->after || !each->names(api, plain) || !each->fires()) continue;
    if (api == call_api::runtime && plain != get_last_error) thread.last_error = each->code;
    return substitute{each->code, true};
  }
  return std::nullopt;
}

bool call_rules::concern(call_api api) const noexcept {
  return std::ranges::any_of(rules_, [&](const auto& each) {
    return std::ranges::any_of(each->calls, [&](const pattern& what) {
      // "cu*" begins the names of both.
      return what.text == "cu" ||
             (what.text.empty() ? call_api::runtime : api_of(what.text)) == api;
    });
  });
}

} // namespace engram::inject
