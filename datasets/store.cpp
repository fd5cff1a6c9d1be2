#include "engram/datasets/store.hpp"

#include "engram/datasets/catalog.hpp"
#include "engram/datasets/checksum.hpp"
#include "engram/datasets/collection_builder.hpp"
#include "engram/datasets/input_file.hpp"
#include "engram/datasets/manifest.hpp"
#include "engram/datasets/text_embedder.hpp"
#include "engram/datasets/version_writer.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <optional>
#include <system_error>
#include <utility>

namespace engram {

namespace fs = std::filesystem;

namespace {

using content_ptr = std::variant<collection_ptr, graph_ptr>;

// -- writing ---------------------------------------------------------------------------------

void append_u32(std::string& out, std::size_t value) {
  const auto narrow = static_cast<std::uint32_t>(value);
  char bytes[sizeof narrow];
  std::memcpy(bytes, &narrow, sizeof narrow);
  out.append(bytes, sizeof narrow);
}

std::string pack_labels(std::span<const std::string> labels) {
  std::string out;
  for (const std::string& label : labels) {
    append_u32(out, label.size());
    out += label;
  }
  return out;
}

/// Packs the words in ascending order, so that equal embedders make equal files.
std::string pack_words(const text_embedder& embedder) {
  std::vector<std::pair<std::string_view, std::uint32_t>> words(embedder.frequencies().begin(),
                                                                embedder.frequencies().end());
  std::sort(words.begin(), words.end());
  std::string out;
  for (const auto& [word, frequency] : words) {
    append_u32(out, frequency);
    append_u32(out, word.size());
    out += word;
  }
  return out;
}

/// A version as it goes to disk: what the manifest says, and the bytes of each file.
struct outgoing {
  manifest content;
  std::vector<std::pair<std::string_view, std::span<const std::byte>>> files;
  std::string labels, words; ///< what some of `files` points into

  template <class T>
  void add(std::string_view name, const T* data, std::size_t count) {
    files.emplace_back(name, std::as_bytes(std::span(data, count)));
  }
  std::uint64_t bytes() const {
    std::uint64_t sum = 0;
    for (const auto& [name, data] : files)
      sum += data.size();
    return sum;
  }
};

void prepare_labels(std::span<const std::string> labels, outgoing& out) {
  if (labels.empty()) return;
  out.labels = pack_labels(labels);
  out.add(stored::labels, out.labels.data(), out.labels.size());
}

void prepare(const vector_collection& collection, outgoing& out) {
  out.content.rows = collection.size();
  out.content.dim = collection.dim();
  out.content.type = collection.type();
  const auto* data = static_cast<const std::byte*>(collection.rows().data);
  out.add(stored::rows, data, collection.size() * collection.dim() * size_of(collection.type()));
  prepare_labels(collection.labels(), out);
  if (const auto& embedder = collection.embedder(); embedder && embedder->documents() > 0) {
    out.content.documents = embedder->documents();
    out.words = pack_words(*embedder);
    out.add(stored::words, out.words.data(), out.words.size());
  }
}

void prepare(const activation_graph& graph, outgoing& out) {
  const graph_view view = graph.view();
  out.content.is_graph = true;
  out.content.rows = view.nodes;
  out.content.edges = view.edges;
  out.add(stored::offsets, view.in_offsets, view.nodes + 1);
  out.add(stored::sources, view.in_sources, view.edges);
  out.add(stored::weights, view.in_weights, view.edges);
  prepare_labels(graph.labels(), out);
}

// -- reading ---------------------------------------------------------------------------------

/// Fills `out` with all of a stored file and compares the checksum.
result<void> read_file(const fs::path& directory, std::string_view name, const manifest& content,
                       std::span<std::byte> out) {
  const auto file = input_file::open(directory / name);
  if (!file) return file.error();
  constexpr std::size_t piece = std::size_t{1} << 18; // summed while it is in the cache
  checksum sum;
  for (std::size_t offset = 0; offset < out.size(); offset += piece) {
    const auto part = out.subspan(offset, std::min(piece, out.size() - offset));
    if (auto read = file->read_at(offset, part); !read) return read;
    sum.add(part);
  }
  if (sum.value() != content.files.find(name)->second.sum)
    return file->problem("does not have the checksum that was stored with it; it is damaged, "
                         "import the dataset again");
  return {};
}

/// Reads a stored file of numbers. Its size is known to be that of the file on disk.
template <class T>
result<std::vector<T>> read_numbers(const fs::path& directory, std::string_view name,
                                    const manifest& content) {
  std::vector<T> out(content.files.find(name)->second.bytes / sizeof(T));
  auto read = read_file(directory, name, content, std::as_writable_bytes(std::span(out)));
  if (!read) return std::move(read).error();
  return out;
}

/// Takes packed numbers and texts off the front of a file's bytes.
class unpacker {
public:
  explicit unpacker(std::string_view bytes) noexcept : rest_(bytes) {}

