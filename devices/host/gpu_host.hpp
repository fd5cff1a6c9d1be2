#pragma once

namespace engram {

/// What `engram gpu-host` does: serves a pipeline's process through the socket `host_socket_fd` as
/// the owner or a runner of one GPU, until that process ends or its own GPU is lost. Returns an
/// exit code.
int run_gpu_host();

/// Exit codes of a child process, for whoever reads a process list.
enum gpu_host_exit { host_exit_fine = 0, host_exit_unusable = 3, host_exit_lost = 4 };

} // namespace engram
