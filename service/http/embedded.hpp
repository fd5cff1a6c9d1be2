#pragma once

#include <string_view>

/// Files that are compiled in; service/CMakeLists.txt says which.
namespace engram::embedded {

extern const std::string_view openapi_schemas;

} // namespace engram::embedded
