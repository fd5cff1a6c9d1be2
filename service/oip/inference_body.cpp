#include "engram/service/oip/inference_body.hpp"

#include "engram/service/error_words.hpp"
#include "engram/service/json_reading.hpp"
#include "engram/service/oip/json_elements.hpp"
#include "engram/service/oip/tensor_parameters.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <istream>
#include <limits>
#include <memory>
#include <span>
#include <sstream>
#include <string_view>
#include <utility>

namespace engram {

namespace {

// No model has more, and without a bound a body of "{},{}," would take many times its size.
constexpr std::size_t max_dims = 16;
constexpr std::size_t max_parameters = 64;

/// What the JSON says of an input or of a requested output.
struct named_tensor {
  std::optional<std::string> name, datatype;
  std::optional<std::vector<std::int64_t>> shape;
  infer_parameters parameters;
  std::optional<json_elements> data;
};

/// What the JSON says of an inference.
struct inference_header {
  std::string id;
  infer_parameters parameters;
  std::vector<named_tensor> inputs, outputs;
};

// -- the JSON --

/// Listens to the JSON parser. Anything that does not belong where it stands ends the parse, so
/// that no nesting is ever followed deeper than the fields go. `null` is a field that is not there.
class inference_listener {
public:
  using json = nlohmann::json;

  const std::string& complaint() const noexcept { return complaint_; }
  inference_header take() { return std::move(header_); }

  bool null() {
    const bool is_value = level_ == level::none || level_ == level::tensors || in_list_;
    return is_value ? misplaced("null") : true;
  }

  bool boolean(bool value) {
    if (takes_parameter()) return parameter(value);
    return misplaced(value ? "true" : "false");
  }
  bool binary(json::binary_t&) { return misplaced("binary data"); }

  bool number_integer(json::number_integer_t value) {
    if (value >= 0) return number_unsigned(static_cast<json::number_unsigned_t>(value));
    if (takes_parameter()) return parameter(std::int64_t{value});
    if (in_list_ && field_ == field::shape) return dimension(value);
    if (in_list_) return added(data().add_real(static_cast<float>(value)));
    return misplaced(std::to_string(value));
  }

  bool number_unsigned(json::number_unsigned_t value) {
    const bool is_signed = value <= std::numeric_limits<std::int64_t>::max();
    if (takes_parameter())
      return is_signed ? parameter(static_cast<std::int64_t>(value))
                       : parameter(std::uint64_t{value});
    if (in_list_ && field_ == field::shape && is_signed)
      return dimension(static_cast<std::int64_t>(value));
    if (in_list_ && field_ == field::data) return added(data().add_whole(value));
    return misplaced(std::to_string(value));
  }

  bool number_float(json::number_float_t value, const std::string& digits) {
    if (takes_parameter()) return parameter(value);
    if (!in_list_ || field_ != field::data) return misplaced(digits);
    // From the digits and not from `value`: rounding twice may miss the nearest float32.
    float exact = 0.0f;
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), exact);
    return added(data().add_real(read.ec == std::errc{} ? exact : static_cast<float>(value)));
  }

  bool string(std::string& value) {
    if (takes_parameter()) return parameter(std::move(value));
    if (in_list_ && field_ == field::data) return added(data().add_text(value));
    if (in_list_) return misplaced("a string");
    if (level_ == level::top && field_ == field::id) {
      header_.id = std::move(value);
      return true;
    }
    if (field_ == field::path) return true; // the path has said it
    if (level_ == level::tensor && field_ == field::name) {
      tensor().name = std::move(value);
      return true;
    }
    if (level_ == level::tensor && field_ == field::datatype) {
      if (tensor().data) data().expect(value);
      tensor().datatype = std::move(value);
      return true;
    }
    return misplaced("a string");
  }

  bool start_object(std::size_t) {
    if (in_list_) return misplaced("an object");
    switch (level_) {
    case level::none:
      level_ = level::top;
      return true;
    case level::tensors:
      if (tensors().size() == max_infer_tensors)
        return fail(std::string{name_of(list_)} + " has more than " +
                    std::to_string(max_infer_tensors) + " entries: no model takes as many");
      tensors().emplace_back();
      seen_in_tensor_ = 0;
      level_ = level::tensor;
      return true;
    case level::top:
    case level::tensor:
      if (field_ != field::parameters) break;
      in_parameters_of_ = level_;
      level_ = level::parameters;
      return true;
    case level::parameters:
      break;
    }
    return misplaced("an object");
  }

  bool end_object() {
    switch (level_) {
    case level::parameters:
      level_ = in_parameters_of_;
      break;
    case level::tensor:
      level_ = level::tensors;
      break;
    default:
      break;
    }
    return true;
  }

