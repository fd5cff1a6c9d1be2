#include "engram/config/values.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <utility>

namespace engram::config {
namespace {

error wrong_type(const key& which) {
  constexpr std::array<std::string_view, 5> names{"a boolean", "an integer", "a number", "a string",
                                                  "a list of strings"};
  return {ec::invalid_argument,
          "is not " + std::string{names.at(static_cast<std::size_t>(which.bound.type))}};
}

result<value> checked(const key& which, value what) {
  if (auto reason = misfit(which, what)) return error{ec::invalid_argument, *reason};
  return what;
}

std::optional<value> list_from(const key& which, const written& what) {
  if (const auto* text = std::get_if<std::string>(&what)) return std::vector<std::string>{*text};
  if (const auto* number = std::get_if<std::int64_t>(&what); number && which.allowed.takes_integers)
    return std::vector<std::string>{std::to_string(*number)};
  const auto* entries = std::get_if<std::vector<std::variant<std::int64_t, std::string>>>(&what);
  if (!entries) return {};
  std::vector<std::string> texts;
  for (const auto& entry : *entries) {
    if (const auto* text = std::get_if<std::string>(&entry))
      texts.push_back(*text);
    else if (which.allowed.takes_integers)
      texts.push_back(std::to_string(std::get<std::int64_t>(entry)));
    else
      return {};
  }
  return texts;
}

std::optional<value> typed(const key& which, const written& what) {
  switch (which.bound.type) {
  case kind::boolean:
    if (const auto* truth = std::get_if<bool>(&what)) return *truth;
    break;
  case kind::number:
    if (const auto* number = std::get_if<double>(&what)) return *number;
    if (const auto* integer = std::get_if<std::int64_t>(&what))
      return static_cast<double>(*integer);
    break;
  case kind::integer:
    if (const auto* integer = std::get_if<std::int64_t>(&what)) return *integer;
    break;
  case kind::string:
    if (const auto* text = std::get_if<std::string>(&what)) return *text;
    break;
  case kind::list:
    return list_from(which, what);
  }
  return {};
}

template <class Number>
std::optional<value> number_from(std::string_view text) {
  Number number{};
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (code != std::errc{} || end != text.data() + text.size()) return {};
  return number;
}

std::optional<value> truth_from(std::string_view text) {
  if (text == "true" || text == "1") return true;
  if (text == "false" || text == "0") return false;
  return {};
}

// A comma inside parentheses belongs to a fault point's argument.
std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> parts;
  if (text.empty()) return parts;
  parts.emplace_back();
  int depth = 0;
  for (const char c : text) {
    depth += (c == '(') - (c == ')');
    if (c == ',' && depth <= 0)
      parts.emplace_back();
    else
      parts.back() += c;
  }
  return parts;
}

} // namespace

result<value> from_toml(const key& which, const written& what) {
  auto found = typed(which, what);
  return found ? checked(which, *std::move(found)) : wrong_type(which);
}

result<value> from_text(const key& which, std::string_view text) {
  std::optional<value> found;
  switch (which.bound.type) {
  case kind::boolean:
    found = truth_from(text);
    break;
  case kind::integer:
    found = number_from<std::int64_t>(text);
    break;
  case kind::number:
    found = number_from<double>(text);
    break;
  case kind::string:
    found = std::string{text};
    break;
  case kind::list:
    found = split(text);
    break;
  }
  return found ? checked(which, *std::move(found)) : wrong_type(which);
}

std::string toml_string(std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\')
      (out += '\\') += c;
    else if (byte < 0x20 || byte == 0x7f)
      ((out += "\\u00") += digits[byte >> 4]) += digits[byte & 15];
    else
      out += c;
  }
  return out + '"';
}

std::string plain(double number) {
  // Common numbers without an exponent; the others with one, because toml++ refuses 128 digits.
  const auto size = std::abs(number);
  const bool is_common = size == 0 || (size >= 1e-9 && size < 1e16);
  std::array<char, 32> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number,
                                 is_common ? std::chars_format::fixed : std::chars_format::general)
                       .ptr;
  return {buffer.data(), end};
}

std::string to_text(const value& what) {
  switch (static_cast<kind>(what.index())) {
  case kind::boolean:
    return std::get<bool>(what) ? "true" : "false";
  case kind::integer:
    return std::to_string(std::get<std::int64_t>(what));
  case kind::number:
    return plain(std::get<double>(what));
  case kind::string:
    return toml_string(std::get<std::string>(what));
  case kind::list:
    break;
  }
  std::string out = "[";
  for (const auto& text : std::get<std::vector<std::string>>(what))
    (out += out.size() > 1 ? ", " : "") += toml_string(text);
  return out + ']';
}

std::string_view to_string(kind type) {
  constexpr std::array<std::string_view, 5> names{"bool", "integer", "number", "string", "list"};
  return names.at(static_cast<std::size_t>(type));
}

} // namespace engram::config
