#pragma once

// Hopper's asynchronous pieces in C++ clothes: barriers in shared memory, bulk tensor copies and
// warpgroup matrix products. Compute capability 9.0a only.

#include <cuda.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

namespace engram::cuda::sm90 {

__device__ inline std::uint32_t shared_address(const void* at) {
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(at));
}

// -- barriers --

/// A barrier that counts arrivals and bytes copied; its phase, 0 or 1, flips when both are in.
struct barrier {
  std::uint64_t state;

  __device__ void init(unsigned arrivals) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(&state)),
                 "r"(arrivals));
  }
  __device__ void arrive() {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(&state))
                 : "memory");
  }
  __device__ void arrive_and_expect(unsigned bytes) {
    asm volatile(
        "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(&state)),
        "r"(bytes)
        : "memory");
  }
  /// Waits until the phase of parity `parity` is over.
  __device__ void wait(unsigned parity) {
    asm volatile("{\n"
                 ".reg .pred done;\n"
                 "again:\n"
                 "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
                 "@done bra over;\n"
                 "bra again;\n"
                 "over:\n"
                 "}\n" ::"r"(shared_address(&state)),
                 "r"(parity)
                 : "memory");
  }
};

/// Makes initialised barriers visible to the copy engine.
__device__ inline void publish_barriers() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

// -- copies --

/// Copies the box at (column, row) of `map` to shared memory and counts its bytes on `done`.
__device__ inline void copy_box(void* to, const CUtensorMap& map, int column, int row,
                                barrier& done) {
  asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
               " [%0], [%1, {%2, %3}], [%4];" ::"r"(shared_address(to)),
               "l"(reinterpret_cast<std::uint64_t>(&map)), "r"(column), "r"(row),
               "r"(shared_address(&done.state))
               : "memory");
}

__device__ inline void prefetch(const CUtensorMap& map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(reinterpret_cast<std::uint64_t>(&map)) : "memory");
}

// -- registers --

template <unsigned Count>
__device__ void give_registers_back() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(Count));
}
template <unsigned Count>
__device__ void take_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(Count));
}

// -- products --

/// Describes a tile [rows, 64] of 16-bit elements in shared memory with the 128-byte swizzle that
/// the copies use: 1024 bytes between groups of eight rows.
__device__ inline std::uint64_t describe_tile(const void* tile) {
  const std::uint64_t address = (shared_address(tile) & 0x3ffff) >> 4;
  return address | std::uint64_t{1} << 16 | std::uint64_t{1024 >> 4} << 32 | std::uint64_t{1} << 62;
}

__device__ inline void fence_products() {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
__device__ inline void commit_products() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
/// Waits until at most `Pending` committed groups are unfinished.
template <int Pending>
__device__ void await_products() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(Pending) : "memory");
}

// sum [64, N] (+)= a [64, 16] * transposed b [N, 16]. Lane l of warp w of the warpgroup holds, in
// sum[4 j ..], rows 16 w + l / 4 (the first two) and 8 rows on (the other two), columns
// 8 j + 2 (l % 4) and the next. The text of an instruction names all its registers, hence macros.

// clang-format off
#define ENGRAM_REGISTERS_4 "%0,%1,%2,%3"
#define ENGRAM_REGISTERS_16 \
  ENGRAM_REGISTERS_4 \
  ",%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15"
#define ENGRAM_REGISTERS_32 \
  ENGRAM_REGISTERS_16 \
  ",%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31"
#define ENGRAM_REGISTERS_64 \
  ENGRAM_REGISTERS_32 \
  ",%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47" \
  ",%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63"
#define ENGRAM_REGISTERS_128 \
  ENGRAM_REGISTERS_64 \
  ",%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79" \
  ",%80,%81,%82,%83,%84,%85,%86,%87,%88,%89,%90,%91,%92,%93,%94,%95" \
  ",%96,%97,%98,%99,%100,%101,%102,%103,%104,%105,%106,%107,%108,%109,%110,%111" \
  ",%112,%113,%114,%115,%116,%117,%118,%119,%120,%121,%122,%123,%124,%125,%126,%127"

