#include "engram/service/request_body.hpp"

#include "engram/service/json_reading.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <istream>
#include <limits>
#include <span>
#include <string_view>
#include <utility>

namespace engram {

namespace {

enum class field_kind { text, whole, signed_whole, real, vector, rows, ids, seeds, seed_sets };

enum class field : std::uint8_t {
  collection,
  graph,
  text,
  tenant,
  query,
  queries,
  targets,
  ids,
  seeds,
  seed_sets,
  k,
  max_hops,
  top,
  priority,
  decay,
  threshold,
  deadline_ms,
};

struct field_rule {
  field id;
  std::string_view name;
  field_kind kind;
};

constexpr field_rule collection_rule{field::collection, "collection", field_kind::text};
constexpr field_rule query_rule{field::query, "query", field_kind::vector};
constexpr field_rule text_rule{field::text, "text", field_kind::text};
constexpr field_rule deadline_rule{field::deadline_ms, "deadline_ms", field_kind::real};
constexpr field_rule priority_rule{field::priority, "priority", field_kind::signed_whole};
constexpr field_rule tenant_rule{field::tenant, "tenant", field_kind::text};

constexpr std::array search_fields{collection_rule,
                                   query_rule,
                                   field_rule{field::queries, "queries", field_kind::rows},
                                   text_rule,
                                   field_rule{field::k, "k", field_kind::whole},
                                   deadline_rule,
                                   priority_rule,
                                   tenant_rule};

constexpr std::array similarity_fields{query_rule,
                                       field_rule{field::targets, "targets", field_kind::rows},
                                       deadline_rule, priority_rule, tenant_rule};

constexpr std::array score_fields{
    collection_rule, query_rule,    text_rule,  field_rule{field::ids, "ids", field_kind::ids},
    deadline_rule,   priority_rule, tenant_rule};

constexpr std::array spread_fields{field_rule{field::graph, "graph", field_kind::text},
                                   field_rule{field::seeds, "seeds", field_kind::seeds},
                                   field_rule{field::seed_sets, "seed_sets", field_kind::seed_sets},
                                   field_rule{field::max_hops, "max_hops", field_kind::whole},
                                   field_rule{field::decay, "decay", field_kind::real},
                                   field_rule{field::threshold, "threshold", field_kind::real},
                                   field_rule{field::top, "top", field_kind::whole},
                                   deadline_rule,
                                   priority_rule,
                                   tenant_rule};

std::span<const field_rule> fields_of(operation op) {
  switch (op) {
  case operation::search:
    return search_fields;
  case operation::similarity:
    return similarity_fields;
  case operation::score:
    return score_fields;
  case operation::spread:
    return spread_fields;
  }
  return {};
}

std::string_view wanted(field_kind kind) {
  switch (kind) {
  case field_kind::text:
    return "a string";
  case field_kind::whole:
    return "a whole number from 0 to 4294967295";
  case field_kind::signed_whole:
    return "a whole number";
  case field_kind::real:
    return "a number";
  case field_kind::vector:
    return "an array of numbers";
  case field_kind::rows:
    return "an array of arrays of numbers";
  case field_kind::ids:
    return "an array of row numbers, whole and from 0 to 4294967295";
  case field_kind::seeds:
    return "an array of {\"node\" or \"label\", \"amount\"} objects";
  case field_kind::seed_sets:
    return "an array of arrays of {\"node\" or \"label\", \"amount\"} objects";
  }
  return {};
}

/// Returns the depth of the arrays that a field of this kind is made of.
std::size_t depth_of(field_kind kind) {
  switch (kind) {
  case field_kind::vector:
  case field_kind::ids:
  case field_kind::seeds:
    return 1;
  case field_kind::rows:
  case field_kind::seed_sets:
    return 2;
  default:
    return 0;
  }
}

bool has_seeds(field_kind kind) {
  return kind == field_kind::seeds || kind == field_kind::seed_sets;
}

/// Listens to the JSON parser and fills a request_body. Anything that does not belong where it
/// stands ends the parse, so that no nesting is ever followed deeper than the fields go.
class body_listener {
public:
  using json = nlohmann::json;
  using number_integer_t = json::number_integer_t;
  using number_unsigned_t = json::number_unsigned_t;
  using number_float_t = json::number_float_t;
  using string_t = json::string_t;
  using binary_t = json::binary_t;

  explicit body_listener(operation op) : op_(op) {}

  const std::string& complaint() const noexcept { return complaint_; }
  request_body take() { return std::move(body_); }

  bool null() { return misplaced("null"); }
  bool boolean(bool) { return misplaced("true or false"); }
  bool binary(binary_t&) { return misplaced("binary data"); }

  bool number_integer(number_integer_t value) {
    if (value >= 0) return number_unsigned(static_cast<number_unsigned_t>(value));
    if (takes_real()) return real(static_cast<double>(value));
    if (!takes_priority() || value < std::numeric_limits<int>::min())
      return misplaced(std::to_string(value));
    body_.priority = static_cast<int>(value);
    return true;
  }

