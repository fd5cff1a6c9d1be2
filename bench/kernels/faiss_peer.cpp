#include "faiss_peer.hpp"

#include <faiss/IndexFlat.h>
#include <omp.h>

struct faiss_peer::impl {
  faiss::IndexFlatIP index;
};

faiss_peer::faiss_peer(const float* rows, std::size_t n, std::size_t dim, int threads)
    : impl_(new impl{faiss::IndexFlatIP(static_cast<faiss::Index::idx_t>(dim))}) {
  omp_set_num_threads(threads);
  impl_->index.add(static_cast<faiss::Index::idx_t>(n), rows);
}

faiss_peer::~faiss_peer() = default;

std::vector<std::int64_t> faiss_peer::search(const float* queries, std::size_t q, std::size_t k) {
  std::vector<float> scores(q * k);
  std::vector<faiss::Index::idx_t> ids(q * k);
  impl_->index.search(static_cast<faiss::Index::idx_t>(q), queries,
                      static_cast<faiss::Index::idx_t>(k), scores.data(), ids.data());
  return {ids.begin(), ids.end()};
}
