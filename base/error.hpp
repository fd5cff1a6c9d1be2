#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace engram {

/// Every way a call into Engram can fail. Trouble with a GPU is not among them: it never
/// reaches a caller.
enum class ec : std::uint8_t {
  none,
  /// The request or the data breaks a documented rule; the same call can never succeed.
  invalid_argument,
  /// No dataset, row, node or file of that name.
  not_found,
  /// The admission gate is full; try again later.
  overloaded,
  /// The deadline passed before an answer was ready.
  deadline_exceeded,
  /// The caller took the request back.
  cancelled,
  /// The pipeline is draining or stopped and takes nothing new.
  shutting_down,
  /// Memory, disk or another bounded resource does not suffice.
  resource_exhausted,
  /// Something that is needed is not there at the moment.
  unavailable,
  /// A bug in Engram.
  internal,
  last_ = internal
};

/// Returns the name as it appears in JSON, metrics and logs, for example "invalid_argument".
std::string_view to_string(ec code) noexcept;

/// What went wrong: a code for programs and one sentence for people that says what was wrong
/// and what to do.
struct error {
  ec code = ec::internal;
  std::string message;

  friend bool operator==(const error&, const error&) = default;
};

/// A value or the error that kept it from being made (std::expected of C++23, as far as needed).
template <class T>
class [[nodiscard]] result {
public:
  result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  result(engram::error why) : state_(std::in_place_index<1>, std::move(why)) {}

  bool has_value() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }

  T& operator*() & noexcept { return *std::get_if<0>(&state_); }
  const T& operator*() const& noexcept { return *std::get_if<0>(&state_); }
  T&& operator*() && noexcept { return std::move(*std::get_if<0>(&state_)); }
  T* operator->() noexcept { return std::get_if<0>(&state_); }
  const T* operator->() const noexcept { return std::get_if<0>(&state_); }

  const engram::error& error() const& noexcept { return *std::get_if<1>(&state_); }
  engram::error&& error() && noexcept { return std::move(*std::get_if<1>(&state_)); }

private:
  std::variant<T, engram::error> state_;
};

/// Success, or the error.
template <>
class [[nodiscard]] result<void> {
public:
  result() = default;
  result(engram::error why) : error_(std::move(why)) {}

  bool has_value() const noexcept { return !error_; }
  explicit operator bool() const noexcept { return has_value(); }
  const engram::error& error() const& noexcept { return *error_; }
  engram::error&& error() && noexcept { return std::move(*error_); }

private:
  std::optional<engram::error> error_;
};

} // namespace engram
