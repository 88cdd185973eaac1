#!/usr/bin/env python3
"""Whole runs of l2c with a learned router against PyTorch: same weights, noise, steps and router, in turn.

    python3 benchmarks/compare/sampling.py --out out/compare-sampling.json

Every contender runs twice: everything computed, and reusing what the router says (Diffusers: what its First
Block Cache, or the library cache-dit, says). Latents are compared; one that computes something else is an error.
"""

import sys

import environment
import machine
import outputs
import report
import session
from contender import HERE, Program, Worker
from contenders import SAMPLERS
from session import Entry, numbers, say

ASSETS = session.ROOT / "assets/fashion-mnist"
OURS, OURS_CACHED = report.OURS, report.OURS_CACHED
# Of a run that reuses: the same contender's that computes everything.
FULL_RUN = {OURS_CACHED: OURS, **{name: SAMPLERS[kind.partition("-")[0]] for kind, name in SAMPLERS.items()
                                  if "-" in kind}}
# Decide as they go: there is nothing that their latents must agree with.
OWN_POLICIES = {SAMPLERS["diffusers-fbcache"], SAMPLERS["diffusers-cachedit"]}

# Largest difference of latents to eager fp32, relative to its largest value, after all steps. Rounding is
# amplified by the steps, in bf16 at edges of the pictures to as much as reuse changes there: so latents must
# also be nearer, in the mean square, to the run that they should be than to the other one.
TOLERANCE = {"fp32": 1e-4, "bf16": 0.5}


def parse_arguments(argv):
    parser = session.make_parser(__doc__, SAMPLERS, "bench_sampling", "compare-sampling.json")
    parser.add_argument("--model", default=ASSETS / "dit.safetensors")
    parser.add_argument("--router", default=ASSETS / "router20_fast.safetensors")
    parser.add_argument("--images", type=numbers, default="8", help="of a run, in one batch (guidance doubles it)")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--cfg-scale", type=float, default=1.5)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args(argv)
    session.check_common(parser, args, SAMPLERS)
    return args


class Sampling(session.Session):
    def settings(self):
        return ["--steps", self.args.steps, "--cfg-scale", self.args.cfg_scale]

    def program(self, folder, dtype, name, router):
        output = folder / f"{'router' if router else 'full'}-l2c.safetensors"
        threads = self.args.threads
        command = environment.pinned_command(
            [self.args.l2c, "--model", self.args.model, "--noise", folder / "noise.safetensors", "--output", output,
             "--dtype", dtype, "--threads", threads, "--seconds", self.args.seconds, *self.settings(), *router], threads)
        return Entry(threads, lambda: Program(name, command, output, "run", self.environment(threads)))

    def worker(self, folder, dtype, kind):
        threads = self.args.threads
        command = environment.pinned_command(
            [self.python, HERE / "worker.py", "--contender", kind, "--model", self.args.model, "--inputs",
             folder / "noise.safetensors", "--dtype", dtype, "--threads", threads, "--router", self.args.router,
             *self.settings()], threads)
        question = {"seconds": self.args.seconds, "warm_up": 1, "fewest": 1}  # as bench_sampling does
        return Entry(threads, lambda: Worker(SAMPLERS[kind], command, folder / f"{kind}.log", question,
                                             self.environment(threads)))

    def entries(self, folder, dtype):
        yield self.program(folder, dtype, OURS, [])
        yield self.program(folder, dtype, OURS_CACHED, ["--router", self.args.router])
        for kind in self.args.contenders:
            yield self.worker(folder, dtype, kind)

    def case(self, folder, dtype, images):
        say(f"{images} images, {dtype}, {self.args.threads} thread(s): warming up")
        full = outputs.read_tensor(folder / "full.safetensors", "output")
        routed = outputs.read_tensor(folder / "router.safetensors", "output")

        def check(contender):
            ours = contender.name in (OURS, OURS_CACHED)
            actual = outputs.read_tensor(contender.output(folder / "output.safetensors"),
                                         "latents" if ours else "output")
            found = {"full_run": FULL_RUN.get(contender.name), "difference": None,
                     "mean_square_to_full": outputs.mean_square_difference(actual, full)}
            if contender.name not in OWN_POLICIES:
                expected, other = (routed, full) if found["full_run"] else (full, routed)
                found["difference"] = outputs.check(contender.name, dtype, actual, expected, TOLERANCE[dtype])
                outputs.check_nearer(contender.name, actual, expected, other)
            return found
        load = machine.load()
        return {"dtype": dtype, "images": images, "threads": self.args.threads, "load_before": load,
                "contenders": self.measured(self.entries(folder, dtype), check)}

    def results(self, argv):
        results = {**self.new_results("sampling.py", argv), "model": str(self.args.model),
                   "router": str(self.args.router), "steps": self.args.steps, "cfg_scale": self.args.cfg_scale}
        for images in self.args.images:
            folder = self.folder / str(images)
            folder.mkdir()
            self.call_python("prepare_sampling.py", "--model", self.args.model, "--router", self.args.router,
                             "--images", images, "--folder", folder, *self.settings())
            for dtype in self.args.dtypes:
                results["cases"].append(self.case(folder, dtype, images))
                session.write_results(self.args.out, results)
        return results


def main(argv):
    args = parse_arguments(argv)
    environment.cores(args.threads)
    session.run(Sampling, args, argv, report.sampling_markdown)


if __name__ == "__main__":
    main(sys.argv[1:])
