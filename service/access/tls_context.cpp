#include "engram/service/access/tls_context.hpp"

#include "engram/service/access/openssl_types.hpp"

#include <dlfcn.h>
#include <openssl/pem.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <string_view>
#include <utility>

namespace engram {

namespace embedded {
extern const std::string_view openssl_libssl;
extern const std::string_view openssl_libcrypto;
} // namespace embedded

namespace {

error cannot(const std::string& what) {
  return {ec::invalid_argument,
          "TLS: OpenSSL does not take the " + what + ": " + openssl::last_reason()};
}

/// Gives the context the certificate and those above it.
bool use_chain(SSL_CTX* context, const std::string& text) {
  const auto from = openssl::reader_of(text);
  bool is_first = true;
  while (auto* each = PEM_read_bio_X509(from.get(), nullptr, openssl::no_password, nullptr)) {
    openssl::certificate owner{each};
    if (is_first) {
      if (SSL_CTX_use_certificate(context, each) != 1) return false;
    } else {
      if (SSL_CTX_add0_chain_cert(context, each) != 1) return false;
      static_cast<void>(owner.release());
    }
    is_first = false;
  }
  ERR_clear_error(); // of the end
  return !is_first;
}

bool use_key(SSL_CTX* context, const std::string& text) {
  const auto from = openssl::reader_of(text);
  const openssl::private_key key{
      PEM_read_bio_PrivateKey(from.get(), nullptr, openssl::no_password, nullptr)};
  return key && SSL_CTX_use_PrivateKey(context, key.get()) == 1;
}

/// Makes a certificate of these authorities a condition.
bool demand_certificates(SSL_CTX* context, const std::string& authorities) {
  const auto from = openssl::reader_of(authorities);
  auto* store = SSL_CTX_get_cert_store(context);
  while (auto* each = PEM_read_bio_X509(from.get(), nullptr, openssl::no_password, nullptr)) {
    const openssl::certificate owner{each};
    if (X509_STORE_add_cert(store, each) != 1) return false;
    if (SSL_CTX_add_client_CA(context, each) != 1) return false;
  }
  ERR_clear_error(); // of the end
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  return true;
}

/// A file in memory. The loader knows libraries by their paths, so two of them are to be open at a
/// time: another one may have the path of one that is closed.
class memory_file {
public:
  memory_file(const char* name, std::string_view contents)
      : name_(name), fd_(memfd_create(name, MFD_CLOEXEC)) {
    is_whole_ = fd_ >= 0 && write(fd_, contents.data(), contents.size()) ==
                                static_cast<ssize_t>(contents.size());
  }
  ~memory_file() {
    if (fd_ >= 0) close(fd_);
  }
  memory_file(const memory_file&) = delete;
  memory_file& operator=(const memory_file&) = delete;

  /// Loads it as a shared library, which stays.
  result<void> load() const {
    const std::string path = "/proc/self/fd/" + std::to_string(fd_);
    if (is_whole_ && dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) return {};
    const char* why = is_whole_ ? dlerror() : "the system lends no memory for it";
    return error{ec::unavailable, "TLS cannot be had over HTTP: " + name_ + ": " + why};
  }

private:
  std::string name_;
  int fd_;
  bool is_whole_ = false;
};

} // namespace

void tls_context::freer::operator()(ssl_ctx_st* context) const noexcept {
  SSL_CTX_free(context);
}

result<tls_context> tls_context::make(const tls_files& files) {
  tls_context out;
  out.context_.reset(SSL_CTX_new(TLS_server_method()));
  auto* context = out.context_.get();
  if (!context) return cannot("request for a context");
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                   SSL_OP_CIPHER_SERVER_PREFERENCE);
  // CivetWeb writes an answer in pieces from wherever it has them.
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  // A session that is taken up again brings its certificate along only within the same context.
  constexpr std::string_view session_context = "engram";
  SSL_CTX_set_session_id_context(context,
                                 reinterpret_cast<const unsigned char*>(session_context.data()),
                                 static_cast<unsigned>(session_context.size()));
  if (!use_chain(context, files.certificate)) return cannot("certificate");
  if (!use_key(context, files.key)) return cannot("key");
  if (!files.client_ca.empty() && !demand_certificates(context, files.client_ca))
    return cannot("client authorities");
  return out;
}

result<void> make_openssl_known_to_civetweb() {
  static const result<void> done = []() -> result<void> {
    const memory_file crypto{"libcrypto.so", embedded::openssl_libcrypto};
    const memory_file ssl{"libssl.so", embedded::openssl_libssl};
    if (auto loaded = crypto.load(); !loaded) return loaded;
    return ssl.load();
  }();
  return done;
}

} // namespace engram
