#pragma once

/// The one table of configuration keys. Parsing, the environment, flags, checks, `config show` and
/// the documentation are all driven by it; a new knob is a member in options.hpp and a row here.

#include "engram/config/options.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace engram::config {

/// What a key can hold. Integers are 64 bits wide here; the range in the table keeps them inside
/// the member's type.
using value = std::variant<bool, std::int64_t, double, std::string, std::vector<std::string>>;

/// The alternatives of `value`, in its order.
enum class kind : std::uint8_t { boolean, integer, number, string, list };

/// Says what is wrong with a text (a list of one) or with a list, as in "KEY = VALUE <answer>";
/// nothing when it is usable.
using text_rule = std::optional<std::string> (*)(const std::vector<std::string>&);

/// Which values a key takes: a closed range for numbers, words and a rule for texts and lists.
struct limits {
  double lowest = 0;
  double highest = 0;
  std::string_view words{};
  text_rule rule = nullptr;
  bool takes_integers = false; ///< a list whose entries may be written as integers
};

/// How a key's member of `options` is read and written.
struct member {
  kind type;
  value (*get)(const options&);
  void (*set)(options&, const value&);
};

struct key {
  std::string_view section; ///< "gpu.thresholds"
  std::string_view name;    ///< "gpu_speedup_threshold"
  member bound;
  limits allowed;
  std::string_view meaning;
  bool live = false;                       ///< a reload may change it without a restart
  std::vector<std::string_view> aliases{}; ///< other names in the same section

  /// Returns section and name: "gpu.thresholds.gpu_speedup_threshold".
  std::string path() const;
};

/// Returns every key; those of a section stand together, a section before its subsections.
const std::vector<key>& keys();

/// Returns the key of that path, or nullptr; aliases are not looked at.
const key* find_key(std::string_view path);

/// Says whether `path` is a section, or the beginning of one.
bool is_section(std::string_view path);

/// Says what is wrong with a value of the right type, as in "KEY = VALUE <answer>"; nothing when it
/// is allowed.
std::optional<std::string> misfit(const key& which, const value& what);

/// Returns what a key takes: "1..32", "true, false", "\"process\", \"none\" or \"\"".
std::string allowed_text(const key& which);

/// Two keys of which the first must not be above the second.
struct ordered_pair {
  std::string_view lower;
  std::string_view upper;
};
const std::vector<ordered_pair>& ordered_pairs();

/// Says that the values of a pair are in the wrong order; nothing when they are not.
std::optional<std::string> disorder(const ordered_pair& pair, const options& values);

} // namespace engram::config
