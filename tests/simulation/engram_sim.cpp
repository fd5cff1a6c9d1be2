// engram_sim: plays random lives of the whole pipeline in virtual time, each from one seed.

#include "engram/tests/simulation/simulation.hpp"

#include <charconv>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

namespace {

using namespace engram::simulation;

constexpr const char* usage =
    "engram_sim plays random lives of the whole pipeline in virtual time, each from one seed.\n"
    "\n"
    "  engram_sim --seed N [--trace]   one seed; --trace tells its story line by line\n"
    "  engram_sim --seeds A..B         all seeds from A to B; says which break a promise\n"
    "\n"
    "Exit status: 0 all promises kept, 1 some broken, 2 wrong usage.\n";

struct orders {
  std::uint64_t first = 0, last = 0;
  bool trace = false;
};

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<orders> parse(int count, char** words) {
  orders wanted;
  bool has_seeds = false;
  for (int i = 1; i < count; ++i) {
    const std::string_view word = words[i];
    if (word == "--trace") {
      wanted.trace = true;
    } else if ((word == "--seed" || word == "--seeds") && i + 1 < count) {
      const std::string_view range = words[++i];
      const auto dots = word == "--seeds" ? range.find("..") : std::string_view::npos;
      const auto first = number(range.substr(0, dots));
      const auto last = dots == std::string_view::npos ? first : number(range.substr(dots + 2));
      if (!first || !last || *first > *last) return std::nullopt;
      wanted.first = *first;
      wanted.last = *last;
      has_seeds = true;
    } else {
      return std::nullopt;
    }
  }
  return has_seeds ? std::optional{wanted} : std::nullopt;
}

void print(std::string_view line) {
  std::printf("%.*s\n", static_cast<int>(line.size()), line.data());
}

} // namespace

int main(int count, char** words) {
  const auto wanted = parse(count, words);
  if (!wanted) {
    std::fputs(usage, stderr);
    return 2;
  }
  std::size_t played = 0, broken = 0, requests = 0, deaths = 0;
  for (auto seed = wanted->first; seed <= wanted->last; ++seed) {
    const auto report = simulate(seed, wanted->trace ? teller{print} : teller{});
    ++played;
    requests += report.requests;
    deaths += report.actor_deaths + report.child_deaths;
    if (!report.failures.empty()) ++broken;
    if (wanted->trace || (report.failures.empty() && wanted->first != wanted->last)) continue;
    print(report.verdict());
    if (report.failures.empty()) continue;
    std::printf("  repeat with: engram_sim --seed %llu --trace\n",
                static_cast<unsigned long long>(seed));
    std::fflush(stdout);
  }
  if (wanted->first != wanted->last)
    std::printf("%zu seeds, %zu requests, %zu deaths: %zu seeds broke a promise\n", played,
                requests, deaths, broken);
  return broken == 0 ? 0 : 1;
}
