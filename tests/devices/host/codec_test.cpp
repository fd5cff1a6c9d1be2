#include "engram/devices/cpu_device.hpp"
#include "engram/devices/host/batch_codec.hpp"
#include "engram/devices/host/content.hpp"
#include "engram/tests/devices/host/sample_batches.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace engram {
namespace {

using test::sample_batches;

struct alignas(64) line {
  std::byte bytes[64];
};

/// Returns what becomes of `batch` on its way through `memory`.
std::optional<work_batch> through(const work_batch& batch, std::span<std::byte> memory) {
  const auto written = write_batch(batch, memory);
  if (!written) return std::nullopt;
  return read_batch(memory.first(*written), [&](std::uint64_t) { return batch.data; });
}

class batch_codec : public ::testing::Test {
protected:
  std::vector<line> lines = std::vector<line>(1 << 14);
  std::span<std::byte> memory = std::as_writable_bytes(std::span{lines});
  sample_batches work{3};
};

TEST_F(batch_codec, keeps_every_batch_as_it_is) {
  const auto rows = work.collection(60, 24);
  const auto graph = work.graph(50, 300);
  for (int i = 0; i < 100; ++i)
    for (const auto& batch :
         {work.search(rows), work.score(rows), work.similarity(), work.spread(graph)}) {
      const auto read = through(*batch, memory);
      ASSERT_TRUE(read);
      EXPECT_EQ(read->items.size(), batch->items.size());
      EXPECT_EQ(read->item_count(), batch->item_count());
      EXPECT_EQ(compute_reference(*read), compute_reference(*batch));
    }
}

TEST_F(batch_codec, refuses_memory_that_is_too_small_wherever_it_ends) {
  const auto batch = work.search(work.collection(60, 24));
  const auto whole = write_batch(*batch, memory);
  ASSERT_TRUE(whole);
  for (std::size_t bytes = 0; bytes < *whole; bytes += 8)
    EXPECT_FALSE(write_batch(*batch, memory.first(bytes))) << bytes;
}

TEST_F(batch_codec, keeps_outputs_as_they_are) {
  const auto batch = work.spread(work.graph(50, 300));
  const auto outputs = compute_reference(*batch);
  const auto bytes = write_outputs(outputs, memory);
  ASSERT_TRUE(bytes);
  EXPECT_EQ(read_outputs(memory.first(*bytes), *batch), outputs);
  EXPECT_FALSE(write_outputs(outputs, memory.first(*bytes - 1)));
}

TEST_F(batch_codec, reads_only_outputs_that_answer_the_batch) {
  const auto batch = work.search(work.collection(60, 24));
  const auto outputs = compute_reference(*batch);
  const auto bytes = write_outputs(outputs, memory);
  ASSERT_TRUE(bytes);
  std::mt19937_64 random{1};
  int refused = 0;
  for (int i = 0; i < 20'000; ++i) {
    auto spoilt = lines;
    const auto at = std::as_writable_bytes(std::span{spoilt});
    for (int hits = 0; hits < 4; ++hits)
      at[random() % *bytes] = static_cast<std::byte>(random());
    const auto read = read_outputs(at.first(*bytes), *batch);
    refused += !read;
    if (!read) continue;
    ASSERT_EQ(read->size(), outputs.size());
    for (std::size_t o = 0; o < outputs.size(); ++o) {
      ASSERT_EQ((*read)[o].counts.size(), outputs[o].counts.size());
      for (const auto& hit : (*read)[o].hits)
        ASSERT_LT(hit.id, 60u);
    }
  }
  EXPECT_GT(refused, 1'000);
  EXPECT_FALSE(read_outputs(memory.first(4), *batch));
  std::ranges::fill(memory, std::byte{0}); // what a slot holds that nobody wrote
  EXPECT_FALSE(read_outputs(memory, *batch));
  EXPECT_FALSE(read_outputs(memory.first(*bytes), *work.spread(work.graph(50, 300))));
}

TEST(dataset_content, is_the_same_on_the_other_side) {
  sample_batches work{5};
  for (const auto& data : {work.collection(70, 33), work.collection(20, 16, element_type::bf16),
                           work.graph(80, 400)}) {
    host_message outline;
    put_outline(*data, outline);
    auto copy = copy_content(*data);
    ASSERT_TRUE(copy);
    const auto there =
        take_outline(outline, std::make_shared<const shared_memory>(std::move(*copy)));
    ASSERT_TRUE(there);
    EXPECT_EQ((*there)->key, data->key);
    EXPECT_EQ((*there)->name, data->name);
    EXPECT_EQ((*there)->resident_bytes(), data->resident_bytes());
    for (int i = 0; i < 5; ++i) {
      const auto batch = data->graph() ? work.spread(data) : work.search(data);
      auto other = *batch;
      other.data = *there;
      std::vector<work_item> items;
      for (const auto& item : batch->items) {
        auto payload = std::make_shared<work_payload>(*item.payload);
        payload->data = *there;
        items.push_back({payload, item.first, item.count});
      }
      other.items = items;
      EXPECT_EQ(compute_reference(other), compute_reference(*batch));
    }
    const auto shape = take_outline(outline, nullptr);
    ASSERT_TRUE(shape);
    EXPECT_EQ((*shape)->resident_bytes(), data->resident_bytes());
  }
}

} // namespace
} // namespace engram
