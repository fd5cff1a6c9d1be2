#include "engram/service/guarded.hpp"

#include <exception>
#include <new>
#include <string>

namespace engram {

error thrown_error() noexcept {
  try {
    try {
      throw;
    } catch (const std::bad_alloc&) {
      return {ec::resource_exhausted, "no memory for this request: ask for less at once"};
    } catch (const std::exception& why) {
      return {ec::internal, std::string{"unexpected: "} + why.what()};
    } catch (...) {
      return {ec::internal, "unexpected: an exception of a type that is not known"};
    }
  } catch (...) {
    return {ec::resource_exhausted, {}}; // not even for the sentence
  }
}

} // namespace engram
