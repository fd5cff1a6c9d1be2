#pragma once

/// The ways to write a key.
///
/// A file uses the dotted path, with the name or an alias: `gpu.gpu_min_batch_size`,
/// `gpu.min_batch_size`. A flag uses the same, or the last part alone where only one key has it:
/// `max_wait_ms`. A variable is ENGRAM_ and any spelling of a flag in capitals with `_` for `.`.

#include "engram/config/keys.hpp"

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace engram::config {

/// Spelling -> the key it means; several keys where it is ambiguous.
using spellings = std::map<std::string, std::vector<const key*>, std::less<>>;

const spellings& file_spellings();
const spellings& flag_spellings();
const spellings& variable_spellings();

/// Returns the variable to recommend: the name alone where it is unique, else with its section.
std::string variable_of(const key& which);

/// Says whether an ENGRAM_ variable belongs to another part of Engram and is no key.
bool is_other_variable(std::string_view variable);

/// Returns what `name` was probably meant to be, or "" when nothing is near.
std::string nearest(std::string_view name, const std::vector<std::string>& candidates);

/// Returns the unambiguous spellings, as candidates for `nearest`.
std::vector<std::string> candidates_of(const spellings& all);

} // namespace engram::config
