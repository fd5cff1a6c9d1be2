"""What `engram` prints and the codes that it ends with."""

import json
import os
import pathlib
import unittest

from engram_command import CommandTest, npy

COMMANDS = [[], ["start"], ["search"], ["spread"], ["dataset"], ["dataset", "import"], ["dataset", "info"],
            ["dataset", "verify"], ["dataset", "list"], ["config"], ["config", "check"], ["config", "show"],
            ["config", "presets"], ["gpu-info"], ["faults"], ["faults", "list"], ["version"]]


class Help(CommandTest):
    def test_every_command_has_help_that_fits_a_terminal(self):
        for command in COMMANDS:
            text = self.run_engram(0, *command, "--help").stdout
            self.assertIn("Usage: " + " ".join(["engram", *command]), text)
            for line in text.splitlines():
                self.assertLessEqual(len(line), 110, line)

    def test_a_wrong_command_line_is_one_sentence_and_2(self):
        for arguments, words in [
            ([], "a command is missing"),
            (["serch"], "unknown command serch"),
            (["--colour", "version"], "--colour"),
            (["search"], "COLLECTION"),
            (["search", "things"], "words or --like"),
            (["search", "things", "--like", "0", "-k", "many"], "many"),
            (["search", "things@0", "east"], "things@0"),
            (["dataset"], "subcommand"),
            (["dataset", "import", "x"], "FILE"),
            (["dataset", "import", "x", "y.bin"], "--kind"),
            (["dataset", "import", "x", "y.npy", "--wordnet"], "--wordnet"),
            (["dataset", "import", "x", "y.npy", "--type", "f64"], "f64"),
            (["dataset", "import", "x", "y.txt", "--type", "f32"], "--type is for vectors only"),
            (["dataset", "import", "x", "y.bin", "--kind", "graph", "--type", "f16"], "--type is for vectors only"),
            (["dataset", "import", "x", "y.txt", "--dim", "768"], "--dim is for --wordnet only"),
            (["dataset", "import", "x", "y.npy", "--dim", "2"], "--dim is for --wordnet only"),
            (["version", "--set", "nonsense"], "KEY=VALUE"),
        ]:
            done = self.run_engram(2, *arguments)
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
            self.assertIn(words, done.stderr)


