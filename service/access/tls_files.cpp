#include "engram/service/access/tls_files.hpp"

#include "engram/service/access/openssl_types.hpp"
#include "engram/service/access/secret_file.hpp"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <ctime>
#include <string_view>
#include <utility>
#include <vector>

namespace engram {

namespace {

using std::chrono::system_clock;

error misfit(std::string_view key, const std::string& file, const std::string& what) {
  return {ec::invalid_argument, "server." + std::string{key} + ": " + file + ": " + what};
}

result<std::string> read_for(std::string_view key, const std::string& file, bool is_secret) {
  auto text = is_secret ? read_secret_file(file) : read_small_file(file);
  if (!text)
    return error{ec::invalid_argument, "server." + std::string{key} + ": " + text.error().message};
  return text;
}

/// Returns the certificates of a PEM text in its order.
std::vector<openssl::certificate> certificates_of(const std::string& text) {
  std::vector<openssl::certificate> out;
  const auto from = openssl::reader_of(text);
  while (auto* each = PEM_read_bio_X509(from.get(), nullptr, openssl::no_password, nullptr))
    out.emplace_back(each);
  ERR_clear_error(); // of the end
  return out;
}

system_clock::time_point time_of(const ASN1_TIME* when) {
  std::tm parts{};
  ASN1_TIME_to_tm(when, &parts);
  return system_clock::from_time_t(timegm(&parts));
}

std::string day_of(system_clock::time_point when) {
  const auto day = std::chrono::floor<std::chrono::days>(when);
  const std::chrono::year_month_day date{day};
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "%04d-%02u-%02u", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
  return text.data();
}

result<void> check_time(const std::string& file, const X509* certificate,
                        system_clock::time_point now) {
  const auto begin = time_of(X509_get0_notBefore(certificate));
  const auto end = time_of(X509_get0_notAfter(certificate));
  if (now < begin)
    return misfit("tls_certificate", file,
                  "the certificate is valid from " + day_of(begin) +
                      " on only: check the machine's clock");
  if (now >= end)
    return misfit("tls_certificate", file,
                  "the certificate was valid until " + day_of(end) + ": renew it");
  return {};
}

result<void> check_key(const server_options& options, const std::string& key, X509* certificate) {
  const auto from = openssl::reader_of(key);
  const openssl::private_key parsed{
      PEM_read_bio_PrivateKey(from.get(), nullptr, openssl::no_password, nullptr)};
  if (!parsed)
    return misfit("tls_key", options.tls_key,
                  "holds no private key in PEM form without a password (" + openssl::last_reason() +
                      ")");
  if (X509_check_private_key(certificate, parsed.get()) != 1) {
    ERR_clear_error();
    return misfit("tls_key", options.tls_key,
                  "is not the key of the certificate in " + options.tls_certificate);
  }
  return {};
}

result<void> check_client_ca(const std::string& file, const std::string& text) {
  const auto all = certificates_of(text);
  if (all.empty()) return misfit("tls_client_ca", file, "holds no certificate in PEM form");
  for (const auto& each : all)
    if (X509_check_ca(each.get()) == 0)
      return misfit("tls_client_ca", file,
                    "holds a certificate that is not an authority's (CA:TRUE)");
  return {};
}

/// Says which key is there without one that it needs.
result<void> check_completeness(const server_options& options) {
  const auto lacks = [](const char* there, const char* missing) {
    return error{ec::invalid_argument, std::string{"server."} + there + " is set and server." +
                                           missing + " is not: TLS needs both"};
  };
  if (options.tls_certificate.empty()) {
    if (!options.tls_key.empty()) return lacks("tls_key", "tls_certificate");
    if (!options.tls_client_ca.empty()) return lacks("tls_client_ca", "tls_certificate");
  } else if (options.tls_key.empty()) {
    return lacks("tls_certificate", "tls_key");
  }
  return {};
}

} // namespace

result<std::optional<tls_files>> read_tls_files(const server_options& options,
                                                system_clock::time_point now) {
  if (auto complete = check_completeness(options); !complete) return complete.error();
  if (options.tls_certificate.empty()) return std::optional<tls_files>{};
  tls_files out;

  auto certificate = read_for("tls_certificate", options.tls_certificate, false);
  if (!certificate) return certificate.error();
  const auto chain = certificates_of(*certificate);
  if (chain.empty())
    return misfit("tls_certificate", options.tls_certificate, "holds no certificate in PEM form");
  X509* const own = chain.front().get();
  if (auto in_time = check_time(options.tls_certificate, own, now); !in_time)
    return in_time.error();
  out.certificate = std::move(*certificate);
  out.expires_at = time_of(X509_get0_notAfter(own));

  auto key = read_for("tls_key", options.tls_key, true);
  if (!key) return key.error();
  if (auto fits = check_key(options, *key, own); !fits) return fits.error();
  out.key = std::move(*key);

  if (!options.tls_client_ca.empty()) {
    auto authorities = read_for("tls_client_ca", options.tls_client_ca, false);
    if (!authorities) return authorities.error();
    if (auto usable = check_client_ca(options.tls_client_ca, *authorities); !usable)
      return usable.error();
    out.client_ca = std::move(*authorities);
  }
  return std::optional{std::move(out)};
}

} // namespace engram
