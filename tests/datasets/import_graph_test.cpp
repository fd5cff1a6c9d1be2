#include "engram/datasets/import.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <tuple>
#include <vector>

#include "files.hpp"

namespace engram {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

using triple = std::tuple<node_id, node_id, float>;

std::vector<triple> edges_of(const activation_graph& graph) {
  const graph_view view = graph.view();
  std::vector<triple> out;
  for (node_id i = 0; i < view.nodes; ++i)
    for (auto e = view.out_offsets[i]; e < view.out_offsets[i + 1]; ++e)
      out.emplace_back(i, view.out_targets[e], view.out_weights[e]);
  return out;
}

TEST(import_edge_list, reads_sources_targets_and_weights) {
  const test::temporary_folder folder;
  const auto made = import_graph(folder.write("a.txt", "# a comment\n"
                                                       "0 1 0.5\n"
                                                       "\n"
                                                       "  2\t0   -1e-1 # why not\r\n"
                                                       "1 1 +1\n"
                                                       "3 0 1"));
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ((*made)->nodes(), 4u);
  EXPECT_THAT(edges_of(**made), ElementsAre(triple{0, 1, 0.5f}, triple{1, 1, 1.0f},
                                            triple{2, 0, -0.1f}, triple{3, 0, 1.0f}));
}

TEST(import_edge_list, weighs_every_edge_1_if_no_line_has_a_weight) {
  const test::temporary_folder folder;
  const auto made = import_graph(folder.write("a.txt", "0 1\n1 2 # no 0.5\n"));
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_THAT(edges_of(**made), ElementsAre(triple{0, 1, 1.0f}, triple{1, 2, 1.0f}));
}

TEST(import_edge_list, has_a_node_for_each_label) {
  const test::temporary_folder folder;
  const auto file = folder.write("a.txt", "0 1\n");
  const auto made = import_graph(file, folder.write("labels.txt", "a\nb\nc\n"));
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ((*made)->nodes(), 3u);
  EXPECT_EQ((*made)->label(2), "c");
  const auto refused = import_graph(file, folder.write("labels.txt", "a\n"));
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("a.txt:1: target '1' is not below 1"));
}

struct bad_graph_file {
  std::string text;
  std::string message;
};

void expect_refused(const std::string& name, const std::vector<bad_graph_file>& cases) {
  const test::temporary_folder folder;
  for (const auto& bad : cases) {
    const auto path = folder.write(name, bad.text);
    const auto made = import_graph(path);
    ASSERT_FALSE(made) << bad.message;
    EXPECT_EQ(made.error().code, ec::invalid_argument) << bad.message;
    EXPECT_THAT(made.error().message, HasSubstr(path.string() + bad.message));
  }
}

TEST(import_edge_list, refuses_bad_lines_and_names_them) {
  expect_refused("a.txt",
                 {
                     {"", ": is empty"},
                     {"# nothing\n\n", ": has no edge"},
                     {"0 1\n-1 2\n", ":2: source '-1' is not a node number"},
                     {"0 1\n1 -2 0.5\n", ":2: target '-2' is not a node number"},
                     {"0 1.5\n", ":1: target '1.5' is not a node number"},
                     {"zero one\n", ":1: source 'zero' is not a node number"},
                     {"0 4294967295\n", ":1: target '4294967295' is not below 4294967295"},
                     {"0 99999999999999999999\n", ":1: target '99999999999999999999' is not"},
                     {"0\n", ":1: there is only '0'"},
                     {"0 1 0.5 9\n", ":1: '9' is too much"},
                     {"0 1 1.01\n", ":1: weight '1.01' is not within [-1, 1]"},
                     {"0 1 -2\n", ":1: weight '-2' is not within [-1, 1]"},
                     {"0 1 nan\n", ":1: weight 'nan' is not within [-1, 1]"},
                     {"0 1 inf\n", ":1: weight 'inf' is not within [-1, 1]"},
                     {"0 1 1e999\n", ":1: weight '1e999' is not within [-1, 1]"},
                     {"0 1 heavy\n", ":1: weight 'heavy' is not a number"},
                     {"0 1 0.5x\n", ":1: weight '0.5x' is not a number"},
                     {"0 1\n1 2\n# again\n0 1\n",
                      ":4: the edge from 0 to 1 (counted from 0) is in line 1 already"},
                     {"0 1 0.5\n1 2\n", ":2: there is no weight, but line 1 has one; give"},
                     {"# all\n0 1 0.5\n1 2 0.5\n\n2 3 # 0.5\n",
                      ":5: there is no weight, but line 2 has one; give"},
                     {"0 1\n1 2\n2 3 1\n", ":3: there is a weight, but line 1 has none; give"},
                     {"0 1\n" + std::string(2 << 20, '7'), ":2: the line is longer than"},
                 });
}

TEST(import_edge_list, takes_no_memory_for_nodes_that_the_file_does_not_justify) {
  expect_refused("a.txt",
                 {{"0 4294967294\n", ": would make a graph of 4294967295 nodes from 1 edges"}});
}

