#pragma once

/// Batches and their outputs as bytes in memory that two processes share.

#include "engram/devices/work.hpp"

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <vector>

namespace engram {

/// Writes `batch` to `memory` (64-byte aligned) and returns the bytes taken; nothing if they are
/// too few. Neighbours with the same options become one payload.
std::optional<std::size_t> write_batch(const work_batch& batch, std::span<std::byte> memory);

/// Returns what `write_batch` wrote. Queries and targets stay where they are, so `memory` has to
/// outlive the batch. `find` returns the dataset of a key. Nothing if the bytes are no batch.
std::optional<work_batch> read_batch(std::span<const std::byte> memory,
                                     const std::function<dataset_ptr(std::uint64_t)>& find);

/// Writes the outputs of a batch; nothing if `memory` is too small.
std::optional<std::size_t> write_outputs(const std::vector<item_output>& outputs,
                                         std::span<std::byte> memory);

/// Returns what `write_outputs` wrote for `batch`. Nothing if the bytes, whatever they are, are no
/// outputs or have not the shapes that answers to this batch have.
std::optional<std::vector<item_output>> read_outputs(std::span<const std::byte> memory,
                                                     const work_batch& batch);

} // namespace engram