  bool number_unsigned(number_unsigned_t value) {
    if (takes_real()) return real(static_cast<double>(value));
    if (!rule_) return misplaced("a number");
    if (takes_priority() && value <= std::numeric_limits<int>::max()) {
      body_.priority = static_cast<int>(value);
      return true;
    }
    const bool is_node = in_seed_ && seed_key_ == seed_key::node;
    const bool is_id = rule_->kind == field_kind::ids && depth_ == 1;
    const bool is_whole = rule_->kind == field_kind::whole && at_field();
    if (!(is_node || is_id || is_whole) || value > std::numeric_limits<std::uint32_t>::max())
      return misplaced(std::to_string(value));
    return whole(static_cast<std::uint32_t>(value));
  }

  bool number_float(number_float_t value, const string_t& digits) {
    if (!takes_real()) return misplaced(digits);
    if (rule_->id == field::deadline_ms) return real(value);
    // From the digits and not from `value`: rounding twice may miss the nearest float32.
    float exact = 0.0f;
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), exact);
    return real(read.ec == std::errc{} ? static_cast<double>(exact) : value);
  }

  bool string(string_t& value) {
    if (in_seed_ && seed_key_ == seed_key::label) {
      seed_.label = std::move(value);
      return true;
    }
    if (!rule_ || rule_->kind != field_kind::text || !at_field()) return misplaced("a string");
    slot_of(rule_->id) = std::move(value);
    return true;
  }

  bool start_object(std::size_t) {
    if (!open_) return open_ = true;
    if (!rule_ || !has_seeds(rule_->kind) || in_seed_ || depth_ != depth_of(rule_->kind))
      return misplaced("an object");
    in_seed_ = true;
    seed_ = {};
    seed_keys_seen_ = 0;
    return true;
  }

  bool key(string_t& name) { return in_seed_ ? seed_field(name) : top_field(name); }

  bool end_object() {
    if (!in_seed_) return true;
    seed_key_ = seed_key::none;
    if (seed_.node.has_value() == seed_.label.has_value())
      return fail(place() + (seed_.node ? " has both a node and a label: give one of the two"
                                        : " has neither a node nor a label"));
    in_seed_ = false;
    body_.seed_sets->back().push_back(std::move(seed_));
    ++index_[depth_ - 1];
    return true;
  }

  bool start_array(std::size_t) {
    if (!rule_ || in_seed_ || depth_ >= depth_of(rule_->kind)) return misplaced("an array");
    ++depth_;
    index_[depth_ - 1] = 0;
    if (depth_ == 1) open_field();
    if (rule_->kind == field_kind::seeds || (rule_->kind == field_kind::seed_sets && depth_ == 2))
      body_.seed_sets->emplace_back();
    row_length_ = 0;
    return true;
  }

  bool end_array() {
    const bool ends_row =
        rule_->kind == field_kind::vector || (rule_->kind == field_kind::rows && depth_ == 2);
    if (ends_row && !end_row()) return false;
    if (--depth_ > 0) ++index_[depth_ - 1];
    return true;
  }

  bool parse_error(std::size_t, const std::string&, const json::exception& why) {
    if (takes_real() && dynamic_cast<const json::out_of_range*>(&why))
      return fail(place() + " is a number too large to store");
    return fail(not_json(why));
  }

private:
  enum class seed_key : std::uint8_t { none, node, label, amount };

  bool fail(std::string message) {
    complaint_ = std::move(message);
    return false;
  }

  bool at_field() const { return depth_ == 0 && !in_seed_; }

  bool takes_priority() const {
    return rule_ && rule_->kind == field_kind::signed_whole && at_field();
  }

  bool takes_real() const {
    if (!rule_) return false;
    if (in_seed_) return seed_key_ == seed_key::amount;
    switch (rule_->kind) {
    case field_kind::real:
      return depth_ == 0;
    case field_kind::vector:
      return depth_ == 1;
    case field_kind::rows:
      return depth_ == 2;
    default:
      return false;
    }
  }

  /// Returns where in the body the parser is: "queries[2][5]", "seeds[0].node".
  std::string place() const {
    std::string out{rule_->name};
    for (std::size_t d = 0; d < depth_; ++d)
      out += '[' + std::to_string(index_[d]) + ']';
    if (!in_seed_) return out;
    constexpr std::array<std::string_view, 4> names{"", ".node", ".label", ".amount"};
    return out += names[static_cast<std::size_t>(seed_key_)];
  }