class Datasets(CommandTest):
    def test_an_import_makes_the_next_version(self):
        first = self.run_json(0, "dataset", "import", "again", self.folder / "things.npy", "--type", "bf16")
        second = self.run_json(0, "dataset", "import", "again", self.folder / "things.npy")
        self.assertEqual([d["imported"][0]["version"] for d in (first, second)], [1, 2])
        self.assertEqual(first["imported"][0]["type"], "bf16")
        self.assertEqual(self.run_json(0, "dataset", "info", "again@1")["type"], "bf16")
        self.assertEqual(self.run_json(0, "dataset", "info", "again")["type"], "f32")

    def test_list_and_info_tell_the_shape(self):
        listed = {each["name"]: each for each in self.run_json(0, "dataset", "list")["datasets"]}
        self.assertEqual((listed["things"]["rows"], listed["things"]["dim"]), (4, 2))
        self.assertEqual((listed["things-graph"]["nodes"], listed["things-graph"]["edges"]), (4, 3))
        self.assertIn("4 nodes, 3 edges", self.run_engram(0, "dataset", "list").stdout)
        self.assertIn("4 vectors of 2 (f32)", self.run_engram(0, "dataset", "info", "things").stdout)

    def test_a_damaged_dataset_fails_verification_with_1(self):
        path = pathlib.Path(self.run_json(
            0, "dataset", "import", "broken", self.folder / "things.npy")["imported"][0]["path"])
        self.assertTrue(self.run_json(0, "dataset", "verify", "broken", "things")["verified"][0]["good"])
        largest = max((file for file in path.iterdir() if file.name != "manifest.json"),
                      key=lambda file: file.stat().st_size)
        damaged = bytearray(largest.read_bytes())
        damaged[len(damaged) // 2] ^= 0x40
        largest.chmod(0o644)
        largest.write_bytes(damaged)
        verdict = self.run_json(1, "dataset", "verify", "broken")["verified"][0]
        self.assertFalse(verdict["good"])
        self.assertIn(largest.name, verdict["message"])
        self.assertIn("damaged  broken", self.run_engram(1, "dataset", "verify", "broken").stdout)

    def test_a_damaged_manifest_is_told_by_all_who_read_the_whole_store(self):
        store = self.folder / "damaged"
        for name in ("fine", "x"):
            self.run_engram(0, "dataset", "import", name, self.folder / "things.npy", "--data-dir", store)
        path = self.run_json(0, "dataset", "import", "x", self.folder / "things.npy",
                             "--data-dir", store)["imported"][0]["path"]
        manifest = pathlib.Path(path) / "manifest.json"
        manifest.chmod(0o644)
        with manifest.open("r+b") as file:
            file.write(b"??")

        verdicts = self.run_json(1, "dataset", "verify", "--data-dir", store)["verified"]
        self.assertEqual([(each["name"], each["good"]) for each in verdicts], [("fine", True), ("x", False)])
        self.assertIn(f"damaged  x: {manifest}", self.run_engram(1, "dataset", "verify", "--data-dir", store).stdout)
        listed = self.run_json(0, "dataset", "list", "--data-dir", store)["datasets"]
        self.assertEqual([(each["name"], each["kind"]) for each in listed], [("fine", "vectors"), ("x", "damaged")])
        self.assertIn(str(manifest), listed[1]["message"])
        self.assertRegex(self.run_engram(0, "dataset", "list", "--data-dir", store).stdout, "(?m)^x +damaged ")
        done = self.engram("start", "--port", "0", "--data-dir", store)
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn(f'engram: dataset "x" cannot be loaded: {manifest}', done.stderr.splitlines()[-1])

    def test_what_is_not_there_or_not_good_is_3(self):
        bad = self.folder / "nan.npy"
        bad.write_bytes(npy([[1, 2], [3, float("nan")]]))
        for arguments, words in [
            (["dataset", "info", "nothing"], "nothing"),
            (["dataset", "verify", "nothing"], "nothing"),
            (["dataset", "import", "x", self.folder / "none.npy"], "none.npy"),
            (["dataset", "import", "x", bad], "row 1, column 1"),
            (["dataset", "import", "x", "--wordnet", self.folder], "data.noun"),
            (["search", "nothing", "words"], "nothing"),
            (["search", "things@7", "words"], "7"),
            (["spread", "nothing", "#0"], "nothing"),
        ]:
            self.assertIn(words, self.run_engram(3, *arguments).stderr)


class Questions(CommandTest):
    def test_search_by_row_prints_rank_score_id_and_label(self):
        lines = self.run_engram(0, "search", "things", "--like", "1", "-k", "2").stdout.splitlines()
        self.assertEqual(lines[0].split(), ["rank", "score", "id", "label"])
        self.assertEqual(lines[1].split(), ["1", "1.0000", "1", "north"])
        self.assertEqual(lines[2].split(), ["2", "0.8000", "3", "north-east"])

    def test_search_prints_json(self):
        out = self.run_json(0, "search", "things", "--like", "0", "-k", "1")
        self.assertEqual(out["results"][0]["hits"], [{"id": 0, "label": "east", "score": 1}])
        self.assertEqual(out["trace"]["device"], "cpu")

    def test_spread_takes_the_graph_beside_a_collection_and_amounts(self):
        out = self.run_json(0, "spread", "things", "east:0.5", "--hops", "1", "--decay", "1")
        hits = out["results"][0]["hits"]
        self.assertEqual([(h["node"], h["activation"]) for h in hits], [(0, 0.5), (1, 0.25)])
        text = self.run_engram(0, "spread", "things-graph", "#0", "--top", "1").stdout
        self.assertIn("seed  1.0000  #0 east", text)

    def test_what_cannot_be_asked_is_2(self):
        for arguments, words in [
            (["search", "things", "words"], "no embedder"),
            (["search", "things", "--like", "4"], "0 to 3"),
            (["search", "things", "--like", "0", "-k", "0"], "k"),
            (["search", "things-graph", "words"], "is a graph"),
            (["spread", "things", "nowhere"], "nowhere"),
            (["spread", "things", "#x"], "#x"),
            (["spread", "things", "#4"], "4"),
            (["spread", "things", "east:7"], "amount"),
            (["spread", "things", "east", "--hops", "65"], "65"),
        ]:
            self.assertIn(words, self.run_engram(2, *arguments).stderr)


class Configuration(CommandTest):
    def show(self, *arguments, **variables):
        keys = self.run_json(0, "config", "show", *arguments, **variables)["keys"]
        return {each["key"]: (each["value"], each["from"]) for each in keys}

    def check_json(self, file):
        done = self.engram("config", "check", file, "--json")
        self.assertEqual(done.returncode, 2)
        return json.loads(done.stdout)

    def test_flags_win_over_environment_over_file_over_preset(self):
        file = self.folder / "some.toml"
        file.write_text("[batching]\nmax_wait_ms = 3\ntarget_batch_size = 7\n[gpu]\nstreams = 2\n")
        shown = self.show("--preset", "a100", "--config", file, "--max-wait-ms", "5",
                          ENGRAM_MAX_WAIT_MS="4", ENGRAM_STREAMS="3")
        self.assertEqual(shown["batching.max_wait_ms"], ("5", "flag --batching.max_wait_ms"))
        self.assertEqual(shown["gpu.streams"], ("3", "environment ENGRAM_STREAMS"))
        self.assertEqual(shown["batching.target_batch_size"], ("7", f"{file}:3"))
        self.assertEqual(shown["gpu.gpu_min_batch_size"], ("32", "preset a100"))
        self.assertEqual(shown["gpu.enabled"], ("true", "default"))

    def test_a_key_may_be_written_in_each_of_its_ways(self):
        for way in [["--batching.max_wait_ms", "2"], ["--batching.max-wait-ms=2"], ["--max_wait_ms=2"],
                    ["--max-wait-ms", "2"], ["--set", "batching.max_wait_ms=2"], ["--set", "max_wait_ms=2"]]:
            self.assertEqual(self.show(*way)["batching.max_wait_ms"][0], "2", way)
        self.assertEqual(self.show("--gpu.min_batch_size", "9")["gpu.gpu_min_batch_size"][0], "9")

    def test_variables_of_the_command_name_file_and_preset(self):
        file = self.folder / "own.toml"
        file.write_text("[server]\nport = 1234\n")
        shown = self.show(ENGRAM_CONFIG=str(file), ENGRAM_PRESET="t4")
        self.assertEqual(shown["server.port"], ("1234", f"{file}:2"))
        self.assertIn("preset t4", [origin for _, origin in shown.values()])

    def test_show_as_toml_loads_to_the_same(self):
        file = self.folder / "shown.toml"
        file.write_text(self.run_engram(0, "config", "show", "--toml", "--max_wait_ms", "2.5").stdout)
        self.run_engram(0, "config", "check", file)
        self.assertEqual(self.show("--config", file)["batching.max_wait_ms"][0], "2.5")

    def test_check_tells_every_mistake_with_its_line_and_2(self):
        good = self.folder / "good.toml"
        good.write_text("[gpu]\nenabled = false\n")
        self.assertEqual(self.run_engram(0, "config", "check", good).stdout, f"{good}: OK\n")
        bad = self.folder / "bad.toml"
        bad.write_text("[gpu]\nstreams = 99\n[batching]\nmax_wait = 5\n")
        lines = self.run_engram(2, "config", "check", bad).stderr.splitlines()
        self.assertEqual(len(lines), 2)
        self.assertIn(f"{bad}:2: ", lines[0])
        self.assertIn("1..32", lines[0])
        self.assertIn(f"{bad}:4: ", lines[1])
        self.assertEqual(self.check_json(bad), {"file": str(bad), "good": False, "mistakes": [
            line.removeprefix("engram: ") for line in lines]})
        self.run_engram(2, "config", "show", "--config", bad)
        self.run_engram(2, "start", "--config", bad)

    def test_presets_are_listed_and_printed(self):
        listed = self.run_json(0, "config", "presets")["presets"]
        for preset in listed:
            self.assertIn(preset["name"], self.run_engram(0, "config", "presets").stdout)
            file = self.folder / "preset.toml"
            file.write_text(self.run_engram(0, "config", "presets", preset["name"]).stdout)
            self.run_engram(0, "config", "check", file)
        self.run_engram(2, "config", "presets", "nothing")


class Machine(CommandTest):
    def test_version_says_what_the_build_can_do(self):
        out = self.run_json(0, "version")
        self.assertRegex(out["version"], r"^\d+\.\d+\.\d+$")
        self.assertIn(out["version"], self.run_engram(0, "version").stdout)
        self.assertEqual(self.run_json(0, "version", ENGRAM_ISA="scalar")["isa"], "scalar")
        self.run_engram(2, "version", ENGRAM_ISA="mmx")

    def test_version_is_also_a_flag(self):
        version = self.run_json(0, "version")["version"]
        for arguments in [["--version"], ["search", "--version"]]:
            self.assertEqual(self.run_engram(0, *arguments).stdout, f"engram {version}\n")

    def test_gpu_info_lists_the_simulated_gpus(self):
        out = self.run_json(0, "gpu-info")
        self.assertEqual({each["device"] for each in out["simulated"]},
                         {"sim:rtx3060", "sim:t4", "sim:a100", "sim:h100"})
        self.assertTrue(out["gpus"] or out["trouble"])
        self.assertIn("sim:h100", self.run_engram(0, "gpu-info").stdout)

    def pretend(self, gpus, driver="PRETENDED_DRIVER", **more):
        """Returns the variables of a machine whose driver pretends to find `gpus`, with NVML."""
        folders = [os.environ[driver], os.environ["PRETENDED_NVML_FOLDER"]]
        return {"LD_LIBRARY_PATH": ":".join(folders), "PRETENDED_GPUS": gpus, **more}

    def gpu_info_with(self, gpus, **more):
        """Returns what gpu-info says on such a machine."""
        return self.run_json(0, "gpu-info", **self.pretend(gpus, **more))

    def test_gpu_info_asks_the_driver(self):
        out = self.gpu_info_with("2", PRETENDED_NVML="does not start")
        self.assertEqual(out["driver"], "13.0")
        self.assertEqual(out["gpus"][0], {"device": "0", "name": "Pretended GPU", "memory_bytes": 16 << 30,
                                          "compute_capability": "9.0", "pci_bus_id": "0000:0A:00.0",
                                          "uuid": "GPU-f0f1f2f3-f4f5-f6f7-f8f9-fafbfcfdfeff"})
        self.assertEqual((out["gpus"][1]["device"], out["gpus"][1]["name"]), ("1", "Another one"))
        self.assertEqual(self.gpu_info_with("0")["trouble"], "the NVIDIA driver finds no GPU")
        self.assertEqual(self.gpu_info_with("none")["trouble"],
                         "the NVIDIA driver does not start: CUDA_ERROR_UNKNOWN")

    def test_gpu_info_matches_the_driver_s_gpus_with_those_of_nvml(self):
        out = self.gpu_info_with("3")
        self.assertEqual([each["nvml"]["index"] for each in out["gpus"]], [1, 0, 0])
        self.assertEqual(out["gpus"][0]["nvml"], {"index": 1, "name": "Another one", "driver_version": "580.65.06",
                                                  "pci_bus_id": "00000000:0A:00.0"})
        self.assertEqual(out["gpus"][0]["advice"], [])
        full = out["gpus"][1]["nvml"]
        self.assertEqual(full["utilization_gpu_ratio"], 0.37)
        self.assertEqual(full["throttled_by"], ["sw_power_cap"])
        self.assertEqual((full["ecc_uncorrected"], full["mig_enabled"]), (2, False))
        self.assertEqual(out["gpus"][2]["uuid"], "MIG-00010203-0405-0607-0809-0a0b0c0d0e0f")

    def test_gpu_info_advises(self):
        advice = {each["topic"]: each for each in self.gpu_info_with("2")["gpus"][1]["advice"]}
        self.assertEqual(set(advice), {"ecc", "power_limit", "persistence_mode", "pcie", "utilization"})
        self.assertEqual(advice["power_limit"]["command"], "sudo nvidia-smi -i 0 -pl 700")
        for each in advice.values():
            self.assertRegex(each["sentence"], r"^[A-Z]((?!\. ).)*\.$")

    def test_gpu_info_shows_state_and_advice(self):
        text = self.run_engram(0, "gpu-info", **self.pretend("3")).stdout
        for line in ["GPU 1 (0 in nvidia-smi, driver 580.65.06):",
                     "  memory            4.0 GiB of 80.0 GiB used",
                     "  temperature       61 C (slowdown at 87 C, shutdown at 92 C)",
                     "  power             312.5 of 500 W (default 700 W, can be set to 200..750 W)",
                     "  clocks            SM 1410 of 1980 MHz, memory 2619 of 2619 MHz",
                     "  held back by      sw_power_cap",
                     "  PCIe              generation 4 x8 (here at most generation 4 x16, the card generation 5)",
                     "  ECC               on, uncorrected errors: 2",
                     "Advice; engram changes no setting of a GPU, you may:",
                     "      sudo nvidia-smi -i 0 -pm 1",
                     "Nothing to advise.",
                     "GPU 2: a slice of the same card as GPU 1."]:
            self.assertIn(line, text.splitlines())
        self.assertIn("  temperature       -\n", text)  # of the one that tells nothing

    def test_gpu_info_says_why_nvml_tells_nothing(self):
        for variables, why in [(self.pretend("1", PRETENDED_NVML="does not start"),
                                "NVML does not start: Driver Not Loaded"),
                               (self.pretend("1", LD_LIBRARY_PATH=os.environ["PRETENDED_DRIVER"]),
                                "there is no NVML (libnvidia-ml.so.1) on this machine")]:
            self.assertEqual(self.run_json(0, "gpu-info", **variables)["nvml_trouble"], why)
            self.assertIn(f"Power, clocks and temperature cannot be read: {why}.",
                          self.run_engram(0, "gpu-info", **variables).stdout.splitlines())

    def test_gpu_info_does_without_what_an_old_driver_lacks(self):
        gpu = self.gpu_info_with("1", driver="PRETENDED_OLD_DRIVER")["gpus"][0]
        self.assertEqual(set(gpu), {"device", "name", "memory_bytes", "compute_capability"})
        self.assertIn("GPU 0: NVML does not know it.",
                      self.run_engram(0, "gpu-info", **self.pretend("1", "PRETENDED_OLD_DRIVER")).stdout)

    def test_faults_lists_the_sites_of_the_configured_devices(self):
        listed = self.run_json(0, "faults", "list", "--gpu.devices", "sim:h100")["faults"]
        sites = {each["site"]: each for each in listed}
        self.assertLessEqual({"cpu.launch", "gpu0.launch", "gpu0.worker", "actor.supervisor", "timer.router",
                              "dataset.publish", "http.accept"}, set(sites))
        self.assertEqual(sites["http.send"]["tasks"], ["return", "delay"])
        self.assertEqual((sites["http.send"]["setting"], sites["http.send"]["fired"]), ("off", 0))

    def test_the_page_of_fault_points_has_those_of_a_gpu_in_child_processes(self):
        page = (pathlib.Path(__file__).parents[2] / "docs" / "fault-points.md").read_text()
        known = {}
        for isolation in ("none", "process"):
            listed = self.run_json(0, "faults", "list", "--gpu.devices", "sim:h100", "--gpu.isolation", isolation)
            known[isolation] = {site["site"]: site for site in listed["faults"]}
        added = known["process"].keys() - known["none"].keys()
        self.assertIn("gpu0.start", added)
        for name in added:
            tasks = ", ".join(f"`{task}`" for task in known["process"][name]["tasks"])
            self.assertIn(f"\n| `{name}` | {tasks} | {known['process'][name]['meaning']} |\n", page)

    def test_faults_shows_tasks_setting_and_count_of_each_site_to_a_person(self):
        lines = self.run_engram(0, "faults", "list", "--faults.points", "http.send=2*delay(5)").stdout.splitlines()
        self.assertEqual(lines[0].split(), ["site", "tasks", "setting", "fired", "meaning"])
        line = next(each for each in lines if each.startswith("http.send "))
        self.assertRegex(line, r"return, delay +2\*delay\(5\) +0  an answer")

    def test_a_task_that_a_site_does_not_do_is_an_error(self):
        done = self.run_engram(2, "faults", "list", "--faults.points", "http.send=corrupt")
        self.assertIn('"http.send" does not take corrupt; it takes off, return, delay', done.stderr)


if __name__ == "__main__":
    unittest.main()
