#include "engram/replay/report.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <set>
#include <string>
#include <vector>

#include "sample_report.hpp"

namespace {

using namespace engram;
using namespace engram::replay;
using engram::replay::test::sample_report;

std::string without(std::string page, const std::string& open, const std::string& close) {
  for (auto at = page.find(open); at != std::string::npos; at = page.find(open, at + 1)) {
    const auto begin = page.find('>', at) + 1;
    page.erase(begin, page.find(close, begin) - begin);
  }
  return page;
}

/// Says where the tags of `page` do not match; empty when every element is closed in order.
std::string unbalanced(const std::string& page) {
  const std::set<std::string> void_elements{"meta", "br", "hr", "img", "input", "link"};
  std::vector<std::string> open;
  for (auto at = page.find('<'); at != std::string::npos; at = page.find('<', at + 1)) {
    if (page[at + 1] == '!') continue;
    const bool closes = page[at + 1] == '/';
    const auto begin = at + (closes ? 2 : 1);
    const auto name = page.substr(begin, page.find_first_of(" >\n", begin) - begin);
    if (page.find('>', at) > page.find('<', at + 1))
      return "unclosed tag at " + page.substr(at, 40);
    if (void_elements.contains(name)) continue;
    if (!closes) {
      open.push_back(name);
    } else if (open.empty() || open.back() != name) {
      return "</" + name + "> closes " + (open.empty() ? "nothing" : open.back());
    } else {
      open.pop_back();
    }
  }
  return open.empty() ? "" : "<" + open.back() + "> is never closed";
}

TEST(report_page, is_well_formed) {
  const auto page =
      without(without(to_html(sample_report()), "<script", "</script>"), "<style", "</style>");
  EXPECT_EQ(unbalanced(page), "");
  EXPECT_TRUE(page.starts_with("<!DOCTYPE html>"));
}

TEST(report_page, fetches_nothing) {
  const auto page = to_html(sample_report());
  for (const auto* fetch :
       {"src=", "href=", "url(", "@import", "fetch(", "XMLHttpRequest", "import(", "https://"})
    EXPECT_EQ(page.find(fetch), std::string::npos) << fetch;
  // The one address is the name of the SVG vocabulary, which nobody fetches.
  auto rest = page;
  const std::string svg = "http://www.w3.org/2000/svg";
  for (auto at = rest.find(svg); at != std::string::npos; at = rest.find(svg))
    rest.erase(at, svg.size());
  EXPECT_EQ(rest.find("http:"), std::string::npos);
}

TEST(report_page, carries_the_whole_report_and_no_name_can_end_its_script) {
  const auto page = to_html(sample_report());
  const std::string open = "<script type=\"application/json\" id=\"replay-data\">";
  const auto begin = page.find(open) + open.size();
  const auto data = page.substr(begin, page.find("</script>", begin) - begin);
  EXPECT_EQ(nlohmann::json::parse(data), nlohmann::json::parse(to_json(sample_report())));
  EXPECT_EQ(page.find("<b>demo"), std::string::npos) << "a name is text, not markup";
  EXPECT_NE(page.find("&lt;b&gt;demo"), std::string::npos);
}

TEST(report_page, has_no_part_left_to_fill_in) {
  EXPECT_EQ(to_html(sample_report()).find("{{"), std::string::npos);
}

TEST(report_page, labels_what_is_simulated) {
  const auto page = to_html(sample_report());
  EXPECT_NE(page.find("Simulated GPU:"), std::string::npos);
  EXPECT_NE(page.find("No number here is a measurement of that GPU"), std::string::npos);
  auto real = sample_report();
  real.devices.pop_back();
  EXPECT_EQ(to_html(real).find("Simulated GPU:"), std::string::npos);
}

} // namespace
