"""Drives `engram start` over gRPC with programs that know nothing of Engram: NVIDIA's tritonclient and
perf_analyzer, gRPC's own health and reflection clients."""

import json
import os
import unittest

import grpc
import numpy
import tritonclient.grpc as triton
import tritonclient.utils.shared_memory as shared_memory
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from tritonclient.utils import InferenceServerException

from client_test import PATIENCE, QUERY, ClientTest


def input_of(name, values, datatype):
    tensor = triton.InferInput(name, values.shape, datatype)
    tensor.set_data_from_numpy(values)
    return tensor


class GrpcClientsTest(ClientTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.address = f"127.0.0.1:{json.loads(cls.daemon.ready)['grpc_port']}"
        cls.client = triton.InferenceServerClient(cls.address)
        cls.addClassCleanup(cls.client.close)


class TritonClientTest(GrpcClientsTest):
    def test_metadata(self):
        self.assertTrue(self.client.is_server_live())
        self.assertTrue(self.client.is_server_ready())
        self.assertTrue(self.client.is_model_ready("search.things"))
        self.assertFalse(self.client.is_model_ready("search.nothing"))
        self.assertEqual(self.client.get_server_metadata().name, "engram")
        names = [model.name for model in self.client.get_model_repository_index().models]
        self.assertEqual(names, ["search.things", "spread.things-graph", "similarity"])
        metadata = self.client.get_model_metadata("search.things", as_json=True)
        self.assertEqual(metadata["inputs"][0], {"name": "query", "datatype": "FP32", "shape": ["-1", "2"]})
        config = self.client.get_model_config("search.things", as_json=True)["config"]
        self.assertGreater(config["max_batch_size"], 0)

    def test_search(self):
        given = self.client.infer("search.things", [input_of("query", QUERY, "FP32")], request_id="a",
                                  outputs=[triton.InferRequestedOutput(name)
                                           for name in ("labels", "scores", "ids")],
                                  parameters={"k": 3})
        wanted = self.direct("/v1/search", {"collection": "things", "queries": QUERY.tolist(), "k": 3})
        self.assertEqual(given.get_response().id, "a")
        self.assert_hits(given, wanted)
        self.assertEqual(given.as_numpy("labels")[0].tolist(), [b"east", b"north-east", b"north"])

    def test_similarity_and_spread(self):
        targets = numpy.array([[[1, 0], [0, 1]], [[1, 0], [0, 1]]], numpy.float32)
        given = self.client.infer("similarity", [input_of("query", QUERY, "FP32"),
                                                 input_of("targets", targets, "FP32")])
        numpy.testing.assert_allclose(given.as_numpy("scores"), [[1, 0], [0.6, 0.8]], rtol=1e-6)
        nodes = numpy.array([[0]], numpy.uint32)
        given = self.client.infer("spread.things-graph", [input_of("nodes", nodes, "UINT32")])
        wanted = self.direct("/v1/spread", {"graph": "things-graph", "seeds": [{"node": 0}]})
        hits = wanted["results"][0]["hits"]
        self.assertEqual(given.as_numpy("nodes")[0].tolist(), [hit["node"] for hit in hits])
        self.assertEqual(given.as_numpy("counts").tolist(), [[len(hits)]])

    def test_errors_are_sentences(self):
        with self.assertRaisesRegex(InferenceServerException, "has shape .*must be") as raised:
            self.client.infer("search.things",
                              [input_of("query", numpy.ones((1, 3), numpy.float32), "FP32")])
        self.assertEqual(raised.exception.status(), "StatusCode.INVALID_ARGUMENT")

    def test_async_and_stream(self):
        answers = []
        self.client.start_stream(lambda result, error: answers.append((result, error)))
        for number in range(50):
            self.client.async_stream_infer(
                "search.things" if number != 20 else "search.nothing",
                [input_of("query", QUERY[:1], "FP32")], request_id=str(number))
        self.client.stop_stream()
        self.assertEqual(len(answers), 50)
        ids = [result.get_response().id for result, error in answers if error is None]
        self.assertEqual(ids, [str(number) for number in range(50) if number != 20])
        self.assertIn("there is no model", str(answers[20][1]))

    def test_statistics(self):
        before = self.statistics("similarity")
        one = numpy.ones((3, 2), numpy.float32)
        self.client.infer("similarity", [input_of("query", one, "FP32"),
                                         input_of("targets", one[:, None, :], "FP32")])
        after = self.statistics("similarity")
        self.assertEqual(after.inference_count - before.inference_count, 3)
        self.assertEqual(after.inference_stats.success.count - before.inference_stats.success.count, 1)
        self.assertGreater(after.inference_stats.success.ns, before.inference_stats.success.ns)

    def statistics(self, model):
        return self.client.get_inference_statistics(model).model_stats[0]

    def test_shared_memory(self):
        key = f"/engram-client-{os.getpid()}"
        region = shared_memory.create_shared_memory_region("region", key, 64)
        self.addCleanup(shared_memory.destroy_shared_memory_region, region)
        shared_memory.set_shared_memory_region(region, [QUERY])
        self.client.register_system_shared_memory("region", key, 64)
        self.addCleanup(self.client.unregister_system_shared_memory, "region")
        self.assertIn("region", self.client.get_system_shared_memory_status().regions)
        query = triton.InferInput("query", QUERY.shape, "FP32")
        query.set_shared_memory("region", QUERY.nbytes)
        ids = triton.InferRequestedOutput("ids")
        ids.set_shared_memory("region", 32, 32)
        given = self.client.infer("search.things", [query], outputs=[ids], parameters={"k": 2})
        output = given.get_output("ids")
        read = shared_memory.get_contents_as_numpy(region, numpy.uint32, list(output.shape), offset=32)
        self.assertEqual(read.tolist(), [[0, 3], [3, 1]])


class PerfAnalyzerTest(GrpcClientsTest):
    def analyze(self, *options):
        return super().analyze("grpc", self.address, *options)

    def test_concurrency(self):
        rows = self.analyze("-m", "search.things", "--concurrency-range", "1:2")
        self.assertCountEqual([row["Concurrency"] for row in rows], ["1", "2"])

    def test_request_rate(self):
        rows = self.analyze("-m", "search.things", "--request-rate-range", "50")
        self.assertAlmostEqual(float(rows[0]["Inferences/Second"]), 50, delta=25)

    def test_batches(self):
        self.analyze("-m", "similarity", "-b", "4", "--shape", "query:8", "--shape", "targets:3,8")

    def test_streaming(self):
        self.analyze("-m", "search.things", "--streaming")

    def test_shared_memory(self):
        self.analyze("-m", "search.things", "--shared-memory", "system", "--output-shared-memory-size", "4096")
        self.assertEqual(len(self.client.get_system_shared_memory_status().regions), 0)


class OwnClientsTest(GrpcClientsTest):
    def setUp(self):
        self.channel = grpc.insecure_channel(self.address)
        self.addCleanup(self.channel.close)

    def test_health(self):
        stub = health_pb2_grpc.HealthStub(self.channel)
        self.assertEqual(stub.Check(health_pb2.HealthCheckRequest()).status,
                         health_pb2.HealthCheckResponse.SERVING)
        first = next(stub.Watch(health_pb2.HealthCheckRequest(), timeout=PATIENCE))
        self.assertEqual(first.status, health_pb2.HealthCheckResponse.SERVING)

    def test_a_call_by_reflection_alone(self):
        database = ProtoReflectionDescriptorDatabase(self.channel)
        self.assertIn("engram.v1.Engram", database.get_services())
        self.assertIn("inference.GRPCInferenceService", database.get_services())
        pool = descriptor_pool.DescriptorPool(database)
        method = pool.FindServiceByName("engram.v1.Engram").FindMethodByName("Search")
        request = json_format.ParseDict(
            {"collection": "things", "queries": {"values": [1, 0]}, "k": 1, "options": {"with_labels": True}},
            message_factory.GetMessageClass(method.input_type)())
        call = self.channel.unary_unary(
            "/engram.v1.Engram/Search", lambda message: message.SerializeToString(),
            message_factory.GetMessageClass(method.output_type).FromString)
        answer = json_format.MessageToDict(call(request, timeout=PATIENCE))
        self.assertEqual(answer["results"], [{"ids": [0], "scores": [1.0], "labels": ["east"]}])


if __name__ == "__main__":
    unittest.main()
