#include "engram/datasets/import.hpp"
#include "engram/datasets/labels.hpp"
#include "engram/datasets/text_embedder.hpp"
#include "engram/kernels/cosine.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "files.hpp"

namespace engram {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// A WordNet of seven synsets, by hand.
const std::map<std::string, std::string> small_wordnet{
    {"data.noun",
     "  1 This is the licence, in lines that begin with a blank.  \n"
     "00000100 05 n 02 animal 0 beast 0 001 ~ 00000200 n 0000 | a living being that moves  \n"
     "00000200 05 n 02 dog 0 domestic_dog 0 004 @ 00000100 n 0000 ~ 00000300 n 0000 "
     "+ 00000100 v 0101 %p 00000300 n 0000 | a tame wolf; \"the dog | barked\"  \n"
     "00000300 05 n 01 guide_dog 0 001 @ 00000200 n 0000 | a dog that leads the blind  \n"},
    {"data.verb",
     "00000100 38 v 01 dog 0 002 + 00000200 n 0101 ! 00000100 v 0101 01 + 09 00 | go after  \n"},
    {"data.adj",
     "00000100 00 a 01 hot(p) 0 002 ! 00000200 a 0101 & 00000200 a 0000 | of high temperature  \n"
     "00000200 00 s 01 cold 0 001 ! 00000100 a 0101 | of low temperature  \n"},
    {"data.adv", "00000100 02 r 01 hotly 0 001 \\ 00000100 a 0101 | in a heated manner  \n"},
};

/// Writes the small WordNet with the file `name` replaced by `text`.
void write_wordnet(const test::temporary_folder& folder, const std::string& name = {},
                   const std::string& text = {}) {
  for (const auto& [file, content] : small_wordnet)
    folder.write(file, file == name ? text : content);
}

/// Returns the weight of the edge between two nodes; 0 if there is none.
float weight_between(const activation_graph& graph, node_id source, node_id target) {
  const graph_view view = graph.view();
  for (auto e = view.out_offsets[source]; e < view.out_offsets[source + 1]; ++e)
    if (view.out_targets[e] == target) return view.out_weights[e];
  return 0.0f;
}

TEST(import_wordnet, makes_a_node_and_a_row_of_each_synset) {
  const test::temporary_folder folder;
  write_wordnet(folder);
  const auto made = import_wordnet(folder.path());
  ASSERT_TRUE(made) << made.error().message;
  ASSERT_EQ(made->graph->nodes(), 7u);
  ASSERT_EQ(made->collection->size(), 7u);
  EXPECT_EQ(made->collection->dim(), 768u);
  const std::vector<std::string> labels{
      "animal, beast", "dog, domestic dog", "guide dog", "dog", "hot", "cold", "hotly"};
  EXPECT_TRUE(std::ranges::equal(made->graph->labels(), labels));
  EXPECT_TRUE(std::ranges::equal(made->collection->labels(), labels));
  EXPECT_EQ(made->collection->embedder()->documents(), 7u);
}

TEST(import_wordnet, makes_one_edge_of_the_pointers_between_two_synsets) {
  const test::temporary_folder folder;
  write_wordnet(folder);
  const auto made = import_wordnet(folder.path());
  ASSERT_TRUE(made) << made.error().message;
  const auto& graph = *made->graph;
  EXPECT_EQ(graph.edges(), 9u);
  EXPECT_GT(weight_between(graph, 1, 0), weight_between(graph, 0, 1)); // up more than down
  EXPECT_GT(weight_between(graph, 1, 3), 0.0f);                        // across parts of speech
  EXPECT_EQ(weight_between(graph, 1, 2), weight_between(graph, 0, 1)); // ~ outweighs %p
  EXPECT_LT(weight_between(graph, 5, 4), 0.0f);                        // antonyms inhibit
  EXPECT_GT(weight_between(graph, 4, 5), 0.0f);                        // & outweighs !
  EXPECT_GT(weight_between(graph, 6, 4), 0.0f);
  EXPECT_EQ(weight_between(graph, 3, 3), 0.0f); // a synset does not light itself
}

TEST(import_wordnet, embeds_words_and_gloss) {
  const test::temporary_folder folder;
  write_wordnet(folder);
  const auto made = import_wordnet(folder.path(), 0, 256, element_type::f16);
  ASSERT_TRUE(made);
  EXPECT_EQ(made->collection->type(), element_type::f16);
  EXPECT_EQ(made->collection->dim(), 256u);
  for (const char* word : {"beast", "domestic", "barked", "temperature", "heated"})
    EXPECT_TRUE(made->collection->embedder()->embed(word)) << word;
}

TEST(import_wordnet, keeps_the_best_connected_under_a_limit) {
  const test::temporary_folder folder;
  write_wordnet(folder);
  const auto made = import_wordnet(folder.path(), 3);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_THAT(std::vector<std::string>(made->graph->labels().begin(), made->graph->labels().end()),
              ElementsAre("animal, beast", "dog, domestic dog", "hot"));
  EXPECT_EQ(made->graph->edges(), 2u); // between the dog and the animal
  EXPECT_EQ(made->collection->size(), 3u);
  EXPECT_EQ(import_wordnet(folder.path(), 100)->graph->nodes(), 7u);
}

TEST(import_wordnet, names_a_missing_file_and_the_package_that_has_it) {
  const test::temporary_folder folder;
  write_wordnet(folder);
  std::filesystem::remove(folder.path() / "data.adj");
  const auto made = import_wordnet(folder.path());
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, ec::not_found);
  EXPECT_THAT(made.error().message, HasSubstr((folder.path() / "data.adj").string()));
  EXPECT_THAT(made.error().message, HasSubstr("apt-get install wordnet-base"));
}

