"""Judges /openapi.json by programs that know nothing of Engram: is it a valid OpenAPI document, and are the answers of
`engram start` what it says they are?"""

import json
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "app"))

import jsonschema  # noqa: E402
import openapi_spec_validator  # noqa: E402

from engram_command import CommandTest, Daemon  # noqa: E402

# What the store of the tests has, for the routes that take a body.
ASKED = {
    "/v1/search": {"collection": "things", "query": [1, 0], "k": 2},
    "/v1/similarity": {"query": [1, 0], "targets": [[1, 0], [0, 1]]},
    "/v1/score": {"collection": "things", "query": [1, 0], "ids": [0, 3]},
    "/v1/spread": {"graph": "things-graph", "seeds": [{"label": "east"}]},
    "/v1/admin/faults": {"setting": "cpu.launch=off"},
}


class OpenApiTest(CommandTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.daemon = cls.enterClassContext(Daemon(cls.store, "--faults.admin_enabled", "true",
                                                  "--gpu.enabled", "false"))
        cls.document = cls.daemon.request("GET", "/openapi.json")[1]

    def check(self, instance, schema):
        """Complains unless `instance` is what `schema`, which refers to the document, says."""
        whole = {**schema, "components": self.document["components"]}
        jsonschema.Draft202012Validator(whole).validate(instance)

    def schema_of(self, content):
        return next(iter(content.values()))["schema"]

    def test_is_valid(self):
        openapi_spec_validator.validate(self.document)

    def test_answers_are_as_described(self):
        checked = 0
        for path, methods in self.document["paths"].items():
            for method, operation in methods.items():
                given = operation["responses"]["200"].get("content")
                if not given or "{" in path or "application/json" not in given or path not in (
                        *ASKED, "/v1", "/v1/datasets", "/healthz", "/readyz"):
                    continue
                with self.subTest(f"{method} {path}"):
                    body = ASKED.get(path) if "requestBody" in operation else None
                    if body:
                        self.check(body, self.schema_of(operation["requestBody"]["content"]))
                    status, answer = self.daemon.request(method.upper(), path, body)
                    self.assertEqual(status, 200, answer)
                    self.check(answer, self.schema_of(given))
                    checked += 1
        self.assertGreaterEqual(checked, 11)

    def test_failures_are_as_described(self):
        failure = self.schema_of(self.document["components"]["responses"]["Failure"]["content"])
        for path, body in (("/v1/search", {"collection": "nothing"}), ("/nowhere", {})):
            status, answer = self.daemon.request("POST", path, body)
            self.assertGreaterEqual(status, 400)
            self.check(answer, failure)
            self.assertEqual(answer["status"], status)

    def test_examples_are_what_the_schemas_allow(self):
        for methods in self.document["paths"].values():
            for operation in methods.values():
                for content in operation.get("requestBody", {}).get("content", {}).values():
                    if "example" in content:
                        self.check(json.loads(json.dumps(content["example"])), content["schema"])


if __name__ == "__main__":
    unittest.main()
