// What CivetWeb loads as "libcrypto.so". All of it comes from OpenSSL 3 itself.
