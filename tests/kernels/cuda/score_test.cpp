// The GPU's scores are the CPU's, to the bit.

#include "engram/kernels/cosine.hpp"
#include "engram/kernels/cuda/score.hpp"

#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <numeric>
#include <random>
#include <vector>

namespace {

using namespace engram;

/// Device memory with a copy of `host`.
template <class T>
class on_device {
public:
  explicit on_device(const std::vector<T>& host) {
    EXPECT_EQ(cudaMalloc(&data_, host.size() * sizeof(T)), cudaSuccess);
    EXPECT_EQ(cudaMemcpy(data_, host.data(), host.size() * sizeof(T), cudaMemcpyHostToDevice),
              cudaSuccess);
  }
  ~on_device() { cudaFree(data_); }
  on_device(const on_device&) = delete;
  on_device& operator=(const on_device&) = delete;
  T* get() const { return static_cast<T*>(data_); }

private:
  void* data_ = nullptr;
};

class cuda_score : public ::testing::TestWithParam<std::size_t> {
protected:
  void SetUp() override {
    int devices = 0;
    if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0)
      GTEST_SKIP() << "no GPU on this machine";
  }
};

TEST_P(cuda_score, has_the_bits_of_the_scalar_kernel) {
  const auto dim = GetParam();
  constexpr std::size_t rows = 257;
  std::mt19937 random{static_cast<unsigned>(dim)};
  std::normal_distribution<float> normal;
  std::vector<float> query(dim), data(rows * dim);
  for (auto& x : query)
    x = normal(random);
  for (auto& x : data)
    x = normal(random);
  std::fill_n(data.begin(), dim, 0.0f); // a zero vector
  std::vector<float> norms(rows);
  for (std::size_t r = 0; r < rows; ++r)
    norms[r] = inverse_norm({data.data() + r * dim, dim});
  std::vector<row_id> ids(rows);
  std::iota(ids.rbegin(), ids.rend(), 0u);

  std::vector<float> expected(rows), got(rows);
  cosine_kernels_for(isa::scalar)
      .score(query, inverse_norm(query), {data.data(), element_type::f32, rows, dim, norms.data()},
             ids, expected);
  const on_device d_query{query}, d_data{data}, d_norms{norms}, d_out{got};
  const on_device d_ids{ids};
  ASSERT_EQ(cuda::score(d_query.get(), inverse_norm(query), d_data.get(), d_norms.get(), dim,
                        d_ids.get(), rows, d_out.get(), nullptr),
            cudaSuccess);
  ASSERT_EQ(cudaMemcpy(got.data(), d_out.get(), rows * sizeof(float), cudaMemcpyDeviceToHost),
            cudaSuccess);
  EXPECT_EQ(got, expected);
}

INSTANTIATE_TEST_SUITE_P(dims, cuda_score,
                         ::testing::Values(1, 7, 31, 32, 33, 384, 768, 1000, 1536, 8192));

} // namespace
