#include "engram/app/commands.hpp"
#include "engram/app/stored_datasets.hpp"
#include "engram/app/table.hpp"
#include "engram/datasets/text_embedder.hpp"
#include "engram/service/json_codec.hpp"

#include <CLI/CLI.hpp>

#include <array>
#include <cstdio>
#include <optional>

namespace engram {

namespace {

struct search_arguments {
  std::string collection;
  std::vector<std::string> words;
  std::optional<std::uint32_t> like;
  std::uint32_t k = 10;
  double deadline_ms = 30'000; // a first search may wait for the disk
};

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const auto& word : words)
    out += (out.empty() ? "" : " ") + word;
  return out;
}

/// Returns the query [dim] that the arguments mean.
result<std::vector<float>> query_of(const search_arguments& given, const dataset& data) {
  const auto& collection = *data.collection();
  if (given.like) {
    if (*given.like < collection.size()) return collection.row(*given.like);
    return error{ec::not_found, "\"" + data.name + "\" has no row " + std::to_string(*given.like) +
                                    ": its rows are 0 to " + std::to_string(collection.size() - 1)};
  }
  if (!collection.embedder())
    return error{ec::invalid_argument,
                 "\"" + data.name + "\" has no embedder for words: search it with --like ROW"};
  return collection.embedder()->embed(joined(given.words));
}

void print_hits(const answer& given, const dataset& data) {
  const auto& collection = *data.collection();
  text_table table{{{"rank", text_table::align::right},
                    {"score", text_table::align::right},
                    {"id", text_table::align::right},
                    {collection.has_labels() ? "label" : ""}}};
  std::size_t rank = 0;
  for (const hit& h : given.output.hits) {
    std::array<char, 32> score{};
    std::snprintf(score.data(), score.size(), "%.4f", static_cast<double>(h.score));
    table.add({std::to_string(++rank), score.data(), std::to_string(h.id),
               std::string{collection.label(h.id)}});
  }
  std::fputs(table.to_string(terminal_width()).c_str(), stdout);
  std::printf("\n%s rows of \"%s\" searched on %s in %.1f ms\n",
              human_count(collection.size()).c_str(), data.name.c_str(), given.trace.device.c_str(),
              given.trace.total_seconds * 1000);
}

int run_search(const common_options& common, const search_arguments& given) {
  if (given.words.empty() == !given.like)
    return report_usage_error({ec::invalid_argument, "search takes either words or --like ROW"});
  const auto which = parse_dataset_reference(given.collection);
  if (!which) return report_usage_error(which.error());
  const auto config = load(common);
  if (!config) return report_usage_error(config.error());

  auto pipe = pipeline::start(config->values.pipeline);
  if (!pipe) return report_start_error(pipe.error());
  const auto data = publish_stored(**pipe, dataset_store{store_directory(config->values)}, *which);
  if (!data) return report_run_time_error(data.error());
  if (!(*data)->collection())
    return report_usage_error(
        {ec::invalid_argument,
         "\"" + which->name + "\" is a graph: search wants a vector collection"});
  auto query = query_of(given, **data);
  if (!query) return report_usage_error(query.error());

  search_request what{which->name, std::move(*query), given.k, {}};
  what.options.deadline = from_seconds(given.deadline_ms / 1000);
  const answer reply = (*pipe)->submit(std::move(what)).get();
  if (!reply.ok())
    return reply.failure.code == ec::invalid_argument ? report_usage_error(reply.failure)
                                                      : report_run_time_error(reply.failure);
  if (common.json)
    std::printf("%s\n", encode_answer(reply, data->get()).c_str());
  else
    print_hits(reply, **data);
  return exit_fine;
}

} // namespace

void add_search_command(CLI::App& app, const common_options& common, int& exit_code) {
  auto given = std::make_shared<search_arguments>();
  auto* command = app.add_subcommand(
      "search", "Find the rows of a collection that are nearest to words or to a row");
  command
      ->add_option("COLLECTION", given->collection,
                   "NAME or NAME@VERSION of a dataset in the store")
      ->required();
  command->add_option("WORDS", given->words,
                      "Words to search for, where the collection takes text");
  command->add_option("--like", given->like, "Search for what is like this row instead")
      ->type_name("ROW");
  command->add_option("-k,--k", given->k, "How many rows to return, 1 to 2048")
      ->capture_default_str();
  command->add_option("--deadline-ms", given->deadline_ms, "Give up after this time, up to 3600000")
      ->type_name("MS")
      ->capture_default_str()
      ->check(CLI::Range(0.001, 3.6e6).description(""));
  command->footer("Examples:\n"
                  "  engram search wordnet \"guide dog\"\n"
                  "  engram search wordnet -k 3 --like 2640\n"
                  "  engram search wordnet guide dog --json | jq '.results[0].hits[].label'");
  command->callback([&common, &exit_code, given] { exit_code = run_search(common, *given); });
}

} // namespace engram
