// How fast is exact search, against the memory it must read and against FAISS? Every case runs in
// turn in one process, several times.

#include "engram/kernels/float16.hpp"

#include "measure.hpp"
#include "parallel_search.hpp"
#ifdef ENGRAM_BENCH_HAS_FAISS
#include "faiss_peer.hpp"
#endif

#include <CLI/CLI.hpp>

#include <atomic>
#include <cmath>
#include <cstdio>
#include <map>
#include <memory>
#include <random>

namespace {

using namespace engram;
using namespace engram::bench;

struct options {
  std::size_t rows = 100'000;
  std::size_t dim = 768;
  std::size_t k = 10;
  int threads = 2;
  int repeats = 7;
  std::size_t rows_per_block = 0;
  std::vector<std::size_t> queries = {1, 4, 16, 64, 256, 1024};
  std::string storage = "f32";
  bool json = false;
  bool no_peer = false;
};

std::vector<float> unit_rows(std::size_t rows, std::size_t dim, unsigned seed) {
  std::vector<float> data(rows * dim);
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  for (float& x : data)
    x = normal(generator);
  for (std::size_t r = 0; r < rows; ++r) {
    const std::span<float> row(data.data() + r * dim, dim);
    const float scale = inverse_norm(row);
    for (float& x : row)
      x *= scale;
  }
  return data;
}

std::vector<float> inverse_norms_of(const std::vector<float>& data, std::size_t dim) {
  std::vector<float> norms;
  for (std::size_t i = 0; i < data.size(); i += dim)
    norms.push_back(inverse_norm({data.data() + i, dim}));
  return norms;
}

// Reads every cache line and keeps nothing: what memory can deliver to `threads` threads.
void read_all(oneapi::tbb::task_arena& arena, const std::byte* data, std::size_t bytes) {
  std::atomic<std::uint64_t> sink = 0;
  const auto* words = reinterpret_cast<const std::uint64_t*>(data);
  arena.execute([&] {
    oneapi::tbb::parallel_for(
        oneapi::tbb::blocked_range<std::size_t>(0, bytes / 64, 1 << 16),
        [&](const auto& range) {
          std::uint64_t sums[8] = {};
          for (std::size_t line = range.begin(); line < range.end(); ++line)
            for (std::size_t w = 0; w < 8; ++w)
              sums[w] ^= words[line * 8 + w];
          for (std::uint64_t s : sums)
            sink ^= s;
        },
        oneapi::tbb::simple_partitioner());
  });
}

element_type type_named(const std::string& name) {
  return name == "f16"    ? element_type::f16
         : name == "bf16" ? element_type::bf16
                          : element_type::f32;
}

// A collection, queries and everyone who searches them.
class contest {
public:
  explicit contest(const options& opts)
      : opts_(opts), type_(type_named(opts.storage)), data_(unit_rows(opts.rows, opts.dim, 1)),
        stored_(data_.size() * size_of(type_)), one_thread_(1), all_threads_(opts.threads) {
    narrow(type_, data_, stored_.data());
    if (type_ != element_type::f32) widen(type_, stored_.data(), data_);
    row_norms_ = inverse_norms_of(data_, opts.dim);
    const std::size_t most = *std::max_element(opts.queries.begin(), opts.queries.end());
    queries_ = unit_rows(most, opts.dim, 2);
    query_norms_ = inverse_norms_of(queries_, opts.dim);
#ifdef ENGRAM_BENCH_HAS_FAISS
    if (!opts.no_peer)
      peer_ = std::make_unique<faiss_peer>(data_.data(), opts.rows, opts.dim, opts.threads);
#endif
  }

  std::vector<timed_case> run() {
    std::vector<timed_case> cases;
    cases.push_back({"read 1", [this] { read_all(one_thread_, stored_.data(), stored_.size()); }});
    cases.push_back({"read", [this] { read_all(all_threads_, stored_.data(), stored_.size()); }});
    for (std::size_t q : opts_.queries) {
      cases.push_back({"engram " + std::to_string(q), [this, q] { found_ = search(q); }});
#ifdef ENGRAM_BENCH_HAS_FAISS
      if (peer_)
        cases.push_back({"faiss " + std::to_string(q),
                         [this, q] { peer_found_ = peer_->search(queries_.data(), q, opts_.k); }});
#endif
    }
    measure(cases, opts_.repeats);
    return cases;
  }

  std::size_t bytes() const {
    return stored_.size();
  }

  // The share of the last query count's places where the peer names the same row. Others may only
  // be near-ties, whose order the peer's own rounding decides; anything else ends the program.
  double agreement() const {
    if (peer_found_.empty()) return 1.0;
    std::size_t same = 0;
    for (std::size_t i = 0; i < peer_found_.size(); ++i) {
      const std::size_t q = i / opts_.k;
      const hit& ours = found_[q][i % opts_.k];
      if (peer_found_[i] == ours.id) {
        ++same;
        continue;
      }
      const auto theirs = static_cast<std::size_t>(peer_found_[i]);
      if (std::fabs(exact(q, theirs) - exact(q, ours.id)) > 4e-6) {
        std::fprintf(stderr, "query %zu: row %zu and row %u are no near-tie\n", q, theirs, ours.id);
        std::exit(1);
      }
    }
    return static_cast<double>(same) / static_cast<double>(peer_found_.size());
  }

private:
  std::vector<std::vector<hit>> search(std::size_t q) {
    const query_block block{{queries_.data(), q, opts_.dim}, {query_norms_.data(), q}};
    const row_view rows{stored_.data(), type_, opts_.rows, opts_.dim, row_norms_.data()};
    std::size_t rows_per_block = opts_.rows_per_block;
    if (rows_per_block == 0) rows_per_block = q <= 4 ? 2048 : 8192;
    auto& searcher = searchers_[rows_per_block];
    if (!searcher)
      searcher = std::make_unique<parallel_search>(*chosen_isa(), opts_.threads, rows_per_block);
    return searcher->run(block, rows, opts_.k);
  }

