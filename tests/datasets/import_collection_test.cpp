#include "engram/datasets/import.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "files.hpp"

namespace engram {
namespace {

using test::bytes_of;
using test::npy_header;
using test::npy_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const float nan = std::numeric_limits<float>::quiet_NaN();

TEST(import_npy, reads_float32) {
  const test::temporary_folder folder;
  const auto file = folder.write(
      "a.npy", npy_of(npy_header("<f4", "(2, 3)"), bytes_of<float>({1, 2, 3, -4, 0.5f, 6})));
  const auto made = import_collection(file);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ((*made)->size(), 2u);
  EXPECT_THAT((*made)->row(0), ElementsAre(1, 2, 3));
  EXPECT_THAT((*made)->row(1), ElementsAre(-4, 0.5f, 6));
}

TEST(import_npy, reads_float16_and_float64) {
  const test::temporary_folder folder;
  const auto half =
      folder.write("h.npy", npy_of(npy_header("<f2", "(1, 3)"),
                                   bytes_of<std::uint16_t>({0x3c00, 0xc000, 0x3800})));
  const auto from_half = import_collection(half);
  ASSERT_TRUE(from_half) << from_half.error().message;
  EXPECT_THAT((*from_half)->row(0), ElementsAre(1, -2, 0.5f));
  const auto wide =
      folder.write("d.npy", npy_of(npy_header("<f8", "(2, 2)"), bytes_of<double>({0.1, 2, 3, 4})));
  const auto from_wide = import_collection(wide);
  ASSERT_TRUE(from_wide) << from_wide.error().message;
  EXPECT_THAT((*from_wide)->row(0), ElementsAre(0.1f, 2));
  EXPECT_THAT((*from_wide)->row(1), ElementsAre(3, 4));
}

TEST(import_npy, keeps_the_direction_of_float64_rows_that_float32_cannot_hold) {
  const test::temporary_folder folder;
  const auto made = import_collection(
      folder.write("d.npy", npy_of(npy_header("<f8", "(3, 2)"),
                                   bytes_of<double>({3e300, 4e300, 3e-310, 4e-310, 0, 0}))));
  ASSERT_TRUE(made) << made.error().message;
  for (std::size_t r = 0; r < 2; ++r) {
    const auto row = (*made)->row(r);
    EXPECT_NEAR(row[0] / row[1], 0.75, 1e-6);
    EXPECT_NEAR(row[0] * (*made)->rows().inverse_norms[r], 0.6, 1e-6);
  }
  EXPECT_THAT((*made)->row(2), ElementsAre(0, 0));
}

TEST(import_npy, reads_more_rows_than_one_block) {
  const test::temporary_folder folder;
  const std::size_t n = 100003, dim = 5;
  std::string data;
  for (std::size_t i = 0; i < n * dim; ++i)
    test::append(data, static_cast<float>(i));
  const auto made =
      import_collection(folder.write("a.npy", npy_of(npy_header("<f4", "(100003, 5)"), data)));
  ASSERT_TRUE(made) << made.error().message;
  for (const std::size_t r : {std::size_t{0}, std::size_t{52428}, std::size_t{52429}, n - 1})
    EXPECT_EQ((*made)->row(r)[4], static_cast<float>(r * dim + 4));
}

TEST(import_npy, reads_versions_two_and_three_and_headers_of_other_shapes) {
  const test::temporary_folder folder;
  const auto data = bytes_of<float>({1, 2});
  const std::string header = "{\"shape\":(2,1),\"fortran_order\":False,\"descr\":\"<f4\"}      \n";
  for (const char version : {'\x02', '\x03'}) {
    std::string file = std::string("\x93NUMPY") + version + '\0';
    test::append(file, static_cast<std::uint32_t>(header.size()));
    const auto made = import_collection(folder.write("a.npy", file + header + data));
    ASSERT_TRUE(made) << made.error().message;
    EXPECT_EQ((*made)->size(), 2u);
  }
}

TEST(import_npy, stores_as_the_type_that_is_asked_for) {
  const test::temporary_folder folder;
  const auto file =
      folder.write("a.npy", npy_of(npy_header("<f4", "(1, 2)"), bytes_of<float>({1, 1.0001f})));
  const auto made = import_collection(file, element_type::bf16);
  ASSERT_TRUE(made);
  EXPECT_EQ((*made)->type(), element_type::bf16);
  EXPECT_THAT((*made)->row(0), ElementsAre(1, 1));
}

struct bad_file {
  std::string name;
  std::string bytes;
  std::string message;
};

void expect_refused(const std::vector<bad_file>& cases) {
  const test::temporary_folder folder;
  for (const auto& bad : cases) {
    const auto path = folder.write(bad.name, bad.bytes);
    const auto made = import_collection(path);
    ASSERT_FALSE(made) << bad.message;
    EXPECT_EQ(made.error().code, ec::invalid_argument) << bad.message;
    EXPECT_THAT(made.error().message, HasSubstr(path.string()));
    EXPECT_THAT(made.error().message, HasSubstr(bad.message));
  }
}

TEST(import_npy, refuses_bad_files_and_says_why) {
  const auto four = bytes_of<float>({1, 2, 3, 4});
  const auto good = npy_of(npy_header("<f4", "(2, 2)"), four);
  const auto with_header = [&](const std::string& header) { return npy_of(header, four); };
  std::string huge_header = std::string("\x93NUMPY\x02") + '\0';
  test::append(huge_header, std::uint32_t{0xffffffff});
  std::string long_header = std::string("\x93NUMPY\x01") + '\0';
  test::append(long_header, std::uint16_t{60000});
  expect_refused({
      {"a.npy", "", "is empty"},
      {"a.npy", "\x93NUM", "does not start like an .npy file"},
      {"a.npy", "PK\x03\x04 this is an npz archive", "does not start like an .npy file"},
      {"a.npy", std::string("\x93NUMPY\x09\0\x10\0{}", 12), "version 9"},
      {"a.npy", huge_header + "{}", "claims a header of 4294967295 bytes"},
      {"a.npy", long_header + "{}", "claims a header of 60000 bytes, but has 12 bytes in all"},
      {"a.npy", good.substr(0, 40), "claims a header"},
      {"a.npy", good.substr(0, good.size() - 1),
       "has 15 bytes of data, but its shape (2, 2) needs 16"},
      {"a.npy", good + "x", "has 17 bytes of data"},
      {"a.npy", with_header(npy_header("<f4", "(2, 2)", "True")), "Fortran order"},
      {"a.npy", with_header(npy_header(">f4", "(2, 2)")), "big-endian numbers ('>f4')"},
      {"a.npy", with_header(npy_header("<i8", "(2, 1)")), "numbers of type '<i8'"},
      {"a.npy", with_header(npy_header("|u1", "(4, 4)")), "numbers of type '|u1'"},
      {"a.npy", with_header(npy_header("|O", "(2, 2)")), "numbers of type '|O'"},
      {"a.npy", with_header("{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (4,), }"),
       "holds records"},
      {"a.npy", with_header(npy_header("<f4", "(4,)")),
       "has shape (4,); a collection is [rows, dim]"},
      {"a.npy", with_header(npy_header("<f4", "()")), "has shape ()"},
      {"a.npy", with_header(npy_header("<f4", "(2, 2, 1)")), "has shape (2, 2, 1)"},
      {"a.npy", npy_of(npy_header("<f4", "(0, 2)"), ""), "1 to 4294967295 rows, not 0"},
      {"a.npy", npy_of(npy_header("<f4", "(2, 0)"), ""), "1 to 8192 columns, not 0"},
      {"a.npy", with_header(npy_header("<f4", "(4611686018427387905, 4)")), "more than 2^64"},
      {"a.npy", with_header(npy_header("<f4", "(4294967296, 4294967296)")), "more than 2^64"},
      {"a.npy", with_header(npy_header("<f4", "(1000000000, 8192)")), "needs 32768000000000"},
      {"a.npy", with_header(npy_header("<f4", "(99999999999999999999999, 1)")), "below 2^64"},
      {"a.npy", with_header(npy_header("<f4", "(-1, 2)")), "'shape' has an extent that is not"},
      {"a.npy", with_header("{'descr': '<f4', 'shape': (2, 2), }"), "lacks one of"},
      {"a.npy", with_header("{'descr': '<f4', 'descr': '<f4', }"), "'descr' twice"},
      {"a.npy", with_header("{'colour': 'red', }"), "unknown key 'colour'"},
      {"a.npy", with_header("{'descr': '<f4' 'shape': (2, 2)}"), "not separated by ','"},
      {"a.npy", with_header("{'descr': '<f4', 'fortran_order': 0, 'shape': (2, 2)}"),
       "neither True nor"},
      {"a.npy", with_header("{'descr': '<f4"), "holds records"},
      {"a.npy", with_header("hello"), "does not start with '{'"},
      {"a.npy", with_header(npy_header("<f4", "(2, 2)") + "x"), "text behind"},
      {"a.npy", npy_of(npy_header("<f4", "(2, 2)"), bytes_of<float>({1, 2, 3, nan})),
       "row 1, column 1 is a NaN or an infinity"},
      {"a.npy", npy_of(npy_header("<f2", "(2, 1)"), bytes_of<std::uint16_t>({0x3c00, 0x7c00})),
       "row 1, column 0 is a NaN or an infinity"},
      {"a.npy",
       npy_of(npy_header("<f8", "(1, 3)"),
              bytes_of<double>({1e300, std::numeric_limits<double>::infinity(), 1})),
       "row 0, column 1 is a NaN or an infinity"},
      {"a.csv", "1,2,3", "ends neither in .npy nor in .fvecs"},
  });
}

std::string fvecs_row(std::initializer_list<float> row) {
  std::string out;
  test::append(out, static_cast<std::int32_t>(row.size()));
  return out + bytes_of<float>(row);
}

TEST(import_fvecs, reads_rows_that_carry_their_dim) {
  const test::temporary_folder folder;
  const auto made = import_collection(
      folder.write("a.fvecs", fvecs_row({1, 2}) + fvecs_row({3, 4}) + fvecs_row({5, 6})));
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ((*made)->size(), 3u);
  EXPECT_THAT((*made)->row(2), ElementsAre(5, 6));
}

TEST(import_fvecs, reads_more_rows_than_one_block) {
  const test::temporary_folder folder;
  std::string data;
  for (int i = 0; i < 200000; ++i)
    data += fvecs_row({static_cast<float>(i), 1});
  const auto made = import_collection(folder.write("a.fvecs", data));
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ((*made)->row(199999)[0], 199999.0f);
}

TEST(import_fvecs, refuses_bad_files_and_says_where) {
  const auto row = fvecs_row({1, 2, 3});
  expect_refused({
      {"a.fvecs", "", "is empty"},
      {"a.fvecs", "abc", "has 3 bytes, too few"},
      {"a.fvecs", bytes_of<std::int32_t>({0}), "row 0 has dim 0"},
      {"a.fvecs", bytes_of<std::int32_t>({-3, 1}), "row 0 has dim -3"},
      {"a.fvecs", bytes_of<std::int32_t>({8193, 1}), "row 0 has dim 8193"},
      {"a.fvecs", bytes_of<std::int32_t>({0x7fffffff, 1}), "row 0 has dim 2147483647"},
      {"a.fvecs", bytes_of<std::int32_t>({8192, 1}), "ends inside row 0: 8 of its 32772 bytes"},
      {"a.fvecs", row + row + row.substr(0, 10), "ends inside row 2: 10 of its 16 bytes"},
      {"a.fvecs", row + fvecs_row({1, 2, 3, 4}) + row,
       "row 1 (byte 16) has dim 4, but row 0 has 3"},
      {"a.fvecs", row + fvecs_row({1, nan, 3}), "row 1, column 1 is a NaN or an infinity"},
  });
}

TEST(import_collection, takes_labels_one_a_line) {
  const test::temporary_folder folder;
  const auto file = folder.write("a.fvecs", fvecs_row({1}) + fvecs_row({2}));
  const auto made =
      import_collection(file, element_type::f32, folder.write("labels.txt", "dog\nred wine\n"));
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ((*made)->label(1), "red wine");
}

TEST(import_collection, refuses_another_number_of_labels_than_rows) {
  const test::temporary_folder folder;
  const auto file = folder.write("a.fvecs", fvecs_row({1}) + fvecs_row({2}));
  for (const auto& [text, count] : {std::pair("dog\n", "1 lines"),
                                    std::pair("a\nb\nc\n", "3 lines"), std::pair("", "0 lines")}) {
    const auto labels = folder.write("labels.txt", text);
    const auto made = import_collection(file, element_type::f32, labels);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, ec::invalid_argument);
    EXPECT_THAT(made.error().message, HasSubstr(labels.string() + ": has " + count));
    EXPECT_THAT(made.error().message, HasSubstr("has 2 rows"));
  }
}

TEST(import_collection, names_a_file_that_is_not_there) {
  const auto made = import_collection("/nonexistent/a.npy");
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, ec::not_found);
  EXPECT_THAT(made.error().message, HasSubstr("/nonexistent/a.npy"));
}

} // namespace
} // namespace engram
