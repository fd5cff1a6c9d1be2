#include "engram/service/http/connection_shares.hpp"

#include <algorithm>
#include <string_view>
#include <unordered_map>

namespace engram {

std::vector<std::size_t> connection_shares::excess(std::span<const seen_connection> all) const {
  std::unordered_map<std::string_view, std::size_t> counts;
  for (const auto& each : all)
    ++counts[each.client];
  std::size_t most = most_per_client;
  if (most == 0) {
    const bool do_clients_wait = all.size() > threads && counts.size() > 1;
    if (!do_clients_wait) return {};
    most = std::max<std::size_t>(1, std::size_t{threads} * 3 / 4);
  }
  std::vector<std::size_t> out;
  for (const bool is_new : {true, false})
    for (std::size_t i = 0; i < all.size(); ++i) {
      auto& count = counts[all[i].client];
      if (all[i].is_new != is_new || all[i].is_served || count <= most) continue;
      out.push_back(i);
      --count;
    }
  return out;
}

} // namespace engram
