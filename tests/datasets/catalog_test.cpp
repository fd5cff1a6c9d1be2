#include "engram/datasets/catalog.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace engram {
namespace {

using ::testing::HasSubstr;

collection_ptr a_collection(float x = 1.0f) {
  return *vector_collection::make({&x, 1, 1});
}

graph_ptr a_graph() {
  return *activation_graph::make(1, {});
}

TEST(catalog, counts_versions_of_a_name_from_one) {
  catalog known;
  const auto first = known.publish("a", a_collection());
  const auto second = known.publish("a", a_collection());
  const auto other = known.publish("b", a_graph());
  ASSERT_TRUE(first && second && other);
  EXPECT_EQ((*first)->version, 1u);
  EXPECT_EQ((*second)->version, 2u);
  EXPECT_EQ((*other)->version, 1u);
  EXPECT_EQ(known.find("a"), *second);
}

TEST(catalog, never_uses_a_key_twice_in_a_process) {
  catalog one, two;
  const auto a = *one.publish("a", a_collection());
  const auto b = *two.publish("a", a_collection());
  EXPECT_NE(a->key, b->key);
  EXPECT_NE(a->key, 0u);
}

TEST(catalog, leaves_an_old_version_to_whoever_holds_it_and_then_frees_it) {
  catalog known;
  dataset_ptr held = *known.publish("a", a_collection(1.0f));
  std::weak_ptr<const vector_collection> watched = std::get<collection_ptr>(held->content);
  ASSERT_TRUE(known.publish("a", a_collection(2.0f)));
  EXPECT_EQ(held->collection()->row(0)[0], 1.0f);
  EXPECT_FALSE(watched.expired());
  held.reset();
  EXPECT_TRUE(watched.expired());
}

TEST(catalog, does_not_let_a_graph_replace_a_collection) {
  catalog known;
  ASSERT_TRUE(known.publish("a", a_collection()));
  ASSERT_TRUE(known.publish("g", a_graph()));
  const auto refused = known.publish("a", a_graph());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ec::invalid_argument);
  EXPECT_THAT(refused.error().message, HasSubstr("'a' is a vector collection"));
  EXPECT_FALSE(known.publish("g", a_collection()));
  EXPECT_EQ(known.find("a")->version, 1u);
  ASSERT_TRUE(known.drop("a"));
  EXPECT_TRUE(known.publish("a", a_graph()));
}

TEST(catalog, goes_on_counting_after_a_name_was_dropped) {
  catalog known;
  ASSERT_TRUE(known.publish("a", a_collection()));
  const auto dropped = known.drop("a");
  ASSERT_TRUE(dropped);
  EXPECT_EQ((*dropped)->version, 1u);
  EXPECT_EQ(known.find("a"), nullptr);
  const auto again = known.drop("a");
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ec::not_found);
  EXPECT_EQ((*known.publish("a", a_collection()))->version, 2u);
}

TEST(catalog, lists_by_name) {
  catalog known;
  for (const char* name : {"b", "c", "a"})
    ASSERT_TRUE(known.publish(name, a_collection()));
  const auto all = known.list();
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0]->name, "a");
  EXPECT_EQ(all[2]->name, "c");
}

TEST(catalog, takes_names_that_are_safe_everywhere_and_no_others) {
  catalog known;
  for (const std::string& name :
       {std::string("a"), std::string("0"), std::string("Word-net_3.1"), std::string(64, 'x')})
    EXPECT_TRUE(known.publish(name, a_collection())) << name;
  for (const std::string& name :
       {std::string(), std::string("."), std::string(".."), std::string("a/b"), std::string("-a"),
        std::string("a b"), std::string("caf\xc3\xa9"), std::string("a\0b", 3),
        std::string(65, 'x'), std::string(100000, 'x')}) {
    const auto refused = known.publish(name, a_collection());
    ASSERT_FALSE(refused) << name;
    EXPECT_EQ(refused.error().code, ec::invalid_argument);
    EXPECT_LT(refused.error().message.size(), 300u);
  }
}

TEST(catalog, refuses_to_publish_nothing) {
  catalog known;
  EXPECT_FALSE(known.publish("a", collection_ptr{}));
  EXPECT_FALSE(known.publish("a", graph_ptr{}));
  EXPECT_EQ(known.find("a"), nullptr);
}

TEST(catalog, shows_readers_versions_in_ascending_order_while_two_publish) {
  catalog known;
  ASSERT_TRUE(known.publish("a", a_collection()));
  std::atomic<int> publishing{2};
  const auto publisher = [&] {
    for (int i = 0; i < 500; ++i)
      EXPECT_TRUE(known.publish("a", a_collection()));
    --publishing;
  };
  std::thread first(publisher), second(publisher);
  std::uint64_t last = 0;
  while (publishing > 0) {
    const auto found = known.find("a");
    ASSERT_NE(found, nullptr);
    ASSERT_GE(found->version, last);
    last = found->version;
  }
  first.join();
  second.join();
  EXPECT_EQ(known.find("a")->version, 1001u);
}

} // namespace
} // namespace engram
