#pragma once

#include "engram/devices/nvml.hpp"

#include <string>

namespace engram {

class json_writer;

/// Returns what is known of a GPU's state for a person to read, a line a subject; "-" is unknown.
std::string reading_text(const gpu_reading& gpu);

/// Writes what is known of a GPU's state as an object; what is unknown is left out.
void write_reading(json_writer& out, const gpu_reading& gpu);

} // namespace engram
