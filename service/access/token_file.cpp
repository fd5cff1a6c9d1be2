#include "engram/service/access/token_file.hpp"

#include "engram/service/access/secret_file.hpp"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>
#include <cstdint>
#include <optional>

namespace engram {

namespace {

constexpr std::size_t longest_token = 256;

std::array<unsigned char, 32> digest_of(std::string_view token) {
  std::array<unsigned char, 32> out;
  SHA256(reinterpret_cast<const unsigned char*>(token.data()), token.size(), out.data());
  return out;
}

bool is_alphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool may_be_in_a_token(char c) {
  return is_alphanumeric(c) || std::string_view{"-._~+/="}.find(c) != std::string_view::npos;
}

std::vector<std::string_view> words_of(std::string_view line) {
  constexpr std::string_view blanks = " \t\r";
  std::vector<std::string_view> out;
  for (;;) {
    const auto begin = line.find_first_not_of(blanks);
    if (begin == std::string_view::npos) return out;
    line.remove_prefix(begin);
    const auto end = std::min(line.find_first_of(blanks), line.size());
    out.push_back(line.substr(0, end));
    line.remove_prefix(end);
  }
}

/// Says what is wrong with a token, without showing it; nothing if it is one.
std::optional<std::string> misfit(std::string_view token) {
  if (token.size() < token_file::shortest_token)
    return "the token has " + std::to_string(token.size()) + " characters and needs at least " +
           std::to_string(token_file::shortest_token) + ": `openssl rand -hex 32` makes one";
  if (token.size() > longest_token)
    return "the token is longer than " + std::to_string(longest_token) + " characters";
  if (!std::ranges::all_of(token, may_be_in_a_token))
    return "the token has a character that is none of a-z, A-Z, 0-9 and -._~+/=";
  return {};
}

/// Returns the entry of a line, or what is wrong with it.
result<access_token> entry_of(const std::vector<std::string_view>& words, std::size_t line) {
  const auto wrong = [](std::string what) { return error{ec::invalid_argument, std::move(what)}; };
  access_token out;
  if (words[0] == "admin")
    out.grants = role::admin;
  else if (words[0] != "query")
    return wrong("the line does not begin with the role query or admin");
  if (words.size() < 2) return wrong("there is no token after the role");
  if (words.size() > 3) return wrong("there is more on the line than role, token and name");
  if (auto what = misfit(words[1])) return wrong(std::move(*what));
  out.digest = digest_of(words[1]);
  out.name = words.size() > 2 ? std::string{words[2]} : "line" + std::to_string(line);
  return out;
}

} // namespace

result<token_file> token_file::parse(std::string_view text, const std::string& name) {
  token_file out;
  for (std::size_t line = 1; !text.empty(); ++line) {
    const auto end = std::min(text.find('\n'), text.size());
    const auto words = words_of(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (words.empty() || words[0].starts_with('#')) continue;
    const auto wrong = [&](const std::string& what) {
      return error{ec::invalid_argument, name + ':' + std::to_string(line) + ": " + what};
    };
    auto entry = entry_of(words, line);
    if (!entry) return wrong(entry.error().message);
    for (const auto& other : out.tokens_) {
      if (other.name == entry->name) return wrong("the name " + entry->name + " was given before");
      if (other.digest == entry->digest) return wrong("the token is that of " + other.name);
    }
    out.tokens_.push_back(std::move(*entry));
  }
  if (out.tokens_.empty())
    return error{ec::invalid_argument,
                 name + ": there is no token in it: write ROLE TOKEN NAME on a line"};
  return out;
}

result<token_file> token_file::read(const std::filesystem::path& file) {
  const auto text = read_secret_file(file);
  if (!text) return text.error();
  return parse(*text, file.string());
}

const access_token* token_file::find(std::string_view token) const {
  const auto digest = digest_of(token);
  std::size_t found = tokens_.size();
  for (std::size_t i = 0; i < tokens_.size(); ++i)
    if (CRYPTO_memcmp(tokens_[i].digest.data(), digest.data(), digest.size()) == 0) found = i;
  return found < tokens_.size() ? &tokens_[found] : nullptr;
}

} // namespace engram
