// docs/fault-points.md says what the program knows.

#include "engram/devices/fault_points.hpp"
#include "engram/pipeline/pipeline.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace {

using namespace engram;

std::string page() {
  std::ifstream in{ENGRAM_DOCS "/fault-points.md"};
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

/// Returns the cells of the page's rows that begin with a code word, in their order.
std::vector<std::string> first_cells(const std::string& text) {
  std::vector<std::string> cells;
  std::istringstream lines{text};
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("| `")) cells.push_back(line.substr(2, line.find(" |", 2) - 2));
  return cells;
}

std::string code(std::string_view text) {
  return '`' + std::string{text} + '`';
}

/// Returns the table of sites as the page has to have it.
std::string sites_table(const pipeline& pipe) {
  std::string out = "\n| site | tasks | what |\n|---|---|---|\n";
  for (const auto& site : pipe.faults()) {
    std::string tasks;
    for (const auto task : site.tasks.names())
      tasks += (tasks.empty() ? "" : ", ") + code(task);
    out += "| " + code(site.name) + " | " + tasks + " | " + site.meaning + " |\n";
  }
  return out + '\n';
}

std::unique_ptr<pipeline> with_simulated_gpu() {
  pipeline_options options;
  options.gpu.devices = {"sim:h100"};
  auto started = pipeline::start(options);
  EXPECT_TRUE(started) << (started ? "" : started.error().message);
  return std::move(*started);
}

TEST(fault_points_page, lists_every_site_as_a_pipeline_with_a_simulated_gpu_has_it) {
  const auto pipe = with_simulated_gpu();
  const auto text = page();
  const std::string begin = "<!-- sites -->\n";
  const auto from = text.find(begin), to = text.find("<!-- end of sites -->");
  ASSERT_NE(from, std::string::npos);
  ASSERT_NE(to, std::string::npos);
  const auto listed = text.substr(from + begin.size(), to - from - begin.size());
  EXPECT_EQ(listed, sites_table(*pipe)) << "paste:\n" << sites_table(*pipe);
}

TEST(fault_points_page, shows_settings_that_can_be_armed) {
  const auto pipe = with_simulated_gpu();
  std::size_t settings = 0;
  for (const auto& cell : first_cells(page())) {
    if (cell.find('=') == std::string::npos) continue;
    const auto armed = pipe->check_fault(cell.substr(1, cell.size() - 2));
    EXPECT_TRUE(armed) << (armed ? "" : armed.error().message);
    ++settings;
  }
  EXPECT_GE(settings, 5u);
}

TEST(fault_points_page, explains_every_task) {
  const auto text = page();
  const auto pipe = with_simulated_gpu();
  for (const auto& site : pipe->faults())
    for (const auto task : site.tasks.names())
      EXPECT_TRUE(text.find("\n| `" + std::string{task}) != std::string::npos) << task;
}

} // namespace
