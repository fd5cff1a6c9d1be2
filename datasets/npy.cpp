#include "engram/datasets/formats.hpp"
#include "engram/kernels/float16.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

namespace engram {

namespace {

struct npy_header {
  std::string descr;
  bool fortran_order = false;
  std::vector<std::uint64_t> shape;
  std::uint64_t data_offset = 0;
};

/// Reads the part of Python's literals that a header is written in: one dictionary of strings,
/// truth values and tuples of numbers.
class header_parser {
public:
  explicit header_parser(std::string_view text) noexcept : rest_(text) {}

  /// Returns what is wrong, or nothing when `header` has all three entries.
  std::optional<std::string> parse(npy_header& header) {
    if (!take('{')) return "the header does not start with '{'";
    bool has_descr = false, has_order = false, has_shape = false;
    while (!take('}')) {
      const auto key = take_string();
      if (!key || !take(':')) return "the header is not a dictionary of 'key': value";
      bool* seen = *key == "descr"           ? &has_descr
                   : *key == "fortran_order" ? &has_order
                   : *key == "shape"         ? &has_shape
                                             : nullptr;
      if (seen == nullptr) return "the header has an unknown key '" + *key + "'";
      if (std::exchange(*seen, true)) return "the header has '" + *key + "' twice";
      if (auto bad = take_value(*key, header)) return bad;
      if (!take(',') && peek() != '}') return "the header's entries are not separated by ','";
    }
    if (peek() != '\0') return "the header has text behind its '}'";
    if (!has_descr || !has_order || !has_shape)
      return "the header lacks one of 'descr', 'fortran_order' and 'shape'";
    return std::nullopt;
  }

private:
  std::optional<std::string> take_value(const std::string& key, npy_header& header) {
    if (key == "descr") {
      const auto value = take_string();
      if (!value) return "it holds records, not plain numbers; save a plain float32 array";
      header.descr = *value;
      return std::nullopt;
    }
    if (key == "fortran_order") {
      header.fortran_order = take_word("True");
      if (!header.fortran_order && !take_word("False"))
        return "'fortran_order' is neither True nor False";
      return std::nullopt;
    }
    return take_shape(header.shape);
  }

  std::optional<std::string> take_shape(std::vector<std::uint64_t>& shape) {
    if (!take('(')) return "'shape' is not a tuple";
    while (!take(')')) {
      peek();
      const std::size_t digits = std::min(rest_.find_first_not_of("0123456789"), rest_.size());
      const auto extent = parse_index(rest_.substr(0, digits));
      if (!extent) return "'shape' has an extent that is not a number below 2^64";
      rest_.remove_prefix(digits);
      shape.push_back(*extent);
      if (!take(',') && peek() != ')') return "the extents of 'shape' are not separated by ','";
    }
    return std::nullopt;
  }

