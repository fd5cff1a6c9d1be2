#include "engram/datasets/store.hpp"
#include "engram/datasets/text_embedder.hpp"
#include "engram/datasets/version_writer.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/resource.h>

#include <csignal>
#include <cstring>
#include <set>
#include <thread>
#include <vector>

#include "files.hpp"

namespace engram {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

collection_ptr sample_collection(std::size_t n = 100, element_type type = element_type::f32) {
  constexpr std::size_t dim = 12;
  std::vector<float> rows(n * dim);
  std::vector<std::string> labels;
  for (std::size_t i = 0; i < rows.size(); ++i)
    rows[i] = static_cast<float>(i % 97) - 48.0f;
  for (std::size_t i = 0; i < n; ++i)
    labels.push_back("row\n" + std::to_string(i));
  auto embedder = std::make_shared<text_embedder>(text_embedder::fit(dim, {"guide dog", "dog"}));
  return *vector_collection::make({rows.data(), n, dim}, type, labels, embedder);
}

graph_ptr sample_graph() {
  return *activation_graph::make(3, {{0, 1, 0.5f}, {2, 1, -0.25f}, {1, 0, 1.0f}}, {"a", "", "c"});
}

/// The names of everything in `folder`.
std::set<std::string> names_in(const fs::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder))
    names.insert(entry.path().filename().string());
  return names;
}

class stored_collection : public ::testing::TestWithParam<element_type> {};

TEST_P(stored_collection, comes_back_as_it_was) {
  const test::temporary_folder folder;
  dataset_store store(folder.path());
  const auto original = sample_collection(100, GetParam());
  const auto saved = store.save("words", original);
  ASSERT_TRUE(saved) << saved.error().message;
  EXPECT_EQ(saved->version, 1u);
  const auto loaded = store.load("words");
  ASSERT_TRUE(loaded) << loaded.error().message;
  const auto& copy = *std::get<collection_ptr>(*loaded);
  ASSERT_EQ(copy.size(), original->size());
  ASSERT_EQ(copy.type(), original->type());
  for (std::size_t r = 0; r < copy.size(); ++r) {
    EXPECT_EQ(copy.row(r), original->row(r));
    EXPECT_EQ(copy.label(r), original->label(r));
    EXPECT_EQ(copy.rows().inverse_norms[r], original->rows().inverse_norms[r]);
  }
  ASSERT_NE(copy.embedder(), nullptr);
  EXPECT_EQ(copy.embedder()->documents(), 2u);
  EXPECT_EQ(*copy.embedder()->embed("guide dog"), *original->embedder()->embed("guide dog"));
}

INSTANTIATE_TEST_SUITE_P(dataset_store, stored_collection,
                         ::testing::Values(element_type::f32, element_type::f16,
                                           element_type::bf16));

TEST(dataset_store, gives_a_graph_back_as_it_was) {
  const test::temporary_folder folder;
  dataset_store store(folder.path());
  const auto original = sample_graph();
  ASSERT_TRUE(store.save("g", original));
  const auto loaded = store.load("g");
  ASSERT_TRUE(loaded) << loaded.error().message;
  const auto& copy = *std::get<graph_ptr>(*loaded);
  ASSERT_EQ(copy.nodes(), 3u);
  ASSERT_EQ(copy.edges(), 3u);
  for (std::size_t e = 0; e < 3; ++e) {
    EXPECT_EQ(copy.view().in_sources[e], original->view().in_sources[e]);
    EXPECT_EQ(copy.view().in_weights[e], original->view().in_weights[e]);
    EXPECT_EQ(copy.view().out_targets[e], original->view().out_targets[e]);
  }
  EXPECT_EQ(copy.label(2), "c");
}

TEST(dataset_store, describes_without_loading) {
  const test::temporary_folder folder;
  dataset_store store(folder.path());
  ASSERT_TRUE(store.save("words", sample_collection(100, element_type::f16)));
  ASSERT_TRUE(store.save("g", sample_graph()));
  const auto words = store.describe("words");
  ASSERT_TRUE(words);
  EXPECT_FALSE(words->is_graph);
  EXPECT_EQ(words->rows, 100u);
  EXPECT_EQ(words->dim, 12u);
  EXPECT_EQ(words->element_type, "f16");
  EXPECT_TRUE(words->has_labels);
  EXPECT_TRUE(words->has_embedder);
  EXPECT_GT(words->bytes, 100u * 12u * 2u);
  EXPECT_EQ(words->path, folder.path() / "words" / "v000001");
  const auto graph = store.describe("g");
  ASSERT_TRUE(graph);
  EXPECT_TRUE(graph->is_graph);
  EXPECT_EQ(graph->edges, 3u);
  EXPECT_EQ(graph->element_type, "");
  EXPECT_FALSE(graph->has_embedder);
}