  double exact(std::size_t q, std::size_t row) const {
    double sum = 0;
    for (std::size_t d = 0; d < opts_.dim; ++d)
      sum += static_cast<double>(queries_[q * opts_.dim + d]) * data_[row * opts_.dim + d];
    return sum;
  }

  options opts_;
  element_type type_;
  std::vector<float> data_;
  std::vector<std::byte> stored_;
  std::vector<float> row_norms_;
  std::vector<float> queries_;
  std::vector<float> query_norms_;
  oneapi::tbb::task_arena one_thread_;
  oneapi::tbb::task_arena all_threads_;
  std::map<std::size_t, std::unique_ptr<parallel_search>> searchers_;
#ifdef ENGRAM_BENCH_HAS_FAISS
  std::unique_ptr<faiss_peer> peer_;
#endif
  std::vector<std::vector<hit>> found_;
  std::vector<std::int64_t> peer_found_;
};

const timed_case* find(const std::vector<timed_case>& cases, const std::string& name) {
  const auto at = std::find_if(cases.begin(), cases.end(),
                               [&name](const timed_case& c) { return c.name == name; });
  return at == cases.end() ? nullptr : &*at;
}

// What a case's median says beside the others': a share of the plain read, or of the peer's time.
std::string remark(const timed_case& c, const std::vector<timed_case>& cases, std::size_t bytes) {
  char text[80] = "";
  const double gigabytes = static_cast<double>(bytes) / 1e9;
  if (c.name.starts_with("read") || c.name == "engram 1") {
    const int length = std::snprintf(text, sizeof text, "%.1f GB/s", gigabytes / c.median());
    if (c.name == "engram 1")
      std::snprintf(text + length, sizeof text - static_cast<std::size_t>(length),
                    ", %.0f %% of the plain read",
                    100 * find(cases, "read")->median() / c.median());
  } else if (c.name.starts_with("engram")) {
    if (const auto* peer = find(cases, "faiss" + c.name.substr(6)))
      std::snprintf(text, sizeof text, "%.2f of FAISS's time", c.median() / peer->median());
  }
  return text;
}

void print_table(const options& opts, const std::vector<timed_case>& cases, std::size_t bytes,
                 double agreement) {
  std::printf("n = %zu, dim = %zu, %s, k = %zu, %d threads, %s, %d repeats, milliseconds\n",
              opts.rows, opts.dim, opts.storage.c_str(), opts.k, opts.threads,
              std::string(to_string(*chosen_isa())).c_str(), opts.repeats);
  std::printf("%-12s %9s %9s %9s\n", "case", "median", "min", "max");
  for (const auto& c : cases)
    std::printf("%-12s %9.2f %9.2f %9.2f  %s\n", c.name.c_str(), 1e3 * c.median(),
                1e3 * c.minimum(), 1e3 * c.maximum(), remark(c, cases, bytes).c_str());
  if (find(cases, "faiss " + std::to_string(opts.queries.back())))
    std::printf("same ids as FAISS: %.3f %%; the rest are near-ties\n", 100 * agreement);
}

void print_json(const options& opts, const std::vector<timed_case>& cases, std::size_t bytes,
                double agreement) {
  nlohmann::json report = {{"rows", opts.rows},       {"dim", opts.dim},
                           {"storage", opts.storage}, {"k", opts.k},
                           {"threads", opts.threads}, {"isa", to_string(*chosen_isa())},
                           {"bytes", bytes},          {"same_ids", agreement}};
  for (const auto& c : cases)
    report["cases"].push_back(to_json(c));
  std::printf("%s\n", report.dump(2).c_str());
}

} // namespace

int main(int argc, char** argv) {
  options opts;
  CLI::App app{"Times exact cosine search against a plain read of memory and against FAISS"};
  app.add_option("--rows", opts.rows)->capture_default_str();
  app.add_option("--dim", opts.dim)->capture_default_str();
  app.add_option("--k", opts.k)->capture_default_str();
  app.add_option("--threads", opts.threads)->capture_default_str();
  app.add_option("--repeats", opts.repeats)->capture_default_str()->check(CLI::Range(1, 1000));
  app.add_option("--queries", opts.queries, "numbers of queries")->capture_default_str();
  app.add_option("--rows-per-block", opts.rows_per_block, "0 chooses by the number of queries");
  app.add_option("--storage", opts.storage)->check(CLI::IsMember({"f32", "f16", "bf16"}));
  app.add_flag("--json", opts.json);
  app.add_flag("--no-peer", opts.no_peer, "leave FAISS out");
  CLI11_PARSE(app, argc, argv);
  if (const auto level = chosen_isa(); !level) {
    std::fprintf(stderr, "%s\n", level.error().message.c_str());
    return 2;
  }

  contest all(opts);
  const auto cases = all.run();
  if (opts.json)
    print_json(opts, cases, all.bytes(), all.agreement());
  else
    print_table(opts, cases, all.bytes(), all.agreement());
}
