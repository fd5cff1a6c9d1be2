#include "engram/service/http/fault_body.hpp"

#include "engram/devices/fault_points.hpp"
#include "engram/service/json_reading.hpp"

#include <istream>
#include <string_view>
#include <utility>

namespace engram {

namespace {

/// Listens to the JSON parser. Anything that does not belong where it stands ends the parse.
class fault_listener {
public:
  using json = nlohmann::json;

  const std::string& complaint() const noexcept { return complaint_; }
  std::vector<std::string> take() { return std::move(settings_); }
  bool has_field() const noexcept { return field_ != field::none; }

  bool null() { return misplaced("null"); }
  bool boolean(bool) { return misplaced("true or false"); }
  bool binary(json::binary_t&) { return misplaced("binary data"); }
  bool number_integer(json::number_integer_t value) { return misplaced(std::to_string(value)); }
  bool number_unsigned(json::number_unsigned_t value) { return misplaced(std::to_string(value)); }
  bool number_float(json::number_float_t, const std::string& digits) { return misplaced(digits); }

  bool string(std::string& value) {
    if (field_ == field::setting)
      settings_ = split_fault_settings(value);
    else if (in_array_)
      settings_.push_back(std::move(value));
    else
      return misplaced("a string");
    return true;
  }

  bool start_object(std::size_t) {
    if (is_open_) return misplaced("an object");
    return is_open_ = true;
  }
  bool end_object() { return true; }

  bool key(std::string& name) {
    if (name != "faults" && name != "setting")
      return fail("unknown field \"" + name.substr(0, 64) + "\": give faults or setting");
    if (has_field()) return fail("give exactly one of faults and setting, once");
    field_ = name == "faults" ? field::faults : field::setting;
    return true;
  }

  bool start_array(std::size_t) {
    if (field_ != field::faults || in_array_) return misplaced("an array");
    return in_array_ = true;
  }
  bool end_array() {
    in_array_ = false;
    return true;
  }

  bool parse_error(std::size_t, const std::string&, const json::exception& why) {
    return fail(not_json(why));
  }

private:
  enum class field { none, faults, setting };

  bool fail(std::string message) {
    complaint_ = std::move(message);
    return false;
  }

  bool misplaced(std::string_view found) {
    const auto what = " is " + std::string{found.substr(0, 40)} + ": it must be ";
    if (!is_open_) return fail("the body" + what + "a JSON object");
    if (field_ == field::setting) return fail("setting" + what + "a string");
    if (!in_array_) return fail("faults" + what + "an array of strings");
    return fail("faults[" + std::to_string(settings_.size()) + ']' + what + "a string");
  }

  std::string complaint_;
  std::vector<std::string> settings_;
  bool is_open_ = false; ///< the top object has begun
  field field_ = field::none;
  bool in_array_ = false;
};

} // namespace

result<std::vector<std::string>> read_fault_settings(std::istream& in) {
  fault_listener listener;
  if (auto read = read_json(in, listener); !read) return read.error();
  if (!listener.has_field())
    return error{ec::invalid_argument, "the body has neither faults nor setting: give one of them"};
  auto settings = listener.take();
  if (settings.empty())
    return error{ec::invalid_argument,
                 "the body names no fault: give SITE=TASK, or DELETE to turn all off"};
  return settings;
}

} // namespace engram
