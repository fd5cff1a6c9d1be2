// How a scenario is read from TOML.

#include "engram/config/load.hpp"
#include "engram/config/values.hpp"
#include "engram/datasets/vector_collection.hpp"
#include "engram/devices/fault_points.hpp"
#include "engram/replay/durations.hpp"
#include "engram/replay/scenario.hpp"
#include "engram/replay/table_reader.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>

namespace engram::replay {

namespace {

using namespace std::chrono_literals;

constexpr duration longest_part = 24h;
constexpr duration longest_deadline = 1h;
constexpr duration shortest_period = 1ms;
constexpr std::uint32_t max_count = 65'536;   // of queries, targets, ids, seed sets or seeds
constexpr std::uint64_t max_seed = INT64_MAX; // TOML has no larger integer

load_spec read_search(table_reader& in, load_spec load) {
  load.queries = in.range("queries", max_count, {1, 1});
  load.k = static_cast<std::uint32_t>(in.integer("k", 1, 2048, 10));
  load.vectors = static_cast<vector_source>(in.choice("vectors", {"rows", "random"}, 0));
  load.noise = in.number("noise", 0, 10, 0.1);
  return load;
}

load_spec read_score(table_reader& in, load_spec load) {
  load.ids = in.range("ids", max_count, {1, 1});
  load.vectors = static_cast<vector_source>(in.choice("vectors", {"rows", "random"}, 0));
  load.noise = in.number("noise", 0, 10, 0.1);
  return load;
}

load_spec read_similarity(table_reader& in, load_spec load) {
  load.targets = in.range("targets", max_count, {1, 1});
  load.dim = static_cast<std::uint32_t>(in.integer("dim", 1, max_dim, std::nullopt));
  load.vectors = vector_source::random;
  return load;
}

load_spec read_spread(table_reader& in, load_spec load) {
  load.seed_sets = in.range("seed_sets", max_count, {1, 1});
  load.seeds = in.range("seeds", max_count, {1, 1});
  load.spread.max_hops = static_cast<std::uint32_t>(in.integer("hops", 1, 64, 3));
  load.spread.decay = static_cast<float>(in.number("decay", 0, 1, 0.5));
  if (load.spread.decay <= 0) in.reject("decay", "is out of range: allowed above 0, up to 1");
  load.spread.threshold = static_cast<float>(in.number("threshold", 0, 1, 0.01));
  if (load.spread.threshold >= 1)
    in.reject("threshold", "is out of range: allowed 0 up to below 1");
  load.spread.top = static_cast<std::uint32_t>(in.integer("top", 0, UINT32_MAX, 100));
  return load;
}

void read_arrival(table_reader& in, load_spec& load) {
  load.arrival =
      static_cast<arrival_kind>(in.choice("arrival", {"poisson", "constant", "bursts"}, 0));
  if (load.arrival != arrival_kind::bursts) {
    load.rate = in.number("rate", 0.001, 5e6, std::nullopt);
    return;
  }
  load.burst_size =
      static_cast<std::uint32_t>(in.integer("burst_size", 1, 1'000'000, std::nullopt));
  load.burst_period = in.time("burst_period", shortest_period, longest_deadline, std::nullopt);
  load.rate = load.burst_size / to_seconds(load.burst_period);
}

load_spec read_by_operation(table_reader& in, load_spec load) {
  switch (load.op) {
  case operation::search:
    return read_search(in, std::move(load));
  case operation::similarity:
    return read_similarity(in, std::move(load));
  case operation::score:
    return read_score(in, std::move(load));
  case operation::spread:
    break;
  }
  return read_spread(in, std::move(load));
}

load_spec read_load(const toml::table& table, mistakes& into) {
  table_reader in{table, "load.", table.source().begin.line, into};
  load_spec load;
  const std::vector<std::string_view> names{"search", "similarity", "score", "spread"};
  load.op = static_cast<operation>(in.choice("op", names, std::nullopt));
  // Without an operation it is not known which keys belong here.
  if (table["op"].value_or(std::string_view{}) != to_string(load.op)) return load;
  load.name = in.text("name", to_string(load.op));
  read_arrival(in, load);
  if (load.op != operation::similarity)
    load.dataset = in.required_text("dataset", "the name of a dataset");
  load = read_by_operation(in, std::move(load));
  load.deadline = in.optional_time("deadline", 1us, longest_deadline);
  load.priority = static_cast<int>(in.signed_integer("priority", -8, 8, 0));
  load.tenant = in.text("tenant", "");
  load.distinct = static_cast<std::uint32_t>(in.integer("distinct", 1, 65'536, 256));
  in.finish("a " + std::string{to_string(load.op)} + " load");
  return load;
}

fault_mark read_fault(const toml::table& table, duration measured, mistakes& into) {
  table_reader in{table, "fault.", table.source().begin.line, into};
  fault_mark mark;
  mark.at = in.time("at", duration::zero(), longest_part, std::nullopt);
  if (in.has("at") && mark.at > measured)
    in.reject("at",
              "is after the end of the run: allowed up to \"" + duration_text(measured) + '"');
  mark.setting = in.required_text("fault", "a setting like \"gpu0.launch=return(sticky)\"");
  if (!mark.setting.empty())
    if (auto fits = check_fault_setting(mark.setting); !fits)
      in.reject("fault", "is not a fault setting: " + fits.error().message);
  in.finish("[[fault]]");
  return mark;
}

publish_mark read_publication(const toml::table& table, duration measured, mistakes& into) {
  table_reader in{table, "publish.", table.source().begin.line, into};
  publish_mark mark;
  mark.at = in.time("at", duration::zero(), longest_part, std::nullopt);
  if (in.has("at") && mark.at > measured)
    in.reject("at",
              "is after the end of the run: allowed up to \"" + duration_text(measured) + '"');
  mark.dataset = in.required_text("dataset", "the name of a [[dataset]] of the scenario");
  in.finish("[[publish]]");
  return mark;
}

/// Notes publications of data that the scenario does not make.
void check_publications(const scenario& what, const toml::array* tables, mistakes& wrong) {
  for (const auto& node : *tables) {
    const auto* table = node.as_table();
    const auto name = (*table)["dataset"].value_or(std::string{});
    const auto is_it = [&](const synthetic_dataset& each) { return each.name == name; };
    if (name.empty() || std::any_of(what.datasets.begin(), what.datasets.end(), is_it)) continue;
    wrong.add(table->find("dataset")->first.source().begin.line,
              "publish.dataset = " + config::toml_string(name) +
                  " is no [[dataset]] of the scenario");
  }
}

synthetic_dataset read_dataset(const toml::table& table, mistakes& into) {
  table_reader in{table, "dataset.", table.source().begin.line, into};
  synthetic_dataset made;
  made.name = in.required_text("name", "a name");
  const auto kind = in.choice("kind", {"vectors", "graph"}, std::nullopt);
  made.kind = static_cast<synthetic_dataset::form>(kind);
  if (made.kind == synthetic_dataset::form::vectors) {
    made.n = static_cast<std::uint32_t>(in.integer("n", 1, 100'000'000, std::nullopt));
    made.dim = static_cast<std::uint32_t>(in.integer("dim", 1, max_dim, std::nullopt));
  } else {
    made.nodes = static_cast<std::uint32_t>(in.integer("nodes", 2, 100'000'000, std::nullopt));
    made.edges_per_node =
        static_cast<std::uint32_t>(in.integer("edges_per_node", 1, 10'000, std::nullopt));
    if (made.edges_per_node >= made.nodes && in.has("nodes") && in.has("edges_per_node"))
      in.reject("edges_per_node", "is not below nodes");
  }
  made.seed = in.integer("seed", 0, max_seed, 1);
  in.finish("a dataset of this kind");
  return made;
}

/// Calls `read(table)` for each table of an array of tables.
template <class Read>
void for_each_table(const toml::array* tables, Read read) {
  if (!tables) return;
  for (const auto& node : *tables)
    read(*node.as_table());
}

// -- [config]
// --------------------------------------------------------------------------------------

struct config_entry {
  std::string path;
  const toml::node* value;
  unsigned line;
};

void collect(const toml::table& from, const std::string& prefix, std::vector<config_entry>& into) {
  for (const auto& [key, node] : from) {
    const auto path = prefix + std::string{key.str()};
    if (const auto* table = node.as_table())
      collect(*table, path + '.', into);
    else
      into.push_back({path, &node, key.source().begin.line});
  }
}

std::string as_toml(const toml::node& node) {
  if (const auto* text = node.as_string()) return config::toml_string(text->get());
  std::ostringstream out;
  node.visit([&](const auto& typed) { out << typed; });
  auto text = out.str();
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

/// Returns the value as a command line has it: lists with commas, strings without quotes.
std::string as_flag(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  const auto* list = node.as_array();
  if (!list) return as_toml(node);
  std::string joined;
  for (const auto& entry : *list)
    (joined += joined.empty() ? "" : ",") += as_flag(entry);
  return joined;
}

/// Reads [config] and has the configuration's own rules check it, with the lines of this file.
void read_config(const toml::table* table, scenario& into, const std::string& file,
                 mistakes& wrong) {
  if (!table) return;
  std::vector<config_entry> entries;
  collect(*table, "", entries);
  std::sort(entries.begin(), entries.end(),
            [](const auto& a, const auto& b) { return a.line < b.line; });
  // Each entry is written as a dotted key on the line where it was found.
  std::string text;
  unsigned line = 1;
  for (const auto& entry : entries) {
    for (; line < entry.line; ++line)
      text += '\n';
    text += entry.path + " = " + as_toml(*entry.value) + '\n';
    ++line;
    into.config.emplace_back(entry.path, as_flag(*entry.value));
  }
  if (auto checked = parse_configuration(text, file); !checked)
    wrong.add_placed(checked.error().message);
}

void check_preset(table_reader& in, const std::string& preset) {
  if (preset.empty()) return;
  const auto& all = all_presets();
  const auto known = [&](const preset_info& each) { return each.name == preset; };
  if (std::none_of(all.begin(), all.end(), known))
    in.reject("preset", "is unknown: `engram config presets` lists them");
}

// -- the whole file
// --------------------------------------------------------------------------------

/// Notes loads that use a synthetic dataset of the wrong kind.
void check_datasets(const scenario& what, const toml::array* loads, mistakes& wrong) {
  for (std::size_t i = 0; i < what.loads.size(); ++i) {
    const auto& load = what.loads[i];
    const auto made =
        std::find_if(what.datasets.begin(), what.datasets.end(),
                     [&](const synthetic_dataset& each) { return each.name == load.dataset; });
    if (made == what.datasets.end() || load.dataset.empty()) continue;
    const auto wants_graph = load.op == operation::spread;
    const auto is_graph = made->kind == synthetic_dataset::form::graph;
    if (wants_graph == is_graph) continue;
    const auto* table = (*loads)[i].as_table();
    wrong.add(table->find("dataset")->first.source().begin.line,
              "load.dataset = " + config::toml_string(load.dataset) + " is a " +
                  (is_graph ? "graph" : "collection of vectors") + ": " +
                  std::string{to_string(load.op)} + " needs a " +
                  (wants_graph ? "graph" : "collection of vectors"));
  }
}

void read_objective(const toml::table* table, objective& goal, mistakes& into) {
  if (!table) return;
  table_reader in{*table, "objective.", table->source().begin.line, into};
  goal.p99 = in.optional_time("p99", 1us, longest_deadline);
  goal.max_error_share = in.number("max_error_share", 0, 1, 0);
  goal.max_overdue_share = in.number("max_overdue_share", 0, 1, 1);
  in.finish("[objective]");
}

void read_verify(const toml::table* table, double& share, mistakes& into) {
  if (!table) return;
  table_reader in{*table, "verify.", table->source().begin.line, into};
  share = in.number("share", 0, 1, share);
  in.finish("[verify]");
}

scenario read_scenario(const toml::table& root, const std::string& file, mistakes& wrong) {
  table_reader in{root, "", 1, wrong};
  scenario what;
  what.file = file;
  what.name = in.required_text("name", "a name");
  what.summary = in.text("summary", "");
  what.measured = in.time("duration", 100ms, longest_part, std::nullopt);
  what.warm_up = in.time("warm_up", duration::zero(), longest_part, duration::zero());
  what.seed = in.integer("seed", 0, max_seed, 1);
  what.preset = in.text("preset", "");
  check_preset(in, what.preset);
  read_config(in.table("config", "[config]"), what, file, wrong);
  for_each_table(in.tables("dataset", "[[dataset]]"), [&](const toml::table& table) {
    what.datasets.push_back(read_dataset(table, wrong));
  });
  const auto* loads = in.tables("load", "[[load]]");
  for_each_table(loads,
                 [&](const toml::table& table) { what.loads.push_back(read_load(table, wrong)); });
  if (what.loads.empty() && !in.has("load")) in.missing("load", "one [[load]] or more");
  for_each_table(in.tables("fault", "[[fault]]"), [&](const toml::table& table) {
    what.faults.push_back(read_fault(table, what.measured, wrong));
  });
  std::stable_sort(what.faults.begin(), what.faults.end(),
                   [](const fault_mark& a, const fault_mark& b) { return a.at < b.at; });
  const auto* publications = in.tables("publish", "[[publish]]");
  for_each_table(publications, [&](const toml::table& table) {
    what.publications.push_back(read_publication(table, what.measured, wrong));
  });
  if (publications) check_publications(what, publications, wrong);
  std::stable_sort(what.publications.begin(), what.publications.end(),
                   [](const publish_mark& a, const publish_mark& b) { return a.at < b.at; });
  read_verify(in.table("verify", "[verify]"), what.verify_share, wrong);
  read_objective(in.table("objective", "[objective]"), what.goal, wrong);
  in.finish("a scenario");
  if (loads) check_datasets(what, loads, wrong);
  return what;
}

} // namespace

result<scenario> parse_scenario(std::string_view toml, std::string_view name) {
  const std::string file{name};
  const auto parsed = toml::parse(toml);
  if (!parsed) {
    const auto& why = parsed.error();
    std::string_view words = why.description();
    constexpr std::string_view lead = "Error while parsing ";
    if (words.starts_with(lead)) words.remove_prefix(lead.size());
    return error{ec::invalid_argument, file + ':' + std::to_string(why.source().begin.line) +
                                           ": not valid TOML: " + std::string{words}};
  }
  mistakes wrong{file};
  auto what = read_scenario(parsed.table(), file, wrong);
  if (wrong.empty())
    if (auto why = complaint(what)) wrong.add_placed(file + ": " + *why);
  if (!wrong.empty()) return wrong.as_error();
  return what;
}

result<scenario> load_scenario(const std::filesystem::path& file) {
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored))
    return error{ec::not_found,
                 file.string() + ": there is no such file; name a scenario that exists"};
  if (std::filesystem::is_directory(file, ignored))
    return error{ec::invalid_argument, file.string() + ": is a directory; name a TOML file"};
  std::ifstream in{file};
  std::ostringstream text;
  if (in) text << in.rdbuf();
  if (!in) return error{ec::unavailable, file.string() + ": cannot be read; check its permissions"};
  return parse_scenario(text.str(), file.string());
}

} // namespace engram::replay
