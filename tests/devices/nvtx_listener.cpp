// A stand-in for a profiler: NVTX loads it and tells it of every range. It writes down what it
// hears.

#include <nvtx3/nvToolsExt.h>

#include <cstdint>
#include <string>

namespace {

std::string heard;

nvtxDomainHandle_t create_domain(const char* name) {
  heard += std::string{"domain "} + name + "\n";
  return reinterpret_cast<nvtxDomainHandle_t>(&heard);
}

std::string line(const char* what, nvtxDomainHandle_t domain,
                 const nvtxEventAttributes_t* attributes) {
  const bool whole = domain == reinterpret_cast<nvtxDomainHandle_t>(&heard) &&
                     attributes->messageType == NVTX_MESSAGE_TYPE_ASCII;
  return whole ? std::string{what} + " " + attributes->message.ascii + "\n" : "wrong\n";
}

int push(nvtxDomainHandle_t domain, const nvtxEventAttributes_t* attributes) {
  heard += line("push", domain, attributes);
  return 0;
}

int pop(nvtxDomainHandle_t) {
  heard += "pop\n";
  return 0;
}

nvtxRangeId_t start(nvtxDomainHandle_t domain, const nvtxEventAttributes_t* attributes) {
  heard += line("start", domain, attributes);
  return 42;
}

void end(nvtxDomainHandle_t, nvtxRangeId_t range) {
  heard += "end " + std::to_string(range) + "\n";
}

template <class Function>
void hook(NvtxFunctionTable table, NvtxCallbackIdCore2 which, Function* function) {
  *table[which] = reinterpret_cast<NvtxFunctionPointer>(function);
}

} // namespace

// What NVTX looks up in the library that NVTX_INJECTION64_PATH names.
extern "C" int InitializeInjectionNvtx2(NvtxGetExportTableFunc_t export_table) {
  const auto* callbacks =
      static_cast<const NvtxExportTableCallbacks*>(export_table(NVTX_ETID_CALLBACKS));
  NvtxFunctionTable table = nullptr;
  unsigned size = 0;
  if (!callbacks || !callbacks->GetModuleFunctionTable(NVTX_CB_MODULE_CORE2, &table, &size) ||
      size <= NVTX_CBID_CORE2_DomainCreateA)
    return 0;
  hook(table, NVTX_CBID_CORE2_DomainCreateA, create_domain);
  hook(table, NVTX_CBID_CORE2_DomainRangePushEx, push);
  hook(table, NVTX_CBID_CORE2_DomainRangePop, pop);
  hook(table, NVTX_CBID_CORE2_DomainRangeStartEx, start);
  hook(table, NVTX_CBID_CORE2_DomainRangeEnd, end);
  return 1;
}

extern "C" const char* nvtx_listener_heard() {
  return heard.c_str();
}
