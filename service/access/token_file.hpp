#pragma once

#include "engram/base/error.hpp"
#include "engram/service/access/role.hpp"

#include <array>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace engram {

/// A token as it is kept: by its SHA-256 alone.
struct access_token {
  role grants = role::query;
  std::string name; ///< what the log and the limits call its bearer
  std::array<unsigned char, 32> digest{};
};

/// Who may do what, read from a file with one token a line:
///
///   # comment
///   ROLE TOKEN [NAME]
///
/// ROLE is `query` or `admin`, and `admin` may query too. TOKEN has 32 to 256 characters of those
/// that RFC 6750 allows. NAME is one word; without it the bearer is called after the line, `line3`.
/// No token and no name comes twice. Immutable and so thread-safe.
class token_file {
public:
  static constexpr std::size_t shortest_token = 32;

  /// Refuses a file that others than its owner and group may read or that more than its owner may
  /// change. Errors name file and line and never show what stands where a token should.
  static result<token_file> read(const std::filesystem::path& file);
  /// The same from text; `name` stands for the file in errors.
  static result<token_file> parse(std::string_view text, const std::string& name);

  /// Returns the entry of a token, nullptr if there is none. The time it takes says nothing about
  /// the tokens of the file.
  const access_token* find(std::string_view token) const;
  std::size_t size() const noexcept { return tokens_.size(); }

private:
  std::vector<access_token> tokens_;
};

} // namespace engram