  /// Returns the next character that is no blank, '\0' at the end.
  char peek() noexcept {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\r\n"), rest_.size()));
    return rest_.empty() ? '\0' : rest_.front();
  }
  bool take(char c) noexcept {
    if (peek() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool take_word(std::string_view word) noexcept {
    peek();
    if (!rest_.starts_with(word)) return false;
    rest_.remove_prefix(word.size());
    return true;
  }
  std::optional<std::string> take_string() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') return std::nullopt;
    const std::size_t end = rest_.find(quote, 1);
    if (end == std::string_view::npos) return std::nullopt;
    std::string value(rest_.substr(1, end - 1));
    rest_.remove_prefix(end + 1);
    return value;
  }

  std::string_view rest_;
};

result<npy_header> read_header(const input_file& file) {
  constexpr std::string_view magic = "\x93NUMPY";
  constexpr std::uint64_t longest_header = std::uint64_t{1} << 20;
  unsigned char start[12] = {};
  const std::size_t start_size = std::min<std::uint64_t>(sizeof start, file.size());
  if (auto read = file.read_at(0, std::as_writable_bytes(std::span(start).first(start_size)));
      !read)
    return std::move(read).error();
  if (start_size < 10 || std::memcmp(start, magic.data(), magic.size()) != 0)
    return file.problem("does not start like an .npy file; save it with numpy.save");
  const unsigned major = start[6];
  if (major < 1 || major > 3 || (major > 1 && start_size < 12))
    return file.problem("is of .npy version " + std::to_string(major) + "; 1, 2 and 3 are read");
  // The length has two bytes in version 1 and four from version 2 on, little-endian.
  const std::uint64_t text_offset = major == 1 ? 10 : 12;
  std::uint64_t text_size = start[8] | std::uint64_t{start[9]} << 8;
  if (major > 1) text_size |= std::uint64_t{start[10]} << 16 | std::uint64_t{start[11]} << 24;
  if (text_size > longest_header || text_size > file.size() - text_offset)
    return file.problem("claims a header of " + std::to_string(text_size) + " bytes, but has " +
                        std::to_string(file.size()) + " bytes in all; it is damaged");
  std::string text(text_size, '\0');
  if (auto read = file.read_at(text_offset, std::as_writable_bytes(std::span(text))); !read)
    return std::move(read).error();
  npy_header header;
  if (const auto bad = header_parser(text).parse(header)) return file.problem(*bad);
  header.data_offset = text_offset + text_size;
  return header;
}

std::string shape_text(const std::vector<std::uint64_t>& shape) {
  std::string text = "(";
  for (std::size_t i = 0; i < shape.size(); ++i)
    text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return text + (shape.size() == 1 ? ",)" : ")");
}

/// Returns the bytes of one number, or says why `descr` is not read.
result<std::size_t> number_size(const input_file& file, const std::string& descr) {
  if (descr == "<f4") return std::size_t{4};
  if (descr == "<f2") return std::size_t{2};
  if (descr == "<f8") return std::size_t{8};
  if (descr == ">f4" || descr == ">f2" || descr == ">f8")
    return file.problem("holds big-endian numbers ('" + descr + "'); save it as '<" +
                        descr.substr(1) + "'");
  return file.problem("holds numbers of type '" + descr.substr(0, 40) +
                      "'; float32, float16 and float64 ('<f4', '<f2', '<f8') are read");
}

result<void> check_shape(const input_file& file, const npy_header& header, std::size_t size) {
  const std::string shape = shape_text(header.shape);
  if (header.shape.size() != 2)
    return file.problem("has shape " + shape + "; a collection is [rows, dim]");
  if (header.fortran_order)
    return file.problem("is in Fortran order; save numpy.ascontiguousarray of it");
  std::uint64_t numbers = 0, bytes = 0;
  const std::uint64_t held = file.size() - header.data_offset;
  const bool overflows = __builtin_mul_overflow(header.shape[0], header.shape[1], &numbers) ||
                         __builtin_mul_overflow(numbers, size, &bytes);
  if (!overflows && bytes == held) return {};
  return file.problem("has " + std::to_string(held) + " bytes of data, but its shape " + shape +
                      " needs " + (overflows ? "more than 2^64" : std::to_string(bytes)) +
                      "; it is truncated or damaged");
}

/// Narrows a row of float64, after multiplying it by a power of two if float32 could not hold it:
/// cosines do not change by that. A NaN or an infinity stays what it is.
void narrow_row(std::span<const double> in, std::span<float> out) noexcept {
  double largest = 0.0;
  for (const double x : in)
    if (std::isfinite(x)) largest = std::max(largest, std::fabs(x));
  const bool fits = largest == 0.0 || (largest >= 0x1p-40 && largest <= 0x1p40);
  const int shift = fits ? 0 : -std::ilogb(largest);
  for (std::size_t i = 0; i < in.size(); ++i)
    out[i] = static_cast<float>(fits ? in[i] : std::scalbn(in[i], shift));
}

/// Turns the bytes of whole rows into float32.
void widen_rows(std::size_t number_size, std::span<const std::byte> raw, std::size_t dim,
                std::span<float> out) {
  if (number_size == 4) {
    std::memcpy(out.data(), raw.data(), raw.size());
  } else if (number_size == 2) {
    widen(element_type::f16, raw.data(), out);
  } else {
    std::vector<double> row(dim);
    for (std::size_t first = 0; first < out.size(); first += dim) {
      std::memcpy(row.data(), raw.data() + first * sizeof(double), dim * sizeof(double));
      narrow_row(row, out.subspan(first, dim));
    }
  }
}

} // namespace

result<collection_builder> read_npy(const input_file& file, element_type type) {
  const auto header = read_header(file);
  if (!header) return header.error();
  const auto size = number_size(file, header->descr);
  if (!size) return size.error();
  if (auto fits = check_shape(file, *header, *size); !fits) return std::move(fits).error();
  const std::uint64_t rows = header->shape[0];
  auto builder = collection_builder::create(rows, header->shape[1], type);
  if (!builder) return file.with_path(std::move(builder).error());

  const std::size_t dim = header->shape[1];
  const std::uint64_t block = std::max<std::uint64_t>(1, (std::uint64_t{1} << 18) / dim);
  std::vector<std::byte> raw(std::min(block, rows) * dim * *size);
  std::vector<float> numbers(std::min(block, rows) * dim);
  for (std::uint64_t first = 0; first < rows; first += block) {
    const std::size_t count = std::min(block, rows - first);
    const auto bytes = std::span(raw).first(count * dim * *size);
    const auto values = std::span(numbers).first(count * dim);
    if (auto read = file.read_at(header->data_offset + first * dim * *size, bytes); !read)
      return std::move(read).error();
    widen_rows(*size, bytes, dim, values);
    if (auto stored = builder->append({values.data(), count, dim}); !stored)
      return file.with_path(std::move(stored).error());
  }
  return builder;
}

} // namespace engram
