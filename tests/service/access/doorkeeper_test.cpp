#include "engram/service/access/doorkeeper.hpp"
#include "engram/service/access/listening.hpp"
#include "engram/service/access/tls_context.hpp"

#include <gtest/gtest.h>

#include <filesystem>

#include "certificates.hpp"
#include "files.hpp"

namespace engram {
namespace {

using namespace std::chrono_literals;
using std::chrono::system_clock;
using test::identity;
using test::make_identity;
using test::query_token;

class doorkeeper_test : public test::folder_test {
protected:
  doorkeeper_test() {
    options.tls_certificate = write("server.pem", server.certificate_pem());
    options.tls_key = write("server.key", server.key_pem());
  }

  /// Expects a refusal that begins and goes on like this.
  void expect_refusal(const std::string& begin, const std::string& words,
                      system_clock::time_point now = system_clock::now()) {
    const auto made = doorkeeper::make(options, now);
    ASSERT_FALSE(made) << begin;
    EXPECT_EQ(made.error().code, ec::invalid_argument);
    EXPECT_TRUE(made.error().message.starts_with(begin)) << made.error().message;
    EXPECT_NE(made.error().message.find(words), std::string::npos) << made.error().message;
    EXPECT_EQ(made.error().message.find("PRIVATE KEY-----"), std::string::npos);
  }

  const identity authority = make_identity("authority");
  const identity server = make_identity("server", &authority);
  server_options options;
};

TEST_F(doorkeeper_test, has_no_tls_unless_it_is_configured) {
  const auto made = doorkeeper::make({}, system_clock::now());
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ((*made)->tls(), nullptr);
}

TEST_F(doorkeeper_test, reads_certificate_and_key) {
  options.tls_client_ca = write("ca.pem", authority.certificate_pem());
  const auto made = doorkeeper::make(options, system_clock::now());
  ASSERT_TRUE(made) << made.error().message;
  ASSERT_TRUE((*made)->tls());
  EXPECT_EQ((*made)->tls()->certificate, server.certificate_pem());
  EXPECT_GT((*made)->tls()->expires_at, system_clock::now() + 20h);
  EXPECT_LT((*made)->tls()->expires_at, system_clock::now() + 25h);
  EXPECT_TRUE(tls_context::make(*(*made)->tls()));
}

TEST_F(doorkeeper_test, wants_certificate_and_key_together) {
  const auto key = std::exchange(options.tls_key, "");
  expect_refusal("server.tls_certificate is set and server.tls_key is not", "TLS needs both");
  options.tls_key = key;
  options.tls_certificate.clear();
  expect_refusal("server.tls_key is set and server.tls_certificate is not", "TLS needs both");
  options.tls_key.clear();
  options.tls_client_ca = write("ca.pem", authority.certificate_pem());
  expect_refusal("server.tls_client_ca is set and server.tls_certificate is not", "TLS needs both");
}

TEST_F(doorkeeper_test, refuses_a_certificate_out_of_its_time) {
  const auto begin = "server.tls_certificate: " + options.tls_certificate + ": ";
  expect_refusal(begin, "was valid until", system_clock::now() + 25h);
  expect_refusal(begin, "check the machine's clock", system_clock::now() - 25h);
}

TEST_F(doorkeeper_test, refuses_a_key_of_another_certificate) {
  options.tls_key = write("other.key", make_identity("other", &authority).key_pem());
  expect_refusal("server.tls_key: " + options.tls_key + ": ", "is not the key of the certificate");
}

TEST_F(doorkeeper_test, refuses_files_that_are_something_else) {
  options.tls_certificate = write("server.pem", "nothing");
  expect_refusal("server.tls_certificate: ", "holds no certificate in PEM form");
  options.tls_certificate = path_of("missing.pem");
  expect_refusal("server.tls_certificate: ", "No such file");
  options.tls_certificate = write("server.pem", server.certificate_pem());
  options.tls_key = write("server.key", server.certificate_pem());
  expect_refusal("server.tls_key: ", "holds no private key");
  options.tls_key = write("server.key", server.key_pem());
  options.tls_client_ca = write("ca.pem", server.certificate_pem());
  expect_refusal("server.tls_client_ca: ", "not an authority's");
  options.tls_client_ca = write("ca.pem", "");
  expect_refusal("server.tls_client_ca: ", "holds no certificate");
}

TEST_F(doorkeeper_test, refuses_a_key_that_everybody_may_read) {
  std::filesystem::permissions(options.tls_key, std::filesystem::perms::others_read,
                               std::filesystem::perm_options::add);
  expect_refusal("server.tls_key: " + options.tls_key + ": ", "others may read");
}

TEST_F(doorkeeper_test, refuses_tokens_that_are_none) {
  options.tokens_file = write("tokens", "query");
  expect_refusal("server.tokens_file: " + options.tokens_file + ":1: ", "no token");
}

TEST_F(doorkeeper_test, does_not_open_to_other_machines_what_is_unprotected) {
  options = {};
  options.host = "0.0.0.0";
  expect_refusal("server.host = \"0.0.0.0\" can be reached by other machines, which takes TLS "
                 "(server.tls_certificate and server.tls_key) and a way to tell callers apart",
                 "--insecure");
}

TEST(listening, takes_tls_and_a_way_to_tell_callers_apart_where_others_can_come) {
  struct way {
    const char *host, *certificate, *tokens, *ca;
    bool insecure, is_allowed;
  };
  const way ways[] = {
      {"127.0.0.1", "", "", "", false, true}, {"localhost", "", "", "", false, true},
      {"::1", "", "", "", false, true},       {"0.0.0.0", "", "", "", false, false},
      {"::", "", "", "", false, false},       {"192.0.2.1", "", "", "", false, false},
      {"0.0.0.0", "c", "", "", false, false}, {"0.0.0.0", "", "t", "", false, false},
      {"0.0.0.0", "c", "t", "", false, true}, {"0.0.0.0", "c", "", "ca", false, true},
      {"0.0.0.0", "", "", "", true, true}};
  for (const auto& each : ways) {
    server_options options;
    options.host = each.host;
    options.tls_certificate = each.certificate;
    options.tokens_file = each.tokens;
    options.tls_client_ca = each.ca;
    options.insecure = each.insecure;
    const auto checked = check_listening(options);
    EXPECT_EQ(checked.has_value(), each.is_allowed) << each.host << each.certificate << each.tokens;
    if (checked) continue;
    EXPECT_NE(checked.error().message.find("--insecure"), std::string::npos);
  }
}

} // namespace
} // namespace engram
