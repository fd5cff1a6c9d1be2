#include "engram/bench/gpu/baseline.hpp"

#include "engram/bench/gpu/run_json.hpp"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <system_error>
#include <vector>

namespace engram::bench {

namespace {

bool is_name(const std::string& name) {
  return !name.empty() && name.front() != '.' &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return std::isalnum(c) || c == '.' || c == '_' || c == '-';
         });
}

error cannot_write(const std::filesystem::path& path, const std::string& why) {
  return {ec::unavailable, "The baseline " + path.string() + " cannot be written: " + why + "."};
}

} // namespace

std::filesystem::path default_baseline_directory() {
  const char* state = std::getenv("XDG_STATE_HOME");
  if (state && *state) return std::filesystem::path{state} / "engram" / "baselines";
  return ".engram-baselines";
}

result<std::filesystem::path> baseline_store::path_of(const std::string& name) const {
  if (!is_name(name))
    return error{ec::invalid_argument, "\"" + name +
                                           "\" cannot name a baseline; use letters, digits, '.', "
                                           "'_' and '-', and no '.' in front."};
  return directory_ / (name + ".json");
}

result<void> baseline_store::save(const std::string& name, const run_record& run) const {
  const auto path = path_of(name);
  if (!path) return path.error();
  std::error_code trouble;
  std::filesystem::create_directories(directory_, trouble);
  if (trouble) return cannot_write(*path, trouble.message());
  auto unfinished = *path;
  unfinished += ".new";
  {
    std::ofstream out{unfinished, std::ios::binary | std::ios::trunc};
    out << to_json(run);
    if (!out.flush()) return cannot_write(unfinished, "the file did not take it all");
  }
  std::filesystem::rename(unfinished, *path, trouble);
  if (trouble) return cannot_write(*path, trouble.message());
  return {};
}

result<run_record> baseline_store::load(const std::string& name) const {
  const auto path = path_of(name);
  if (!path) return path.error();
  std::ifstream in{*path, std::ios::binary};
  if (!in)
    return error{ec::not_found, "There is no baseline \"" + name + "\" in " + directory_.string() +
                                    "; there is " + known_names() + "."};
  const std::string text{std::istreambuf_iterator<char>{in}, {}};
  auto run = run_from_json(text);
  if (!run)
    return error{ec::invalid_argument,
                 "The baseline " + path->string() + " is unusable: " + run.error().message + "."};
  return run;
}

std::string baseline_store::known_names() const {
  std::vector<std::string> names;
  std::error_code trouble;
  for (const auto& entry : std::filesystem::directory_iterator{directory_, trouble})
    if (entry.path().extension() == ".json") names.push_back(entry.path().stem().string());
  if (names.empty()) return "none";
  std::sort(names.begin(), names.end());
  std::string text;
  for (const auto& each : names)
    text += (text.empty() ? "" : ", ") + each;
  return text;
}

} // namespace engram::bench
