#pragma once

namespace CLI {
class App;
}

namespace engram {

struct common_options;

/// Makes every configuration key an option of `app`, under each of its names:
/// --batching.max_wait_ms,
/// --max_wait_ms where only one key is called so, their aliases, and all of them with '-' for '_';
/// and --set KEY=VALUE.
void add_config_flags(CLI::App& app, common_options& common);

} // namespace engram
