#pragma once

#include "engram/base/error.hpp"
#include "engram/datasets/dataset.hpp"
#include "engram/kernels/rows.hpp"

#include <filesystem>
#include <memory>
#include <optional>

namespace engram {

/// Reads a collection from `.npy` (float32, float16, float64; C order; [n, dim]) or `.fvecs`, by
/// the file's ending, and stores it as `type`. `labels`: a text file with one label a line. Every
/// error names the file and where in it (byte, row and column, or line).
result<collection_ptr> import_collection(const std::filesystem::path& file,
                                         element_type type = element_type::f32,
                                         const std::optional<std::filesystem::path>& labels = {});

/// Reads a graph from Matrix Market (`.mtx`: coordinate, real, integer or pattern, general or
/// symmetric; row i column j is the edge i -> j, 1-based) or else from a text edge list (`source
/// target [weight]`, 0-based, `#` starts a comment; every line has a weight or none has, then all
/// are 1). Errors name the file and line.
result<graph_ptr> import_graph(const std::filesystem::path& file,
                               const std::optional<std::filesystem::path>& labels = {});

struct wordnet_import {
  graph_ptr graph;           ///< one node a synset, one edge a relation pointer
  collection_ptr collection; ///< [synsets, dim], same numbering, labels are the synset's words
};

/// Reads WordNet's database files (data.noun, data.verb, data.adj, data.adv) from `directory`.
/// `limit` > 0 keeps that many synsets, the best connected first, and the edges among them.
/// `not_found` names the missing file and the package that has it.
result<wordnet_import> import_wordnet(const std::filesystem::path& directory = "/usr/share/wordnet",
                                      std::size_t limit = 0, std::size_t dim = 768,
                                      element_type type = element_type::f32);

} // namespace engram
