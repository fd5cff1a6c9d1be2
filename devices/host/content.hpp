#pragma once

/// A dataset on its way to another process: its shape in a message, its content in shared memory.

#include "engram/base/error.hpp"
#include "engram/datasets/dataset.hpp"
#include "engram/devices/host/handles.hpp"
#include "engram/devices/host/message.hpp"

#include <memory>

namespace engram {

/// Writes key, name, version and shape of `data` into `message`.
void put_outline(const dataset& data, host_message& message);

/// Returns the dataset that `put_outline` described: with the content in `content` (which it
/// keeps), or, without one, its shape alone. `invalid_argument` if they do not fit together.
result<dataset_ptr> take_outline(const host_message& message,
                                 std::shared_ptr<const shared_memory> content);

/// Copies what a device needs of `data` (no labels) to shared memory.
result<shared_memory> copy_content(const dataset& data);

} // namespace engram