TEST(import_wordnet, refuses_bad_lines_and_names_them) {
  struct bad_line {
    std::string text, message;
  };
  const std::vector<bad_line> cases{
      {"00000100 02 r 01 hotly 0 000 no bar\n", ":1: the synset has no gloss"},
      {"  licence\nhello | world\n", ":2: the line does not start like a synset"},
      {"00000100 02 n 01 hotly 0 000 | a noun\n", ":1: the line does not start like a synset"},
      {"x0000100 02 r 01 hotly 0 000 | g\n", ":1: the line does not start like a synset"},
      {"00000100 02 r 00 000 | g\n", ":1: the number of words"},
      {"00000100 02 r zz hotly 0 000 | g\n", ":1: the number of words"},
      {"00000100 02 r ff hotly 0 000 | g\n", ":1: the line ends among the words"},
      {"00000100 02 r 01 hotly 0 many | g\n", ":1: the number of pointers"},
      {"00000100 02 r 01 hotly 0 002 \\ 00000100 a 0101 | g\n", ":1: pointer 2 of 2 is not"},
      {"00000100 02 r 01 hotly 0 001 \\ 00000100 q 0101 | g\n", ":1: pointer 1 of 1 is not"},
      {"00000100 02 r 01 hotly 0 001 \\\\\\ 00000100 a 0101 | g\n", ":1: pointer 1 of 1 is not"},
      {"00000100 02 r 01 hotly 0 001 \\ 00000999 a 0101 | g\n", ":1: a pointer leads to"},
      {"00000100 02 r 01 a 0 000 | g\n00000100 02 r 01 b 0 000 | g\n",
       ":2: the synset's offset 100"},
  };
  for (const auto& bad : cases) {
    const test::temporary_folder folder;
    write_wordnet(folder, "data.adv", bad.text);
    const auto made = import_wordnet(folder.path());
    ASSERT_FALSE(made) << bad.message;
    EXPECT_EQ(made.error().code, ec::invalid_argument);
    EXPECT_THAT(made.error().message,
                HasSubstr((folder.path() / "data.adv").string() + bad.message));
  }
}

TEST(import_wordnet, refuses_a_pointer_of_an_unknown_kind) {
  const test::temporary_folder folder;
  write_wordnet(folder, "data.adv", "00000100 02 r 01 hotly 0 001 ? 00000100 a 0101 | g\n");
  const auto made = import_wordnet(folder.path());
  ASSERT_FALSE(made);
  EXPECT_THAT(made.error().message, HasSubstr("'hotly' has a pointer of the unknown kind '?'"));
}

