"""Who may come in: TLS, certificates, tokens, roles and limits of `engram start`, with the real openssl and curl."""

import json
import subprocess
import unittest

from engram_command import PATIENCE, CommandTest, Daemon

SEARCH = json.dumps({"collection": "things", "query": [0, 1], "k": 1})
QUERY, ADMIN, UNKNOWN = ("q" * 40, "a" * 40, "u" * 40)
HANDSHAKE_FAILED = (35, 55, 56)  # of curl: when it connects, or, with TLS 1.3, when it first writes or reads
UNTRUSTED = 60


def openssl(folder, *arguments):
    done = subprocess.run(["openssl", *map(str, arguments)], cwd=folder, capture_output=True, text=True,
                          timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr


def make_authority(folder, name):
    openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")


def make_certificate(folder, name, authority, days=2):
    """Makes NAME.pem and NAME.key, of `authority`."""
    (folder / "names").write_text("subjectAltName = DNS:localhost, IP:127.0.0.1\n")
    openssl(folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-subj", f"/O=Engram/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
    openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{authority}.pem", "-CAkey", f"{authority}.key",
            "-CAcreateserial", "-days", days, "-extfile", "names", "-out", f"{name}.pem")


class AccessTest(CommandTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        make_authority(cls.folder, "authority")
        make_authority(cls.folder, "stranger")
        for name, authority in (("server", "authority"), ("ada", "authority"), ("eve", "stranger")):
            make_certificate(cls.folder, name, authority)
        cls.write_tokens(f"# who may come in\nquery {QUERY} reader\nadmin {ADMIN} ops\n")
        cls.tls = ["--tls-certificate", cls.folder / "server.pem", "--tls-key", cls.folder / "server.key"]
        cls.mutual = [*cls.tls, "--tls-client-ca", cls.folder / "authority.pem"]
        cls.tokens = ["--tokens-file", cls.folder / "tokens"]

    @classmethod
    def write_tokens(cls, text):
        file = cls.folder / "tokens"
        file.write_text(text)
        file.chmod(0o600)

    def curl(self, url, *options, token=None):
        """Returns curl's exit code, the status, and head and body of the answer."""
        head = self.folder / "head"
        head.write_text("")
        if token is not None:
            options = (*options, "-H", f"Authorization: Bearer {token}")
        done = subprocess.run(
            ["curl", "-sS", "--max-time", str(PATIENCE), "-D", str(head), "-w", "\n%{http_code}", *map(str, options), url],
            capture_output=True, text=True, timeout=2 * PATIENCE, check=False)
        body, status = done.stdout.rsplit("\n", 1)
        return done.returncode, int(status), head.read_text(), body

    def status(self, url, *options, token=None):
        code, status, _, _ = self.curl(url, *options, token=token)
        self.assertEqual(code, 0, (url, options))
        return status

    def assert_knows_no_secret(self, text):
        for secret in (QUERY, ADMIN, UNKNOWN, "PRIVATE KEY"):
            self.assertNotIn(secret, text)


class Tls(AccessTest):
    def trusted(self, *more):
        return ("--cacert", self.folder / "authority.pem", *more)

    def certificate(self, name):
        return ("--cert", self.folder / f"{name}.pem", "--key", self.folder / f"{name}.key")

    def test_clients_that_trust_its_authority_are_served(self):
        with Daemon(self.store, *self.tls) as daemon:
            self.assertIn('"address":"https://127.0.0.1:', daemon.ready)
            for version in ("--tlsv1.2", "--tlsv1.3"):
                for host in ("localhost", "127.0.0.1"):
                    code, status, _, body = self.curl(f"https://{host}:{daemon.port}/v1/search", "-d", SEARCH,
                                                      version, *self.trusted())
                    self.assertEqual((code, status), (0, 200), body)
                    self.assertIn('"north"', body)
            self.assertEqual(daemon.end(), 0)

    def test_a_large_body_and_many_requests_on_a_connection_pass(self):
        queries = json.dumps({"collection": "things", "k": 4, "queries": [[0.25, 0.5]] * 20_000})
        (self.folder / "large").write_text(queries)
        with Daemon(self.store, *self.tls) as daemon:
            url = f"https://localhost:{daemon.port}"
            code, status, _, body = self.curl(f"{url}/v1/search", "--data-binary", f"@{self.folder / 'large'}",
                                              *self.trusted())
            self.assertEqual((code, status), (0, 200))
            self.assertEqual(len(json.loads(body)["results"]), 20_000)
            many = subprocess.run(["curl", "-sS", "--cacert", str(self.folder / "authority.pem"),
                                   f"{url}/healthz?[1-50]", "-o", "/dev/null", "-w", "%{num_connects} %{http_code}\n"],
                                  capture_output=True, text=True, timeout=PATIENCE, check=True).stdout.splitlines()
            self.assertEqual(len(many), 50)
            self.assertTrue(all(line.endswith(" 200") for line in many), many)
            self.assertEqual(sum(int(line.split()[0]) for line in many), 1)

    def test_who_does_not_trust_it_does_not_talk_to_it(self):
        with Daemon(self.store, *self.tls) as daemon:
            url = f"https://localhost:{daemon.port}/healthz"
            self.assertEqual(self.curl(url, "--cacert", self.folder / "stranger.pem")[0], UNTRUSTED)
            self.assertEqual(self.curl(url)[0], UNTRUSTED)

    def test_old_tls_and_no_tls_are_not_spoken(self):
        with Daemon(self.store, *self.tls) as daemon:
            old = self.trusted("--tlsv1.0", "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0")
            self.assertIn(self.curl(f"https://localhost:{daemon.port}/healthz", *old)[0], HANDSHAKE_FAILED)
            code, status, _, _ = self.curl(f"http://localhost:{daemon.port}/healthz")
            self.assertNotEqual(code, 0)
            self.assertEqual(status, 0)
            self.assertEqual(self.status(f"https://localhost:{daemon.port}/healthz", *self.trusted()), 200)

    def test_mutual_tls_serves_certificates_of_its_authority_alone(self):
        with Daemon(self.store, *self.mutual) as daemon:
            url = f"https://localhost:{daemon.port}/v1/search"
            for version in ("1.2", "1.3"):
                options = self.trusted("--tls-max", version, "-d", SEARCH)
                self.assertIn(self.curl(url, *options)[0], HANDSHAKE_FAILED)
                self.assertIn(self.curl(url, *options, *self.certificate("eve"))[0], HANDSHAKE_FAILED)
                self.assertEqual(self.status(url, *options, *self.certificate("ada")), 200)

    def test_the_log_names_who_steers(self):
        with Daemon(self.store, *self.mutual) as daemon:
            url = f"https://localhost:{daemon.port}/v1/admin/reload"
            self.assertEqual(self.status(url, "-X", "POST", *self.trusted(), *self.certificate("ada")), 200)
            self.assertIn("ada", daemon.wait_for_log("admin reload"))

    def test_files_that_do_not_serve_end_it_with_2(self):
        folder = self.folder
        (folder / "none.pem").write_text("nothing\n")
        loose = folder / "loose.key"
        loose.write_bytes((folder / "server.key").read_bytes())
        loose.chmod(0o644)
        for arguments, words in (
                (["--tls-certificate", folder / "server.pem"], "server.tls_key is not"),
                (["--tls-certificate", folder / "missing", "--tls-key", folder / "server.key"], "No such file"),
                (["--tls-certificate", folder / "none.pem", "--tls-key", folder / "server.key"], "no certificate"),
                (["--tls-certificate", folder / "server.pem", "--tls-key", folder / "ada.key"], "is not the key of"),
                (["--tls-certificate", folder / "server.pem", "--tls-key", loose], "chmod 600"),
                ([*self.tls, "--tls-client-ca", folder / "ada.pem"], "not an authority's")):
            done = self.run_engram(2, "start", "--port", "0", *arguments)
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
            self.assertIn(words, done.stderr)

    def test_an_expired_certificate_ends_it_with_2_and_one_that_is_about_to_is_logged(self):
        make_certificate(self.folder, "old", "authority", days=-1)
        done = self.run_engram(2, "start", "--port", "0", "--tls-certificate", self.folder / "old.pem",
                               "--tls-key", self.folder / "old.key")
        self.assertIn("was valid until", done.stderr)
        with Daemon(self.store, *self.tls) as daemon:
            daemon.wait_for_log("the certificate is valid for 2 more days")


class Tokens(AccessTest):
    def test_each_route_takes_the_token_that_its_role_needs(self):
        with Daemon(self.store, *self.tokens) as daemon:
            base = f"http://127.0.0.1:{daemon.port}"
            wanted = {  # (no token, unknown, query, admin)
                ("/healthz",): (200, 200, 200, 200),
                ("/readyz",): (200, 200, 200, 200),
                ("/metrics",): (401, 401, 200, 200),
                ("/v1/datasets",): (401, 401, 200, 200),
                ("/v1/search", "-d", SEARCH): (401, 401, 200, 200),
                ("/v2/models/search.things",): (401, 401, 200, 200),
                ("/v1/admin/log-level",): (401, 401, 403, 200),
                ("/v1/admin/reload", "-X", "POST"): (401, 401, 403, 200),
            }
            for (path, *options), statuses in wanted.items():
                for token, status in zip((None, UNKNOWN, QUERY, ADMIN), statuses):
                    self.assertEqual(self.status(base + path, *options, token=token), status, (path, token))
            _, _, head, body = self.curl(f"{base}/v1/datasets")
            self.assertIn("WWW-Authenticate: Bearer", head)
            self.assertIn("a token is needed", body)
            self.assertEqual(json.loads(body)["code"], "unauthenticated")
            body = self.curl(f"{base}/v1/admin/log-level", token=QUERY)[3]
            self.assertEqual(json.loads(body)["code"], "forbidden")
            self.assertEqual(self.status(f"{base}/v1/datasets", "-u", f"reader:{QUERY}"), 401)  # Basic
            shown = self.curl(f"{base}/metrics", token=ADMIN)[3] + self.curl(f"{base}/v1/datasets", token=UNKNOWN)[3]
            self.assertEqual(daemon.end(), 0)
        self.assert_knows_no_secret(shown + "".join(daemon.log) + daemon.ready)
        self.assertTrue(any("admin reload" in line and "ops" in line for line in daemon.log), daemon.log)
        self.assert_knows_no_secret(self.run_engram(0, "config", "show", *self.tokens, *self.tls).stdout)

    def test_a_reload_reads_the_tokens_again_and_a_wrong_file_changes_nothing(self):
        self.addCleanup(self.write_tokens, f"query {QUERY} reader\nadmin {ADMIN} ops\n")
        with Daemon(self.store, *self.tokens) as daemon:
            url = f"http://127.0.0.1:{daemon.port}/v1/datasets"
            self.assertEqual(self.status(url, token=QUERY), 200)
            self.write_tokens(f"query {UNKNOWN} reader\n")
            daemon.send(1)
            daemon.wait_for_log("SIGHUP: the configuration is in effect")
            self.assertEqual(self.status(url, token=QUERY), 401)
            self.assertEqual(self.status(url, token=UNKNOWN), 200)
            self.write_tokens(f"query {QUERY} reader\nadmin {ADMIN[:20]}\n")
            daemon.send(1)
            line = daemon.wait_for_log("SIGHUP: the configuration stays as it was")
            self.assertIn(f"{self.folder / 'tokens'}:2: the token has 20 characters", line)
            self.assertNotIn(ADMIN[:20], line)
            self.assertEqual(self.status(url, token=UNKNOWN), 200)

    def test_tokens_that_others_can_read_end_it_with_2(self):
        file = self.folder / "tokens"
        file.chmod(0o644)
        self.addCleanup(file.chmod, 0o600)
        done = self.run_engram(2, "start", "--port", "0", *self.tokens)
        self.assertIn("others may read or change it", done.stderr)


class Limits(AccessTest):
    def test_a_client_that_sends_too_much_gets_429_and_later_recovers(self):
        with Daemon(self.store, *self.tokens, "--client-requests-per-second", "0.5", "--client-burst", "2") as daemon:
            url = f"http://127.0.0.1:{daemon.port}/v1/datasets"
            self.assertEqual([self.status(url, token=QUERY) for _ in range(2)], [200, 200])
            _, status, head, body = self.curl(url, token=QUERY)
            self.assertEqual(status, 429, body)
            self.assertRegex(head, r"Retry-After: [12]\b")
            self.assertIn("client_requests_per_second", body)
            self.assertEqual(self.status(url, token=ADMIN), 200)  # another client
            self.assertEqual(self.status(f"http://127.0.0.1:{daemon.port}/healthz"), 200)
            self.assertEqual(self.status(url, "--retry", "5", "--retry-max-time", PATIENCE, token=QUERY), 200)


class Listening(AccessTest):
    def test_other_machines_are_not_served_without_protection(self):
        for arguments, lacking in (
                ([], "TLS (server.tls_certificate and server.tls_key) and a way to tell callers apart"),
                (self.tls, "which takes a way to tell callers apart (server.tokens_file or server.tls_client_ca)"),
                (self.tokens, "which takes TLS (server.tls_certificate and server.tls_key),")):
            for host in ("0.0.0.0", "::"):
                done = self.run_engram(2, "start", "--port", "0", "--host", host, *arguments)
                self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
                self.assertIn(f'server.host = "{host}" can be reached by other machines', done.stderr)
                self.assertIn(lacking, done.stderr)
                self.assertIn("--insecure", done.stderr)

    def test_other_machines_are_served_with_protection_or_when_told_to(self):
        for arguments in ([*self.tls, *self.tokens], self.mutual, ["--insecure"]):
            with Daemon(self.store, "--host", "0.0.0.0", *arguments) as daemon:
                self.assertTrue(daemon.ready, daemon.log)
                self.assertEqual(any("server.insecure: " in line for line in daemon.log), arguments == ["--insecure"])
                self.assertEqual(daemon.end(), 0)


if __name__ == "__main__":
    unittest.main()
