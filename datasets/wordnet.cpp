#include "engram/datasets/collection_builder.hpp"
#include "engram/datasets/import.hpp"
#include "engram/datasets/text_embedder.hpp"
#include "engram/datasets/wordnet_files.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <new>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace engram {

namespace {

struct relation {
  std::string_view symbol;
  float weight;
};

/// How much of its activation a synset passes on along each kind of pointer.
///
/// Close in meaning is strong: the more general term, the same thing as another part of speech, a
/// near synonym. What fans out is weak, the weaker the more it fans out, so that activation that
/// climbed to a general term does not come down on all of its kinds: with the default decay and
/// threshold a kind of a kind's general term gets a few hundredths, and the members of a whole
/// domain or usage get nothing that survives the threshold past the first hop. An antonym inhibits.
constexpr relation relations[] = {
    {"@", 0.8f},   // hypernym: dog -> canine
    {"@i", 0.8f},  // instance hypernym: Einstein -> physicist
    {"~", 0.5f},   // hyponym: dog -> puppy
    {"~i", 0.4f},  // instance hyponym: physicist -> Einstein
    {"#m", 0.4f},  // member holonym: dog -> pack
    {"#s", 0.4f},  // substance holonym
    {"#p", 0.4f},  // part holonym: wheel -> car
    {"%m", 0.3f},  // member meronym: pack -> dog
    {"%s", 0.4f},  // substance meronym
    {"%p", 0.4f},  // part meronym: car -> wheel
    {"=", 0.4f},   // attribute: size -> large
    {"+", 0.6f},   // derivationally related form: dog -> to dog
    {"!", -0.5f},  // antonym: hot -> cold
    {"&", 0.7f},   // similar to: hot -> torrid
    {"^", 0.5f},   // also see
    {"$", 0.6f},   // verb group
    {"*", 0.5f},   // entailment: snore -> sleep
    {">", 0.5f},   // cause: kill -> die
    {"<", 0.6f},   // participle of a verb
    {"\\", 0.6f},  // pertains to a noun, or derived from an adjective
    {";c", 0.3f},  // its domain: topic
    {";r", 0.2f},  // its domain: region
    {";u", 0.1f},  // its domain: usage, as slang
    {"-c", 0.1f},  // member of this topic
    {"-r", 0.05f}, // member of this region
    {"-u", 0.02f}, // member of this usage
};

std::optional<float> weight_of(std::string_view symbol) noexcept {
  for (const relation& known : relations)
    if (known.symbol == symbol) return known.weight;
  return std::nullopt;
}

/// Returns one edge for each pair of synsets that pointers join: the one with the largest
/// magnitude.
result<std::vector<edge>> edges_of(const wordnet_files& files) {
  std::vector<edge> edges;
  edges.reserve(files.pointers.size());
  for (const wordnet_pointer& pointer : files.pointers) {
    const auto weight = weight_of(pointer.symbol_text());
    if (!weight)
      return error{ec::invalid_argument, "synset '" + files.synsets[pointer.source].label +
                                             "' has a pointer of the unknown kind '" +
                                             std::string(pointer.symbol_text()) + "'"};
    // Two words of one synset may point to each other; a synset does not light itself.
    if (pointer.source != pointer.target)
      edges.push_back({pointer.source, pointer.target, *weight});
  }
  std::sort(edges.begin(), edges.end(), [](const edge& a, const edge& b) {
    return std::tuple(a.source, a.target, -std::fabs(a.weight), -a.weight) <
           std::tuple(b.source, b.target, -std::fabs(b.weight), -b.weight);
  });
  const auto same_pair = [](const edge& a, const edge& b) {
    return a.source == b.source && a.target == b.target;
  };
  edges.erase(std::unique(edges.begin(), edges.end(), same_pair), edges.end());
  return edges;
}

/// Returns, ascending, the `limit` synsets with the most edges.
std::vector<row_id> best_connected(std::size_t synsets, const std::vector<edge>& edges,
                                   std::size_t limit) {
  std::vector<std::size_t> degrees(synsets);
  for (const edge& e : edges) {
    ++degrees[e.source];
    ++degrees[e.target];
  }
  std::vector<row_id> order(synsets);
  std::iota(order.begin(), order.end(), row_id{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](row_id a, row_id b) { return degrees[a] > degrees[b]; });
  order.resize(limit);
  std::sort(order.begin(), order.end());
  return order;
}

/// Keeps the synsets `kept` (ascending), numbered anew in that order, and the edges among them.
void keep(const std::vector<row_id>& kept, wordnet_files& files, std::vector<edge>& edges) {
  constexpr row_id dropped = std::numeric_limits<row_id>::max();
  std::vector<row_id> renumbered(files.synsets.size(), dropped);
  std::vector<wordnet_synset> synsets;
  synsets.reserve(kept.size());
  for (const row_id old : kept) {
    renumbered[old] = static_cast<row_id>(synsets.size());
    synsets.push_back(std::move(files.synsets[old]));
  }
  files.synsets = std::move(synsets);
  for (edge& e : edges)
    e = {renumbered[e.source], renumbered[e.target], e.weight};
  std::erase_if(edges, [](const edge& e) { return e.source == dropped || e.target == dropped; });
}

/// Returns what is embedded for each synset: its words and its gloss.
std::vector<std::string> documents_of(const wordnet_files& files) {
  std::vector<std::string> documents;
  documents.reserve(files.synsets.size());
  for (const wordnet_synset& synset : files.synsets)
    documents.push_back(synset.label + " | " + synset.gloss);
  return documents;
}

result<collection_ptr> embedded(const std::vector<std::string>& documents,
                                std::vector<std::string> labels, std::size_t dim,
                                element_type type) {
  auto builder = collection_builder::create(documents.size(), dim, type);
  if (!builder) return std::move(builder).error();
  const auto embedder = std::make_shared<const text_embedder>(text_embedder::fit(dim, documents));
  const std::vector<float> nothing(dim);
  for (const std::string& document : documents) {
    // Fails only for a document without a word; it is like nothing, then.
    const auto vector = embedder->embed(document);
    const float* row = vector ? vector->data() : nothing.data();
    if (auto stored = builder->append({row, 1, dim}); !stored) return std::move(stored).error();
  }
  return std::move(*builder).finish(std::move(labels), embedder);
}

result<wordnet_import> wordnet_from(const std::filesystem::path& directory, std::size_t limit,
                                    std::size_t dim, element_type type) {
  auto files = read_wordnet_files(directory);
  if (!files) return std::move(files).error();
  auto edges = edges_of(*files);
  if (!edges) return std::move(edges).error();
  if (limit > 0 && limit < files->synsets.size())
    keep(best_connected(files->synsets.size(), *edges, limit), *files, *edges);

  std::vector<std::string> labels;
  labels.reserve(files->synsets.size());
  for (const wordnet_synset& synset : files->synsets)
    labels.push_back(synset.label);
  auto graph = activation_graph::make(files->synsets.size(), *std::move(edges), labels);
  if (!graph) return std::move(graph).error();
  auto collection = embedded(documents_of(*files), std::move(labels), dim, type);
  if (!collection) return std::move(collection).error();
  return wordnet_import{*std::move(graph), *std::move(collection)};
}

} // namespace

result<wordnet_import> import_wordnet(const std::filesystem::path& directory, std::size_t limit,
                                      std::size_t dim, element_type type) {
  try {
    return wordnet_from(directory, limit, dim, type);
  } catch (const std::bad_alloc&) {
    return error{ec::resource_exhausted, directory.string() +
                                             ": there is not enough memory to import WordNet; "
                                             "free some or import a part of it"};
  }
}

} // namespace engram
