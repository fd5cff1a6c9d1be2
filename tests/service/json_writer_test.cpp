#include "engram/service/json_writer.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

namespace engram::test {

TEST(json_writer, puts_commas_between_and_nowhere_else) {
  json_writer out;
  out.begin_object().field("a", 1).key("b").begin_array();
  out.value(true).begin_object().end_object().begin_array().end_array().value("x");
  out.end_array().field("c", "").end_object();
  EXPECT_EQ(out.take(), R"({"a":1,"b":[true,{},[],"x"],"c":""})");
}

TEST(json_writer, floats_have_the_fewest_digits_that_read_back) {
  json_writer out;
  out.begin_array().value(0.1f).value(0.1).value(1.0f).value(-0.0f).value(16777216.0f).end_array();
  EXPECT_EQ(out.take(), "[0.1,0.1,1,-0,16777216]");
}

TEST(json_writer, numbers_that_json_lacks_become_null) {
  json_writer out;
  out.begin_array().value(std::numeric_limits<float>::quiet_NaN());
  out.value(std::numeric_limits<double>::infinity()).end_array();
  EXPECT_EQ(out.take(), "[null,null]");
}

TEST(json_writer, whole_numbers_keep_all_64_bits) {
  json_writer out;
  out.begin_array().value(std::numeric_limits<std::uint64_t>::max());
  out.value(std::numeric_limits<std::int64_t>::min()).end_array();
  EXPECT_EQ(out.take(), "[18446744073709551615,-9223372036854775808]");
}

TEST(json_writer, strings_are_escaped) {
  json_writer out;
  out.value(std::string_view{"\"\\\n\t\x01\0z", 7});
  EXPECT_EQ(out.take(), R"("\"\\\n\u0009\u0001\u0000z")");
}

TEST(json_writer, utf8_passes_and_other_bytes_are_replaced) {
  const std::string replacement = "\xEF\xBF\xBD";
  const auto written = [](std::string_view text) {
    json_writer out;
    out.value(text);
    const auto quoted = out.take();
    return quoted.substr(1, quoted.size() - 2);
  };
  EXPECT_EQ(written("\u00e9\u20ac\U0001F436"), "\u00e9\u20ac\U0001F436");
  EXPECT_EQ(written("\xFF"), replacement);
  EXPECT_EQ(written("a\xC3"), "a" + replacement);                              // cut off
  EXPECT_EQ(written("\xC0\xAF"), replacement + replacement);                   // overlong
  EXPECT_EQ(written("\xED\xA0\x80"), replacement + replacement + replacement); // a surrogate
  EXPECT_EQ(written("\xF5\x80\x80\x80").size(), 4 * replacement.size());       // past U+10FFFF
}

} // namespace engram::test
