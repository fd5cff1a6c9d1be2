#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace engram::test {

/// A folder of its own for each test.
class folder_test : public ::testing::Test {
protected:
  folder_test() {
    std::string name = (std::filesystem::temp_directory_path() / "engram-XXXXXX").string();
    folder_ = mkdtemp(name.data());
  }
  ~folder_test() override { std::filesystem::remove_all(folder_); }

  /// Writes a file that its owner alone may read and returns its path.
  std::string write(std::string_view name, std::string_view text) const {
    const auto path = folder_ / name;
    std::ofstream{path, std::ios::binary} << text;
    std::filesystem::permissions(path, std::filesystem::perms::owner_read |
                                           std::filesystem::perms::owner_write);
    return path.string();
  }
  std::string path_of(std::string_view name) const { return (folder_ / name).string(); }

private:
  std::filesystem::path folder_;
};

inline const std::string query_token = "q-0123456789abcdef0123456789abcdef";
inline const std::string admin_token = "a-0123456789abcdef0123456789abcdef";
inline const std::string unknown_token = "u-0123456789abcdef0123456789abcdef";

} // namespace engram::test
