"""Drives `engram start` over HTTP with programs that know nothing of Engram: NVIDIA's tritonclient and
perf_analyzer."""

import asyncio
import os
import unittest

import numpy
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
import tritonclient.utils.shared_memory as shared_memory
from tritonclient.utils import InferenceServerException

from client_test import PATIENCE, QUERY, ClientTest


def input_of(name, values, datatype, binary=True, kind=triton.InferInput):
    tensor = kind(name, values.shape, datatype)
    tensor.set_data_from_numpy(values, binary_data=binary)
    return tensor


def outputs_of(*names, binary=True):
    return [triton.InferRequestedOutput(name, binary_data=binary) for name in names]


class HttpClientsTest(ClientTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.address = f"127.0.0.1:{cls.daemon.port}"
        cls.client = triton.InferenceServerClient(cls.address, concurrency=8)
        cls.addClassCleanup(cls.client.close)


class TritonClientTest(HttpClientsTest):
    def test_metadata(self):
        self.assertTrue(self.client.is_server_live())
        self.assertTrue(self.client.is_server_ready())
        self.assertTrue(self.client.is_model_ready("search.things"))
        self.assertTrue(self.client.is_model_ready("search.things", "1"))
        self.assertFalse(self.client.is_model_ready("search.things", "2"))
        self.assertFalse(self.client.is_model_ready("search.nothing"))
        server = self.client.get_server_metadata()
        self.assertEqual(server["name"], "engram")
        self.assertIn("binary_tensor_data", server["extensions"])
        names = [model["name"] for model in self.client.get_model_repository_index()]
        self.assertEqual(names, ["search.things", "spread.things-graph", "similarity"])
        for version in ("", "1"):
            metadata = self.client.get_model_metadata("search.things", version)
            self.assertEqual(metadata["inputs"][0], {"name": "query", "datatype": "FP32", "shape": [-1, 2]})
            config = self.client.get_model_config("search.things", version)
            self.assertGreater(config["max_batch_size"], 0)
            self.assertEqual(config["input"][0]["dims"], [2])

    def test_search_in_binary_and_in_json(self):
        wanted = self.direct("/v1/search", {"collection": "things", "queries": QUERY.tolist(), "k": 3})
        for given_binary in (True, False):
            for asked_binary in (True, False):
                given = self.client.infer(
                    "search.things", [input_of("query", QUERY, "FP32", given_binary)], request_id="a",
                    outputs=outputs_of("labels", "scores", "ids", binary=asked_binary), parameters={"k": 3})
                self.assertEqual(given.get_response()["id"], "a")
                self.assert_hits(given, wanted)
                labels = [text.decode() if isinstance(text, bytes) else text
                          for text in given.as_numpy("labels")[0]]
                self.assertEqual(labels, ["east", "north-east", "north"])
                self.assertEqual("data" in given.get_output("ids"), not asked_binary)

    def test_all_outputs_by_default(self):
        given = self.client.infer("search.things", [input_of("query", QUERY, "FP32")], parameters={"k": 2})
        self.assertEqual(given.as_numpy("ids").tolist(), [[0, 3], [3, 1]])
        self.assertIsNone(given.as_numpy("labels"))

    def test_similarity_and_spread(self):
        targets = numpy.array([[[1, 0], [0, 1]], [[1, 0], [0, 1]]], numpy.float32)
        given = self.client.infer("similarity", [input_of("query", QUERY, "FP32"),
                                                 input_of("targets", targets, "FP32", False)])
        numpy.testing.assert_allclose(given.as_numpy("scores"), [[1, 0], [0.6, 0.8]], rtol=1e-6)
        nodes = numpy.array([[0]], numpy.uint32)
        given = self.client.infer("spread.things-graph", [input_of("nodes", nodes, "UINT32")])
        wanted = self.direct("/v1/spread", {"graph": "things-graph", "seeds": [{"node": 0}]})
        hits = wanted["results"][0]["hits"]
        self.assertEqual(given.as_numpy("nodes")[0].tolist(), [hit["node"] for hit in hits])
        self.assertEqual(given.as_numpy("counts").tolist(), [[len(hits)]])

    def test_a_large_batch(self):
        many = numpy.tile(QUERY, (1000, 1))
        given = self.client.infer("search.things", [input_of("query", many, "FP32")], parameters={"k": 2})
        self.assertEqual(given.as_numpy("ids").tolist(), [[0, 3], [3, 1]] * 1000)

    def test_compression(self):
        plain = self.client.infer("search.things", [input_of("query", QUERY, "FP32")])
        for method in ("gzip", "deflate"):
            given = self.client.infer("search.things", [input_of("query", QUERY, "FP32")],
                                      request_compression_algorithm=method,
                                      response_compression_algorithm=method)
            self.assertEqual(given.as_numpy("scores").tolist(), plain.as_numpy("scores").tolist())
            given = self.client.infer("search.things", [input_of("query", numpy.tile(QUERY, (500, 1)), "FP32", False)],
                                      outputs=outputs_of("ids", binary=False),
                                      request_compression_algorithm=method,
                                      response_compression_algorithm=method, parameters={"k": 1})
            self.assertEqual(given.as_numpy("ids").tolist(), [[0], [3]] * 500)

    def test_errors_are_sentences(self):
        with self.assertRaisesRegex(InferenceServerException, "has shape .*must be") as raised:
            self.client.infer("search.things", [input_of("query", numpy.ones((1, 3), numpy.float32), "FP32")])
        self.assertEqual(raised.exception.status(), "400")
        with self.assertRaisesRegex(InferenceServerException, "there is no model") as raised:
            self.client.get_model_metadata("search.nothing")
        self.assertEqual(raised.exception.status(), "404")
        nan = numpy.array([[numpy.nan, 0]], numpy.float32)
        with self.assertRaisesRegex(InferenceServerException, "row 0"):
            self.client.infer("search.things", [input_of("query", nan, "FP32")])
        for change in (self.client.load_model, self.client.unload_model):
            with self.assertRaisesRegex(InferenceServerException, "model is a dataset"):
                change("search.things")
        with self.assertRaisesRegex(InferenceServerException, "there is no"):
            self.client.get_trace_settings()

    def test_many_at_once(self):
        started = [self.client.async_infer("search.things" if number != 20 else "search.nothing",
                                           [input_of("query", QUERY[:1], "FP32")], request_id=str(number))
                   for number in range(50)]
        for number, each in enumerate(started):
            if number == 20:
                with self.assertRaisesRegex(InferenceServerException, "there is no model"):
                    each.get_result(timeout=PATIENCE)
            else:
                self.assertEqual(each.get_result(timeout=PATIENCE).get_response()["id"], str(number))

    def test_asyncio(self):
        async def ask():
            async with triton_aio.InferenceServerClient(self.address) as client:
                return await asyncio.gather(*(client.infer("search.things", [input_of("query", QUERY, "FP32")])
                                              for _ in range(20)))
        for given in asyncio.run(asyncio.wait_for(ask(), PATIENCE)):
            self.assertEqual(given.as_numpy("ids")[0][0], 0)

    def test_statistics(self):
        before = self.statistics("similarity")
        one = numpy.ones((3, 2), numpy.float32)
        self.client.infer("similarity", [input_of("query", one, "FP32"),
                                         input_of("targets", one[:, None, :], "FP32")])
        after = self.statistics("similarity")
        self.assertEqual(after["inference_count"] - before["inference_count"], 3)
        parts = after["inference_stats"]
        self.assertEqual(parts["success"]["count"] - before["inference_stats"]["success"]["count"], 1)
        self.assertGreater(parts["success"]["ns"], before["inference_stats"]["success"]["ns"])
        self.assertEqual(len(self.client.get_inference_statistics()["model_stats"]), 3)

    def statistics(self, model):
        return self.client.get_inference_statistics(model)["model_stats"][0]

    def test_shared_memory(self):
        key = f"/engram-client-{os.getpid()}"
        region = shared_memory.create_shared_memory_region("region", key, 64)
        self.addCleanup(shared_memory.destroy_shared_memory_region, region)
        shared_memory.set_shared_memory_region(region, [QUERY])
        self.client.register_system_shared_memory("region", key, 64)
        self.addCleanup(self.client.unregister_system_shared_memory)
        self.assertEqual(self.client.get_system_shared_memory_status("region"),
                         [{"name": "region", "key": key, "offset": 0, "byte_size": 64}])
        query = triton.InferInput("query", QUERY.shape, "FP32")
        query.set_shared_memory("region", QUERY.nbytes)
        ids = triton.InferRequestedOutput("ids")
        ids.set_shared_memory("region", 32, 32)
        given = self.client.infer("search.things", [query], outputs=[ids], parameters={"k": 2})
        output = given.get_output("ids")
        read = shared_memory.get_contents_as_numpy(region, numpy.uint32, output["shape"], offset=32)
        self.assertEqual(read.tolist(), [[0, 3], [3, 1]])
        self.client.unregister_system_shared_memory("region")
        self.assertEqual(self.client.get_system_shared_memory_status(), [])

    def test_cuda_shared_memory_is_refused(self):
        self.assertEqual(self.client.get_cuda_shared_memory_status(), [])
        self.client.unregister_cuda_shared_memory()
        with self.assertRaisesRegex(InferenceServerException, "CUDA shared memory is not taken"):
            self.client.register_cuda_shared_memory("region", b"AAAA", 0, 64)


class PerfAnalyzerTest(HttpClientsTest):
    def analyze(self, *options):
        return super().analyze("http", self.address, *options)

    def test_concurrency(self):
        rows = self.analyze("-m", "search.things", "--concurrency-range", "1:2")
        self.assertCountEqual([row["Concurrency"] for row in rows], ["1", "2"])

    def test_asynchronous(self):
        self.analyze("-m", "search.things", "--async", "--concurrency-range", "4")

    def test_request_rate(self):
        rows = self.analyze("-m", "search.things", "--request-rate-range", "50")
        self.assertAlmostEqual(float(rows[0]["Inferences/Second"]), 50, delta=25)

    def test_batches(self):
        self.analyze("-m", "similarity", "-b", "4", "--shape", "query:8", "--shape", "targets:3,8")

    def test_json_both_ways(self):
        self.analyze("-m", "search.things", "--input-tensor-format", "json", "--output-tensor-format", "json")

    def test_shared_memory(self):
        self.analyze("-m", "search.things", "--shared-memory", "system", "--output-shared-memory-size", "4096")
        self.assertEqual(self.client.get_system_shared_memory_status(), [])


if __name__ == "__main__":
    unittest.main()