  bool key(std::string& name) {
    if (level_ == level::parameters) {
      if (parameters().size() == max_parameters)
        return fail(place() + " has more than " + std::to_string(max_parameters) + " entries");
      if (parameters().contains(name))
        return fail("parameter " + in_quotes(name) + " is given twice");
      parameter_ = std::move(name);
      return true;
    }
    for (const auto& rule : rules()) {
      if (rule.name != name) continue;
      field_ = rule.id;
      auto& seen = level_ == level::top ? seen_ : seen_in_tensor_;
      const auto bit = 1u << static_cast<unsigned>(&rule - rules().data());
      if (seen & bit) return fail(place() + " is given twice");
      seen |= bit;
      if (level_ == level::top) list_ = field_;
      return true;
    }
    std::string known;
    for (const auto& rule : rules())
      known += (known.empty() ? "" : ", ") + std::string{rule.name};
    return fail("unknown field " + in_quotes(name) + " in " +
                (level_ == level::top ? "the body" : entry()) + ": it takes " + known);
  }

  bool start_array(std::size_t) {
    if (level_ == level::top && (field_ == field::inputs || field_ == field::outputs)) {
      level_ = level::tensors;
      return true;
    }
    if (level_ != level::tensor) return misplaced("an array");
    if (field_ == field::shape && !in_list_) {
      tensor().shape.emplace();
      return in_list_ = true;
    }
    if (field_ != field::data) return misplaced("an array");
    if (!in_list_) {
      data_place_ = &tensor().data.emplace();
      if (tensor().datatype) data().expect(*tensor().datatype);
      in_list_ = true;
    }
    return nested(data().begin_array());
  }

  bool end_array() {
    if (level_ == level::tensors) {
      level_ = level::top;
      return true;
    }
    if (field_ == field::shape) {
      in_list_ = false;
      return true;
    }
    const bool is_even = data().end_array();
    in_list_ = data().is_open();
    return nested(is_even);
  }

  bool parse_error(std::size_t, const std::string&, const json::exception& why) {
    if (in_list_ && dynamic_cast<const json::out_of_range*>(&why))
      return fail(place() + " has a number too large to store");
    return fail(not_json(why));
  }

private:
  /// Where the parser is.
  enum class level : std::uint8_t {
    none,       ///< before the object
    top,        ///< in the object
    tensors,    ///< in the array of inputs or outputs
    tensor,     ///< in one of them
    parameters, ///< in an object of parameters
  };
  enum class field : std::uint8_t {
    id,
    path, ///< what the path says as well
    parameters,
    inputs,
    outputs,
    name,
    shape,
    datatype,
    data,
  };
  struct field_rule {
    field id;
    std::string_view name;
    std::string_view wanted;
  };

  static constexpr field_rule parameters_rule{field::parameters, "parameters", "an object"};
  static constexpr std::array top_rules{
      field_rule{field::id, "id", "a string"},
      parameters_rule,
      field_rule{field::inputs, "inputs", "an array of objects"},
      field_rule{field::outputs, "outputs", "an array of objects"},
      field_rule{field::path, "model_name", "a string"},
      field_rule{field::path, "model_version", "a string"},
  };
  static constexpr std::array input_rules{
      field_rule{field::name, "name", "a string"},
      field_rule{field::shape, "shape", "an array of whole numbers"},
      field_rule{field::datatype, "datatype", "a string"},
      parameters_rule,
      field_rule{field::data, "data", "an array of numbers or strings"},
  };
  static constexpr std::array output_rules{
      field_rule{field::name, "name", "a string"},
      parameters_rule,
  };

  std::span<const field_rule> rules() const {
    if (level_ == level::top) return top_rules;
    if (list_ == field::inputs) return input_rules;
    return output_rules;
  }
  static std::string_view name_of(field list) {
    return list == field::inputs ? "inputs" : "outputs";
  }

  std::vector<named_tensor>& tensors() {
    return list_ == field::inputs ? header_.inputs : header_.outputs;
  }
  named_tensor& tensor() { return tensors().back(); }
  json_elements& data() { return *data_place_; }
  infer_parameters& parameters() {
    return in_parameters_of_ == level::top ? header_.parameters : tensor().parameters;
  }

  bool takes_parameter() const { return level_ == level::parameters; }
  template <class Value>
  bool parameter(Value value) {
    parameters().emplace(std::move(parameter_), infer_parameter{std::move(value)});
    return true;
  }

  bool dimension(std::int64_t value) {
    auto& shape = *tensor().shape;
    if (shape.size() == max_dims)
      return fail(place() + " has more than " + std::to_string(max_dims) + " dimensions");
    shape.push_back(value);
    return true;
  }
  bool added(bool is_in_place) { return is_in_place ? true : nested(false); }
  bool nested(bool is_even) {
    if (is_even) return true;
    return fail(place() + " is nested too deep, or in arrays of different lengths");
  }