  bool at_end() const noexcept { return rest_.empty(); }
  std::optional<std::uint32_t> number() noexcept {
    std::uint32_t value;
    if (rest_.size() < sizeof value) return std::nullopt;
    std::memcpy(&value, rest_.data(), sizeof value);
    rest_.remove_prefix(sizeof value);
    return value;
  }
  std::optional<std::string> text() {
    const auto length = number();
    if (!length || *length > rest_.size()) return std::nullopt;
    std::string value(rest_.substr(0, *length));
    rest_.remove_prefix(*length);
    return value;
  }

private:
  std::string_view rest_;
};

error malformed(const fs::path& path) {
  return {ec::invalid_argument,
          path.string() + ": does not have the form of such a file; import the dataset again"};
}

result<std::vector<std::string>> load_labels(const fs::path& directory, const manifest& content) {
  std::vector<std::string> labels;
  if (!content.has(stored::labels)) return labels;
  const auto bytes = read_numbers<char>(directory, stored::labels, content);
  if (!bytes) return bytes.error();
  unpacker packed({bytes->data(), bytes->size()});
  while (!packed.at_end()) {
    auto label = packed.text();
    if (!label) return malformed(directory / stored::labels);
    labels.push_back(*std::move(label));
  }
  if (labels.size() != content.rows) return malformed(directory / stored::labels);
  return labels;
}

result<std::shared_ptr<const text_embedder>> load_embedder(const fs::path& directory,
                                                           const manifest& content) {
  if (!content.has(stored::words)) return std::shared_ptr<const text_embedder>{};
  const auto bytes = read_numbers<char>(directory, stored::words, content);
  if (!bytes) return bytes.error();
  std::unordered_map<std::string, std::uint32_t> frequencies;
  unpacker packed({bytes->data(), bytes->size()});
  while (!packed.at_end()) {
    const auto frequency = packed.number();
    auto word = packed.text();
    if (!frequency || *frequency == 0 || !word) return malformed(directory / stored::words);
    frequencies.emplace(*std::move(word), *frequency);
  }
  return std::make_shared<const text_embedder>(content.dim, content.documents,
                                               std::move(frequencies));
}

result<content_ptr> load_collection(const fs::path& directory, const manifest& content) {
  auto builder = collection_builder::create(content.rows, content.dim, content.type);
  if (!builder) return std::move(builder).error();
  if (auto read = read_file(directory, stored::rows, content, builder->storage()); !read)
    return std::move(read).error();
  if (auto fine = builder->accept_storage(); !fine)
    return error{fine.error().code,
                 (directory / stored::rows).string() + ": " + fine.error().message};
  auto labels = load_labels(directory, content);
  if (!labels) return std::move(labels).error();
  auto embedder = load_embedder(directory, content);
  if (!embedder) return std::move(embedder).error();
  auto made = std::move(*builder).finish(*std::move(labels), *std::move(embedder));
  if (!made) return std::move(made).error();
  return content_ptr(*std::move(made));
}

result<content_ptr> load_graph(const fs::path& directory, const manifest& content) {
  const auto offsets = read_numbers<std::uint64_t>(directory, stored::offsets, content);
  if (!offsets) return offsets.error();
  const auto sources = read_numbers<node_id>(directory, stored::sources, content);
  if (!sources) return sources.error();
  const auto weights = read_numbers<float>(directory, stored::weights, content);
  if (!weights) return weights.error();
  auto labels = load_labels(directory, content);
  if (!labels) return std::move(labels).error();
  auto made = activation_graph::from_csr(*offsets, *sources, *weights, *std::move(labels));
  if (!made) return error{made.error().code, directory.string() + ": " + made.error().message};
  return content_ptr(*std::move(made));
}

dataset_store::summary summary_of(std::string_view name, std::uint64_t version,
                                  const fs::path& path, const manifest& content) {
  dataset_store::summary out;
  out.name = name;
  out.version = version;
  out.is_graph = content.is_graph;
  out.rows = content.rows;
  out.dim = content.dim;
  out.edges = content.edges;
  if (!content.is_graph) out.element_type = to_string(content.type);
  out.has_labels = content.has(stored::labels);
  out.has_embedder = content.has(stored::words);
  for (const auto& [file_name, file] : content.files)
    out.bytes += file.bytes;
  out.path = path;
  return out;
}

/// One version that is there.
struct located {
  std::uint64_t version = 0;
  fs::path path;
};

result<located> locate(const fs::path& directory, std::string_view name, std::uint64_t version) {
  if (auto fits = check_dataset_name(name); !fits) return std::move(fits).error();
  const auto versions = directory / name;
  const std::uint64_t newest = newest_version(versions);
  if (newest == 0)
    return error{ec::not_found, "there is no dataset '" + std::string(name) + "' in " +
                                    directory.string() + "; import it first"};
  if (version == 0) version = newest;
  auto path = versions / version_folder(version);
  std::error_code ignored;
  if (!fs::is_directory(path, ignored))
    return error{ec::not_found, "there is no version " + std::to_string(version) + " of '" +
                                    std::string(name) + "' in " + directory.string() +
                                    "; the newest is " + std::to_string(newest)};
  return located{version, std::move(path)};
}

} // namespace

dataset_store::dataset_store(fs::path directory) : directory_(std::move(directory)) {}

result<dataset_store::summary> dataset_store::save(std::string_view name,
                                                   const content_ptr& content) {
  if (auto fits = check_dataset_name(name); !fits) return std::move(fits).error();
  if (std::visit([](const auto& held) { return held == nullptr; }, content))
    return error{ec::invalid_argument, "nothing was given to store as '" + std::string(name) + "'"};
  outgoing out;
  std::visit([&](const auto& held) { prepare(*held, out); }, content);
  const auto versions = directory_ / name;
  auto writer = version_writer::begin(versions, out.bytes());
  if (!writer) return std::move(writer).error();
  for (const auto& [file_name, data] : out.files) {
    const auto written = writer->write(file_name, data);
    if (!written) return written.error();
    out.content.files.emplace(file_name, *written);
  }
  const auto version = writer->publish(out.content);
  if (!version) return version.error();
  return summary_of(name, *version, versions / version_folder(*version), out.content);
}

result<content_ptr> dataset_store::load(std::string_view name, std::uint64_t version) const {
  const auto found = locate(directory_, name, version);
  if (!found) return found.error();
  const auto content = read_manifest(found->path);
  if (!content) return content.error();
  try {
    return content->is_graph ? load_graph(found->path, *content)
                             : load_collection(found->path, *content);
  } catch (const std::bad_alloc&) {
    return error{ec::resource_exhausted, found->path.string() +
                                             ": there is not enough memory to load it; free "
                                             "some or load a smaller dataset"};
  }
}

result<dataset_store::summary> dataset_store::describe(std::string_view name,
                                                       std::uint64_t version) const {
  const auto found = locate(directory_, name, version);
  if (!found) return found.error();
  const auto content = read_manifest(found->path);
  if (!content) return content.error();
  return summary_of(name, found->version, found->path, *content);
}

std::vector<std::string> dataset_store::names() const {
  std::vector<std::string> all;
  std::error_code missing;
  for (const auto& entry : fs::directory_iterator(directory_, missing)) {
    auto name = entry.path().filename().string();
    if (check_dataset_name(name) && newest_version(entry.path()) != 0)
      all.push_back(std::move(name));
  }
  std::sort(all.begin(), all.end());
  return all;
}

std::vector<dataset_store::summary> dataset_store::list() const {
  std::vector<summary> all;
  for (const auto& name : names())
    if (auto found = describe(name)) all.push_back(*std::move(found));
  return all;
}

result<dataset_store::summary> dataset_store::verify(std::string_view name,
                                                     std::uint64_t version) const {
  const auto found = describe(name, version);
  if (!found) return found;
  // Loading reads every byte and checks all there is to check.
  if (const auto loaded = load(name, found->version); !loaded) return loaded.error();
  return found;
}

} // namespace engram
