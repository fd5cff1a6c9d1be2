// How long is a search on the GPU, by itself? Device time of Engram's search kernels, inputs and
// outputs already on the device: median of CUDA-event timings, for each pass. Prints one line a
// shape, and with --json one object.
//
//   bench_gpu_search [--repeats N] [--json FILE] [rows:type:queries[:k] ...]

#include "engram/kernels/cuda/filter.hpp"
#include "engram/kernels/cuda/narrow.hpp"
#include "engram/kernels/cuda/search.hpp"
#include "engram/kernels/cuda/select.hpp"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace engram;

constexpr std::size_t dim = 768;

void check(cudaError_t code, const char* what) {
  if (code == cudaSuccess) return;
  std::fprintf(stderr, "%s: %s\n", what, cudaGetErrorString(code));
  std::exit(1);
}

/// Device memory, freed at the end.
class memory {
public:
  explicit memory(std::size_t bytes) { check(cudaMalloc(&data_, bytes + 256), "cudaMalloc"); }
  ~memory() { cudaFree(data_); }
  memory(const memory&) = delete;
  memory& operator=(const memory&) = delete;
  template <class T>
  T* as() const {
    return static_cast<T*>(data_);
  }

private:
  void* data_ = nullptr;
};

/// A number in about [-1.7, 1.7] with mean 0, from a counter: the sum of four uniform ones.
__device__ float random_number(std::uint64_t counter) {
  std::uint64_t z = (counter + 1) * 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  z ^= z >> 31;
  float sum = 0.0f;
  for (int i = 0; i < 4; ++i)
    sum += static_cast<float>((z >> (16 * i)) & 0xffff) / 65536.0f - 0.5f;
  return sum;
}

template <class Element>
__global__ void fill(Element* out, std::size_t count, std::uint64_t seed) {
  for (std::size_t i = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count;
       i += std::size_t{gridDim.x} * blockDim.x)
    out[i] = static_cast<Element>(random_number(seed + i));
}

__global__ void set_norms(float* out, std::size_t count) {
  // Not the true norms, which would take a pass over everything: times do not depend on them.
  for (std::size_t i = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count;
       i += std::size_t{gridDim.x} * blockDim.x)
    out[i] = 0.0625f;
}

__global__ void set_k(std::uint32_t* out, std::size_t count, std::uint32_t k) {
  if (threadIdx.x == 0)
    for (std::size_t i = 0; i < count; ++i)
      out[i] = k;
}

struct shape {
  std::size_t rows;
  element_type type;
  std::size_t queries;
  std::uint32_t k = 10;
};

constexpr shape anchors[] = {
    {1024, element_type::f32, 1},          {10'240, element_type::bf16, 64},
    {102'400, element_type::f32, 1},       {102'400, element_type::bf16, 1},
    {102'400, element_type::bf16, 256},    {1'000'000, element_type::f32, 1},
    {1'000'000, element_type::bf16, 1},    {1'000'000, element_type::bf16, 16},
    {1'000'000, element_type::bf16, 64},   {1'000'000, element_type::bf16, 256},
    {1'000'000, element_type::bf16, 1024}, {4'000'000, element_type::bf16, 64},
};

/// Returns the median seconds of `body` on `stream`, captured as a graph and replayed.
template <class Body>
double median_seconds(int repeats, cudaStream_t stream, Body&& body) {
  cudaGraph_t graph;
  cudaGraphExec_t exec;
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "capture");
  check(body(), "search");
  check(cudaStreamEndCapture(stream, &graph), "end of capture");
  check(cudaGraphInstantiate(&exec, graph, 0), "instantiate");
  cudaEvent_t start, end;
  check(cudaEventCreate(&start), "event");
  check(cudaEventCreate(&end), "event");
  std::vector<double> seconds;
  for (int r = -3; r < repeats; ++r) {
    check(cudaEventRecord(start, stream), "record");
    check(cudaGraphLaunch(exec, stream), "launch");
    check(cudaEventRecord(end, stream), "record");
    check(cudaEventSynchronize(end), "synchronize");
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, start, end), "elapsed");
    if (r >= 0) seconds.push_back(milliseconds * 1e-3);
  }
  cudaEventDestroy(start);
  cudaEventDestroy(end);
  cudaGraphExecDestroy(exec);
  cudaGraphDestroy(graph);
  std::nth_element(seconds.begin(), seconds.begin() + seconds.size() / 2, seconds.end());
  return seconds[seconds.size() / 2];
}

struct result_line {
  shape what;
  double scan = 0;
  double filter = 0;
  std::size_t unproven = 0;
};