  bool fail(std::string message) {
    complaint_ = std::move(message);
    return false;
  }

  /// Returns "inputs[2]".
  std::string entry() {
    const auto count = tensors().size();
    return std::string{name_of(list_)} + '[' +
           std::to_string(level_ == level::tensors ? count : count - 1) + ']';
  }
  /// Returns where in the body the parser is: "inputs[2].shape".
  std::string place() {
    if (level_ == level::tensors) return entry();
    const bool in_parameters = level_ == level::parameters;
    const bool in_tensor = (in_parameters ? in_parameters_of_ : level_) == level::tensor;
    std::string out = in_tensor ? entry() + '.' : std::string{};
    if (in_parameters) return out + "parameters";
    for (const auto& rule : rules())
      if (rule.id == field_) return out + std::string{rule.name};
    return out;
  }

  bool misplaced(std::string_view found) {
    constexpr std::size_t longest = 40;
    const std::string what{found.substr(0, longest)};
    if (level_ == level::none) return fail("the body is " + what + ": it must be a JSON object");
    if (level_ == level::tensors) return fail(place() + " is " + what + ": it must be an object");
    if (level_ == level::parameters)
      return fail("parameter " + in_quotes(parameter_) + " is " + what +
                  ": it must be true, false, a number or a string");
    if (in_list_)
      return fail(place() + " has " + what + " in it: it must be " +
                  (field_ == field::shape ? "whole numbers" : "numbers or strings"));
    std::string_view wanted;
    for (const auto& rule : rules())
      if (rule.id == field_) wanted = rule.wanted;
    return fail(place() + " is " + what + ": it must be " + std::string{wanted});
  }

  inference_header header_;
  std::string complaint_;

  level level_ = level::none;
  level in_parameters_of_ = level::top;
  field list_ = field::inputs;             ///< whose entries are read
  field field_ = field::id;                ///< the one that is being read
  bool in_list_ = false;                   ///< in the array of a shape or of data
  unsigned seen_ = 0, seen_in_tensor_ = 0; ///< a bit for each field
  std::string parameter_;                  ///< the name of the one that is being read
  json_elements* data_place_ = nullptr;    ///< of the tensor that is being read
};

result<inference_header> read_header(std::istream& in) {
  inference_listener listener;
  if (auto read = read_json(in, listener); !read) return read.error();
  return listener.take();
}

// -- the binary data --

/// Hands out what follows the JSON, input by input.
class binary_data {
public:
  binary_data() = default;
  binary_data(std::shared_ptr<const std::uint32_t[]> numbers, std::size_t size)
      : numbers_(std::move(numbers)), rest_(reinterpret_cast<const char*>(numbers_.get()), size) {}

  /// Puts the next `size` bytes into `to`; they are there.
  void give(std::size_t size, tensor& to) {
    to.bytes = rest_.substr(0, size);
    to.owner = numbers_;
    rest_.remove_prefix(size);
  }

private:
  std::shared_ptr<const std::uint32_t[]> numbers_; ///< so aligned, and not as bytes would be
  std::string_view rest_;
};

/// Returns how much of the binary data is whose, and how much it is in all.
struct binary_sizes {
  std::vector<std::optional<std::uint64_t>> each;
  std::uint64_t total = 0;
};

result<binary_sizes> binary_sizes_of(const std::vector<named_tensor>& inputs,
                                     std::uint64_t most_bytes) {
  binary_sizes out;
  for (const auto& in : inputs) {
    const auto size = bytes_parameter(in.parameters, "binary_data_size");
    const std::string name = "input " + in_quotes(in.name.value_or(""));
    if (!size) return invalid(name + ": " + size.error().message);
    if (size->value_or(0) > most_bytes - out.total)
      return invalid(name + " says that " + std::to_string(**size) +
                     " bytes behind the JSON are its own: there cannot be as many");
    out.total += size->value_or(0);
    out.each.push_back(*size);
  }
  return out;
}

/// Reads all that follows the JSON, which must be `size` bytes.
result<binary_data> read_binary(std::istream& body, std::uint64_t size) {
  const auto numbers =
      std::make_shared_for_overwrite<std::uint32_t[]>(size / sizeof(std::uint32_t) + 1);
  body.read(reinterpret_cast<char*>(numbers.get()), static_cast<std::streamsize>(size));
  if (static_cast<std::uint64_t>(body.gcount()) != size)
    return invalid("the body has " + std::to_string(body.gcount()) +
                   " bytes behind its JSON: the binary_data_size of its inputs are " +
                   std::to_string(size) + " in all");
  if (body.peek() != std::istream::traits_type::eof())
    return invalid("the body goes on behind the " + std::to_string(size) +
                   " bytes that the binary_data_size of its inputs are in all");
  return binary_data{numbers, size};
}

