#include "engram/datasets/input_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "files.hpp"

namespace engram {
namespace {

using ::testing::HasSubstr;

TEST(input_file, is_a_regular_file_or_an_error) {
  const test::temporary_folder folder;
  const auto pipe = folder.path() / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  for (const auto& path : {folder.path(), pipe, std::filesystem::path("/dev/zero")}) {
    const auto opened = input_file::open(path);
    ASSERT_FALSE(opened) << path;
    EXPECT_EQ(opened.error().code, ec::invalid_argument);
    EXPECT_THAT(opened.error().message, HasSubstr(path.string() + ": is not a regular file"));
  }
}

TEST(input_file, says_where_a_file_ends_too_early) {
  const test::temporary_folder folder;
  const auto file = input_file::open(folder.write("short", "12345"));
  ASSERT_TRUE(file);
  std::byte bytes[8];
  const auto read = file->read_at(2, bytes);
  ASSERT_FALSE(read);
  EXPECT_THAT(read.error().message, HasSubstr("ends at byte 5, 5 bytes too early"));
}

TEST(line_reader, counts_lines_across_its_buffer) {
  const test::temporary_folder folder;
  std::string text;
  for (int i = 0; i < 300000; ++i)
    text += "line " + std::to_string(i) + "\n";
  text += "no end";
  const auto file = input_file::open(folder.write("lines", text));
  ASSERT_TRUE(file);
  line_reader reader(*file);
  for (std::uint64_t i = 0; i < 300000; ++i) {
    ASSERT_TRUE(*reader.next());
    ASSERT_EQ(reader.line(), "line " + std::to_string(i));
    ASSERT_EQ(reader.number(), i + 1);
  }
  ASSERT_TRUE(*reader.next());
  EXPECT_EQ(reader.line(), "no end");
  EXPECT_FALSE(*reader.next());
  EXPECT_FALSE(*reader.next());
}

TEST(line_reader, refuses_a_line_without_end) {
  const test::temporary_folder folder;
  const auto file = input_file::open(folder.write("long", "short\n" + std::string(3 << 20, 'x')));
  ASSERT_TRUE(file);
  line_reader reader(*file);
  ASSERT_TRUE(*reader.next());
  const auto next = reader.next();
  ASSERT_FALSE(next);
  EXPECT_THAT(next.error().message, HasSubstr("long:2: the line is longer than"));
}

} // namespace
} // namespace engram
