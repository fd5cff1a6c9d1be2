#include "engram/service/json_writer.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <utility>

namespace engram {

namespace {

/// Returns the length of the well-formed UTF-8 sequence at the front of `text`, 0 if there is none.
std::size_t sequence_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return 0;
  std::uint32_t code = lead & (0xFFu >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
    code = code << 6 | (byte(i) & 0x3Fu);
  }
  constexpr std::array<std::uint32_t, 5> least{0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
  return code < least[length] || code > 0x10FFFF || surrogate ? 0 : length;
}

template <class Float>
void append_number(std::string& text, Float number) {
  if (!std::isfinite(number)) {
    text += "null";
    return;
  }
  std::array<char, 32> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  text.append(digits.data(), end);
}

} // namespace

void json_writer::separate() {
  if (needs_comma_) text_ += ',';
  needs_comma_ = true;
}

void json_writer::quote(std::string_view text) {
  constexpr std::string_view hex = "0123456789abcdef";
  text_ += '"';
  while (!text.empty()) {
    const std::size_t length = sequence_length(text);
    const char c = text.front();
    if (length == 0) {
      text_ += "\xEF\xBF\xBD"; // U+FFFD
    } else if (c == '"' || c == '\\') {
      text_ += '\\';
      text_ += c;
    } else if (c == '\n') {
      text_ += "\\n";
    } else if (static_cast<unsigned char>(c) < 0x20) {
      text_ += "\\u00";
      text_ += hex[static_cast<unsigned char>(c) >> 4];
      text_ += hex[static_cast<unsigned char>(c) & 15];
    } else {
      text_ += text.substr(0, length);
    }
    text.remove_prefix(length ? length : 1);
  }
  text_ += '"';
}

json_writer& json_writer::begin_object() {
  separate();
  text_ += '{';
  needs_comma_ = false;
  return *this;
}

json_writer& json_writer::end_object() {
  text_ += '}';
  needs_comma_ = true;
  return *this;
}

json_writer& json_writer::begin_array() {
  separate();
  text_ += '[';
  needs_comma_ = false;
  return *this;
}

json_writer& json_writer::end_array() {
  text_ += ']';
  needs_comma_ = true;
  return *this;
}

json_writer& json_writer::key(std::string_view name) {
  separate();
  quote(name);
  text_ += ':';
  needs_comma_ = false;
  return *this;
}

json_writer& json_writer::value(std::string_view text) {
  separate();
  quote(text);
  return *this;
}

json_writer& json_writer::value(float number) {
  separate();
  append_number(text_, number);
  return *this;
}

json_writer& json_writer::value(double number) {
  separate();
  append_number(text_, number);
  return *this;
}

json_writer& json_writer::value(bool truth) {
  separate();
  text_ += truth ? "true" : "false";
  return *this;
}

std::string json_writer::take() {
  needs_comma_ = false;
  return std::exchange(text_, {});
}

} // namespace engram
