// What CivetWeb loads as "libssl.so". Everything but this comes from OpenSSL 3 itself.

extern "C" {

struct ssl_st;
struct x509_st;

x509_st* SSL_get1_peer_certificate(const ssl_st* ssl);

/// The name that the function had before OpenSSL 3.
x509_st* SSL_get_peer_certificate(const ssl_st* ssl) {
  return SSL_get1_peer_certificate(ssl);
}
}
