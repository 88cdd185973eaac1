#!/usr/bin/env python3
"""Stands in for bench_forward and bench_sampling, and for a Python that is asked to run the comparison's own scripts.

A script says who does what ($FAKE_SCRIPT, JSON): {name: {"times": [seconds of each measurement], "off": what
is added to the output, "ignores": whether it ignores the router, "fails": after so many measurements,
"warms_up_for": seconds}}. Everything is noted in $FAKE_LOG, a JSON line
each.
"""
import json
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))
import tensor_file  # noqa: E402

SCRIPT = json.loads(os.environ["FAKE_SCRIPT"])
EXPECTED = [1.0, -2.0, 0.5, 4.0]
ROUTED = [1.0, -2.0, 1.5, 4.0]  # of a run that reuses
NOTED = ["OMP_NUM_THREADS", "L2C_CPU_ISA", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"]


def note(who, what, **more):
    seen = {key: os.environ.get(key) for key in NOTED}
    with open(os.environ["FAKE_LOG"], "a") as file:
        file.write(json.dumps({"who": who, "what": what, "cores": len(os.sched_getaffinity(0)), **seen, **more}) + "\n")


def measured(who):
    with open(os.environ["FAKE_LOG"]) as file:
        return sum(line["who"] == who and line["what"] == "time" for line in map(json.loads, file))


def next_time(who):
    """Of the script's times, the one whose turn it is."""
    turn = measured(who)
    mine = SCRIPT.get(who, {})
    if turn >= mine.get("fails", 1000):
        print(f"{who} is out of memory", file=sys.stderr)
        sys.exit(3)
    times = mine.get("times", [0.01])
    note(who, "time")
    return times[turn % len(times)]


def write_output(who, path, name="output"):
    mine = SCRIPT.get(who, {})
    routed = who.endswith("-router") and not mine.get("ignores")
    values = [value + mine.get("off", 0.0) for value in (ROUTED if routed else EXPECTED)]
    tensor_file.write(path, {name: ([2, 2], values)})


def options(arguments):
    return dict(zip(arguments[::2], arguments[1::2]))


def sampling_program(given):
    who = "l2c-router" if "--router" in given else "l2c"
    seconds = next_time(who)
    write_output(who, given["--output"], "latents")
    print(json.dumps({"cpu_seconds_per_run": seconds, "wall_seconds_per_run": seconds, "isa": "fake",
                      "ideal_speedup": 1.6, "samples": [seconds]}))


def program(given):
    who = "l2c" if given["--threads"] == "1" else "l2c2"
    seconds = next_time(who)
    write_output(who, given["--output"])
    print(json.dumps({"cpu_seconds_per_forward": seconds, "wall_seconds_per_forward": 2 * seconds, "isa": "fake",
                      "samples": [seconds]}))


def prepare(given):
    folder = Path(given["--folder"])
    note("prepare", given["--model"])
    for batch in given["--batches"].split(","):
        tensor_file.write(folder / f"expected{batch}.safetensors", {"output": ([2, 2], EXPECTED)})


def prepare_sampling(given):
    folder = Path(given["--folder"])
    for name, values in [("full", EXPECTED), ("router", ROUTED)]:
        tensor_file.write(folder / f"{name}.safetensors", {"output": ([2, 2], values)})


def worker(given):
    who = given["--contender"]
    note(who, "ready")
    time.sleep(SCRIPT.get(who, {}).get("warms_up_for", 0))
    print(json.dumps({"ready": who}), flush=True)
    for line in sys.stdin:
        question = json.loads(line)
        if question["command"] == "time":
            seconds = next_time(who)
            answer = {"cpu": [seconds] * 3, "wall": [2 * seconds] * 3}
        else:
            write_output(who, question["path"])
            answer = {}
        print(json.dumps(answer), flush=True)
    note(who, "end")


def main(arguments):
    if not arguments or not arguments[0].endswith(".py"):
        given = options(arguments)
        sampling_program(given) if "--noise" in given else program(given)
    elif arguments[0].endswith("prepare_sampling.py"):
        prepare_sampling(options(arguments[1:]))
    elif arguments[0].endswith("prepare.py"):
        prepare(options(arguments[1:]))
    elif arguments[0].endswith("facts.py"):
        print(json.dumps({"torch": "0.fake", "capability": "FAKE", "onednn_isa": "fake"}))
    else:
        worker(options(arguments[1:]))


if __name__ == "__main__":
    main(sys.argv[1:])
