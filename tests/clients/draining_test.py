"""`engram start` ends gracefully: no request that it took is dropped, whichever door it came through."""

import json
import pathlib
import queue
import signal
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "app"))

import grpc  # noqa: E402
import numpy  # noqa: E402
import tritonclient.grpc as triton  # noqa: E402
from google.protobuf import descriptor_pool, json_format, message_factory  # noqa: E402
from grpc_health.v1 import health_pb2, health_pb2_grpc  # noqa: E402
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (  # noqa: E402
    ProtoReflectionDescriptorDatabase)

from engram_command import PATIENCE, CommandTest, Daemon  # noqa: E402

SEARCH = {"collection": "things", "query": [0, 1], "k": 1, "deadline_ms": 30000}
GRPC_SEARCH = {"collection": "things", "queries": {"values": [0, 1]}, "k": 1, "options": {"deadline_ms": 30000}}
# Every batch takes this long, so that a signal finds requests in flight.
SLOW = {"ENGRAM_FAILPOINTS": "cpu.launch=delay(1500)"}


class Caller:
    """Calls Engram's gRPC methods with JSON, as grpcurl does: it knows what reflection tells."""

    def __init__(self, channel):
        self.channel = channel
        self.pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(channel))

    def message(self, service, method, body):
        found = self.pool.FindServiceByName(service).FindMethodByName(method)
        return json_format.ParseDict(body, message_factory.GetMessageClass(found.input_type)())

    def method(self, service, method, kind="unary_unary"):
        found = self.pool.FindServiceByName(service).FindMethodByName(method)
        return getattr(self.channel, kind)(
            f"/{service}/{method}", lambda message: message.SerializeToString(),
            message_factory.GetMessageClass(found.output_type).FromString)

    def call(self, service, method, body):
        return json_format.MessageToDict(
            self.method(service, method)(self.message(service, method, body), timeout=PATIENCE))


class DoorsTest(CommandTest):
    def start(self, *arguments, **variables):
        daemon = self.enterContext(Daemon(self.store, "--gpu.enabled=false", *arguments, **variables))
        self.address = f"127.0.0.1:{json.loads(daemon.ready)['grpc_port']}"
        channel = grpc.insecure_channel(self.address)
        self.addCleanup(channel.close)
        self.caller = Caller(channel)
        return daemon

    def wait_for_in_flight(self, daemon, count):
        for _ in range(2000):
            if daemon.request("GET", "/readyz")[1]["in_flight"] >= count:
                return
            time.sleep(0.005)
        self.fail("the requests never arrived")

    @staticmethod
    def outcome(function):
        """Returns what `function` does, or the status that it fails with."""
        try:
            return function()
        except grpc.RpcError as failure:
            return failure.code()