  bool misplaced(std::string_view found) {
    if (!rule_) return fail("the body is " + std::string{found} + ": it must be a JSON object");
    std::string_view must_be = wanted(rule_->kind);
    if (in_seed_)
      must_be = seed_key_ == seed_key::node    ? wanted(field_kind::whole)
                : seed_key_ == seed_key::label ? wanted(field_kind::text)
                                               : wanted(field_kind::real);
    else if (depth_ > 0 && depth_ == depth_of(rule_->kind))
      must_be = rule_->kind == field_kind::ids ? "a row number, whole and from 0 to 4294967295"
                : has_seeds(rule_->kind) ? "an object with \"node\" or \"label\", and \"amount\""
                                         : wanted(field_kind::real);
    else if (depth_ == 1)
      must_be =
          rule_->kind == field_kind::rows ? wanted(field_kind::vector) : wanted(field_kind::seeds);
    return fail(place() + " is " + std::string{found.substr(0, 40)} + ": it must be " +
                std::string{must_be});
  }

  bool top_field(const std::string& name) {
    for (const auto& rule : fields_of(op_)) {
      if (rule.name != name) continue;
      const auto bit = std::uint32_t{1} << static_cast<unsigned>(rule.id);
      if (seen_ & bit) return fail("field \"" + name + "\" is given twice");
      seen_ |= bit;
      rule_ = &rule;
      if (has_seeds(rule.kind) && body_.seed_sets)
        return fail("a spread takes exactly one of seeds and seed_sets");
      return true;
    }
    std::string known;
    for (const auto& rule : fields_of(op_))
      known += (known.empty() ? "" : ", ") + std::string{rule.name};
    return fail("unknown field \"" + name.substr(0, 64) + "\": " + std::string{to_string(op_)} +
                " takes " + known);
  }

  bool seed_field(const std::string& name) {
    seed_key_ = name == "node"     ? seed_key::node
                : name == "label"  ? seed_key::label
                : name == "amount" ? seed_key::amount
                                   : seed_key::none;
    if (seed_key_ == seed_key::none)
      return fail("unknown field \"" + name.substr(0, 64) + "\" in " + place() +
                  ": a seed has node or label, and amount");
    const auto bit = 1u << static_cast<unsigned>(seed_key_);
    if (seed_keys_seen_ & bit) return fail(place() + " is given twice");
    seed_keys_seen_ |= bit;
    return true;
  }

  /// Makes room for the array field that begins here.
  void open_field() {
    switch (rule_->id) {
    case field::query:
      rows_ = &body_.query.emplace();
      break;
    case field::queries:
      rows_ = &body_.queries.emplace();
      break;
    case field::targets:
      rows_ = &body_.targets.emplace();
      break;
    case field::ids:
      body_.ids.emplace();
      break;
    default:
      body_.seed_sets.emplace();
      break;
    }
  }

  bool end_row() {
    if (rows_->rows++ == 0) rows_->dim = row_length_;
    if (row_length_ == rows_->dim) return true;
    --depth_; // names the row, not the place after its last number
    const std::string row = place();
    return fail(row + " has " + std::to_string(row_length_) + " numbers and " +
                std::string{rule_->name} + "[0] has " + std::to_string(rows_->dim) +
                ": all rows must have the same length");
  }

  bool real(double value) {
    if (rule_->id == field::deadline_ms) {
      body_.deadline_ms = value;
      return true;
    }
    const auto narrowed = static_cast<float>(value);
    if (!std::isfinite(narrowed)) return fail(place() + " is outside the range of float32");
    if (in_seed_) {
      seed_.amount = narrowed;
    } else if (depth_ == 0) {
      (rule_->id == field::decay ? body_.decay : body_.threshold) = narrowed;
    } else {
      rows_->values.push_back(narrowed);
      ++row_length_;
      ++index_[depth_ - 1];
    }
    return true;
  }

  bool whole(std::uint32_t value) {
    if (in_seed_) {
      seed_.node = value;
    } else if (rule_->kind == field_kind::ids) {
      body_.ids->push_back(value);
      ++index_[0];
    } else {
      (rule_->id == field::k     ? body_.k
       : rule_->id == field::top ? body_.top
                                 : body_.max_hops) = value;
    }
    return true;
  }

  std::optional<std::string>& slot_of(field id) {
    switch (id) {
    case field::collection:
      return body_.collection;
    case field::graph:
      return body_.graph;
    case field::text:
      return body_.text;
    default:
      return body_.tenant;
    }
  }

  operation op_;
  request_body body_;
  std::string complaint_;

  bool open_ = false;                  ///< the top object has begun
  const field_rule* rule_ = nullptr;   ///< the field that is being read; null before the top object
  std::uint32_t seen_ = 0;             ///< a bit for each field
  std::size_t depth_ = 0;              ///< of arrays within the field
  std::array<std::size_t, 2> index_{}; ///< position in each of them
  float_rows* rows_ = nullptr;
  std::size_t row_length_ = 0;

  bool in_seed_ = false;
  seed_entry seed_;
  seed_key seed_key_ = seed_key::none;
  unsigned seed_keys_seen_ = 0;
};

} // namespace

result<request_body> read_request_body(operation op, std::istream& in) {
  body_listener listener{op};
  if (auto read = read_json(in, listener); !read) return read.error();
  return listener.take();
}

} // namespace engram
