#include "engram/config/load.hpp"

#include <gtest/gtest.h>

#include "effective.hpp"

namespace engram {
namespace {

std::string code(const std::string& text) {
  return '`' + text + '`';
}

/// Returns the table of a section's keys as docs/configuration.md has to have it.
std::string reference() {
  std::string out;
  std::string section;
  for (const auto& each : all_keys()) {
    const auto dot = each.key.rfind('.');
    if (const auto its_section = each.key.substr(0, dot); its_section != section) {
      section = its_section;
      out += "\n### [" + section +
             "]\n\n"
             "| key | type | default | allowed | meaning | variable | live |\n"
             "|---|---|---|---|---|---|---|\n";
    }
    out += "| " + code(each.key.substr(dot + 1));
    for (const auto& alias : each.aliases)
      out += ", also " + code(alias.substr(alias.rfind('.') + 1));
    out += " | " + each.type + " | " + code(each.default_value) + " | " + each.allowed + " | " +
           each.meaning + " | " + code(each.environment) + " | " +
           (each.needs_restart ? "no" : "yes") + " |\n";
  }
  return out + '\n';
}

std::string presets() {
  std::string out = "\n| preset | for |\n|---|---|\n";
  for (const auto& each : all_presets())
    out += "| " + code(each.name) + " | " + each.summary + " |\n";
  return out + '\n';
}

/// Returns what stands between `<!-- name -->` and `<!-- end of name -->`.
std::string part(const std::string& document, const std::string& name) {
  const auto begin_mark = "<!-- " + name + " -->\n";
  const auto begin = document.find(begin_mark);
  const auto end = document.find("<!-- end of " + name + " -->");
  if (begin == std::string::npos || end == std::string::npos) return "no part " + name;
  return document.substr(begin + begin_mark.size(), end - begin - begin_mark.size());
}

// On failure the message holds the text to paste.
TEST(documentation, lists_every_key_as_the_program_knows_it) {
  const auto document = contents_of(std::string{ENGRAM_DOCS} + "/configuration.md");
  EXPECT_EQ(part(document, "keys"), reference()) << "paste:\n" << reference();
}

TEST(documentation, deploy_has_the_file_to_begin_with) {
  EXPECT_EQ(contents_of(std::string{ENGRAM_DEPLOY} + "/engram.toml"), config_template())
      << "mend: engram config template > deploy/engram.toml";
}

TEST(documentation, lists_every_preset) {
  const auto document = contents_of(std::string{ENGRAM_DOCS} + "/configuration.md");
  EXPECT_EQ(part(document, "presets"), presets()) << "paste:\n" << presets();
}

TEST(documentation, shows_an_example_that_loads) {
  const auto document = contents_of(std::string{ENGRAM_DOCS} + "/configuration.md");
  const std::string open = "```toml\n";
  const auto begin = document.find(open);
  ASSERT_NE(begin, std::string::npos);
  const auto text = document.substr(begin + open.size(), document.find("```", begin + open.size()) -
                                                             begin - open.size());
  const auto loaded = parse_configuration(text, "configuration.md");
  EXPECT_TRUE(loaded) << loaded.error().message;
}

} // namespace
} // namespace engram
