#pragma once

/// toml++, header-only, with errors as values. The only way to include it.

#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0

// Malformed text can break what toml++ asserts of itself on the way to its own error message. With
// assertions on that would end the process, and with NDEBUG it is worse: a false promise to the
// compiler.
#define TOML_ASSERT(expr) static_cast<void>(0)
#pragma push_macro("NDEBUG")
#undef NDEBUG
#include <toml++/toml.h>
#pragma pop_macro("NDEBUG")
