#include "engram/service/http/compression.hpp"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <new>

namespace engram {

namespace {

/// What is added to zlib's window bits: 32 tells gzip and zlib apart, 16 writes gzip.
constexpr int window_bits = 15, detect = 32, as_gzip = 16;

std::string_view trimmed(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
    text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t'))
    text.remove_suffix(1);
  return text;
}

/// Returns what stands before `mark`, and takes it and the mark off `rest`.
std::string_view take(std::string_view& rest, char mark) noexcept {
  const auto end = std::min(rest.find(mark), rest.size());
  const auto piece = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return trimmed(piece);
}

/// Returns the weight of "gzip;q=0.5"'s parameters, 1 where none is given.
double weight_of(std::string_view parameters) noexcept {
  parameters = trimmed(parameters);
  if (!parameters.starts_with("q=")) return 1;
  double weight = 0;
  std::from_chars(parameters.data() + 2, parameters.data() + parameters.size(), weight);
  return weight;
}

} // namespace

std::optional<content_coding> coding_named(std::string_view name) noexcept {
  if (name == "gzip" || name == "x-gzip") return content_coding::gzip;
  if (name == "deflate") return content_coding::deflate;
  return std::nullopt;
}

std::string_view name_of(content_coding coding) noexcept {
  return coding == content_coding::gzip ? "gzip" : "deflate";
}

std::optional<content_coding> preferred_coding(std::string_view accept_encoding) noexcept {
  double gzip = -1, deflate = -1, any = 0, identity = 0;
  while (!accept_encoding.empty()) {
    auto entry = take(accept_encoding, ',');
    const auto name = take(entry, ';');
    const double weight = weight_of(entry);
    if (name == "identity") identity = weight;
    if (name == "*") any = weight;
    if (const auto coding = coding_named(name))
      (*coding == content_coding::gzip ? gzip : deflate) = weight;
  }
  if (gzip < 0) gzip = any;
  if (deflate < 0) deflate = any;
  if (std::max(gzip, deflate) <= 0 || identity > std::max(gzip, deflate)) return std::nullopt;
  return gzip >= deflate ? content_coding::gzip : content_coding::deflate;
}

std::string compress(content_coding coding, std::string_view text) {
  z_stream stream{};
  const int bits = window_bits + (coding == content_coding::gzip ? as_gzip : 0);
  if (deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    throw std::bad_alloc{};
  std::string out(deflateBound(&stream, text.size()), '\0');
  // In pieces: zlib counts in 32 bits.
  constexpr std::size_t piece = std::size_t{1} << 30;
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  std::size_t in_left = text.size(), out_left = out.size();
  for (int state = Z_OK; state != Z_STREAM_END;) {
    const auto given = std::min(in_left, piece), room = std::min(out_left, piece);
    stream.avail_in = static_cast<uInt>(given);
    stream.avail_out = static_cast<uInt>(room);
    state = deflate(&stream, given == in_left ? Z_FINISH : Z_NO_FLUSH);
    in_left -= given - stream.avail_in;
    out_left -= room - stream.avail_out;
  }
  out.resize(out.size() - out_left);
  deflateEnd(&stream);
  return out;
}

struct inflated_body::state {
  z_stream stream{};
  std::array<char, 16'384> in;
  std::array<char, 65'536> out;
};

inflated_body::inflated_body(std::streambuf& source, std::uint64_t limit)
    : source_(source), limit_(limit), state_(std::make_unique<state>()) {
  if (inflateInit2(&state_->stream, window_bits + detect) != Z_OK) throw std::bad_alloc{};
}

inflated_body::~inflated_body() {
  inflateEnd(&state_->stream);
}

inflated_body::int_type inflated_body::underflow() {
  auto& [stream, in, out] = *state_;
  if (too_large_ || broken_ || finished_) return traits_type::eof();
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  while (stream.avail_out == out.size() && !finished_) {
    if (stream.avail_in == 0) {
      const auto count = source_.sgetn(in.data(), static_cast<std::streamsize>(in.size()));
      stream.next_in = reinterpret_cast<Bytef*>(in.data());
      stream.avail_in = static_cast<uInt>(std::max<std::streamsize>(count, 0));
    }
    const bool is_over = stream.avail_in == 0;
    const int said = inflate(&stream, Z_NO_FLUSH);
    finished_ = said == Z_STREAM_END;
    const bool is_stuck = is_over && stream.avail_out == out.size();
    broken_ = !finished_ && (is_stuck || (said != Z_OK && said != Z_BUF_ERROR));
    if (broken_) return traits_type::eof();
  }
  const std::size_t count = out.size() - stream.avail_out;
  written_ += count;
  too_large_ = written_ > limit_;
  if (count == 0 || too_large_) return traits_type::eof();
  setg(out.data(), out.data(), out.data() + count);
  return traits_type::to_int_type(*gptr());
}

} // namespace engram
