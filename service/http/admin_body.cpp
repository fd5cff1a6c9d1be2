#include "engram/service/http/admin_body.hpp"

#include "engram/service/json_reading.hpp"

#include <istream>
#include <optional>
#include <utility>

namespace engram {

namespace {

/// Listens to the JSON parser. Anything that does not belong where it stands ends the parse.
class text_listener {
public:
  using json = nlohmann::json;

  explicit text_listener(std::string_view field) : field_(field) {}

  const std::string& complaint() const noexcept { return complaint_; }
  std::optional<std::string> take() { return std::move(text_); }

  bool null() { return misplaced(); }
  bool boolean(bool) { return misplaced(); }
  bool binary(json::binary_t&) { return misplaced(); }
  bool number_integer(json::number_integer_t) { return misplaced(); }
  bool number_unsigned(json::number_unsigned_t) { return misplaced(); }
  bool number_float(json::number_float_t, const std::string&) { return misplaced(); }
  bool start_array(std::size_t) { return misplaced(); }
  bool end_array() { return true; }
  bool end_object() { return true; }

  bool start_object(std::size_t) {
    if (is_open_) return misplaced();
    return is_open_ = true;
  }
  bool key(std::string& name) {
    if (name == field_ && !text_) return true;
    return fail("the body is to have the one field " + std::string{field_} + ", once");
  }
  bool string(std::string& value) {
    if (!is_open_) return misplaced();
    text_ = std::move(value);
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const json::exception& why) {
    return fail(not_json(why));
  }

private:
  bool fail(std::string message) {
    complaint_ = std::move(message);
    return false;
  }
  bool misplaced() {
    return fail(is_open_ ? std::string{field_} + " must be a text"
                         : std::string{"the body must be a JSON object"});
  }

  std::string_view field_;
  std::string complaint_;
  std::optional<std::string> text_;
  bool is_open_ = false; ///< the object has begun
};

} // namespace

result<std::string> read_one_text(std::istream& in, std::string_view field) {
  text_listener listener{field};
  if (auto read = read_json(in, listener); !read) return read.error();
  auto text = listener.take();
  if (!text)
    return error{ec::invalid_argument, "the body has no " + std::string{field} + ": give it"};
  return *std::move(text);
}

} // namespace engram