TEST(import_wordnet, refuses_a_dim_that_no_collection_has) {
  const test::temporary_folder folder;
  write_wordnet(folder);
  for (const std::size_t dim : {std::size_t{0}, std::size_t{8193}})
    EXPECT_FALSE(import_wordnet(folder.path(), 0, dim));
}

/// The real one, where it is installed.
class installed_wordnet : public ::testing::Test {
protected:
  static void SetUpTestSuite() {
    if (std::filesystem::exists("/usr/share/wordnet/data.noun"))
      imported_ = new result<wordnet_import>(import_wordnet());
  }
  static void TearDownTestSuite() {
    delete imported_;
    imported_ = nullptr;
  }
  void SetUp() override {
    if (imported_ == nullptr) GTEST_SKIP() << "wordnet-base is not installed";
    ASSERT_TRUE(*imported_) << imported_->error().message;
  }

  const vector_collection& collection() { return *(*imported_)->collection; }
  const activation_graph& graph() { return *(*imported_)->graph; }

  std::vector<std::string> search(std::string_view words, std::size_t k) {
    const auto query = *collection().embedder()->embed(words);
    const float norm = inverse_norm(query);
    std::vector<top_k> best{top_k(k)};
    search_scratch scratch;
    cosine_kernels_for(*chosen_isa())
        .search_rows({{query.data(), 1, query.size()}, {&norm, 1}}, collection().rows(), 0,
                     collection().size(), best, scratch);
    return labels_of(best[0].take_sorted());
  }

  std::vector<std::string> spread_from(std::string_view word, std::uint32_t top) {
    std::vector<seed> seeds;
    for (const row_id node : find_label(graph().labels(), word))
      seeds.push_back({node, 1.0f});
    spread_scratch scratch;
    return labels_of(spread(graph().view(), seeds, {.top = top}, scratch).hits);
  }

private:
  std::vector<std::string> labels_of(const std::vector<hit>& hits) {
    std::vector<std::string> labels;
    for (const hit& h : hits)
      labels.emplace_back(graph().label(h.id));
    return labels;
  }

  static inline result<wordnet_import>* imported_ = nullptr;
};

TEST_F(installed_wordnet, has_all_synsets) {
  EXPECT_EQ(graph().nodes(), 117659u);
  EXPECT_EQ(collection().size(), 117659u);
  EXPECT_GT(graph().edges(), 350000u);
  EXPECT_TRUE(std::ranges::equal(graph().labels(), collection().labels()));
}

TEST_F(installed_wordnet, has_unit_rows) {
  for (std::size_t r = 0; r < collection().size(); ++r)
    ASSERT_NEAR(collection().rows().inverse_norms[r], 1.0f, 1e-6f) << collection().label(r);
}

TEST_F(installed_wordnet, finds_what_a_person_would) {
  EXPECT_EQ(search("guide dog", 1).front(), "guide dog");
  EXPECT_THAT(search("guide dog", 3), Contains("Seeing Eye dog"));
  EXPECT_EQ(search("fear of heights", 1).front(), "acrophobia");
  EXPECT_EQ(search("musical instrument with strings", 1).front(), "stringed instrument");
}

TEST_F(installed_wordnet, lights_up_canines_from_the_dog) {
  const auto lit = spread_from("domestic dog", 20);
  EXPECT_EQ(lit.front(), "dog, domestic dog, Canis familiaris");
  EXPECT_THAT(lit, Contains("canine, canid"));
  EXPECT_THAT(lit, Contains("domestic animal, domesticated animal"));
  EXPECT_THAT(lit, Contains("puppy"));
  EXPECT_THAT(lit, Contains("working dog"));
  EXPECT_THAT(spread_from("dog", 20), Contains("canine, canid"));
}

TEST_F(installed_wordnet, does_not_light_up_everything) {
  const auto lit = spread_from("domestic dog", 0);
  EXPECT_LT(lit.size(), graph().nodes() / 100);
}

} // namespace
} // namespace engram
