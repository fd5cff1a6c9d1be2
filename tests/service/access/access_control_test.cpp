#include "engram/service/access/access_control.hpp"
#include "engram/service/access/client_address.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "../../support/manual_clock.hpp"
#include "files.hpp"

namespace engram {
namespace {

using namespace std::chrono_literals;
using kind = access_verdict::kind;
using testing::admin_token;
using testing::query_token;
using testing::unknown_token;

class access_control_test : public testing::folder_test {
protected:
  /// Configures tokens for a query token "one" and an admin token "ops".
  void use_tokens() {
    options.tokens_file =
        write("tokens", "query " + query_token + " one\nadmin " + admin_token + " ops\n");
    use_options();
  }
  void use_limit(double rate, std::uint32_t burst) {
    options.client_requests_per_second = rate;
    options.client_burst = burst;
    use_options();
  }

  kind ask(role needed, const std::string& authorization = "",
           const std::string& address = "10.0.0.1", const std::string& certificate = "") {
    const auto verdict = access.check({authorization, certificate, address}, needed);
    EXPECT_EQ(verdict.message.empty(), static_cast<bool>(verdict));
    EXPECT_EQ(verdict.message.find("0123456789abcdef"), std::string::npos) << verdict.message;
    return verdict.what;
  }

  void use_options() {
    auto rules = read_access_rules(options);
    ASSERT_TRUE(rules) << rules.error().message;
    access.use(std::move(*rules));
  }

