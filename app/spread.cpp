#include "engram/app/commands.hpp"
#include "engram/app/stored_datasets.hpp"
#include "engram/app/table.hpp"
#include "engram/service/dataset_lookup.hpp"
#include "engram/service/json_codec.hpp"

#include <CLI/CLI.hpp>

#include <array>
#include <charconv>
#include <cstdio>
#include <optional>

namespace engram {

namespace {

struct spread_arguments {
  std::string graph;
  std::vector<std::string> seeds;
  spread_options options{.top = 20};
  double deadline_ms = 30'000;
};

/// Returns the whole of `text` as a number, or nothing.
template <class Number>
std::optional<Number> number_in(std::string_view text) {
  Number out{};
  const auto read = std::from_chars(text.data(), text.data() + text.size(), out);
  if (read.ec != std::errc{} || read.ptr != text.data() + text.size()) return std::nullopt;
  return out;
}

/// Reads "dog", "dog:0.5", "#17" or "#17:0.5".
result<seed> parse_seed(std::string_view text, const dataset_ptr& graph, label_finder& labels) {
  seed out;
  std::string_view name = text;
  if (const auto colon = text.rfind(':'); colon != std::string_view::npos) {
    if (const auto amount = number_in<float>(text.substr(colon + 1))) {
      out.amount = *amount;
      name = text.substr(0, colon);
    }
  }
  if (name.starts_with('#')) {
    const auto node = number_in<node_id>(name.substr(1));
    if (!node)
      return error{ec::invalid_argument,
                   "seed \"" + std::string{text} + "\" has no node number after the #"};
    out.node = *node;
    return out;
  }
  const auto node = labels.find(graph, name);
  if (!node) return node.error();
  out.node = *node;
  return out;
}

std::string decimal(float value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.4f", static_cast<double>(value));
  return text.data();
}

void print_activations(const answer& given, const std::vector<seed>& seeds, const dataset& data) {
  const auto& graph = *data.graph();
  for (const seed& s : seeds)
    std::printf("seed  %s  #%u %s\n", decimal(s.amount).c_str(), s.node,
                std::string{graph.label(s.node)}.c_str());
  text_table table{{{"rank", text_table::align::right},
                    {"activation", text_table::align::right},
                    {"node", text_table::align::right},
                    {graph.has_labels() ? "label" : ""}}};
  std::size_t rank = 0;
  for (const hit& h : given.output.hits)
    table.add({std::to_string(++rank), decimal(h.score), '#' + std::to_string(h.id),
               std::string{graph.label(h.id)}});
  std::printf("\n%s", table.to_string(terminal_width()).c_str());
  const unsigned hops = given.output.hops.empty() ? 0 : given.output.hops.front();
  std::printf("\n%u hop%s over %s edges of \"%s\" on %s in %.1f ms\n", hops, hops == 1 ? "" : "s",
              human_count(graph.edges()).c_str(), data.name.c_str(), given.trace.device.c_str(),
              given.trace.total_seconds * 1000);
}

int run_spread(const common_options& common, const spread_arguments& given) {
  const auto named = parse_dataset_reference(given.graph);
  if (!named) return report_usage_error(named.error());
  const auto config = load(common);
  if (!config) return report_usage_error(config.error());
  const dataset_store store{store_directory(config->values)};
  const auto which = stored_graph(store, *named);
  if (!which)
    return which.error().code == ec::invalid_argument ? report_usage_error(which.error())
                                                      : report_run_time_error(which.error());

  auto pipe = pipeline::start(config->values.pipeline);
  if (!pipe) return report_start_error(pipe.error());
  const auto data = publish_stored(**pipe, store, *which);
  if (!data) return report_run_time_error(data.error());

  label_finder labels;
  std::vector<seed> seeds;
  for (const auto& text : given.seeds) {
    const auto one = parse_seed(text, *data, labels);
    if (!one) return report_usage_error(one.error());
    seeds.push_back(*one);
  }
  spread_request what{which->name, {seeds}, given.options, {}};
  what.options.deadline = from_seconds(given.deadline_ms / 1000);
  const answer reply = (*pipe)->submit(std::move(what)).get();
  if (!reply.ok())
    return reply.failure.code == ec::deadline_exceeded ? report_run_time_error(reply.failure)
                                                       : report_usage_error(reply.failure);
  if (common.json)
    std::printf("%s\n", encode_answer(reply, data->get()).c_str());
  else
    print_activations(reply, seeds, **data);
  return exit_fine;
}

} // namespace

void add_spread_command(CLI::App& app, const common_options& common, int& exit_code) {
  auto given = std::make_shared<spread_arguments>();
  auto* command =
      app.add_subcommand("spread", "Show which nodes of a graph light up when these do");
  command
      ->add_option("GRAPH", given->graph,
                   "NAME or NAME@VERSION of a dataset in the store; for a collection its graph")
      ->required();
  command->add_option("SEEDS", given->seeds, "Labels or #NODE numbers, each with :AMOUNT if not 1")
      ->required();
  command->add_option("--hops", given->options.max_hops, "Longest way, 1 to 64")
      ->capture_default_str();
  command
      ->add_option("--decay", given->options.decay,
                   "What a hop leaves of the activation, above 0 to 1")
      ->capture_default_str();
  command
      ->add_option("--threshold", given->options.threshold, "Weaker input is dropped, 0 to below 1")
      ->capture_default_str();
  command->add_option("--top", given->options.top, "How many nodes to return; 0: all that light up")
      ->capture_default_str();
  command->add_option("--deadline-ms", given->deadline_ms, "Give up after this time, up to 3600000")
      ->type_name("MS")
      ->capture_default_str()
      ->check(CLI::Range(0.001, 3.6e6).description(""));
  command->footer(
      "A label that several nodes have means the one that has it as its first name and\n"
      "the most edges.\n\n"
      "Examples:\n"
      "  engram spread wordnet dog\n"
      "  engram spread wordnet dog:0.5 \"domestic cat\" --hops 2 --top 10\n"
      "  engram spread wordnet \"#2640\" --json");
  command->callback([&common, &exit_code, given] { exit_code = run_spread(common, *given); });
}

} // namespace engram
