// What is read of shared memory, and what is refused before anything is.

#include "engram/service/oip/shared_memory.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <limits>
#include <optional>
#include <string>

namespace engram {
namespace {

using ::testing::HasSubstr;

/// A region "r" of 64 bytes, of which the first one that is asked for is 'a', the next one 'b'.
class shared_memory_test : public ::testing::Test {
protected:
  static constexpr std::uint64_t most_bytes = 40;
  static constexpr std::uint64_t region_bytes = 64;

  void SetUp() override {
    descriptor = ::shm_open(key.c_str(), O_CREAT | O_RDWR, 0600);
    ASSERT_GE(descriptor, 0);
    std::string bytes;
    for (std::uint64_t i = 0; i < 8 + region_bytes; ++i)
      bytes += static_cast<char>('a' + (i - 8) % 26);
    ASSERT_EQ(::pwrite(descriptor, bytes.data(), bytes.size(), 0),
              static_cast<ssize_t>(bytes.size()));
    const auto added = regions.add({"r", key, 8, region_bytes});
    ASSERT_TRUE(added) << added.error().message;
  }
  void TearDown() override {
    ::close(descriptor);
    ::shm_unlink(key.c_str());
  }

  /// Returns the bytes of a tensor in a part of the region, or why it has none.
  result<std::string> read(const region_slice& from, std::string datatype,
                           std::vector<std::int64_t> shape) {
    tensor to{"t", std::move(datatype), std::move(shape), {}, {}};
    if (const auto done = reader->read(from, to); !done) return done.error();
    return std::string{to.bytes};
  }
  std::string refusal(const region_slice& from, std::string datatype,
                      std::vector<std::int64_t> shape) {
    const auto done = read(from, std::move(datatype), std::move(shape));
    if (done) return "was read";
    EXPECT_EQ(done.error().code, ec::invalid_argument);
    return done.error().message;
  }

  const std::string key = "/engram-regions-" + std::to_string(::getpid());
  oip_options options = [this] {
    oip_options with;
    with.shared_memory = true;
    with.shared_memory_prefix = key;
    return with;
  }();
  shared_memory_regions regions{options, most_bytes};
  std::optional<shared_memory_regions::reader> reader{regions};
  int descriptor = -1;
};

TEST_F(shared_memory_test, a_tensor_is_read_from_a_region_that_is_larger) {
  const auto whole = read({"r", 0, 8}, "FP32", {2, 1});
  ASSERT_TRUE(whole) << whole.error().message;
  EXPECT_EQ(*whole, "abcdefgh");
  const auto last = read({"r", 60, 4}, "UINT32", {1});
  ASSERT_TRUE(last) << last.error().message;
  EXPECT_EQ(*last, "ijkl");
  const auto text = read({"r", 1, 3}, "BYTES", {1, 1});
  ASSERT_TRUE(text) << text.error().message;
  EXPECT_EQ(*text, "bcd") << "how long it is only its elements say";
}

TEST_F(shared_memory_test, a_part_of_another_size_than_the_tensor_is_refused_unread) {
  EXPECT_THAT(refusal({"r", 0, region_bytes}, "FP32", {1, 3}),
              HasSubstr("was given 64 bytes for a tensor of 12"));
  EXPECT_THAT(refusal({"r", 0, 8}, "FP32", {1, 3}), HasSubstr("was given 8 bytes"));
  EXPECT_THAT(refusal({"r", 0, 8}, "FP64", {1}), HasSubstr("none of FP32, UINT32 and BYTES"));
}

TEST_F(shared_memory_test, a_part_outside_the_region_is_refused) {
  constexpr auto most = std::numeric_limits<std::uint64_t>::max();
  for (const region_slice& outside :
       {region_slice{"r", 64, 4}, region_slice{"r", 61, 4}, region_slice{"r", most, 4},
        region_slice{"r", most - 3, 4}, region_slice{"r", 4, most}})
    EXPECT_THAT(refusal(outside, "FP32", {1}), HasSubstr("do not lie in it")) << outside.offset;
  EXPECT_EQ(read({"s", 0, 4}, "FP32", {1}).error().code, ec::not_found);
}

TEST_F(shared_memory_test, a_shape_beyond_all_bounds_is_refused) {
  constexpr std::int64_t huge = std::int64_t{1} << 62;
  EXPECT_THAT(refusal({"r", 0, 4}, "FP32", {huge, huge}), HasSubstr("too many elements"));
  EXPECT_THAT(refusal({"r", 0, 4}, "FP32", {huge}), HasSubstr("too many elements"));
  EXPECT_THAT(refusal({"r", 0, 0}, "BYTES", {4, huge}), HasSubstr("too many elements"));
  EXPECT_THAT(refusal({"r", 0, 4}, "FP32", {-1}), HasSubstr("negative"));
}

TEST_F(shared_memory_test, an_inference_reads_no_more_than_a_body_may_have) {
  EXPECT_THAT(refusal({"r", 0, 44}, "FP32", {11}), HasSubstr("server.max_body_bytes"));
  EXPECT_THAT(refusal({"r", 0, 41}, "BYTES", {1}), HasSubstr("server.max_body_bytes"));
  ASSERT_TRUE(read({"r", 0, 24}, "FP32", {6}));
  EXPECT_THAT(refusal({"r", 0, 24}, "FP32", {6}), HasSubstr("server.max_body_bytes")) << "together";
  ASSERT_TRUE(read({"r", 0, 16}, "FP32", {4}));
  reader.emplace(regions);
  EXPECT_TRUE(read({"r", 0, 40}, "FP32", {10})) << "another inference";
}

TEST_F(shared_memory_test, a_region_that_the_client_has_shrunk_is_refused) {
  ASSERT_EQ(::ftruncate(descriptor, 20), 0);
  EXPECT_TRUE(read({"r", 0, 12}, "FP32", {3}));
  EXPECT_THAT(refusal({"r", 0, 16}, "FP32", {4}), HasSubstr("shorter than when"));
}

TEST_F(shared_memory_test, a_region_lies_in_its_object) {
  constexpr auto most = std::numeric_limits<std::uint64_t>::max();
  for (const auto& [offset, size] :
       {std::pair{std::uint64_t{8}, region_bytes + 1}, std::pair{most, std::uint64_t{1}},
        std::pair{std::uint64_t{1}, most}, std::pair{std::uint64_t{0}, std::uint64_t{0}}})
    EXPECT_FALSE(regions.add({"t", key, offset, size})) << offset << ' ' << size;
}

} // namespace
} // namespace engram