TEST(dataset_store, counts_versions_and_loads_the_newest_unless_told) {
  const test::temporary_folder folder;
  dataset_store store(folder.path());
  for (std::size_t n = 1; n <= 3; ++n)
    EXPECT_EQ(store.save("words", sample_collection(n))->version, n);
  EXPECT_EQ(std::get<collection_ptr>(*store.load("words"))->size(), 3u);
  EXPECT_EQ(std::get<collection_ptr>(*store.load("words", 2))->size(), 2u);
  const auto missing = store.load("words", 7);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ec::not_found);
  EXPECT_THAT(missing.error().message, HasSubstr("no version 7 of 'words'"));
  EXPECT_THAT(missing.error().message, HasSubstr("the newest is 3"));
}

TEST(dataset_store, lists_the_newest_of_every_dataset_by_name) {
  const test::temporary_folder folder;
  dataset_store store(folder.path() / "not" / "there" / "yet");
  EXPECT_THAT(store.list(), IsEmpty());
  EXPECT_THAT(store.names(), IsEmpty());
  ASSERT_TRUE(store.save("b", sample_graph()));
  ASSERT_TRUE(store.save("a", sample_collection()));
  ASSERT_TRUE(store.save("b", sample_graph()));
  const auto all = store.list();
  ASSERT_THAT(all, SizeIs(2));
  EXPECT_EQ(all[0].name, "a");
  EXPECT_EQ(all[1].name, "b");
  EXPECT_EQ(all[1].version, 2u);
}

TEST(dataset_store, names_damaged_datasets_too) {
  const test::temporary_folder folder;
  dataset_store store(folder.path());
  for (const char* name : {"c", "a", "b"})
    ASSERT_TRUE(store.save(name, sample_graph()));
  folder.write("b/v000001/manifest.json", "?");
  fs::remove(folder.path() / "c/v000001/manifest.json");
  folder.write("no versions/file", "x");
  folder.write("empty/.tmp-0-0/manifest.json", "{}");
  EXPECT_THAT(store.names(), ElementsAre("a", "b", "c"));
  EXPECT_THAT(store.list(), SizeIs(1));
  EXPECT_EQ(store.verify("b").error().code, ec::invalid_argument);
}

TEST(dataset_store, verifies_what_it_wrote) {
  const test::temporary_folder folder;
  dataset_store store(folder.path());
  ASSERT_TRUE(store.save("words", sample_collection()));
  ASSERT_TRUE(store.save("g", sample_graph()));
  EXPECT_TRUE(store.verify("words"));
  EXPECT_TRUE(store.verify("g"));
}

TEST(dataset_store, refuses_names_that_leave_its_folder) {
  const test::temporary_folder folder;
  dataset_store store(folder.path() / "data");
  for (const char* name : {"", "..", "../x", "a/b", ".tmp-1", "a b"}) {
    EXPECT_EQ(store.save(name, sample_graph()).error().code, ec::invalid_argument) << name;
    EXPECT_EQ(store.load(name).error().code, ec::invalid_argument) << name;
    EXPECT_EQ(store.verify(name).error().code, ec::invalid_argument) << name;
  }
  EXPECT_THAT(names_in(folder.path()), IsEmpty());
}

TEST(dataset_store, says_which_dataset_is_not_there) {
  const test::temporary_folder folder;
  const dataset_store store(folder.path());
  const auto loaded = store.load("words");
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, ec::not_found);
  EXPECT_THAT(loaded.error().message, HasSubstr("no dataset 'words' in " + folder.path().string()));
}

TEST(dataset_store, finds_a_flipped_bit_anywhere) {
  const test::temporary_folder folder;
  dataset_store store(folder.path());
  const auto words = store.save("words", sample_collection());
  const auto graph = store.save("g", sample_graph());
  ASSERT_TRUE(words && graph);
  for (const auto& version : {*words, *graph}) {
    for (const auto& entry : fs::directory_iterator(version.path)) {
      if (entry.path().extension() != ".bin") continue;
      const auto right = test::read_bytes(entry.path());
      auto wrong = right;
      wrong[wrong.size() / 2] = static_cast<char>(wrong[wrong.size() / 2] ^ 0x10);
      const auto name = (fs::relative(entry.path(), folder.path())).string();
      folder.write(name, wrong);
      for (const auto& found :
           {store.verify(version.name).error(), store.load(version.name).error()}) {
        EXPECT_EQ(found.code, ec::invalid_argument) << name;
        EXPECT_THAT(found.message, HasSubstr(entry.path().string()));
      }
      folder.write(name, right);
      EXPECT_TRUE(store.verify(version.name));
    }
  }
}

