#include "engram/devices/gpu_fault_sites.hpp"

namespace engram {

namespace {

using kind = fault_action::kind;
constexpr fault_tasks batch_tasks{kind::fail, kind::delay, kind::hang, kind::exit};
constexpr fault_tasks launch_tasks{kind::fail, kind::delay, kind::hang, kind::exit,
                                   kind::misbehave};

} // namespace

gpu_fault_sites::gpu_fault_sites(fault_points& faults, std::string_view device,
                                 fault_tasks upload_tasks)
    : alloc(make_fault_site(faults, device, "alloc", "memory of a batch", batch_tasks)),
      upload(make_fault_site(faults, device, "upload", "copy of a dataset to the device",
                             upload_tasks)),
      launch(make_fault_site(faults, device, "launch", "launch of a batch", launch_tasks)),
      complete(make_fault_site(faults, device, "complete", "completion of a batch", batch_tasks)),
      result(make_fault_site(faults, device, "result", "results of a batch: one bit is changed",
                             {kind::corrupt})),
      reset(make_fault_site(faults, device, "reset", "reset of the device, which then stays lost",
                            {kind::fail})) {}

} // namespace engram
