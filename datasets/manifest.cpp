#include "engram/datasets/manifest.hpp"

#include "engram/datasets/input_file.hpp"
#include "engram/datasets/number_text.hpp"
#include "engram/datasets/vector_collection.hpp"

#include <nlohmann/json.hpp>

#include <array>
#include <charconv>
#include <system_error>
#include <utility>

namespace engram {

namespace {

using nlohmann::json;

constexpr std::string_view format_name = "engram-dataset";
constexpr std::uint64_t format_version = 1;

constexpr std::array<std::pair<std::string_view, element_type>, 3> element_types{
    {{"f32", element_type::f32}, {"f16", element_type::f16}, {"bf16", element_type::bf16}}};

std::string hexadecimal(std::uint64_t value) {
  std::array<char, 16> digits;
  const auto [end, status] = std::to_chars(digits.data(), digits.data() + digits.size(), value, 16);
  return std::string(static_cast<std::size_t>(digits.data() + digits.size() - end), '0') +
         std::string(digits.data(), end);
}

std::optional<std::uint64_t> parse_hexadecimal(std::string_view text) noexcept {
  std::uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [rest, status] = std::from_chars(text.data(), end, value, 16);
  if (status != std::errc{} || rest != end) return std::nullopt;
  return value;
}

std::optional<std::uint64_t> number_at(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_unsigned()) return std::nullopt;
  return found->get<std::uint64_t>();
}

std::string string_at(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string{};
}

/// Reads the list of files; false if it is not one.
bool parse_files(const json& object, manifest& out) {
  const auto files = object.find("files");
  if (files == object.end() || !files->is_object()) return false;
  for (const auto& [name, entry] : files->items()) {
    if (!entry.is_object()) return false;
    const auto bytes = number_at(entry, "bytes");
    const auto sum = parse_hexadecimal(string_at(entry, "checksum"));
    if (!bytes || !sum) return false;
    out.files.emplace(name, stored_file{*bytes, *sum});
  }
  return true;
}

/// Turns JSON into `out`, or says what is wrong with it.
std::optional<std::string> parse(const std::string& text, manifest& out) {
  const json object = json::parse(text, nullptr, false);
  if (!object.is_object()) return "is not a JSON object";
  if (string_at(object, "format") != format_name)
    return "does not have \"format\": \"" + std::string(format_name) + "\"";
  if (const auto version = number_at(object, "format_version"); version != format_version)
    return "is of another format version than " + std::to_string(format_version) +
           ", the one that this program reads; import the data again";
  const std::string kind = string_at(object, "kind");
  if (kind != "collection" && kind != "graph") return "has an unknown \"kind\"";
  out.is_graph = kind == "graph";
  const auto rows = number_at(object, out.is_graph ? "nodes" : "rows");
  const auto second = number_at(object, out.is_graph ? "edges" : "dim");
  if (!rows || !second) return "lacks the shape";
  out.rows = *rows;
  (out.is_graph ? out.edges : out.dim) = *second;
  if (!out.is_graph) {
    const auto type = element_type_named(string_at(object, "element_type"));
    if (!type) return "has an unknown \"element_type\"";
    out.type = *type;
    out.documents = number_at(object, "embedder_documents").value_or(0);
  }
  if (!parse_files(object, out)) return "has no valid list of files";
  return std::nullopt;
}

/// Returns the size that `name` must have by the shape; nothing if the shape does not tell.
std::optional<std::uint64_t> size_by_shape(const manifest& content, std::string_view name) {
  if (name == stored::rows) return content.rows * content.dim * size_of(content.type);
  if (name == stored::offsets) return (content.rows + 1) * sizeof(std::uint64_t);
  if (name == stored::sources) return content.edges * sizeof(std::uint32_t);
  if (name == stored::weights) return content.edges * sizeof(float);
  return std::nullopt;
}

std::optional<std::string> shape_problem(const manifest& content) {
  // Small enough that no product of them overflows.
  if (content.rows == 0 || content.rows >> 32 != 0 || content.dim > max_dim ||
      content.edges >> 56 != 0 || (!content.is_graph && content.dim == 0))
    return "has an impossible shape";
  const auto needed = content.is_graph
                          ? std::vector{stored::offsets, stored::sources, stored::weights}
                          : std::vector{stored::rows};
  for (const auto name : needed) {
    const auto found = content.files.find(name);
    if (found == content.files.end()) return "does not list " + std::string(name);
    if (found->second.bytes != *size_by_shape(content, name))
      return "gives a size for " + std::string(name) + " that does not fit the shape";
  }
  if (content.has(stored::words) && content.documents == 0)
    return "lists " + std::string(stored::words) + " but no \"embedder_documents\"";
  return std::nullopt;
}

result<void> check_size(const std::filesystem::path& path, std::uint64_t bytes) {
  std::error_code failed;
  const auto size = std::filesystem::file_size(path, failed);
  if (failed)
    return error{ec::invalid_argument, path.string() + ": is missing or cannot be read (" +
                                           failed.message() + "); import the dataset again"};
  if (size == bytes) return {};
  return error{ec::invalid_argument, path.string() + ": has " + std::to_string(size) +
                                         " bytes instead of " + std::to_string(bytes) +
                                         "; it is truncated or damaged, import the dataset again"};
}

} // namespace

std::string_view to_string(element_type type) noexcept {
  for (const auto& [name, known] : element_types)
    if (known == type) return name;
  return {};
}

std::optional<element_type> element_type_named(std::string_view name) noexcept {
  for (const auto& [known, type] : element_types)
    if (known == name) return type;
  return std::nullopt;
}

std::string manifest_text(const manifest& content) {
  json files = json::object();
  for (const auto& [name, file] : content.files)
    files[name] = {{"bytes", file.bytes}, {"checksum", hexadecimal(file.sum)}};
  json object = {{"format", format_name}, {"format_version", format_version}, {"files", files}};
  object["kind"] = content.is_graph ? "graph" : "collection";
  if (content.is_graph) {
    object["nodes"] = content.rows;
    object["edges"] = content.edges;
  } else {
    object["rows"] = content.rows;
    object["dim"] = content.dim;
    object["element_type"] = to_string(content.type);
    if (content.documents != 0) object["embedder_documents"] = content.documents;
  }
  return object.dump(2) + "\n";
}

result<manifest> read_manifest(const std::filesystem::path& directory) {
  const auto path = directory / manifest_file;
  const auto text = read_text(path);
  if (!text && text.error().code == ec::not_found)
    return error{ec::invalid_argument,
                 path.string() + ": is missing; the dataset is damaged, import it again"};
  if (!text) return text.error();
  manifest content;
  auto bad = parse(*text, content);
  if (!bad) bad = shape_problem(content);
  if (bad) return error{ec::invalid_argument, path.string() + ": " + *bad};
  for (const auto name : {stored::rows, stored::labels, stored::words, stored::offsets,
                          stored::sources, stored::weights})
    if (const auto file = content.files.find(name); file != content.files.end())
      if (auto fits = check_size(directory / name, file->second.bytes); !fits)
        return std::move(fits).error();
  return content;
}

} // namespace engram
