#include "engram/datasets/text_embedder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

namespace engram {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

double dot(const std::vector<float>& a, const std::vector<float>& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

TEST(words_of, cuts_at_everything_but_letters_digits_and_utf8) {
  EXPECT_THAT(words_of("Guide-dog's 2nd  (WALK)"), ElementsAre("guide", "dog", "s", "2nd", "walk"));
  EXPECT_THAT(words_of("caf\xc3\xa9 Z\xc3\x9crich"), ElementsAre("caf\xc3\xa9", "z\xc3\x9crich"));
  EXPECT_THAT(words_of(" .,; "), IsEmpty());
  EXPECT_THAT(words_of(""), IsEmpty());
}

TEST(text_embedder, counts_documents_not_occurrences) {
  const auto embedder = text_embedder::fit(16, {"dog dog cat", "Dog", "bird"});
  EXPECT_EQ(embedder.dim(), 16u);
  EXPECT_EQ(embedder.documents(), 3u);
  EXPECT_EQ(embedder.frequencies().at("dog"), 2u);
  EXPECT_EQ(embedder.frequencies().at("cat"), 1u);
  EXPECT_EQ(embedder.frequencies().size(), 3u);
}

TEST(text_embedder, returns_unit_vectors_that_do_not_depend_on_case_or_word_order) {
  const auto embedder = text_embedder::fit(768, {"guide dog", "red wine", "dog"});
  const auto one = embedder.embed("guide dog");
  const auto two = embedder.embed("DOG, guide!");
  ASSERT_TRUE(one && two);
  EXPECT_NEAR(dot(*one, *one), 1.0, 1e-6);
  EXPECT_EQ(*one, *two);
}

TEST(text_embedder, brings_texts_together_by_their_rare_words) {
  const auto embedder =
      text_embedder::fit(768, {"the dog", "the cat", "the bird", "the fish", "the acrophobia"});
  const auto query = embedder.embed("the acrophobia");
  const auto rare = embedder.embed("acrophobia");
  const auto common = embedder.embed("the");
  ASSERT_TRUE(query && rare && common);
  EXPECT_GT(dot(*query, *rare), 0.8);
  EXPECT_GT(dot(*query, *rare), dot(*query, *common));
}

TEST(text_embedder, keeps_unrelated_words_apart) {
  std::vector<std::string> documents;
  for (int i = 0; i < 2000; ++i)
    documents.push_back("w" + std::to_string(i));
  const auto embedder = text_embedder::fit(768, documents);
  const auto query = embedder.embed("w0");
  ASSERT_TRUE(query);
  for (int i = 1; i < 2000; ++i)
    EXPECT_LT(std::fabs(dot(*query, *embedder.embed(documents[static_cast<std::size_t>(i)]))), 0.7)
        << i;
}

TEST(text_embedder, is_restored_from_what_it_tells_about_itself) {
  const auto embedder = text_embedder::fit(64, {"guide dog", "red wine", "dog"});
  const text_embedder restored(embedder.dim(), embedder.documents(), embedder.frequencies());
  EXPECT_EQ(*embedder.embed("a red dog"), *restored.embed("a red dog"));
}

TEST(text_embedder, embeds_the_same_words_into_the_same_columns_in_every_release) {
  const auto embedder = text_embedder::fit(768, {"dog"});
  const auto vector = embedder.embed("dog");
  ASSERT_TRUE(vector);
  std::vector<int> columns;
  for (int i = 0; i < 768; ++i)
    if ((*vector)[static_cast<std::size_t>(i)] != 0.0f)
      columns.push_back((*vector)[static_cast<std::size_t>(i)] > 0.0f ? i : -i);
  EXPECT_THAT(columns, ElementsAre(108, 137, -174, 214, -251, -319, -563, 712));
}

TEST(text_embedder, names_the_words_that_no_document_has) {
  const auto embedder = text_embedder::fit(64, {"dog"});
  const auto unknown = embedder.embed("Blorp fnord");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, ec::invalid_argument);
  EXPECT_THAT(unknown.error().message, HasSubstr("none of the words 'blorp', 'fnord' occurs"));
  const auto wordless = embedder.embed(" ?! ");
  ASSERT_FALSE(wordless);
  EXPECT_THAT(wordless.error().message, HasSubstr("has no words"));
  EXPECT_TRUE(embedder.embed("blorp dog"));
}

TEST(text_embedder, answers_a_flood_of_unknown_words_in_a_short_sentence) {
  const auto embedder = text_embedder::fit(64, {"dog"});
  std::string flood;
  for (int i = 0; i < 10000; ++i)
    flood += std::string(200, 'x') + " ";
  const auto unknown = embedder.embed(flood);
  ASSERT_FALSE(unknown);
  EXPECT_LT(unknown.error().message.size(), 1000u);
}

} // namespace
} // namespace engram