TEST(dataset_store, finds_truncated_and_missing_files_without_reading_them) {
  const test::temporary_folder folder;
  dataset_store store(folder.path());
  const auto words = store.save("words", sample_collection());
  const auto graph = store.save("g", sample_graph());
  ASSERT_TRUE(words && graph);
  for (const auto& version : {*words, *graph}) {
    for (const auto& name : names_in(version.path)) {
      if (name == "manifest.json") continue;
      const auto path = version.path / name;
      const auto right = test::read_bytes(path);
      fs::resize_file(path, right.size() - 1);
      EXPECT_THAT(
          store.load(version.name).error().message,
          HasSubstr(path.string() + ": has " + std::to_string(right.size() - 1) + " bytes"));
      EXPECT_EQ(store.describe(version.name).error().code, ec::invalid_argument);
      fs::remove(path);
      EXPECT_THAT(store.load(version.name).error().message,
                  HasSubstr(path.string() + ": is missing"));
      folder.write(fs::relative(path, folder.path()).string(), right);
      EXPECT_TRUE(store.load(version.name));
    }
  }
}

/// Returns `text` with the first `from` replaced by `to`.
std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(dataset_store, refuses_a_bad_manifest_and_names_it) {
  const test::temporary_folder folder;
  dataset_store store(folder.path());
  ASSERT_TRUE(store.save("words", sample_collection()));
  const auto path = folder.path() / "words/v000001/manifest.json";
  const auto right = test::read_bytes(path);
  const std::vector<std::pair<std::string, std::string>> cases{
      {"", "is not a JSON object"},
      {"[]", "is not a JSON object"},
      {right.substr(0, right.size() / 2), "is not a JSON object"},
      {replaced(right, "engram-dataset", "parquet"), "does not have \"format\""},
      {replaced(right, "\"format_version\": 1", "\"format_version\": 2"), "another format version"},
      {replaced(right, "\"collection\"", "\"table\""), "unknown \"kind\""},
      {replaced(right, "\"rows\": 100", "\"rows\": -1"), "lacks the shape"},
      {replaced(right, "\"rows\": 100", "\"rows\": \"many\""), "lacks the shape"},
      {replaced(right, "\"rows\": 100", "\"rows\": 0"), "impossible shape"},
      {replaced(right, "\"rows\": 100", "\"rows\": 18446744073709551615"), "impossible shape"},
      {replaced(right, "\"rows\": 100", "\"rows\": 4000000000"), "does not fit the shape"},
      {replaced(right, "\"dim\": 12", "\"dim\": 100000"), "impossible shape"},
      {replaced(right, "\"dim\": 12", "\"dim\": 13"), "does not fit the shape"},
      {replaced(right, "\"f32\"", "\"f64\""), "unknown \"element_type\""},
      {replaced(right, "rows.bin", "cols.bin"), "does not list rows.bin"},
      {replaced(right, "\"checksum\": \"", "\"checksum\": \"xyz"), "no valid list of files"},
      {replaced(right, "\"embedder_documents\": 2", "\"embedder_documents\": 0"),
       "no \"embedder_documents\""},
  };
  for (const auto& [text, message] : cases) {
    folder.write("words/v000001/manifest.json", text);
    const auto loaded = store.load("words");
    ASSERT_FALSE(loaded) << message;
    EXPECT_EQ(loaded.error().code, ec::invalid_argument);
    EXPECT_THAT(loaded.error().message, HasSubstr(path.string()));
    EXPECT_THAT(loaded.error().message, HasSubstr(message));
    EXPECT_THAT(store.list(), IsEmpty());
  }
  fs::remove(path);
  EXPECT_THAT(store.load("words").error().message, HasSubstr(path.string() + ": is missing"));
}

