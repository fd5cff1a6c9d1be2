#include "engram/datasets/labels.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "files.hpp"

namespace engram {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const std::vector<std::string> labels{
    "dog, domestic dog, Canis familiaris", "guide dog", "", "Dog", "dogs", "pawl,dog ,click"};

TEST(find_label, finds_whole_entries_in_either_case) {
  EXPECT_THAT(find_label(labels, "dog"), ElementsAre(0, 3, 5));
  EXPECT_THAT(find_label(labels, "  DOG "), ElementsAre(0, 3, 5));
  EXPECT_THAT(find_label(labels, "domestic Dog"), ElementsAre(0));
  EXPECT_THAT(find_label(labels, "canis familiaris"), ElementsAre(0));
  EXPECT_THAT(find_label(labels, "click"), ElementsAre(5));
}

TEST(find_label, finds_no_part_of_an_entry) {
  EXPECT_THAT(find_label(labels, "Canis"), IsEmpty());
  EXPECT_THAT(find_label(labels, "do"), IsEmpty());
  EXPECT_THAT(find_label(labels, "dog, domestic dog"), IsEmpty());
}

TEST(find_label, finds_nothing_for_nothing) {
  EXPECT_THAT(find_label(labels, ""), IsEmpty());
  EXPECT_THAT(find_label(labels, "  "), IsEmpty());
  EXPECT_THAT(find_label({}, "dog"), IsEmpty());
}

TEST(read_labels, takes_one_a_line_whatever_the_line_ends) {
  const test::temporary_folder folder;
  for (const char* text : {"a\n\nb c\n", "a\n\nb c", "a\r\n\r\nb c\r\n"}) {
    const auto read = read_labels(folder.write("labels.txt", text));
    ASSERT_TRUE(read);
    EXPECT_THAT(*read, ElementsAre("a", "", "b c")) << text;
  }
}

TEST(read_labels, names_a_file_that_is_not_there) {
  const auto read = read_labels("/nonexistent/labels.txt");
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ec::not_found);
  EXPECT_THAT(read.error().message, ::testing::HasSubstr("/nonexistent/labels.txt"));
}

} // namespace
} // namespace engram
