#include "engram/service/access/access_control.hpp"

#include "engram/service/access/client_address.hpp"

#include <strings.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace engram {

namespace {

using kind = access_verdict::kind;

/// Returns the token of "Bearer TOKEN", empty if it is none.
std::string_view bearer_token(std::string_view authorization) {
  constexpr std::string_view scheme = "Bearer ";
  if (authorization.size() < scheme.size() ||
      strncasecmp(authorization.data(), scheme.data(), scheme.size()) != 0)
    return {};
  authorization.remove_prefix(scheme.size());
  const auto begin = std::min(authorization.find_first_not_of(' '), authorization.size());
  const auto end = authorization.find_last_not_of(' ') + 1; // 0 if there is nothing else
  return begin < end ? authorization.substr(begin, end - begin) : std::string_view{};
}

std::string client_of(const access_token* token, const credentials& who) {
  if (token) return "token " + token->name;
  if (!who.certificate.empty()) return "certificate " + std::string{who.certificate};
  return "address " + client_address(who.address);
}

access_verdict refusal(kind what, std::string message) {
  return {.what = what, .message = std::move(message)};
}

} // namespace

result<access_rules> read_access_rules(const server_options& options) {
  access_rules out;
  if (!options.tokens_file.empty()) {
    auto read = token_file::read(options.tokens_file);
    if (!read) return error{ec::invalid_argument, "server.tokens_file: " + read.error().message};
    out.tokens = std::make_shared<const token_file>(std::move(*read));
  }
  const double rate = options.client_requests_per_second;
  const double burst = options.client_burst > 0 ? options.client_burst : std::ceil(rate);
  out.host = options.host;
  out.limit = {.requests_per_second = rate, .burst = std::max(1.0, burst)};
  return out;
}

void access_control::use(access_rules rules) {
  const std::lock_guard lock{mutex_};
  tokens_ = std::move(rules.tokens);
  host_ = std::move(rules.host);
  limiter_.set_limit(rules.limit);
  is_open_ = !tokens_ && rules.limit.requests_per_second <= 0;
}

access_verdict access_control::check(const credentials& who, role needed) {
  if (lets_anybody(needed)) return {};
  std::shared_ptr<const token_file> tokens;
  std::string host;
  {
    const std::lock_guard lock{mutex_};
    tokens = tokens_;
    host = host_;
  }
  const auto shown = bearer_token(who.authorization);
  const access_token* token = tokens && !shown.empty() ? tokens->find(shown) : nullptr;
  auto client = client_of(token, who);
  if (const auto wait = charge(client))
    return {
        .what = kind::too_many, .message = std::string{too_many_requests}, .retry_after = *wait};
  if (tokens && !token)
    return refusal(kind::unauthenticated,
                   who.authorization.empty()
                       ? "a token is needed: send the header \"Authorization: Bearer TOKEN\""
                       : "the token is not known here");
  if (tokens && needed == role::admin && token->grants != role::admin)
    return refusal(kind::forbidden, "this takes a token of the role admin");
  if (!tokens && needed == role::admin && !is_loopback_address(who.address))
    return refusal(kind::forbidden, "without server.tokens_file this is only for callers on the "
                                    "machine itself");
  if (!tokens && needed == role::admin && !who.host.empty() && !is_this_machine(who.host, host))
    return refusal(kind::forbidden,
                   "without server.tokens_file this is only for callers whose Host is localhost, a "
                   "loopback address or server.host");
  return {.client = std::move(client),
          .identity = token ? token->name : std::string{who.certificate}};
}

std::optional<duration> access_control::charge(std::string_view client) {
  if (client.empty() || is_open_.load(std::memory_order_relaxed)) return {};
  const std::lock_guard lock{mutex_};
  return limiter_.take(client, clock_.now());
}

} // namespace engram
