#include "engram/pipeline/validate.hpp"

#include "engram/kernels/cosine.hpp"

#include <memory>
#include <string>
#include <utility>

namespace engram {

namespace {

error invalid(std::string message) {
  return {ec::invalid_argument, std::move(message)};
}

result<dataset_ptr> find(const catalog& datasets, const std::string& name) {
  if (auto found = datasets.find(name)) return found;
  return error{ec::not_found,
               "There is no dataset \"" + name + "\"; publish it first or check the name."};
}

result<dataset_ptr> find_collection(const catalog& datasets, const std::string& name) {
  auto found = find(datasets, name);
  if (found && !(*found)->collection())
    return invalid("Dataset \"" + name +
                   "\" is a graph; this operation needs a vector collection.");
  return found;
}

/// Checks that `numbers` are whole rows of `dim` finite numbers.
result<void> check_rows(const char* what, std::span<const float> numbers, std::size_t dim) {
  if (numbers.empty()) return invalid(std::string{what} + " is empty; give at least one row.");
  if (numbers.size() % dim != 0)
    return invalid(std::string{what} + " has " + std::to_string(numbers.size()) +
                   " numbers, which is no multiple of the dimension " + std::to_string(dim) + ".");
  const matrix_view<const float> rows{numbers.data(), numbers.size() / dim, dim};
  if (const auto bad = find_non_finite(rows))
    return invalid(std::string{what} + " has a NaN or an infinity at row " +
                   std::to_string(bad->row) + ", column " + std::to_string(bad->column) + ".");
  return {};
}

bool has_extreme_row(matrix_view<const float> rows) noexcept {
  for (std::size_t r = 0; r < rows.rows(); ++r)
    if (has_extreme_norm(rows.row(r))) return true;
  return false;
}

/// Where a payload keeps rows: its own, or those of a lender.
struct row_storage {
  std::vector<float>& own;
  std::span<const float>& borrowed;
  std::shared_ptr<const void>& lender;
};

/// Puts checked rows there, extreme ones brought into range, which is done to a copy if the rows
/// are lent.
void store_rows(float_buffer numbers, std::size_t dim, row_storage where) {
  const auto seen = numbers.view();
  if (numbers.is_lent() && !has_extreme_row({seen.data(), seen.size() / dim, dim})) {
    where.borrowed = seen;
    where.lender = numbers.owner();
    return;
  }
  where.own = std::move(numbers).take();
  const matrix_view<float> rows{where.own.data(), where.own.size() / dim, dim};
  for (std::size_t r = 0; r < rows.rows(); ++r)
    rescale_power_of_two(rows.row(r));
}

/// Takes the queries [q, dim] into `work`.
result<void> take_queries(const char* what, float_buffer queries, std::size_t dim,
                          work_payload& work) {
  if (auto checked = check_rows(what, queries.view(), dim); !checked) return checked;
  work.dim = dim;
  store_rows(std::move(queries), dim, {work.queries, work.borrowed_queries, work.query_lender});
  const auto rows = work.query_rows();
  work.inverse_norms.reserve(rows.rows());
  for (std::size_t r = 0; r < rows.rows(); ++r)
    work.inverse_norms.push_back(inverse_norm(rows.row(r)));
  return {};
}

result<void> take_query(float_buffer query, std::size_t dim, work_payload& work) {
  if (query.size() != dim)
    return invalid("query has " + std::to_string(query.size()) + " numbers; the dimension is " +
                   std::to_string(dim) + ".");
  return take_queries("query", std::move(query), dim, work);
}

result<void> fill(search_request what, const catalog& datasets, work_payload& work) {
  auto data = find_collection(datasets, what.collection);
  if (!data) return data.error();
  if (what.k < 1 || what.k > max_k)
    return invalid("k is " + std::to_string(what.k) + "; it must be within 1.." +
                   std::to_string(max_k) + ".");
  work.op = operation::search;
  work.k = what.k;
  work.data = std::move(*data);
  return take_queries("queries", std::move(what.queries), work.data->collection()->dim(), work);
}

result<void> fill(similarity_request what, const catalog&, work_payload& work) {
  const auto dim = what.query.size();
  if (dim < 1 || dim > max_dim)
    return invalid("query has " + std::to_string(dim) + " numbers; it must have 1.." +
                   std::to_string(max_dim) + ".");
  work.op = operation::similarity;
  if (auto checked = check_rows("targets", what.targets.view(), dim); !checked) return checked;
  store_rows(std::move(what.targets), dim,
             {work.targets, work.borrowed_targets, work.target_lender});
  return take_query(std::move(what.query), dim, work);
}

result<void> fill(score_request what, const catalog& datasets, work_payload& work) {
  auto data = find_collection(datasets, what.collection);
  if (!data) return data.error();
  const auto& collection = *(*data)->collection();
  if (what.ids.empty()) return invalid("ids is empty; give at least one.");
  for (const auto id : what.ids)
    if (id >= collection.size())
      return invalid("id " + std::to_string(id) + " is unknown; collection \"" + what.collection +
                     "\" has rows 0.." + std::to_string(collection.size() - 1) + ".");
  work.op = operation::score;
  work.data = std::move(*data);
  work.ids = std::move(what.ids);
  return take_query(std::move(what.query), collection.dim(), work);
}

result<void> check_seeds(const std::vector<std::vector<seed>>& sets, std::size_t nodes) {
  if (sets.empty()) return invalid("seed_sets is empty; give at least one.");
  for (std::size_t s = 0; s < sets.size(); ++s) {
    if (sets[s].empty())
      return invalid("seed set " + std::to_string(s) + " is empty; give at least one seed.");
    for (const auto& each : sets[s]) {
      if (each.node >= nodes)
        return invalid("node " + std::to_string(each.node) + " of seed set " + std::to_string(s) +
                       " is unknown; the graph has nodes 0.." + std::to_string(nodes - 1) + ".");
      if (!(each.amount > 0.0f && each.amount <= 1.0f))
        return invalid("the amount of node " + std::to_string(each.node) + " in seed set " +
                       std::to_string(s) + " must be above 0 and at most 1.");
    }
  }
  return {};
}

result<void> fill(spread_request what, const catalog& datasets, work_payload& work) {
  auto data = find(datasets, what.graph);
  if (!data) return data.error();
  const auto* graph = (*data)->graph();
  if (!graph)
    return invalid("Dataset \"" + what.graph + "\" is a vector collection; spread needs a graph.");
  const auto& o = what.spread;
  if (o.max_hops < 1 || o.max_hops > max_hops)
    return invalid("max_hops is " + std::to_string(o.max_hops) + "; it must be within 1.." +
                   std::to_string(max_hops) + ".");
  if (!(o.decay > 0.0f && o.decay <= 1.0f)) return invalid("decay must be above 0 and at most 1.");
  if (!(o.threshold >= 0.0f && o.threshold < 1.0f))
    return invalid("threshold must be at least 0 and below 1.");
  if (auto checked = check_seeds(what.seed_sets, graph->nodes()); !checked) return checked;
  work.op = operation::spread;
  work.data = std::move(*data);
  work.seed_sets = std::move(what.seed_sets);
  work.spread = o;
  return {};
}

result<void> check_options(const request_options& options) {
  if (options.deadline && *options.deadline <= duration::zero())
    return invalid("The deadline is not in the future; allow more than 0 ms.");
  if (options.deadline && *options.deadline > max_deadline)
    return invalid("The deadline is more than an hour away; allow at most 3600000 ms.");
  if (options.priority < -max_priority || options.priority > max_priority)
    return invalid("priority is " + std::to_string(options.priority) + "; it must be within -" +
                   std::to_string(max_priority) + ".." + std::to_string(max_priority) + ".");
  return {};
}

} // namespace

result<payload_ptr> to_payload(request what, const catalog& datasets) {
  if (auto checked = check_options(options_of(what)); !checked) return checked.error();
  auto work = std::make_shared<work_payload>();
  auto filled =
      std::visit([&](auto& each) { return fill(std::move(each), datasets, *work); }, what);
  if (!filled) return filled.error();
  return payload_ptr{std::move(work)};
}

const request_options& options_of(const request& what) noexcept {
  return std::visit([](const auto& each) -> const request_options& { return each.options; }, what);
}

operation operation_of(const request& what) noexcept {
  return static_cast<operation>(what.index());
}

} // namespace engram
