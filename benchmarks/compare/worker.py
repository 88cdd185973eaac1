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


def timed(job, seconds, warm_up, fewest):
    """CPU and wall seconds of each call, for so many seconds and at least `fewest`, after untimed ones."""
    for _ in range(warm_up):
        job()
    cpu, wall = [], []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(cpu) < fewest:
        c, w = time.process_time(), time.perf_counter()
        job()
        cpu.append(time.process_time() - c)
        wall.append(time.perf_counter() - w)
    return {"cpu": cpu, "wall": wall}


def answer(question, job):
    command = question.pop("command")
    if command == "time":
        return timed(job, **question)
    if command == "output":
        save_file({"output": job().contiguous()}, question["path"])
        return question
    raise SystemExit(f"unknown command {command}")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--contender", required=True, choices=list(contenders.NAMES | contenders.SAMPLERS))
    parser.add_argument("--model", required=True)
    parser.add_argument("--inputs", required=True)
    parser.add_argument("--dtype", choices=["fp32", "bf16"], required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--steps", type=int, help="sample instead of one forward")
    parser.add_argument("--cfg-scale", type=float)
    parser.add_argument("--router")
    return parser.parse_args()


def make_job(args):
    inputs = load_file(args.inputs)
    if args.steps:
        sample = contenders.make_sampler(args.contender, args.model, args.dtype, args.steps, args.cfg_scale,
                                         args.router)
        return lambda: sample(inputs["x"], inputs["y"])
    forward = contenders.make(args.contender, args.model, args.dtype)
    return lambda: forward(inputs["x"], inputs["t"], inputs["y"])


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
    # torch.compile freezes weights that need no gradient; its graphs know no inference mode.
    with torch.inference_mode(not args.contender.startswith("compile")), torch.no_grad():
        job = make_job(args)
        for _ in range(2):
            job()
        gc.freeze()  # what loading left needs no looking at during the measurement
        say(replies, {"ready": args.contender, "torch": torch.__version__, "threads": torch.get_num_threads(),
                      "capability": torch.backends.cpu.get_cpu_capability(),
                      "warm_up_seconds": time.perf_counter() - begin})
        for line in sys.stdin:
            say(replies, answer(json.loads(line), job))


if __name__ == "__main__":
    main()
