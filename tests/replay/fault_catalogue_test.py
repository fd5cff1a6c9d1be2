"""A replay of a million requests through every fault of the catalogue.

fault_catalogue_test.py covers       scenarios/faults.toml arms each task of each site, with each argument of `return`
                                     and `cuda` where a GPU carries it out
fault_catalogue_test.py holds        the replay keeps its promises, and each of its faults happens
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

COMMAND = os.environ["ENGRAM_COMMAND"]
SCENARIO = Path(os.environ["ENGRAM_SCENARIOS"]) / "faults.toml"
ERRORS = ("oom", "transient", "sticky", "no_device")
MISDEEDS = ("illegal_address", "trap", "assert", "hang", "oom")
# Sites that carry out the argument of `return`; elsewhere a failure is a failure.
WITH_ERRORS = ("gpu0.alloc", "gpu0.launch", "gpu0.complete", "gpu0.upload")
# A replay inside the process has no HTTP.
OUT_OF_REACH = ("http.accept", "http.send")

# The command takes the variables of this test for misspelled keys.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("ENGRAM_")}

REQUESTS = 1_000_000
SEEDS = (2024, 2025)
OVERDUE_SHARE = 0.0001
# What may fail, by the word in its error, and how much of all. `actor.supervisor=exit` comes last, and what is asked for
# after it fails: 100 ms of the load, with room for a machine that is late to see it. Nothing stands behind the CPU.
MAY_FAIL = {"supervisor": 0.01, "cpu.launch": 0.0001, "deadline": 0.0005}


def catalogue():
    listed = subprocess.run(
        [COMMAND, "faults", "list", "--json", "--gpu.devices", "sim:h100", "--gpu.isolation", "process"],
        check=True, capture_output=True, text=True, env=ENVIRONMENT)
    return json.loads(listed.stdout)["faults"]


def wanted():
    for site in catalogue():
        name = site["site"]
        if name in OUT_OF_REACH:
            continue
        for task in site["tasks"]:
            arguments = ERRORS if task == "return" and name in WITH_ERRORS else MISDEEDS if task == "cuda" else [None]
            for argument in arguments:
                yield name, task, argument


def armed(setting):
    """Yields (site, task, argument) of each term of a setting; a number is no argument that counts."""
    site, terms = setting.split("=", 1)
    for term in terms.split("->"):
        task, argument = re.fullmatch(r"(?:[\d.]+%)?(?:\d+\*)?(\w+)(?:\((.*)\))?", term).groups()
        yield site, task, None if task == "delay" else argument


def covers():
    with SCENARIO.open("rb") as file:
        marks = tomllib.load(file)["fault"]
    has = {each for mark in marks for each in armed(mark["fault"])}
    missing = [each for each in wanted() if each not in has]
    assert not missing, f"{SCENARIO.name} never arms {missing}"
    off = {site for site, task, _ in has if task == "off"}
    left_on = {site for site, task, _ in has} - off - {"actor.supervisor"}
    assert not left_on, f"{SCENARIO.name} never takes back {left_on}"


def replayed(seed):
    """Replays once and returns what happened, after looking whether each promise was kept."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([COMMAND, "replay", str(SCENARIO), "--out", folder, "--seed", str(seed)],
                              capture_output=True, text=True, env=ENVIRONMENT)
        print(done.stdout)
        assert done.returncode in (0, 1), done.stderr
        found = json.loads((Path(folder) / "replay.json").read_text())
    promises, total = found["correctness"], found["total"]
    counted = {key: promises[key] for key in ("lost", "duplicated", "wrong", "skipped")}
    assert not any(counted.values()), counted
    assert promises["sent"] >= REQUESTS, promises
    assert promises["overdue_share"] < OVERDUE_SHARE, promises
    for error in found["errors"]:
        share = sum(share for word, share in MAY_FAIL.items() if word in error["example"])
        assert error["count"] <= share * total["sent"], error
    refused = [each for each in found["faults"] if each["refusal"]]
    assert not refused, refused
    return {each for mark in found["faults"] if mark["fired"] > 0 for each in armed(mark["fault"])}


def holds():
    # Each kind of fault happens, not only is armed. A busy machine can miss the half second of one of them.
    missing = set(wanted())
    for seed in SEEDS:
        missing -= replayed(seed)
        if not missing:
            return
    assert not missing, f"never happened: {missing}"


{"covers": covers, "holds": holds}[sys.argv[1]]()