result_line measure(const shape& what, int repeats) {
  constexpr unsigned blocks = 2048, threads = 256;
  const std::size_t elements = what.rows * dim;
  const bool is_f32 = what.type == element_type::f32;
  const memory rows(elements * size_of(what.type)), norms(what.rows * 4),
      narrow(is_f32 ? elements * 2 : 0), residual(4);
  const memory queries(what.queries * dim * 4), query_norms(what.queries * 4), k(what.queries * 4);
  const memory hits(what.queries * what.k * sizeof(hit)), counts(what.queries * 4);
  if (is_f32)
    fill<<<blocks, threads>>>(rows.as<float>(), elements, 0);
  else if (what.type == element_type::f16)
    fill<<<blocks, threads>>>(rows.as<__half>(), elements, 0);
  else
    fill<<<blocks, threads>>>(rows.as<__nv_bfloat16>(), elements, 0);
  fill<<<blocks, threads>>>(queries.as<float>(), what.queries * dim, 1ull << 60);
  set_norms<<<blocks, threads>>>(norms.as<float>(), what.rows);
  set_norms<<<blocks, threads>>>(query_norms.as<float>(), what.queries);
  set_k<<<1, 32>>>(k.as<std::uint32_t>(), what.queries, what.k);
  check(cudaMemset(residual.as<void>(), 0, 4), "memset");
  if (is_f32)
    check(cuda::narrow_rows(rows.as<float>(), norms.as<float>(), what.rows, dim, narrow.as<void>(),
                            residual.as<float>(), nullptr),
          "narrow");
  cuda::device_rows view{.data = rows.as<void>(),
                         .type = what.type,
                         .rows = what.rows,
                         .dim = dim,
                         .inverse_norms = norms.as<float>(),
                         .narrow = is_f32 ? narrow.as<void>() : rows.as<void>(),
                         .narrow_type = is_f32 ? element_type::bf16 : what.type};
  check(cudaMemcpy(&view.narrow_residual, residual.as<void>(), 4, cudaMemcpyDeviceToHost), "copy");
  const cuda::search_call call{.queries = queries.as<float>(),
                               .inverse_norms = query_norms.as<float>(),
                               .k = k.as<std::uint32_t>(),
                               .count = what.queries,
                               .max_k = what.k,
                               .hits = hits.as<hit>(),
                               .hit_counts = counts.as<std::uint32_t>()};
  cudaStream_t stream;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "stream");
  check(cudaDeviceSynchronize(), "fill");
  const auto time = [&](cuda::search_pass pass) {
    const memory workspace(cuda::search_workspace_bytes(view, what.queries, what.k, pass));
    return median_seconds(repeats, stream, [&] {
      return cuda::search(view, call, pass, workspace.as<void>(), stream);
    });
  };
  result_line line{what};
  if (what.queries <= 16) line.scan = time(cuda::search_pass::scan);
  line.filter = time(cuda::search_pass::filter);
  std::vector<std::uint32_t> found(what.queries);
  check(cudaMemcpy(found.data(), counts.as<void>(), found.size() * 4, cudaMemcpyDeviceToHost),
        "counts");
  line.unproven = std::ranges::count(found, cuda::overflowed);
  cudaStreamDestroy(stream);
  return line;
}

const char* name_of(element_type type) {
  return type == element_type::f32 ? "f32" : type == element_type::f16 ? "f16" : "bf16";
}

bool parse(std::string_view text, shape& out) {
  char type[8];
  unsigned long rows = 0, queries = 0;
  unsigned k = 10;
  if (std::sscanf(std::string{text}.c_str(), "%lu:%7[^:]:%lu:%u", &rows, type, &queries, &k) < 3)
    return false;
  for (const auto each : {element_type::f32, element_type::f16, element_type::bf16})
    if (std::string_view{type} == name_of(each)) {
      out = {rows, each, queries, k};
      return rows > 0 && queries > 0 && k > 0 && k <= cuda::max_take;
    }
  return false;
}

void write_json(const char* path, const std::vector<result_line>& lines) {
  std::ofstream out(path);
  out << "[";
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const auto& [what, scan, filter, unproven] = lines[i];
    out << (i ? ",\n" : "\n") << R"({"rows":)" << what.rows << R"(,"type":")" << name_of(what.type)
        << R"(","queries":)" << what.queries << R"(,"k":)" << what.k << R"(,"scan_seconds":)"
        << scan << R"(,"filter_seconds":)" << filter << R"(,"unproven":)" << unproven << "}";
  }
  out << "\n]\n";
}

} // namespace

int main(int argc, char** argv) {
  int repeats = 50;
  const char* json = nullptr;
  std::vector<shape> shapes;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    shape parsed{};
    if (argument == "--repeats" && i + 1 < argc)
      repeats = std::max(1, std::atoi(argv[++i]));
    else if (argument == "--json" && i + 1 < argc)
      json = argv[++i];
    else if (parse(argument, parsed))
      shapes.push_back(parsed);
    else
      return std::fprintf(stderr, "'%s' is not rows:type:queries[:k], --repeats N or --json FILE\n",
                          argv[i]),
             2;
  }
  if (shapes.empty()) shapes.assign(std::begin(anchors), std::end(anchors));
  std::printf("%10s %5s %6s %5s %12s %12s %9s\n", "rows", "type", "q", "k", "scan us", "filter us",
              "unproven");
  std::vector<result_line> lines;
  for (const auto& each : shapes) {
    lines.push_back(measure(each, repeats));
    const auto& line = lines.back();
    std::printf("%10zu %5s %6zu %5u %12.1f %12.1f %9zu\n", each.rows, name_of(each.type),
                each.queries, each.k, line.scan * 1e6, line.filter * 1e6, line.unproven);
    std::fflush(stdout);
  }
  if (json) write_json(json, lines);
}
