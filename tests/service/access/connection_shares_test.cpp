#include "engram/service/http/connection_shares.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace engram {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

/// Returns `count` connections of a client.
std::vector<seen_connection> connections(std::size_t count,
                                         const std::string& client = "somebody") {
  return {count, seen_connection{.client = client}};
}

std::vector<seen_connection> operator+(std::vector<seen_connection> a,
                                       const std::vector<seen_connection>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

TEST(connection_shares, a_client_alone_may_have_any_number) {
  EXPECT_THAT((connection_shares{.threads = 4}.excess(connections(100))), IsEmpty());
}

TEST(connection_shares, clients_that_do_not_wait_for_each_other_may_have_any_number) {
  const auto all = connections(3) + connections(1, "somebody else");
  EXPECT_THAT(connection_shares{.threads = 4}.excess(all), IsEmpty());
}

TEST(connection_shares, a_client_that_others_wait_for_keeps_three_quarters_of_the_threads) {
  const auto all = connections(20) + connections(1, "somebody else");
  const auto excess = connection_shares{.threads = 8}.excess(all);
  EXPECT_THAT(excess, SizeIs(14));
  for (const auto at : excess)
    EXPECT_EQ(all[at].client, "somebody");
}

TEST(connection_shares, a_single_thread_is_shared_as_well) {
  const auto all = connections(3) + connections(1, "somebody else");
  EXPECT_THAT(connection_shares{.threads = 1}.excess(all), SizeIs(2));
}

TEST(connection_shares, a_bound_holds_for_a_client_alone) {
  const connection_shares shares{.threads = 64, .most_per_client = 5};
  EXPECT_THAT(shares.excess(connections(5)), IsEmpty());
  EXPECT_THAT(shares.excess(connections(7)), SizeIs(2));
}

TEST(connection_shares, new_connections_go_first_and_those_that_are_served_stay) {
  auto all = connections(5);
  all[0].is_served = true;
  all[0].is_new = true;
  all[3].is_new = true;
  const auto excess = [&](std::uint32_t most) {
    return connection_shares{.threads = 64, .most_per_client = most}.excess(all);
  };
  EXPECT_THAT(excess(4), ElementsAre(3));
  EXPECT_THAT(excess(3), ElementsAre(3, 1));
  for (auto& each : all)
    each.is_served = true;
  EXPECT_THAT(excess(1), IsEmpty());
}

} // namespace
} // namespace engram
