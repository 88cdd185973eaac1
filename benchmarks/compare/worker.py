"""One contender in a process of its own; contender.py is the other end.

Says what it is when it is warm, then answers each line of JSON with one:
{"command": "time", "seconds": S} and {"command": "output", "path": F}. The end of its input ends it.
"""

import argparse
import gc
import json
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # pytorch_eager

import contenders
import torch
from safetensors.torch import load_file, save_file

WARM_UP = 3  # untimed forwards before each measurement, as bench_forward does
FEWEST = 5


def timed(forward, seconds):
    """CPU and wall seconds of each forward, for so many seconds and at least FEWEST."""
    for _ in range(WARM_UP):
        forward()
    cpu, wall = [], []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(cpu) < FEWEST:
        c, w = time.process_time(), time.perf_counter()
        forward()
        cpu.append(time.process_time() - c)
        wall.append(time.perf_counter() - w)
    return {"cpu": cpu, "wall": wall}


def answer(question, forward):
    if question["command"] == "time":
        return timed(forward, question["seconds"])
    if question["command"] == "output":
        save_file({"output": forward().contiguous()}, question["path"])
        return {"path": question["path"]}
    raise SystemExit(f"unknown command {question['command']}")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--contender", required=True, choices=list(contenders.NAMES))
    parser.add_argument("--model", required=True)
    parser.add_argument("--inputs", required=True)
    parser.add_argument("--dtype", choices=["fp32", "bf16"], required=True)
    parser.add_argument("--threads", type=int, required=True)
    return parser.parse_args()


def say(replies, fact):
    replies.write(json.dumps(fact) + "\n")
    replies.flush()


def main():
    # Answers have a stream of their own: what a library prints must not stand between them.
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    args = parse_arguments()
    torch.set_num_threads(args.threads)
    begin = time.perf_counter()
    with torch.inference_mode(args.contender != "compile"), torch.no_grad():
        model = contenders.make(args.contender, args.model, args.dtype)
        inputs = load_file(args.inputs)
        x, t, y = inputs["x"], inputs["t"], inputs["y"]

        def forward():
            return model(x, t, y)
        for _ in range(WARM_UP):
            forward()
        gc.freeze()  # what loading left needs no looking at during the measurement
        say(replies, {"ready": args.contender, "torch": torch.__version__, "threads": torch.get_num_threads(),
                      "capability": torch.backends.cpu.get_cpu_capability(),
                      "warm_up_seconds": time.perf_counter() - begin})
        for line in sys.stdin:
            say(replies, answer(json.loads(line), forward))


if __name__ == "__main__":
    main()
