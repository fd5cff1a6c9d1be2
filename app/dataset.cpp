#include "engram/app/commands.hpp"
#include "engram/app/stored_datasets.hpp"
#include "engram/app/table.hpp"
#include "engram/datasets/import.hpp"
#include "engram/service/dataset_lookup.hpp"
#include "engram/service/json_writer.hpp"

#include <CLI/CLI.hpp>

#include <chrono>
#include <cstdio>
#include <optional>
#include <utility>

namespace engram {

namespace {

constexpr std::string_view wordnet_name = "wordnet";
constexpr std::size_t wordnet_dim = 768;

void write_summary(json_writer& out, const dataset_store::summary& what) {
  out.begin_object().field("name", what.name).field("version", what.version);
  out.field("kind", what.is_graph ? "graph" : "vectors");
  out.field(what.is_graph ? "nodes" : "rows", what.rows);
  if (what.is_graph)
    out.field("edges", what.edges);
  else
    out.field("dim", what.dim)
        .field("type", what.element_type)
        .field("takes_text", what.has_embedder);
  out.field("labels", what.has_labels).field("bytes", what.bytes).field("path", what.path.string());
  out.end_object();
}

std::string name_and_version(const dataset_store::summary& what) {
  return what.name + " version " + std::to_string(what.version);
}

// -- import
// ----------------------------------------------------------------------------------------

struct import_arguments {
  std::string name;
  std::string file;
  std::optional<std::string> wordnet; ///< --wordnet: its folder
  std::string kind;
  std::optional<std::string> type; ///< --type: how vectors are stored, else f32
  std::string labels;
  std::size_t limit = 0;
  std::optional<std::size_t> dim; ///< --dim: of WordNet's vectors, else wordnet_dim
};

element_type type_named(const std::optional<std::string>& name) {
  return name == "f16"    ? element_type::f16
         : name == "bf16" ? element_type::bf16
                          : element_type::f32;
}

using content = std::variant<collection_ptr, graph_ptr>;
/// What an import makes: names and contents.
using parts = std::vector<std::pair<std::string, content>>;

result<parts> read_wordnet(const import_arguments& given) {
  const std::filesystem::path folder =
      given.wordnet && !given.wordnet->empty() ? *given.wordnet : "/usr/share/wordnet";
  auto made =
      import_wordnet(folder, given.limit, given.dim.value_or(wordnet_dim), type_named(given.type));
  if (!made) return made.error();
  return parts{{given.name, std::move(made->collection)},
               {given.name + std::string{graph_suffix}, std::move(made->graph)}};
}

/// Returns "vectors" or "graph" by the ending of a file, empty if it does not tell.
std::string kind_by_ending(const std::filesystem::path& file) {
  const auto ending = file.extension();
  if (ending == ".npy" || ending == ".fvecs") return "vectors";
  for (const char* each : {".mtx", ".txt", ".tsv", ".edges", ".el"})
    if (ending == each) return "graph";
  return {};
}

result<parts> read_file(const import_arguments& given, const std::string& kind) {
  std::optional<std::filesystem::path> labels;
  if (!given.labels.empty()) labels = given.labels;
  if (kind == "graph") {
    auto graph = import_graph(given.file, labels);
    if (!graph) return graph.error();
    return parts{{given.name, std::move(*graph)}};
  }
  auto collection = import_collection(given.file, type_named(given.type), labels);
  if (!collection) return collection.error();
  return parts{{given.name, std::move(*collection)}};
}

/// Says what does not fit together in the arguments.
std::optional<std::string> complaint(const import_arguments& given, bool is_wordnet,
                                     const std::string& kind) {
  if (is_wordnet && !given.file.empty())
    return "--wordnet and a FILE are two sources: give one of the two";
  if (is_wordnet && !given.labels.empty())
    return "WordNet brings its own labels: leave out --labels";
  if (is_wordnet) return std::nullopt;
  if (given.file.empty()) return "import wants a FILE (only \"wordnet\" has one of its own)";
  if (given.limit) return "--limit is for --wordnet only";
  if (given.dim) return "--dim is for --wordnet only: vectors in a FILE have their own";
  if (given.type && kind == "graph") return "--type is for vectors only: a graph has none";
  if (kind.empty())
    return "the ending of " + given.file +
           " does not say what it holds: add --kind vectors or --kind graph";
  return std::nullopt;
}

int run_import(const common_options& common, const import_arguments& given) {
  const bool is_wordnet =
      given.wordnet.has_value() || (given.name == wordnet_name && given.file.empty());
  const std::string kind = given.kind.empty() ? kind_by_ending(given.file) : given.kind;
  if (const auto wrong = complaint(given, is_wordnet, kind))
    return report_usage_error({ec::invalid_argument, *wrong});
  const auto config = load(common);
  if (!config) return report_usage_error(config.error());

  const auto begin = std::chrono::steady_clock::now();
  auto made = is_wordnet ? read_wordnet(given) : read_file(given, kind);
  if (!made) return report_run_time_error(made.error());
  dataset_store store{store_directory(config->values)};
  std::vector<dataset_store::summary> saved;
  for (const auto& [name, what] : *made) {
    auto one = store.save(name, what);
    if (!one) return report_run_time_error(one.error());
    saved.push_back(std::move(*one));
  }
  const double seconds = to_seconds(std::chrono::steady_clock::now() - begin);
  if (common.json) {
    json_writer out;
    out.begin_object().key("imported").begin_array();
    for (const auto& each : saved)
      write_summary(out, each);
    out.end_array().end_object();
    std::printf("%s\n", out.take().c_str());
    return exit_fine;
  }
  for (const auto& each : saved)
    std::printf("imported %s: %s, %s\n", name_and_version(each).c_str(), shape_of(each).c_str(),
                human_bytes(static_cast<double>(each.bytes)).c_str());
  std::printf("in %.1f s into %s\n", seconds, store.directory().c_str());
  return exit_fine;
}

// -- info, verify, list
// ----------------------------------------------------------------------------

int run_info(const common_options& common, const std::string& name) {
  const auto which = parse_dataset_reference(name);
  if (!which) return report_usage_error(which.error());
  const auto config = load(common);
  if (!config) return report_usage_error(config.error());
  const dataset_store store{store_directory(config->values)};
  const auto what = store.describe(which->name, which->version);
  if (!what) return report_run_time_error(what.error());
  if (common.json) {
    json_writer out;
    write_summary(out, *what);
    std::printf("%s\n", out.take().c_str());
    return exit_fine;
  }
  text_table table{{{""}, {""}}};
  table.add({"name", what->name});
  table.add({"version", std::to_string(what->version)});
  table.add({"kind", what->is_graph ? "graph" : "vectors"});
  table.add({"shape", shape_of(*what)});
  table.add({"labels", what->has_labels ? "yes" : "no"});
  if (!what->is_graph) table.add({"takes text", what->has_embedder ? "yes" : "no"});
  table.add({"on disk", human_bytes(static_cast<double>(what->bytes))});
  table.add({"path", what->path.string()});
  std::fputs(table.to_string().c_str(), stdout);
  return exit_fine;
}

int run_verify(const common_options& common, const std::vector<std::string>& names) {
  const auto config = load(common);
  if (!config) return report_usage_error(config.error());
  const dataset_store store{store_directory(config->values)};
  std::vector<dataset_reference> all;
  for (const auto& name : names) {
    auto which = parse_dataset_reference(name);
    if (!which) return report_usage_error(which.error());
    all.push_back(std::move(*which));
  }
  if (names.empty())
    for (auto& name : store.names())
      all.push_back({std::move(name), 0});

  int code = exit_fine;
  json_writer out;
  out.begin_object().key("verified").begin_array();
  for (const auto& which : all) {
    const auto what = store.verify(which.name, which.version);
    if (!what && what.error().code == ec::not_found && !names.empty())
      return report_run_time_error(what.error());
    if (!what) code = exit_verdict_failed;
    out.begin_object().field("name", which.name).field("good", what.has_value());
    if (!what) out.field("message", what.error().message);
    out.end_object();
    if (common.json) continue;
    if (what)
      std::printf("good     %s: %s\n", name_and_version(*what).c_str(), shape_of(*what).c_str());
    else
      std::printf("damaged  %s: %s\n", which.name.c_str(), what.error().message.c_str());
  }
  out.end_array().end_object();
  if (common.json) std::printf("%s\n", out.take().c_str());
  return code;
}

/// A dataset of the store, or why it cannot be described.
struct listed {
  std::string name;
  result<dataset_store::summary> what;
};

void print_json(const std::vector<listed>& all) {
  json_writer out;
  out.begin_object().key("datasets").begin_array();
  for (const auto& [name, what] : all) {
    if (what)
      write_summary(out, *what);
    else
      out.begin_object()
          .field("name", name)
          .field("kind", "damaged")
          .field("message", what.error().message)
          .end_object();
  }
  out.end_array().end_object();
  std::printf("%s\n", out.take().c_str());
}

int run_list(const common_options& common) {
  const auto config = load(common);
  if (!config) return report_usage_error(config.error());
  const dataset_store store{store_directory(config->values)};
  std::vector<listed> all;
  for (const auto& name : store.names())
    all.push_back({name, store.describe(name)});
  if (common.json) {
    print_json(all);
    return exit_fine;
  }
  if (all.empty()) {
    std::printf("no datasets in %s: `engram dataset import wordnet` makes two\n",
                store.directory().c_str());
    return exit_fine;
  }
  text_table table{{{"name"},
                    {"version", text_table::align::right},
                    {"kind"},
                    {"shape"},
                    {"labels"},
                    {"on disk", text_table::align::right}}};
  for (const auto& [name, what] : all) {
    if (what)
      table.add({name, std::to_string(what->version), what->is_graph ? "graph" : "vectors",
                 shape_of(*what), what->has_labels ? "yes" : "no",
                 human_bytes(static_cast<double>(what->bytes))});
    else
      table.add({name, "", "damaged", "`engram dataset verify " + name + "` says why"});
  }
  std::fputs(table.to_string().c_str(), stdout);
  return exit_fine;
}

void add_import(CLI::App& dataset, const common_options& common, int& exit_code) {
  auto given = std::make_shared<import_arguments>();
  auto* command =
      dataset.add_subcommand("import", "Read a file into the store, as the next version of NAME");
  command->add_option("NAME", given->name, "Name in the store; \"wordnet\" alone imports WordNet")
      ->required();
  command->add_option("FILE", given->file, "vectors: .npy, .fvecs; graph: .mtx or an edge list");
  command
      ->add_option("--wordnet", given->wordnet,
                   "Import WordNet's database files, from this folder if not Debian's")
      ->type_name("[DIR]")
      ->expected(0, 1);
  command->add_option("--kind", given->kind, "What FILE holds, if its ending does not tell")
      ->type_name("KIND")
      ->check(CLI::IsMember({"vectors", "graph"}));
  command->add_option("--type", given->type, "How vectors are stored")
      ->type_name("TYPE")
      ->check(CLI::IsMember({"f32", "f16", "bf16"}))
      ->default_str("f32");
  command->add_option("--labels", given->labels, "A text file with one label a line")
      ->type_name("FILE");
  command->add_option("--limit", given->limit,
                      "WordNet: keep this many synsets, the best connected first");
  command->add_option("--dim", given->dim, "WordNet: dimension of the embedding, 1 to 8192")
      ->check(CLI::Range(1, 8192).description(""))
      ->default_str(std::to_string(wordnet_dim));
  command->footer("WordNet becomes two datasets: the collection NAME and the graph NAME-graph.\n\n"
                  "Examples:\n"
                  "  engram dataset import wordnet\n"
                  "  engram dataset import small --wordnet --limit 5000 --dim 256\n"
                  "  engram dataset import docs vectors.npy --labels titles.txt --type bf16\n"
                  "  engram dataset import web links.txt --kind graph");
  command->callback([&common, &exit_code, given] { exit_code = run_import(common, *given); });
}

} // namespace

void add_dataset_command(CLI::App& app, const common_options& common, int& exit_code) {
  auto* dataset =
      app.add_subcommand("dataset", "Import, describe and check the datasets of the store");
  dataset->require_subcommand(1);
  add_import(*dataset, common, exit_code);

  auto name = std::make_shared<std::string>();
  auto* info = dataset->add_subcommand("info", "Describe a dataset");
  info->add_option("NAME", *name, "NAME or NAME@VERSION")->required();
  info->callback([&common, &exit_code, name] { exit_code = run_info(common, *name); });

  auto names = std::make_shared<std::vector<std::string>>();
  auto* verify = dataset->add_subcommand(
      "verify", "Read datasets whole and check sizes, checksums and content");
  verify->add_option("NAMES", *names, "NAME or NAME@VERSION; none: the newest of each");
  verify->footer("Ends with 1 if a dataset is damaged.");
  verify->callback([&common, &exit_code, names] { exit_code = run_verify(common, *names); });

  auto* list = dataset->add_subcommand("list", "List the newest version of every dataset");
  list->callback([&common, &exit_code] { exit_code = run_list(common); });
}

} // namespace engram
