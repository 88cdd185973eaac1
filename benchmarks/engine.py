#!/usr/bin/env python3
"""What docs/performance.md says of the engine itself: one JSON file, the standard library alone.

    python3 benchmarks/engine.py --build build/dev --out engine.json [--parts bf16,xl,linear,memory] [--routers DIR]

bf16:   a forward and whole samples in bf16 against fp32 (relative error; PSNR).
xl:     DiT-XL/2 with seeded weights, one image, DDIM 20 with guidance, with and without the published
        router in turn: seconds, peak memory, profile. A quarter of an hour on one core with AMX.
linear: cost against steps and against images, five sizes each, with the line through them.
memory: what an empty process, and one with each model loaded, takes.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "compare"))
import machine  # noqa: E402
from outputs import read_tensor  # noqa: E402

DEMO = "assets/fashion-mnist/dit.safetensors"


def run(command):
    """Standard output and peak resident bytes of a command that must succeed."""
    with tempfile.TemporaryFile("w+") as errors:
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        with child.stdout:
            output = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            errors.seek(0)
            sys.exit(f"{' '.join(command)}: exit status {child.returncode}\n{errors.read()[-2000:]}")
    return {"command": " ".join(command), "peak_bytes": usage.ru_maxrss * 1024, "stdout": output}


def relative_error(values, reference):
    difference = math.fsum((a - b) ** 2 for a, b in zip(values, reference, strict=True))
    return math.sqrt(difference / math.fsum(b * b for b in reference))


def psnr(values, reference):
    mean = math.fsum((a - b) ** 2 for a, b in zip(values, reference, strict=True)) / len(reference)
    span = max(reference) - min(reference)
    return None if mean == 0 else 10 * math.log10(span * span / mean)


class Engine:
    def __init__(self, build, scratch, threads):
        self.program = os.path.join(build, "tools/l2c/l2c")
        self.forward = os.path.join(build, "benchmarks/bench_forward")
        self.scratch = scratch
        self.threads = str(threads)

    def sample(self, model, *options):
        stats = os.path.join(self.scratch, "stats.json")
        result = run([self.program, "sample", *model, "--threads", self.threads, "--stats", stats, *options])
        del result["stdout"]
        with open(stats) as file:
            result["stats"] = json.load(file)
        return result

    def latents(self, model, dtype, *options):
        file = os.path.join(self.scratch, f"{dtype}.safetensors")
        self.sample(model, "--dtype", dtype, "--save-latents", file, *options)
        return read_tensor(file, "latents").values

    def output(self, model, dtype, batch):
        file = os.path.join(self.scratch, f"forward-{dtype}.safetensors")
        run([self.forward, *model, "--dtype", dtype, "--batch", str(batch), "--threads", self.threads,
             "--seconds", "0", "--output", file])  # fmt: skip
        return read_tensor(file, "output").values


MODELS = {"demo": ["--model", DEMO], "DiT-S/2": ["--init", "seeded:1", "--arch", "DiT-S/2"],
          "DiT-XL/2": ["--init", "seeded:1", "--arch", "DiT-XL/2"]}  # fmt: skip


def bf16(engine, _):
    """Errors of bf16 against fp32."""
    result = {}
    for name in ("demo", "DiT-S/2"):
        outputs = {d: engine.output(MODELS[name], d, 8) for d in ("fp32", "bf16")}
        options = ("--labels", "0,1,2,3,4,5,6,7", "--cfg-scale", "1.5", "--steps", "20")
        latents = {d: engine.latents(MODELS[name], d, *options) for d in ("fp32", "bf16")}
        result[name] = {"forward_relative_error": relative_error(outputs["bf16"], outputs["fp32"]),
                        "samples_psnr_db": psnr(latents["bf16"], latents["fp32"]),
                        "samples": "8 images, DDIM 20, guidance 1.5"}  # fmt: skip
    return result


def xl(engine, routers):
    """DiT-XL/2, one image: `l2c bench` of both ways in turn, and what the router changes in the picture."""
    router = Path(routers) / "DDIM20_router.pt"
    if not router.exists():
        return f"skipped: there is no {router}"
    cached = ("--router", str(router), "--threshold", "0.1", "--cfg-scale", "4")
    report = os.path.join(engine.scratch, "bench.json")
    run([engine.program, "bench", *MODELS["DiT-XL/2"], *cached, "--batch", "1", "--dtype", "bf16,fp32", "--threads",
         engine.threads, "--runs", "3", "--profile", "--json", report])  # fmt: skip
    with open(report) as file:
        result = {"bench": json.load(file)}
    pictures = engine.sample(MODELS["DiT-XL/2"], *cached, "--dtype", "bf16", "--labels", "207", "--compare")
    result["psnr_db"] = pictures["stats"]["compare"]["psnr_db"]
    return result


def line(xs, ys):
    """Least squares: slope, intercept, and the share of the variance that the line explains."""
    slope, intercept = statistics.linear_regression(xs, ys)
    return {"slope": slope, "intercept": intercept, "r_squared": statistics.correlation(xs, ys) ** 2}


def linear(engine, _):
    """Denoising seconds over steps and over images: rounds over all sizes, the best of each."""
    def seconds(steps, images):
        labels = ",".join(str(i % 10) for i in range(images))
        run = engine.sample(MODELS["demo"], "--dtype", "bf16", "--steps", str(steps), "--labels", labels,
                            "--batch-size", str(images), "--cfg-scale", "1.5")  # fmt: skip
        return run["stats"]["denoise_seconds"]

    def fit(sizes, measure):
        rounds = [[measure(size) for size in sizes] for _ in range(7)]
        best = [min(column) for column in zip(*rounds, strict=True)]
        return {"sizes": sizes, "seconds": best, "line": line(sizes, best), "rounds": rounds}

    return {"steps": fit([10, 20, 40, 80, 160], lambda n: seconds(n, 8)),
            "images": fit([4, 8, 16, 32, 64], lambda n: seconds(20, n))}  # fmt: skip


def memory(engine, _):
    """Peak resident memory of loading and one step."""
    result = {"empty": run([engine.program, "doctor"])["peak_bytes"]}
    for name, model in MODELS.items():
        for dtype in ("bf16", "fp32"):
            one = engine.sample(model, "--dtype", dtype, "--labels", "1", "--steps", "1")
            result[f"{name} {dtype}"] = one["peak_bytes"]
    return result


PARTS = {"bf16": bf16, "memory": memory, "linear": linear, "xl": xl}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/dev")
    parser.add_argument("--out", required=True)
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--routers", default="../shared/reference/routers")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    unknown = set(options.parts.split(",")) - set(PARTS)
    if unknown:
        sys.exit(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    result = {"command": sys.argv, "machine": machine.describe(), "load": machine.load(), "threads": options.threads}
    with tempfile.TemporaryDirectory() as scratch:
        engine = Engine(options.build, scratch, options.threads)
        for part in options.parts.split(","):
            print(f"{part} ...", file=sys.stderr, flush=True)
            result[part] = PARTS[part](engine, options.routers)
            with open(options.out + ".part", "w") as file:
                json.dump(result, file, indent=1)
            os.replace(options.out + ".part", options.out)


if __name__ == "__main__":
    main()
