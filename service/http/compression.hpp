#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <streambuf>
#include <string>
#include <string_view>

namespace engram {

/// The codings of HTTP that are understood.
enum class content_coding { gzip, deflate };

/// Returns the coding that a Content-Encoding names; nothing for another one.
std::optional<content_coding> coding_named(std::string_view name) noexcept;
/// Returns "gzip" or "deflate".
std::string_view name_of(content_coding coding) noexcept;

/// Returns the coding that an Accept-Encoding likes best, gzip among equals; nothing if it likes
/// none of ours, or an answer as it is better.
std::optional<content_coding> preferred_coding(std::string_view accept_encoding) noexcept;

/// Returns `text` compressed, fast rather than small.
std::string compress(content_coding coding, std::string_view text);

/// Decompresses what `source` brings, as far as `limit` bytes. Whatever the coding was said to be,
/// gzip and zlib are told apart by their first bytes.
class inflated_body final : public std::streambuf {
public:
  inflated_body(std::streambuf& source, std::uint64_t limit);
  ~inflated_body() override;

  /// More comes out of it than the limit.
  bool is_too_large() const noexcept { return too_large_; }
  /// It is no gzip or zlib data, or ends before its end.
  bool is_broken() const noexcept { return broken_; }

protected:
  int_type underflow() override;

private:
  struct state; ///< not on the stack: CivetWeb's threads have little of it
  std::streambuf& source_;
  std::uint64_t limit_;
  std::unique_ptr<state> state_;
  std::uint64_t written_ = 0;
  bool too_large_ = false;
  bool broken_ = false;
  bool finished_ = false;
};

} // namespace engram