/// Lets no file of this process grow past `bytes`, which is what a full disk looks like to a
/// writer.
class file_size_limit {
public:
  explicit file_size_limit(rlim_t bytes) {
    old_handler_ = std::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &old_);
    const rlimit limit{bytes, old_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  file_size_limit(const file_size_limit&) = delete;
  file_size_limit& operator=(const file_size_limit&) = delete;
  ~file_size_limit() {
    ::setrlimit(RLIMIT_FSIZE, &old_);
    std::signal(SIGXFSZ, old_handler_);
  }

private:
  rlimit old_{};
  void (*old_handler_)(int) = nullptr;
};

TEST(dataset_store, leaves_nothing_behind_when_the_disk_is_full) {
  const test::temporary_folder folder;
  dataset_store store(folder.path());
  {
    const file_size_limit limit(1000);
    const auto saved = store.save("words", sample_collection());
    ASSERT_FALSE(saved);
    EXPECT_EQ(saved.error().code, ec::resource_exhausted);
    EXPECT_THAT(saved.error().message, HasSubstr((folder.path() / "words").string()));
    EXPECT_THAT(saved.error().message, HasSubstr("5814 bytes are needed"));
  }
  EXPECT_THAT(names_in(folder.path()), IsEmpty());
  ASSERT_TRUE(store.save("words", sample_collection()));
  {
    const file_size_limit limit(1000);
    EXPECT_FALSE(store.save("words", sample_collection()));
  }
  EXPECT_THAT(names_in(folder.path() / "words"), ::testing::ElementsAre("v000001"));
  EXPECT_TRUE(store.verify("words"));
}

TEST(dataset_store, says_when_its_folder_cannot_be_made) {
  const test::temporary_folder folder;
  dataset_store store(folder.write("file", "not a folder"));
  const auto saved = store.save("words", sample_graph());
  ASSERT_FALSE(saved);
  EXPECT_EQ(saved.error().code, ec::unavailable);
  EXPECT_THAT(saved.error().message, HasSubstr("file/words: cannot be written"));
}

TEST(dataset_store, gives_writers_at_the_same_time_different_versions) {
  const test::temporary_folder folder;
  constexpr std::size_t writers = 6, each = 5;
  std::vector<std::vector<std::uint64_t>> versions(writers);
  std::vector<std::thread> threads;
  for (std::size_t w = 0; w < writers; ++w)
    threads.emplace_back([&, w] {
      dataset_store store(folder.path());
      for (std::size_t i = 0; i < each; ++i) {
        const auto saved = store.save("words", sample_collection(w + 1));
        if (saved) versions[w].push_back(saved->version);
      }
    });
  for (auto& thread : threads)
    thread.join();
  const dataset_store store(folder.path());
  std::set<std::uint64_t> all;
  for (std::size_t w = 0; w < writers; ++w)
    for (const auto version : versions[w]) {
      EXPECT_EQ(store.verify("words", version)->rows, w + 1);
      all.insert(version);
    }
  EXPECT_THAT(all, SizeIs(writers * each));
  EXPECT_EQ(*all.rbegin(), writers * each);
  EXPECT_THAT(names_in(folder.path() / "words"), SizeIs(writers * each));
}

TEST(dataset_store, clears_away_what_dead_writers_left_and_not_what_living_ones_write) {
  const test::temporary_folder folder;
  folder.write("words/.tmp-1-dead/rows.bin", "half a file");
  folder.write("words/.tmp-1-alive/rows.bin", "half a file");
  folder.write("words/.tmp-1-new/rows.bin", "half a file");
  const auto long_ago = fs::file_time_type::clock::now() - std::chrono::hours(1);
  for (const char* name : {"dead", "alive"})
    fs::last_write_time(folder.path() / "words" / (".tmp-1-" + std::string(name)), long_ago);
  const int alive =
      ::open((folder.path() / "words/.tmp-1-alive").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  ASSERT_EQ(::flock(alive, LOCK_EX), 0);
  dataset_store store(folder.path());
  ASSERT_TRUE(store.save("words", sample_graph()));
  ::close(alive);
  EXPECT_THAT(names_in(folder.path() / "words"),
              ::testing::UnorderedElementsAre(".tmp-1-alive", ".tmp-1-new", "v000001"));
}

TEST(dataset_store, ignores_folders_that_are_no_versions) {
  const test::temporary_folder folder;
  dataset_store store(folder.path());
  ASSERT_TRUE(store.save("words", sample_graph()));
  for (const char* name : {"v7", "v0000008", "vx", "backup", ".tmp-0-0"})
    folder.write("words/" + std::string(name) + "/manifest.json", "{}");
  folder.write("stray file", "x");
  EXPECT_EQ(store.describe("words")->version, 1u);
  EXPECT_THAT(store.list(), SizeIs(1));
  EXPECT_EQ(store.save("words", sample_graph())->version, 2u);
}

TEST(version_folder, names_versions_so_that_they_sort) {
  EXPECT_EQ(version_folder(1), "v000001");
  EXPECT_EQ(version_folder(1234567), "v1234567");
  EXPECT_EQ(version_in("v000012"), 12u);
  EXPECT_EQ(version_in("v1234567"), 1234567u);
  for (const char* other : {"v12", "000012", "v00001x", "", "v", "v000000"})
    EXPECT_EQ(version_in(other), 0u) << other;
}

} // namespace
} // namespace engram
