#include "engram/datasets/vector_collection.hpp"

#include "engram/datasets/collection_builder.hpp"
#include "engram/kernels/float16.hpp"

#include <cstdlib>
#include <utility>

namespace engram {

void vector_collection::aligned_free::operator()(std::byte* p) const noexcept {
  std::free(p);
}

result<std::shared_ptr<const vector_collection>>
vector_collection::make(matrix_view<const float> rows, element_type type,
                        std::vector<std::string> labels,
                        std::shared_ptr<const text_embedder> embedder) {
  auto builder = collection_builder::create(rows.rows(), rows.cols(), type);
  if (!builder) return std::move(builder).error();
  if (auto stored = builder->append(rows); !stored) return std::move(stored).error();
  return std::move(*builder).finish(std::move(labels), std::move(embedder));
}

std::shared_ptr<const vector_collection>
vector_collection::borrow(const row_view& rows, std::shared_ptr<const void> keeper) {
  std::shared_ptr<vector_collection> made{new vector_collection};
  made->size_ = rows.rows;
  made->dim_ = rows.dim;
  made->type_ = rows.type;
  made->borrowed_ = rows;
  made->keeper_ = std::move(keeper);
  return made;
}

row_view vector_collection::rows() const noexcept {
  if (borrowed_) return *borrowed_;
  return {data_.get(), type_, size_, dim_, inverse_norms_.data()};
}

std::vector<float> vector_collection::row(std::size_t r) const {
  std::vector<float> out(dim_);
  widen(type_, rows().row(r), out);
  return out;
}

std::uint64_t vector_collection::resident_bytes() const noexcept {
  return std::uint64_t{size_} * dim_ * size_of(type_) + std::uint64_t{size_} * sizeof(float);
}

} // namespace engram
