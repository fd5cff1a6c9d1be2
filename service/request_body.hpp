#pragma once

#include "engram/base/error.hpp"
#include "engram/base/ids.hpp"

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

namespace engram {

/// Vectors as a body brings them: [rows, dim], row-major.
struct float_rows {
  std::vector<float> values;
  std::size_t rows = 0;
  std::size_t dim = 0;
};

/// A seed by its number or by its label, exactly one of the two.
struct seed_entry {
  std::optional<node_id> node;
  std::optional<std::string> label;
  float amount = 1.0f;
};

/// What the JSON body of a request said, field by field; no field has met a dataset yet.
struct request_body {
  std::optional<std::string> collection, graph, text, tenant;
  std::optional<float_rows> query; ///< one row
  std::optional<float_rows> queries, targets;
  std::optional<std::vector<row_id>> ids;
  std::optional<std::vector<std::vector<seed_entry>>> seed_sets; ///< `seeds` is one set
  std::optional<std::uint32_t> k, max_hops, top;
  std::optional<int> priority;
  std::optional<float> decay, threshold;
  std::optional<double> deadline_ms;
};

/// Reads the JSON object that `op` takes from `in`, to its end, numbers straight into their
/// vectors. `invalid_argument` names the field, or for text that is not JSON the line and column:
/// unknown fields, fields given twice, wrong types, numbers out of their type's range, rows of
/// different length. Nothing beyond those arrays is kept, whatever the body nests or repeats.
result<request_body> read_request_body(operation op, std::istream& in);

} // namespace engram
