#pragma once

#include "engram/kernels/rows.hpp"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

namespace engram::cuda {

/// Calls `f` with `data` as a pointer to elements of `type`.
template <class F>
auto by_type(element_type type, const void* data, F&& f) {
  switch (type) {
  case element_type::f16:
    return f(static_cast<const __half*>(data));
  case element_type::bf16:
    return f(static_cast<const __nv_bfloat16*>(data));
  case element_type::f32:
    break;
  }
  return f(static_cast<const float*>(data));
}

} // namespace engram::cuda