class Draining(DoorsTest):
    def test_requests_in_flight_through_every_door_are_answered(self):
        daemon = self.start(**SLOW)
        answers = queue.Queue()

        def ask(what, function):
            threading.Thread(target=lambda: answers.put((what, self.outcome(function))), daemon=True).start()

        search = self.caller.method("engram.v1.Engram", "Search")
        message = self.caller.message("engram.v1.Engram", "Search", GRPC_SEARCH)
        inference = triton.InferenceServerClient(self.address)
        self.addCleanup(inference.close)
        tensor = triton.InferInput("query", [1, 2], "FP32")
        tensor.set_data_from_numpy(numpy.array([[0, 1]], numpy.float32))
        for _ in range(4):
            ask("http", lambda: daemon.request("POST", "/v1/search", SEARCH)[0])
            ask("grpc", lambda: list(search(message, timeout=PATIENCE).results[0].ids))
            ask("oip", lambda: inference.infer("search.things", [tensor], timeout=30_000_000,
                                               client_timeout=PATIENCE).as_numpy("ids")[0][0])
        outgoing = queue.Queue()
        stream = self.caller.method("engram.v1.Engram", "Stream", "stream_stream")(
            iter(outgoing.get, None), timeout=PATIENCE)
        outgoing.put(self.caller.message("engram.v1.Engram", "Stream",
                                         {"requests": [{"id": n, "search": GRPC_SEARCH} for n in range(4)]}))
        streamed = []
        idle = self.caller.method("engram.v1.Engram", "Stream", "stream_stream")(
            iter(queue.Queue().get, None), timeout=PATIENCE)
        ended = queue.Queue()
        threading.Thread(target=lambda: ended.put(self.outcome(lambda: streamed.extend(stream))), daemon=True).start()
        threading.Thread(target=lambda: ended.put(self.outcome(lambda: list(idle))), daemon=True).start()

        self.wait_for_in_flight(daemon, 16)
        daemon.send(signal.SIGTERM)
        got = [answers.get(timeout=PATIENCE) for _ in range(12)]
        self.assertEqual(sorted(set(map(str, got))), sorted(map(str, [("http", 200), ("grpc", [1]), ("oip", 1)])))
        for _ in range(2):  # neither client has half-closed
            self.assertEqual(ended.get(timeout=PATIENCE), grpc.StatusCode.UNAVAILABLE)
        found = {each.id: list(each.search.results[0].ids) for some in streamed for each in some.responses}
        self.assertEqual(found, {n: [1] for n in range(4)})
        self.assertEqual(daemon.process.wait(timeout=PATIENCE), 0)

    def test_while_it_drains_health_says_so_and_new_requests_are_refused(self):
        daemon = self.start(**SLOW)
        health = health_pb2_grpc.HealthStub(self.caller.channel)
        watch = health.Watch(health_pb2.HealthCheckRequest(), timeout=PATIENCE)
        self.assertEqual(next(watch).status, health_pb2.HealthCheckResponse.SERVING)
        pending = threading.Thread(target=daemon.request, args=("POST", "/v1/search", SEARCH), daemon=True)
        search = self.caller.method("engram.v1.Engram", "Search")
        message = self.caller.message("engram.v1.Engram", "Search", GRPC_SEARCH)
        pending.start()
        self.wait_for_in_flight(daemon, 1)
        daemon.send(signal.SIGTERM)
        self.assertEqual(next(watch).status, health_pb2.HealthCheckResponse.NOT_SERVING)
        self.assertEqual(health.Check(health_pb2.HealthCheckRequest()).status,
                         health_pb2.HealthCheckResponse.NOT_SERVING)
        self.assertEqual(daemon.request("GET", "/readyz")[0], 503)
        daemon.wait_for_log("draining")
        with self.assertRaises(grpc.RpcError) as refused:
            for _ in range(100):  # the pipeline closes right after readiness
                search(message, timeout=PATIENCE)
        self.assertEqual(refused.exception.code(), grpc.StatusCode.UNAVAILABLE)
        self.assertIn(("engram-code", "shutting_down"), refused.exception.trailing_metadata())
        pending.join(PATIENCE)
        # Whoever watches health waits for no answer: the drain is clean all the same.
        self.assertEqual(daemon.process.wait(timeout=PATIENCE), 0)

    def test_a_drain_over_grpc_answers_first(self):
        daemon = self.start()
        self.assertEqual(self.caller.call("engram.v1.Admin", "Drain", {}), {})
        self.assertEqual(daemon.process.wait(timeout=PATIENCE), 0)
        self.assertTrue(any("admin drain by 127.0.0.1:" in line for line in daemon.log), daemon.log)


class Steering(DoorsTest):
    """The calls of docs/admin.md, by reflection alone."""

    def test_a_reload_over_grpc_says_what_has_changed(self):
        file = self.folder / "live.toml"
        file.write_text("[batching]\nmax_wait_ms = 3\n")
        daemon = self.start("--config", file)
        file.write_text("[batching]\nmax_wait_ms = 4.5\n")
        changed = self.caller.call("engram.v1.Admin", "Reload", {})["changed"]
        self.assertEqual(changed, [{"key": "batching.max_wait_ms", "before": "3", "after": "4.5"}])
        file.write_text("[server]\nthreads = 3\n")
        with self.assertRaises(grpc.RpcError) as refused:
            self.caller.call("engram.v1.Admin", "Reload", {})
        self.assertIn("server.threads", refused.exception.details())
        daemon.wait_for_log("admin reload by 127.0.0.1:")

    def test_a_version_of_the_store_is_published_and_dropped_over_grpc(self):
        daemon = self.start()
        published = self.caller.call("engram.v1.Admin", "Publish", {"dataset": "things@1"})["dataset"]
        self.assertEqual((published["name"], published["version"]), ("things", "2"))
        self.caller.call("engram.v1.Admin", "Drop", {"dataset": "things"})
        self.assertEqual(daemon.request("POST", "/v1/search", SEARCH)[0], 404)
        with self.assertRaises(grpc.RpcError) as refused:
            self.caller.call("engram.v1.Admin", "Publish", {"dataset": "things@9"})
        self.assertEqual(refused.exception.code(), grpc.StatusCode.NOT_FOUND)


if __name__ == "__main__":
    unittest.main()
