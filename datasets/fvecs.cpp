#include "engram/datasets/formats.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

namespace engram {

namespace {

std::int32_t dim_at(const std::byte* record) noexcept {
  std::int32_t dim;
  std::memcpy(&dim, record, sizeof dim);
  return dim;
}

/// Copies the numbers of `count` records of `dim` into `out`, or names the first record of another
/// dim.
result<void> unpack(const input_file& file, std::span<const std::byte> records,
                    std::uint64_t first_row, std::size_t dim, std::span<float> out) {
  const std::size_t record_size = sizeof(std::int32_t) + dim * sizeof(float);
  for (std::size_t r = 0; r * record_size < records.size(); ++r) {
    const std::byte* record = records.data() + r * record_size;
    if (const auto own = dim_at(record); own != static_cast<std::int32_t>(dim)) {
      const std::uint64_t row = first_row + r;
      return file.problem("row " + std::to_string(row) + " (byte " +
                          std::to_string(row * record_size) + ") has dim " + std::to_string(own) +
                          ", but row 0 has " + std::to_string(dim) + "; all rows need one dim");
    }
    std::memcpy(out.data() + r * dim, record + sizeof(std::int32_t), dim * sizeof(float));
  }
  return {};
}

result<std::size_t> read_dim(const input_file& file) {
  std::byte start[sizeof(std::int32_t)];
  if (file.size() < sizeof start)
    return file.problem("has " + std::to_string(file.size()) +
                        " bytes, too few for one row of an .fvecs file");
  if (auto read = file.read_at(0, start); !read) return std::move(read).error();
  const std::int32_t dim = dim_at(start);
  if (dim < 1 || static_cast<std::size_t>(dim) > max_dim)
    return file.problem("row 0 has dim " + std::to_string(dim) + "; 1 to " +
                        std::to_string(max_dim) + " are allowed");
  return static_cast<std::size_t>(dim);
}

} // namespace

result<collection_builder> read_fvecs(const input_file& file, element_type type) {
  const auto dim = read_dim(file);
  if (!dim) return dim.error();
  const std::uint64_t record_size = sizeof(std::int32_t) + *dim * sizeof(float);
  const std::uint64_t rows = file.size() / record_size;
  const std::uint64_t left_over = file.size() % record_size;
  // A row of another dim also leaves a remainder; the rows are looked at first, for the better
  // message.
  const auto truncated = [&] {
    return file.problem("ends inside row " + std::to_string(rows) + ": " +
                        std::to_string(left_over) + " of its " + std::to_string(record_size) +
                        " bytes are there; it is truncated or damaged");
  };
  if (rows == 0) return truncated();
  auto builder = collection_builder::create(rows, *dim, type);
  if (!builder) return file.with_path(std::move(builder).error());

  const std::uint64_t block = std::max<std::uint64_t>(1, (std::uint64_t{1} << 20) / record_size);
  std::vector<std::byte> raw(std::min(block, rows) * record_size);
  std::vector<float> numbers(std::min(block, rows) * *dim);
  for (std::uint64_t first = 0; first < rows; first += block) {
    const std::size_t count = std::min(block, rows - first);
    const auto records = std::span(raw).first(count * record_size);
    const auto values = std::span(numbers).first(count * *dim);
    if (auto read = file.read_at(first * record_size, records); !read)
      return std::move(read).error();
    if (auto same = unpack(file, records, first, *dim, values); !same)
      return std::move(same).error();
    if (auto stored = builder->append({values.data(), count, *dim}); !stored)
      return file.with_path(std::move(stored).error());
  }
  if (left_over != 0) return truncated();
  return builder;
}

} // namespace engram
