#include "engram/devices/nvtx.hpp"

#ifdef ENGRAM_HAS_NVTX

#include "engram/base/trace.hpp"

#include <nvtx3/nvToolsExt.h>

#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace engram {

namespace {

class nvtx_sink final : public trace_sink {
public:
  void push(const char* name) noexcept override {
    const auto what = named(name);
    nvtxDomainRangePushEx(domain_, &what);
  }
  void pop() noexcept override { nvtxDomainRangePop(domain_); }
  std::uint64_t begin(const char* name) noexcept override {
    const auto what = named(name);
    return nvtxDomainRangeStartEx(domain_, &what);
  }
  void end(std::uint64_t range) noexcept override { nvtxDomainRangeEnd(domain_, range); }

private:
  static nvtxEventAttributes_t named(const char* name) noexcept {
    nvtxEventAttributes_t what{};
    what.version = NVTX_VERSION;
    what.size = NVTX_EVENT_ATTRIB_STRUCT_SIZE;
    what.messageType = NVTX_MESSAGE_TYPE_ASCII;
    what.message.ascii = name;
    return what;
  }

  nvtxDomainHandle_t domain_ = nvtxDomainCreateA("engram");
};

bool somebody_watches() noexcept {
  if (const char* wanted = std::getenv("ENGRAM_NVTX")) return std::string_view{wanted} == "1";
  // nsys sets both; other tools that listen to NVTX set the first.
  return std::getenv("NVTX_INJECTION64_PATH") || std::getenv("NSYS_PROFILING_SESSION_ID");
}

} // namespace

bool start_nvtx() {
  if (!somebody_watches()) return false;
  static auto* const sink = new nvtx_sink; // never freed: ranges may end while the process ends
  trace_sink* before = nullptr;
  return current_trace_sink.compare_exchange_strong(before, sink) || before == sink;
}

} // namespace engram

#else

namespace engram {

bool start_nvtx() {
  return false;
}

} // namespace engram

#endif
