#pragma once

/// Reads the tables of a scenario file and remembers what is wrong with them. Private to replay/.

#include "engram/base/clock.hpp"
#include "engram/config/toml_library.hpp"
#include "engram/replay/scenario.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace engram::replay {

/// The mistakes found so far, one line each, in the order of the file.
class mistakes {
public:
  explicit mistakes(std::string file) : file_(std::move(file)) {}

  void add(unsigned line, const std::string& what);
  /// Adds text that has its place in front already.
  void add_placed(std::string text);
  bool empty() const noexcept { return found_.empty(); }
  error as_error() const;

private:
  struct mistake {
    unsigned line;
    std::string text;
  };
  std::string file_;
  std::vector<mistake> found_;
};

/// Reads the keys of one table by name. A key that is missing gives its default; one that is wrong
/// is noted and gives its default too; one that nobody asked for is noted by `finish`.
class table_reader {
public:
  /// `path` stands before the keys in messages: "" or "load.".
  table_reader(const toml::table& table, std::string path, unsigned line, mistakes& into);

  std::string text(std::string_view key, std::string_view fallback);
  /// As `text`, but the key must be there and not be empty.
  std::string required_text(std::string_view key, std::string_view allowed);
  double number(std::string_view key, double lowest, double highest,
                std::optional<double> fallback);
  std::uint64_t integer(std::string_view key, std::uint64_t lowest, std::uint64_t highest,
                        std::optional<std::uint64_t> fallback);
  std::int64_t signed_integer(std::string_view key, std::int64_t lowest, std::int64_t highest,
                              std::int64_t fallback);
  duration time(std::string_view key, duration lowest, duration highest,
                std::optional<duration> fallback);
  /// As `time`, for a key that may be absent.
  std::optional<duration> optional_time(std::string_view key, duration lowest, duration highest);
  /// A number or "LOWEST..HIGHEST".
  count_range range(std::string_view key, std::uint32_t highest, count_range fallback);
  /// Returns the position of the word in `words`.
  std::size_t choice(std::string_view key, const std::vector<std::string_view>& words,
                     std::optional<std::size_t> fallback);

  bool has(std::string_view key) const { return table_.contains(key); }
  /// Returns the line of `key`, or of the table when it is not there.
  unsigned line_of(std::string_view key) const;
  /// Returns the table or array of tables of that name, if it is there; `shape` is how to write it.
  const toml::table* table(std::string_view key, std::string_view shape);
  const toml::array* tables(std::string_view key, std::string_view shape);
  /// Notes "KEY = VALUE WHY" for a key that is there.
  void reject(std::string_view key, const std::string& why);
  /// Notes that a key is missing.
  void missing(std::string_view key, std::string_view allowed);
  /// Notes every key that was not asked for; `kind` says of what it is no key.
  void finish(std::string_view kind);

private:
  const toml::node* ask(std::string_view key);

  const toml::table& table_;
  std::string path_;
  unsigned line_;
  mistakes& mistakes_;
  std::vector<std::string> known_;
};

/// Returns a value as TOML text on one line, shortened.
std::string shown(const toml::node& node);

} // namespace engram::replay