  testing::manual_alarm_clock clock;
  access_control access{clock, {}};
  server_options options;
};

TEST_F(access_control_test, lets_everybody_query_without_tokens) {
  EXPECT_TRUE(access.lets_anybody(role::query));
  EXPECT_EQ(ask(role::none), kind::allowed);
  EXPECT_EQ(ask(role::query), kind::allowed);
  EXPECT_EQ(ask(role::query, "Bearer " + unknown_token), kind::allowed);
}

TEST_F(access_control_test, lets_only_this_machine_administer_without_tokens) {
  EXPECT_FALSE(access.lets_anybody(role::admin));
  EXPECT_EQ(ask(role::admin, "", "10.0.0.1"), kind::forbidden);
  EXPECT_EQ(ask(role::admin, "", "10.0.0.1", "somebody with a certificate"), kind::forbidden);
  EXPECT_EQ(ask(role::admin, "", "127.0.0.1"), kind::allowed);
  EXPECT_EQ(ask(role::admin, "", "::1"), kind::allowed);
  EXPECT_EQ(ask(role::admin, "", "::ffff:127.0.0.1"), kind::allowed);
}

TEST_F(access_control_test,
       lets_only_who_calls_this_machine_by_its_name_administer_without_tokens) {
  options.host = "engram.example";
  use_options();
  const auto asked_for = [this](std::string_view host) {
    return access.check({"", "", "127.0.0.1", host}, role::admin).what;
  };
  for (const auto* own : {"localhost", "LOCALHOST:8080", "127.0.0.1", "127.0.0.1:8080", "[::1]",
                          "[::1]:8080", "engram.example", "Engram.Example:8080", ""})
    EXPECT_EQ(asked_for(own), kind::allowed) << own;
  for (const auto* rebound :
       {"elsewhere.example", "elsewhere.example:8080", "127.0.0.1.elsewhere.example", "127.x",
        "localhost.elsewhere.example", "[::2]:8080", "10.0.0.1", ":8080", "[]"})
    EXPECT_EQ(asked_for(rebound), kind::forbidden) << rebound;
  use_tokens();
  EXPECT_EQ(
      access.check({"Bearer " + admin_token, "", "10.0.0.1", "elsewhere.example"}, role::admin)
          .what,
      kind::allowed)
      << "a page of another name knows no token";
}

TEST_F(access_control_test, wants_a_known_token_where_there_are_tokens) {
  use_tokens();
  EXPECT_FALSE(access.lets_anybody(role::query));
  EXPECT_EQ(ask(role::none), kind::allowed);
  EXPECT_EQ(ask(role::query), kind::unauthenticated);
  EXPECT_EQ(ask(role::query, "Bearer " + unknown_token), kind::unauthenticated);
  EXPECT_EQ(ask(role::query, "Basic " + query_token), kind::unauthenticated);
  EXPECT_EQ(ask(role::query, query_token), kind::unauthenticated);
  EXPECT_EQ(ask(role::query, "Bearer "), kind::unauthenticated);
  EXPECT_EQ(ask(role::query, "Bearer " + query_token), kind::allowed);
  EXPECT_EQ(ask(role::query, "bearer  " + query_token + " "), kind::allowed);
  EXPECT_EQ(ask(role::query, "Bearer " + admin_token), kind::allowed);
}

TEST_F(access_control_test, a_query_token_does_not_administer_even_on_this_machine) {
  use_tokens();
  EXPECT_EQ(ask(role::admin, "", "127.0.0.1"), kind::unauthenticated);
  EXPECT_EQ(ask(role::admin, "Bearer " + query_token, "127.0.0.1"), kind::forbidden);
  EXPECT_EQ(ask(role::admin, "Bearer " + admin_token), kind::allowed);
}

TEST_F(access_control_test, a_client_is_its_token_else_its_certificate_else_its_address) {
  use_tokens();
  EXPECT_EQ(access.check({"Bearer " + query_token, "ada", "10.0.0.1"}, role::query).client,
            "token one");
  options.tokens_file.clear();
  use_limit(1, 1);
  EXPECT_EQ(access.check({"", "ada", "10.0.0.1"}, role::query).client, "certificate ada");
  EXPECT_EQ(access.check({"", "", "10.0.0.2"}, role::query).client, "address 10.0.0.2");
}

TEST_F(access_control_test, a_client_that_sends_too_much_waits_and_others_do_not) {
  use_limit(2, 0); // those of one second at once
  EXPECT_EQ(ask(role::query), kind::allowed);
  EXPECT_EQ(ask(role::query), kind::allowed);
  const auto refused = access.check({"", "", "10.0.0.1"}, role::query);
  EXPECT_EQ(refused.what, kind::too_many);
  EXPECT_EQ(refused.retry_after, 500ms);
  EXPECT_EQ(ask(role::none), kind::allowed);
  EXPECT_EQ(ask(role::query, "", "10.0.0.2"), kind::allowed);
  clock.advance(500ms);
  EXPECT_EQ(ask(role::query), kind::allowed);
  EXPECT_EQ(ask(role::query), kind::too_many);
}

TEST_F(access_control_test, whoever_tries_tokens_is_slowed_down_like_any_client) {
  use_tokens();
  use_limit(1, 2);
  EXPECT_EQ(ask(role::query, "Bearer " + unknown_token), kind::unauthenticated);
  EXPECT_EQ(ask(role::query, "Bearer " + unknown_token + "2"), kind::unauthenticated);
  EXPECT_EQ(ask(role::query, "Bearer " + unknown_token + "3"), kind::too_many);
  EXPECT_EQ(ask(role::query, "Bearer " + query_token), kind::allowed);
}

TEST_F(access_control_test, further_requests_of_a_call_are_counted) {
  use_limit(1, 2);
  const auto verdict = access.check({"", "", "10.0.0.1"}, role::query);
  EXPECT_FALSE(access.charge(verdict.client));
  EXPECT_EQ(access.charge(verdict.client), std::optional<duration>{1s});
}

TEST_F(access_control_test, a_new_file_replaces_the_tokens_and_a_wrong_one_does_not) {
  use_tokens();
  write("tokens", "query " + unknown_token + "\n");
  use_options();
  EXPECT_EQ(ask(role::query, "Bearer " + query_token), kind::unauthenticated);
  EXPECT_EQ(ask(role::query, "Bearer " + unknown_token), kind::allowed);

  write("tokens", "query short\n");
  const auto refused = read_access_rules(options);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ec::invalid_argument);
  EXPECT_TRUE(
      refused.error().message.starts_with("server.tokens_file: " + options.tokens_file + ":1: "))
      << refused.error().message;
  EXPECT_EQ(ask(role::query, "Bearer " + unknown_token), kind::allowed);
}

TEST_F(access_control_test, decides_while_the_tokens_are_replaced) {
  use_tokens();
  std::atomic<bool> is_over{false};
  std::atomic<int> wrong{0};
  std::vector<std::jthread> askers;
  for (int i = 0; i < 2; ++i)
    askers.emplace_back([&] {
      while (!is_over)
        wrong += !access.check({"Bearer " + query_token, "", "10.0.0.1"}, role::query);
    });
  for (int i = 0; i < 200; ++i)
    use_options();
  is_over = true;
  askers.clear();
  EXPECT_EQ(wrong, 0);
}

TEST(client_address, counts_a_network_of_ipv6_as_one) {
  EXPECT_EQ(client_address("10.1.2.3"), "10.1.2.3");
  EXPECT_EQ(client_address("::ffff:10.1.2.3"), "10.1.2.3");
  EXPECT_EQ(client_address("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
  EXPECT_EQ(client_address("2001:db8:1:2::9"), "2001:db8:1:2::/64");
  EXPECT_EQ(client_address("unix:"), "unix:");
}

TEST(client_address, tells_this_machine_from_others) {
  EXPECT_TRUE(is_loopback_address("127.0.0.1"));
  EXPECT_TRUE(is_loopback_address("127.8.9.1"));
  EXPECT_TRUE(is_loopback_address("::1"));
  EXPECT_TRUE(is_loopback_address("::ffff:127.0.0.1"));
  EXPECT_FALSE(is_loopback_address("0.0.0.0"));
  EXPECT_FALSE(is_loopback_address("::"));
  EXPECT_FALSE(is_loopback_address("128.0.0.1"));
  EXPECT_FALSE(is_loopback_address("::127.0.0.1"));
  EXPECT_FALSE(is_loopback_address("127.0.0.1.example"));
}

} // namespace
} // namespace engram
