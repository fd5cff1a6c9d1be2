#pragma once

#include <concepts>
#include <string>
#include <string_view>

namespace engram {

/// Writes JSON text piece by piece, without a tree in memory. Numbers have the fewest digits that
/// read back to the same value; NaN and infinities become null; bytes that are not UTF-8 become
/// U+FFFD.
class json_writer {
public:
  json_writer& begin_object();
  json_writer& end_object();
  json_writer& begin_array();
  json_writer& end_array();
  json_writer& key(std::string_view name);

  json_writer& value(std::string_view text);
  json_writer& value(const char* text) { return value(std::string_view{text}); }
  json_writer& value(float number);
  json_writer& value(double number);
  json_writer& value(bool truth);
  template <std::integral Integer>
  requires(!std::same_as<Integer, bool>) json_writer& value(Integer number) {
    separate();
    text_ += std::to_string(number);
    return *this;
  }

  template <class T>
  json_writer& field(std::string_view name, const T& content) {
    key(name);
    return value(content);
  }

  /// Returns the text and starts over.
  std::string take();

private:
  void separate();
  void quote(std::string_view text);

  std::string text_;
  bool needs_comma_ = false;
};

} // namespace engram
