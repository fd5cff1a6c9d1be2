// Substitutes return codes of CUDA calls in programs that know nothing of it. The driver loads this
// library when CUDA_INJECTION64_PATH names it, before the program's first CUDA call is done;
// ENGRAM_CUDA_INJECT_CONFIG names the file with the rules (call_rules.hpp). The calls themselves
// are made, only what they return is changed. With a bad file, or beside a profiler, it says one
// sentence on standard error and leaves everything alone.

#include "engram/tests/gpu/cuda_inject/call_rules.hpp"

#include <cupti.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>

namespace {

using namespace engram;
using namespace engram::inject;

/// Never destroyed: calls come until the process has ended.
struct injection {
  call_rules rules;
  time_point start;
  int log = -1;
};

thread_local thread_calls this_thread;

void say(const std::string& what) {
  std::fprintf(stderr, "cuda_inject: %s Nothing is substituted.\n", what.c_str());
}

void write_down(int file, const char* call, int code) noexcept {
  if (file < 0) return;
  char line[160];
  const int length =
      std::snprintf(line, sizeof line, "%d %s %d\n", static_cast<int>(getpid()), call, code);
  // In one piece, because several processes may share the file. A line that is lost is no trouble.
  if (length > 0) static_cast<void>(!write(file, line, std::strlen(line)));
}

void CUPTIAPI on_call(void* user, CUpti_CallbackDomain domain, CUpti_CallbackId,
                      const void* data) noexcept {
  const auto& call = *static_cast<const CUpti_CallbackData*>(data);
  if (call.callbackSite == CUPTI_API_ENTER) return call_rules::enter(this_thread);
  auto& all = *static_cast<injection*>(user);
  const bool is_runtime = domain == CUPTI_CB_DOMAIN_RUNTIME_API;
  // Both kinds of code are enums of an int.
  auto* code = static_cast<int*>(call.functionReturnValue);
  const auto substitute = all.rules.leave(
      this_thread, is_runtime ? call_api::runtime : call_api::driver,
      call.functionName ? call.functionName : "", code ? *code : -1, clock_type::now() - all.start);
  if (!substitute || !code) return;
  *code = substitute->code;
  if (substitute->by_rule) write_down(all.log, call.functionName, substitute->code);
}

std::optional<std::string> text_of(const char* path) {
  std::ifstream file{path, std::ios::binary};
  std::string text{std::istreambuf_iterator<char>{file}, {}};
  if (!file) return std::nullopt;
  return text;
}

std::string reason(CUptiResult code) {
  const char* text = nullptr;
  cuptiGetResultString(code, &text);
  return text ? text : std::to_string(code);
}

void start() {
  const char* path = std::getenv("ENGRAM_CUDA_INJECT_CONFIG");
  if (!path || !*path) return say("ENGRAM_CUDA_INJECT_CONFIG names no file.");
  const auto text = text_of(path);
  if (!text) return say(std::string{path} + " cannot be read.");
  auto rules = call_rules::parse(*text, static_cast<std::uint64_t>(getpid()));
  if (!rules) return say(std::string{path} + ": " + rules.error().message);

  auto* all = new injection{std::move(*rules), clock_type::now()};
  if (const auto& log = all->rules.log(); !log.empty()) {
    all->log = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (all->log < 0) return say("the log " + log + " cannot be written.");
  }
  CUpti_SubscriberHandle subscriber = nullptr;
  auto code = cuptiSubscribe(&subscriber, on_call, all);
  for (const auto& [api, domain] : {std::pair{call_api::runtime, CUPTI_CB_DOMAIN_RUNTIME_API},
                                    std::pair{call_api::driver, CUPTI_CB_DOMAIN_DRIVER_API}})
    if (code == CUPTI_SUCCESS && all->rules.concern(api))
      code = cuptiEnableDomain(1, subscriber, domain);
  if (code == CUPTI_SUCCESS) return;
  if (subscriber) cuptiUnsubscribe(subscriber);
  say("CUPTI does not hear of calls: " + reason(code) + '.');
}

} // namespace

/// What the driver calls. It takes any result but 1 for an error of its own.
extern "C" __attribute__((visibility("default"))) int InitializeInjection() {
  try {
    start();
  } catch (const std::exception& trouble) {
    say(std::string{trouble.what()} + '.');
  }
  return 1;
}
