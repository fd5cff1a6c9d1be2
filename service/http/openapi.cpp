#include "engram/service/http/openapi.hpp"

#include "engram/service/http/embedded.hpp"

#include <nlohmann/json.hpp>

namespace engram {

namespace {

using json = nlohmann::ordered_json;

json reference(const std::string& section, const std::string& name) {
  return {{"$ref", "#/components/" + section + '/' + name}};
}

json schema_of(const std::string& name) {
  return {{"schema", reference("schemas", name)}};
}

/// Returns the names in the braces of a pattern as parameters of its path.
json path_parameters(std::string_view pattern) {
  json out = json::array();
  for (auto open = pattern.find('{'); open != std::string_view::npos;
       open = pattern.find('{', open + 1))
    out.push_back({{"name", pattern.substr(open + 1, pattern.find('}', open) - open - 1)},
                   {"in", "path"},
                   {"required", true},
                   {"schema", {{"type", "string"}}}});
  return out;
}

/// Returns "get_v1_datasets".
std::string operation_id(const http_route& route) {
  std::string out{route.method};
  for (const char c : route.pattern)
    out += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  return out;
}

std::string lower(std::string_view text) {
  std::string out{text};
  for (char& c : out)
    c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

/// Returns the description of one route; `bodies` says what it takes and gives.
json operation_of(const http_route& route, const json& bodies) {
  json out{{"summary", route.meaning}, {"operationId", lower(operation_id(route))}};
  if (auto parameters = path_parameters(route.pattern); !parameters.empty())
    out["parameters"] = std::move(parameters);
  if (route.needs == role::none)
    out["security"] = json::array();
  else
    out["description"] = route.needs == role::admin ? "Needs a token with role admin."
                                                    : "Needs a token where tokens are configured.";
  const auto known = bodies.find(std::string{route.method} + ' ' + std::string{route.pattern});
  const json said = known == bodies.end() ? json::object() : *known;
  if (const auto taken = said.find("takes"); taken != said.end()) {
    json content{{"schema", reference("schemas", *taken)}};
    if (const auto example = said.find("example"); example != said.end())
      content["example"] = *example;
    out["requestBody"] = {{"required", true}, {"content", {{"application/json", content}}}};
  }
  json answer{{"description", "The answer"}};
  if (const auto given = said.find("gives"); given != said.end())
    answer["content"] = {{said.value("as", "application/json"), schema_of(*given)}};
  const bool is_inference = route.pattern.starts_with("/v2");
  out["responses"] = {
      {"200", std::move(answer)},
      {"default", reference("responses", is_inference ? "InferenceFailure" : "Failure")}};
  return out;
}

} // namespace

std::string openapi_document(std::span<const http_route> routes) {
  auto known = json::parse(embedded::openapi_schemas);
  json document{{"openapi", "3.1.0"},
                {"info",
                 {{"title", "Engram"},
                  {"version", ENGRAM_VERSION},
                  {"description", "Cosine similarity and activation spreading over resident data"},
                  {"license", {{"name", "Apache 2.0"}, {"identifier", "Apache-2.0"}}}}},
                {"security", json::array({json::object(), {{"token", json::array()}}})}};
  for (const auto& route : routes)
    document["paths"][std::string{route.pattern}][lower(route.method)] =
        operation_of(route, known["bodies"]);
  document["components"] = std::move(known["components"]);
  return document.dump(2);
}

} // namespace engram
