#pragma once

#include "engram/devices/fault_injection.hpp"

#include <string_view>

namespace engram {

/// Where trouble can be made in a GPU, whatever drives it: "gpu0.alloc", ".upload", ".launch",
/// ".complete", ".result" and ".reset", with what each means and can be told to do. Pass what
/// uploads can be told where it differs.
struct gpu_fault_sites {
  gpu_fault_sites(fault_points& faults, std::string_view device,
                  fault_tasks upload_tasks = {fault_action::kind::fail, fault_action::kind::exit});

  fault_site alloc, upload, launch, complete, result, reset;
};

} // namespace engram
