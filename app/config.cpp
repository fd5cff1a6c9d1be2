#include "engram/app/commands.hpp"
#include "engram/app/table.hpp"
#include "engram/service/json_writer.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <memory>

namespace engram {

namespace {

void print(const common_options& common, json_writer& json, const text_table& table) {
  std::fputs((common.json ? json.take() + '\n' : table.to_string(terminal_width())).c_str(),
             stdout);
}

int run_show(const common_options& common, bool as_toml) {
  const auto config = load(common);
  if (!config) return report_usage_error(config.error());
  if (as_toml) {
    std::fputs(to_toml(*config).c_str(), stdout);
    return exit_fine;
  }
  json_writer out;
  out.begin_object().key("keys").begin_array();
  text_table table{{{"key"}, {"value"}, {"from"}}};
  for (const auto& key : all_keys()) {
    const auto value = value_of(config->values, key.key);
    const auto& origin = config->origins.at(key.key);
    out.begin_object().field("key", key.key).field("value", value).field("from", origin);
    out.field("type", key.type).field("allowed", key.allowed).field("default", key.default_value);
    out.field("variable", key.environment).field("meaning", key.meaning);
    out.field("live", !key.needs_restart).end_object();
    table.add({key.key, value, origin});
  }
  out.end_array().end_object();
  print(common, out, table);
  return exit_fine;
}

int run_check(const common_options& common, const std::string& file) {
  config_sources sources;
  sources.file = file;
  const auto config = load_configuration(sources);
  if (!common.json) {
    if (!config) return report_usage_error(config.error());
    std::printf("%s: OK\n", file.c_str());
    return exit_fine;
  }
  json_writer out;
  out.begin_object()
      .field("file", file)
      .field("good", config.has_value())
      .key("mistakes")
      .begin_array();
  std::string_view rest = config ? std::string_view{} : std::string_view{config.error().message};
  while (!rest.empty()) {
    const auto end = std::min(rest.find('\n'), rest.size());
    out.value(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  out.end_array().end_object();
  std::printf("%s\n", out.take().c_str());
  return config ? exit_fine : exit_usage;
}

int list_presets(const common_options& common) {
  json_writer out;
  out.begin_object().key("presets").begin_array();
  text_table table{{{"preset"}, {"for"}}};
  for (const auto& preset : all_presets()) {
    out.begin_object().field("name", preset.name).field("summary", preset.summary);
    out.field("toml", preset.toml).end_object();
    table.add({preset.name, preset.summary});
  }
  out.end_array().end_object();
  print(common, out, table);
  return exit_fine;
}

int show_preset(const common_options& common, const std::string& name) {
  const auto& all = all_presets();
  const auto at =
      std::find_if(all.begin(), all.end(), [&](const auto& preset) { return preset.name == name; });
  if (at == all.end())
    return report_usage_error(
        {ec::not_found, "there is no preset \"" + name + "\": `engram config presets` lists them"});
  json_writer out;
  out.begin_object().field("name", at->name).field("summary", at->summary);
  out.field("toml", at->toml).end_object();
  std::fputs((common.json ? out.take() + '\n' : at->toml).c_str(), stdout);
  return exit_fine;
}

} // namespace

void add_config_command(CLI::App& app, const common_options& common, int& exit_code) {
  auto* config = app.add_subcommand("config", "Check and show configurations");
  config->require_subcommand(1);

  auto file = std::make_shared<std::string>();
  auto* check =
      config->add_subcommand("check", "Say whether a file is in order, or everything that is not");
  check->add_option("FILE", *file, "A TOML file")->required();
  check->footer("Ends with 2 if there is a mistake.");
  check->callback([&common, &exit_code, file] { exit_code = run_check(common, *file); });

  auto as_toml = std::make_shared<bool>(false);
  auto* show = config->add_subcommand(
      "show", "Show every key, its effective value and where that came from");
  show->add_flag("--toml", *as_toml, "As a commented file that can be used again");
  show->footer(
      "Examples:\n"
      "  engram config show --preset datacenter-low-latency\n"
      "  ENGRAM_MAX_WAIT_MS=2 engram config show --config engram.toml --toml > effective.toml");
  show->callback([&common, &exit_code, as_toml] { exit_code = run_show(common, *as_toml); });

  config
      ->add_subcommand("template",
                       "Print a file to begin with: every key, commented out at its default")
      ->callback([&exit_code] {
        std::fputs(config_template().c_str(), stdout);
        exit_code = exit_fine;
      });

  auto name = std::make_shared<std::string>();
  auto* presets = config->add_subcommand("presets", "List the presets, or print one as TOML");
  presets->add_option("NAME", *name, "The preset to print");
  presets->callback([&common, &exit_code, name] {
    exit_code = name->empty() ? list_presets(common) : show_preset(common, *name);
  });
}

} // namespace engram