#define ENGRAM_SUM_4(i) "+f"(sum[i]), "+f"(sum[i + 1]), "+f"(sum[i + 2]), "+f"(sum[i + 3])
#define ENGRAM_SUM_16(i) ENGRAM_SUM_4(i), ENGRAM_SUM_4(i + 4), ENGRAM_SUM_4(i + 8), ENGRAM_SUM_4(i + 12)
#define ENGRAM_SUM_32(i) ENGRAM_SUM_16(i), ENGRAM_SUM_16(i + 16)
#define ENGRAM_SUM_64(i) ENGRAM_SUM_32(i), ENGRAM_SUM_32(i + 32)
#define ENGRAM_SUM_128(i) ENGRAM_SUM_64(i), ENGRAM_SUM_64(i + 64)

// at_a, at_b and at_keep are the operands' numbers, after those of the sums.
#define ENGRAM_PRODUCT(n, type, registers, at_a, at_b, at_keep, ...) \
  asm volatile("{\n" \
               ".reg .pred keep;\n" \
               "setp.ne.b32 keep, %" #at_keep ", 0;\n" \
               "wgmma.mma_async.sync.aligned.m64n" #n "k16.f32." type "." type \
               " {" registers "}, %" #at_a ", %" #at_b ", keep, 1, 1, 0, 0;\n" \
               "}\n" \
               : __VA_ARGS__ \
               : "l"(a), "l"(b), "r"(keep))

#define ENGRAM_MULTIPLY(n, registers, at_a, at_b, at_keep, ...) \
  template <> \
  struct product<n, __nv_bfloat16> { \
    __device__ static void add(float (&sum)[n / 2], std::uint64_t a, std::uint64_t b, int keep) { \
      ENGRAM_PRODUCT(n, "bf16", registers, at_a, at_b, at_keep, __VA_ARGS__); \
    } \
  }; \
  template <> \
  struct product<n, __half> { \
    __device__ static void add(float (&sum)[n / 2], std::uint64_t a, std::uint64_t b, int keep) { \
      ENGRAM_PRODUCT(n, "f16", registers, at_a, at_b, at_keep, __VA_ARGS__); \
    } \
  }
// clang-format on

/// product<N, Element>::add(sum, a, b, keep): `a` and `b` as `describe_tile` made them; with keep
/// == 0 the sum starts anew.
template <int N, class Element>
struct product;
ENGRAM_MULTIPLY(8, ENGRAM_REGISTERS_4, 4, 5, 6, ENGRAM_SUM_4(0));
ENGRAM_MULTIPLY(32, ENGRAM_REGISTERS_16, 16, 17, 18, ENGRAM_SUM_16(0));
ENGRAM_MULTIPLY(64, ENGRAM_REGISTERS_32, 32, 33, 34, ENGRAM_SUM_32(0));
ENGRAM_MULTIPLY(128, ENGRAM_REGISTERS_64, 64, 65, 66, ENGRAM_SUM_64(0));
ENGRAM_MULTIPLY(256, ENGRAM_REGISTERS_128, 128, 129, 130, ENGRAM_SUM_128(0));

#undef ENGRAM_MULTIPLY
#undef ENGRAM_PRODUCT
#undef ENGRAM_SUM_128
#undef ENGRAM_SUM_64
#undef ENGRAM_SUM_32
#undef ENGRAM_SUM_16
#undef ENGRAM_SUM_4
#undef ENGRAM_REGISTERS_128
#undef ENGRAM_REGISTERS_64
#undef ENGRAM_REGISTERS_32
#undef ENGRAM_REGISTERS_16
#undef ENGRAM_REGISTERS_4

} // namespace engram::cuda::sm90
