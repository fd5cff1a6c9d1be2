#pragma once

namespace engram {

/// From now on what gRPC and protobuf complain about goes into this process' log, and no more to
/// standard error: at level debug, since clients cause it, and 10 lines a second at most. What a
/// library holds for impossible, and gRPC ends the process with, is logged as critical.
void log_libraries();

} // namespace engram