/// Reads the JSON that binary data follows.
result<inference_header> read_bounded_header(std::istream& body, std::uint64_t json_bytes,
                                             std::uint64_t most_bytes) {
  if (json_bytes == 0)
    return invalid("Inference-Header-Content-Length is 0: a body without JSON does not say what it "
                   "is");
  if (json_bytes > most_bytes)
    return invalid("Inference-Header-Content-Length is " + std::to_string(json_bytes) +
                   ": the body has at most " + std::to_string(most_bytes) + " bytes");
  std::string text;
  while (text.size() < json_bytes) {
    // Bit by bit, so that a length that is a lie takes no memory.
    constexpr std::uint64_t least = 4096;
    const std::size_t before = text.size();
    text.resize(std::min(json_bytes, std::max<std::uint64_t>(least, 2 * before)));
    body.read(text.data() + before, static_cast<std::streamsize>(text.size() - before));
    if (!body)
      return invalid("the body ends before the " + std::to_string(json_bytes) +
                     " bytes that Inference-Header-Content-Length says its JSON has");
  }
  std::istringstream in{std::move(text)};
  return read_header(in);
}

// -- the inference --

result<tensor> tensor_of(named_tensor from, std::optional<std::uint64_t> binary_size,
                         binary_data& binary, shared_memory_regions::reader& regions) {
  if (!from.name) return invalid("an input has no name");
  const std::string name = "input " + in_quotes(*from.name);
  if (!from.datatype) return invalid(name + " has no datatype");
  if (!from.shape) return invalid(name + " has no shape");
  const auto region = region_of(from.parameters);
  if (!region) return invalid(name + ": " + region.error().message);
  const int ways = (from.data ? 1 : 0) + (binary_size ? 1 : 0) + (*region ? 1 : 0);
  if (ways != 1)
    return invalid(name + (ways == 0 ? " has no data" : " has its data in more than one way") +
                   ": give one of data, binary_data_size and shared_memory_region");
  if (from.data) {
    auto out = std::move(*from.data)
                   .take(std::move(*from.name), std::move(*from.datatype), std::move(*from.shape));
    if (!out) return invalid(name + ": " + out.error().message);
    return out;
  }
  tensor out{std::move(*from.name), std::move(*from.datatype), std::move(*from.shape), {}, {}};
  if (binary_size) {
    binary.give(*binary_size, out);
    return out;
  }
  if (const auto read = regions.read(**region, out); !read)
    return error{read.error().code, name + ": " + read.error().message};
  return out;
}

result<requested_output> output_of(named_tensor from, bool binary_by_default) {
  if (!from.name) return invalid("an output has no name");
  const std::string name = "output " + in_quotes(*from.name);
  if (from.parameters.contains("classification"))
    return invalid(name + " asks for classification, which no model here does");
  auto region = region_of(from.parameters);
  if (!region) return invalid(name + ": " + region.error().message);
  const auto as_binary = truth_parameter(from.parameters, "binary_data");
  if (!as_binary) return invalid(name + ": " + as_binary.error().message);
  return requested_output{std::move(*from.name), as_binary->value_or(binary_by_default),
                          std::move(*region)};
}

} // namespace

result<infer_request> read_inference(std::istream& body, std::optional<std::uint64_t> json_bytes,
                                     std::uint64_t most_bytes,
                                     const shared_memory_regions& regions) {
  auto header = json_bytes ? read_bounded_header(body, *json_bytes, most_bytes) : read_header(body);
  if (!header) return header.error();
  const auto sizes = binary_sizes_of(header->inputs, most_bytes);
  if (!sizes) return sizes.error();
  if (!json_bytes && sizes->total > 0)
    return invalid("binary data needs the header Inference-Header-Content-Length, which says where "
                   "it begins");
  auto binary = json_bytes ? read_binary(body, sizes->total) : result<binary_data>{binary_data{}};
  if (!binary) return binary.error();

  infer_request out;
  shared_memory_regions::reader reader{regions};
  for (std::size_t i = 0; i < header->inputs.size(); ++i) {
    auto taken = tensor_of(std::move(header->inputs[i]), sizes->each[i], *binary, reader);
    if (!taken) return taken.error();
    out.inputs.push_back(std::move(*taken));
  }
  const auto as_binary = truth_parameter(header->parameters, "binary_data_output");
  if (!as_binary) return as_binary.error();
  out.default_outputs_as_binary = as_binary->value_or(false);
  for (auto& each : header->outputs) {
    auto taken = output_of(std::move(each), out.default_outputs_as_binary);
    if (!taken) return taken.error();
    out.outputs.push_back(std::move(*taken));
  }
  out.id = std::move(header->id);
  out.parameters = std::move(header->parameters);
  return out;
}

} // namespace engram