const std::string general = "%%MatrixMarket matrix coordinate real general\n";

TEST(import_matrix_market, reads_rows_as_sources_and_columns_as_targets) {
  const test::temporary_folder folder;
  const auto made = import_graph(folder.write("a.mtx", general + "% a comment\n"
                                                                 "\n"
                                                                 "3 3 2\n"
                                                                 "1 3 0.5\n"
                                                                 "% another\n"
                                                                 "3 2 -0.25\n\n"));
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ((*made)->nodes(), 3u);
  EXPECT_THAT(edges_of(**made), ElementsAre(triple{0, 2, 0.5f}, triple{2, 1, -0.25f}));
}

TEST(import_matrix_market, mirrors_a_symmetric_matrix_but_not_its_diagonal) {
  const test::temporary_folder folder;
  const auto made =
      import_graph(folder.write("a.mtx", "%%matrixmarket MATRIX Coordinate pattern Symmetric\n"
                                         "3 3 2\n2 1\n3 3\n"));
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_THAT(edges_of(**made),
              ElementsAre(triple{0, 1, 1.0f}, triple{1, 0, 1.0f}, triple{2, 2, 1.0f}));
}

TEST(import_matrix_market, reads_integers) {
  const test::temporary_folder folder;
  const auto made = import_graph(folder.write(
      "a.mtx", "%%MatrixMarket matrix coordinate integer general\n2 2 2\n1 2 -1\n2 1 1"));
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_THAT(edges_of(**made), ElementsAre(triple{0, 1, -1.0f}, triple{1, 0, 1.0f}));
}

TEST(import_matrix_market, refuses_bad_files_and_names_the_line) {
  const std::string symmetric = "%%MatrixMarket matrix coordinate real symmetric\n";
  expect_refused(
      "a.mtx",
      {
          {"", ": is empty"},
          {"3 3 1\n1 2 1\n", ":1: the file does not start with '%%MatrixMarket matrix coordinate'"},
          {"%%MatrixMarket matrix array real general\n2 2\n", ":1: the file does not start with"},
          {"%%MatrixMarket matrix coordinate complex general\n", ":1: entries of type 'complex'"},
          {"%%MatrixMarket matrix coordinate real hermitian\n", ":1: symmetry 'hermitian'"},
          {"%%MatrixMarket matrix coordinate real\n2 2 0\n", ":1: symmetry ''"},
          {general, ": ends before the line: rows columns entries"},
          {general + "3 3\n", ":2: this line must be: rows columns entries"},
          {general + "3 3 1 1\n", ":2: this line must be"},
          {general + "-3 3 1\n", ":2: this line must be"},
          {general + "2 3 1\n1 1 1\n", ":2: a graph needs a square matrix, not 2 x 3"},
          {general + "0 0 0\n", ":2: a graph has 1 to 4294967295 nodes, not 0"},
          {general + "4294967296 4294967296 1\n1 1 1\n", ":2: a graph has 1 to 4294967295 nodes"},
          {general + "3 3 18446744073709551615\n1 2 1\n",
           ":2: 18446744073709551615 entries do not fit into the"},
          {general + "3 3 1000\n1 2 1\n", ":2: 1000 entries do not fit into the"},
          {general + "4000000000 4000000000 1\n1 2 1\n",
           ": would make a graph of 4000000000 nodes from 1 edges"},
          {general + "3 3 2\n1 2 1\n", ": ends after 1 of 2 entries"},
          {general + "3 3 1\n1 2 1\n2 3 1\n", ":4: there are more than the 1 entries"},
          {general + "3 3 1\n0 2 1\n", ":3: row '0' is not a number from 1 to 3"},
          {general + "3 3 1\n1 4 1\n", ":3: column '4' is not a number from 1 to 3"},
          {general + "3 3 1\n1 -2 1\n", ":3: column '-2' is not a number from 1 to 3"},
          {general + "3 3 1\n1 2\n", ":3: there is no value"},
          {general + "3 3 1\n1 2 3\n", ":3: weight '3' is not within [-1, 1]"},
          {general + "3 3 1\n1 2 1 1\n", ":3: '1' is too much"},
          {general + "3 3 2\n1 2 1\n1 2 1\n", ":4: the edge from 0 to 1"},
          {symmetric + "3 3 2\n1 2 1\n2 1 1\n", ":4: the edge from 1 to 0"},
      });
}

TEST(import_matrix_market, refuses_another_number_of_labels_than_nodes) {
  const test::temporary_folder folder;
  const auto made = import_graph(folder.write("a.mtx", general + "3 3 1\n1 2 1\n"),
                                 folder.write("labels.txt", "a\nb\n"));
  ASSERT_FALSE(made);
  EXPECT_THAT(made.error().message, HasSubstr("there are 2 labels for 3 nodes"));
}

TEST(import_graph, names_a_file_that_is_not_there) {
  const auto made = import_graph("/nonexistent/a.txt");
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, ec::not_found);
  EXPECT_THAT(made.error().message, HasSubstr("/nonexistent/a.txt"));
}

} // namespace
} // namespace engram
