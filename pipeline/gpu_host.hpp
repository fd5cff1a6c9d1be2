#pragma once

namespace engram {

/// What `engram gpu-host` does: serves a pipeline in another process as a part of one of its GPUs
/// (gpu.isolation = "process"), until that process ends or the GPU is lost to this one. Returns an
/// exit code. Not for people.
int serve_as_gpu_host();

} // namespace engram
