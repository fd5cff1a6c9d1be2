#include "engram/service/access/token_file.hpp"

#include <gtest/gtest.h>

#include <filesystem>

#include "files.hpp"

namespace engram {
namespace {

using test::admin_token;
using test::query_token;
using test::unknown_token;

TEST(token_file, knows_the_roles_and_names_of_its_tokens_and_no_others) {
  const auto file = token_file::parse("# who may come in\n\n query\t" + query_token + "\r\nadmin " +
                                          admin_token + " ops",
                                      "tokens");
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->size(), 2u);
  ASSERT_TRUE(file->find(query_token));
  EXPECT_EQ(file->find(query_token)->grants, role::query);
  EXPECT_EQ(file->find(query_token)->name, "line3");
  ASSERT_TRUE(file->find(admin_token));
  EXPECT_EQ(file->find(admin_token)->grants, role::admin);
  EXPECT_EQ(file->find(admin_token)->name, "ops");
  EXPECT_EQ(file->find(unknown_token), nullptr);
  EXPECT_EQ(file->find(""), nullptr);
  EXPECT_EQ(file->find(query_token.substr(0, query_token.size() - 1)), nullptr);
}

TEST(token_file, says_where_a_line_is_wrong_and_shows_no_token) {
  const std::string good = "query " + query_token + " one\n";
  const std::string secret = "a-secret-that-is-nobodys-business";
  const std::pair<std::string, const char*> lines[] = {
      {secret, "does not begin with the role"},
      {"root " + secret, "does not begin with the role"},
      {"admin", "no token after the role"},
      {"admin " + secret.substr(0, 31), "has 31 characters and needs at least 32"},
      {"admin " + std::string(257, 'x'), "longer than 256"},
      {"admin " + secret + "!", "a character that is none of"},
      {"admin " + secret + " name more", "more on the line"},
      {"admin " + secret + " one", "the name one was given before"},
      {"admin " + query_token, "the token is that of one"}};
  for (const auto& [line, what] : lines) {
    const auto file = token_file::parse(good + line + '\n', "tokens");
    ASSERT_FALSE(file) << line;
    EXPECT_EQ(file.error().code, ec::invalid_argument);
    EXPECT_TRUE(file.error().message.starts_with("tokens:2: ")) << file.error().message;
    EXPECT_NE(file.error().message.find(what), std::string::npos) << file.error().message;
    EXPECT_EQ(file.error().message.find("secret"), std::string::npos) << file.error().message;
    EXPECT_EQ(file.error().message.find("0123456789abcdef"), std::string::npos);
  }
}

TEST(token_file, is_refused_without_a_token) {
  const auto file = token_file::parse("# query " + query_token, "tokens");
  ASSERT_FALSE(file);
  EXPECT_NE(file.error().message.find("no token in it"), std::string::npos);
}

class token_file_on_disk : public test::folder_test {};

TEST_F(token_file_on_disk, is_read) {
  EXPECT_TRUE(token_file::read(write("tokens", "query " + query_token)));
}

TEST_F(token_file_on_disk, is_refused_if_others_may_read_it_or_the_group_may_change_it) {
  using std::filesystem::perms;
  const auto path = write("tokens", "query " + query_token);
  for (const auto too_much : {perms::others_read, perms::others_write, perms::group_write}) {
    std::filesystem::permissions(path, perms::owner_read | too_much);
    const auto file = token_file::read(path);
    ASSERT_FALSE(file);
    EXPECT_TRUE(file.error().message.starts_with(path + ": others may read or change it"));
  }
  std::filesystem::permissions(path, perms::owner_read | perms::group_read);
  EXPECT_TRUE(token_file::read(path));
}

TEST_F(token_file_on_disk, that_is_none_is_named) {
  const auto missing = token_file::read(path_of("nothing"));
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().message,
            path_of("nothing") + ": cannot be read: No such file or directory");
  const auto folder = token_file::read(path_of(""));
  ASSERT_FALSE(folder);
  EXPECT_NE(folder.error().message.find("is not a regular file"), std::string::npos);
  const auto large = token_file::read(write("large", std::string(1'100'000, '#')));
  ASSERT_FALSE(large);
  EXPECT_NE(large.error().message.find("larger than a megabyte"), std::string::npos);
}

} // namespace
} // namespace engram
