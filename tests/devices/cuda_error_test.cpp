// How CUDA's error codes are treated. Needs no GPU.

#include "engram/devices/cuda_error.hpp"

#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

namespace engram {
namespace {

TEST(cuda_error, that_ends_the_process_is_sticky) {
  for (const auto code :
       {cudaErrorContained, cudaErrorIllegalAddress, cudaErrorLaunchTimeout, cudaErrorAssert,
        cudaErrorHardwareStackError, cudaErrorIllegalInstruction, cudaErrorMisalignedAddress,
        cudaErrorInvalidAddressSpace, cudaErrorInvalidPc, cudaErrorLaunchFailure,
        cudaErrorTensorMemoryLeak, cudaErrorMpsClientTerminated, cudaErrorExternalDevice,
        cudaErrorECCUncorrectable, cudaErrorNvlinkUncorrectable, cudaErrorUnknown})
    EXPECT_EQ(classify_cuda_error(code), fault_class::sticky) << cudaGetErrorName(code);
}

TEST(cuda_error, that_a_smaller_batch_may_avoid_is_oom) {
  EXPECT_EQ(classify_cuda_error(cudaErrorMemoryAllocation), fault_class::oom);
}

TEST(cuda_error, that_means_there_is_no_gpu_says_so) {
  for (const auto code :
       {cudaErrorNoDevice, cudaErrorInvalidDevice, cudaErrorDevicesUnavailable,
        cudaErrorInsufficientDriver, cudaErrorInitializationError, cudaErrorSystemDriverMismatch})
    EXPECT_EQ(classify_cuda_error(code), fault_class::no_device) << cudaGetErrorName(code);
}

TEST(cuda_error, of_one_call_is_transient) {
  for (const auto code : {cudaErrorInvalidValue, cudaErrorLaunchOutOfResources,
                          cudaErrorInvalidConfiguration, cudaErrorGraphExecUpdateFailure})
    EXPECT_EQ(classify_cuda_error(code), fault_class::transient) << cudaGetErrorName(code);
}

TEST(cuda_error, becomes_one_sentence_with_its_name) {
  EXPECT_FALSE(cuda_fault(cudaSuccess, "anything"));
  const auto fault = cuda_fault(cudaErrorIllegalAddress, "running a batch");
  ASSERT_TRUE(fault);
  EXPECT_EQ(fault->kind, fault_class::sticky);
  EXPECT_EQ(fault->message, "running a batch failed: cudaErrorIllegalAddress (an illegal memory "
                            "access was encountered)");
}

} // namespace
} // namespace engram
