#!/usr/bin/env python3
"""l2c against PyTorch: same machine, weights, inputs and steps, in turn, outputs compared.

    python3 benchmarks/compare/run.py --out out/compare.json

Makes a Python of its own at the first call (environment.py), prints the tables (report.py) and keeps
every round's numbers as JSON. Stops with an error when a contender computes something else.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import environment
import machine
import outputs
import report
from contender import HERE, Failed, Program, Worker
from contenders import NAMES
from rounds import alternate

ROOT = HERE.parents[1]


def words(text):
    return [word for word in text.split(",") if word]


def numbers(text):
    return [int(word) for word in words(text)]


def parse_arguments(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=words, default="demo,DiT-S/2", help="demo, DiT-S/2, ..., F.safetensors")
    parser.add_argument("--dtypes", type=words, default="bf16,fp32")
    parser.add_argument("--batches", type=numbers, default="2,8", help="rows of a forward")
    parser.add_argument("--threads", type=numbers, default="1")
    parser.add_argument("--scaling", type=int, default=2, metavar="N",
                        help="where --threads has 1: l2c with N threads, too; 0: not (default: 2)")
    parser.add_argument("--contenders", type=words, default=",".join(NAMES), help=f"of {', '.join(NAMES)}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2, help="a contender and round")
    parser.add_argument("--isa-limit", choices=list(environment.ISA_LIMITS), help="for both sides")
    parser.add_argument("--l2c", type=Path, default=ROOT / "build/dev/benchmarks/bench_forward")
    parser.add_argument("--python", type=Path, help="with PyTorch, instead of the one that is set up")
    parser.add_argument("--out", type=Path, default=ROOT / "out/compare.json")
    args = parser.parse_args(argv)
    unknown = [name for name in args.contenders if name not in NAMES]
    if unknown:
        parser.error(f"no contender is called {unknown[0]}; known are {', '.join(NAMES)}")
    if any(dtype not in outputs.TOLERANCE for dtype in args.dtypes):
        parser.error(f"--dtypes {','.join(args.dtypes)}: known are {', '.join(outputs.TOLERANCE)}")
    if args.rounds < 1:
        parser.error(f"--rounds {args.rounds}: at least 1, and 5 for numbers to keep")
    if not os.access(args.l2c, os.X_OK):
        parser.error(f"{args.l2c} is no program: build it (make compare does), or give --l2c")
    return args


class Run:
    def __init__(self, args, python, folder):
        self.args, self.python, self.folder = args, python, folder

    def environment(self, threads):
        made = environment.process_environment(threads, self.args.isa_limit)
        made.setdefault("TORCHINDUCTOR_CACHE_DIR", str(environment.cache_folder() / "compare-inductor"))
        return made

    def call_python(self, script, *arguments):
        done = subprocess.run([str(self.python), str(HERE / script), *map(str, arguments)], text=True,
                              capture_output=True, env=self.environment(1))
        if done.returncode != 0:
            raise Failed(f"{script} ended with {done.returncode}:\n{done.stderr[-2000:]}")
        return done.stdout

    def prepare(self, model):
        folder = self.folder / model.replace("/", "-")
        folder.mkdir(exist_ok=True)
        self.call_python("prepare.py", "--model", model, "--folder", folder,
                         "--batches", ",".join(map(str, self.args.batches)))
        return folder

    def program(self, folder, dtype, batch, threads, name):
        output = folder / f"{name.replace(' ', '-').replace(',', '')}.safetensors"
        command = environment.pinned_command(
            [self.args.l2c, "--model", folder / "model.safetensors", "--inputs", folder / f"inputs{batch}.safetensors",
             "--output", output, "--dtype", dtype, "--threads", threads, "--seconds", self.args.seconds], threads)
        return Program(name, command, output, self.environment(threads))

    def worker(self, folder, dtype, batch, threads, kind):
        command = environment.pinned_command(
            [self.python, HERE / "worker.py", "--contender", kind, "--model", folder / "model.safetensors",
             "--inputs", folder / f"inputs{batch}.safetensors", "--dtype", dtype, "--threads", threads], threads)
        return Worker(NAMES[kind], command, folder / f"{kind}.log", self.args.seconds, self.environment(threads))

    def case(self, model, folder, dtype, batch, threads):
        say(f"{model}, {dtype}, batch {batch}, {threads} thread(s): warming up")
        used, contenders = {}, []
        try:
            contenders.append(self.program(folder, dtype, batch, threads, report.OURS).start())
            used[report.OURS] = threads
            if threads == 1 and self.args.scaling > 1:
                name = f"{report.OURS}, {self.args.scaling} threads"
                contenders.append(self.program(folder, dtype, batch, self.args.scaling, name).start())
                used[name] = self.args.scaling
            for kind in self.args.contenders:
                contenders.append(self.worker(folder, dtype, batch, threads, kind))
                contenders[-1].start()  # one after the other: a start that is disturbed takes longer, no more
                used[NAMES[kind]] = threads
            differences = self.compare(contenders, folder, dtype, batch)
            load = machine.load()
            series = alternate(contenders, self.args.rounds, lambda i: say(f"  round {i + 1} of {self.args.rounds}"))
        finally:
            for contender in contenders:
                contender.close()
        return {"model": model, "dtype": dtype, "batch": batch, "threads": threads, "load_before": load,
                "contenders": {c.name: {"threads": used[c.name], "difference": differences[c.name],
                                        "facts": c.facts, "cpu": series[c.name].cpu, "wall": series[c.name].wall}
                               for c in contenders}}

    def compare(self, contenders, folder, dtype, batch):
        expected = outputs.read_tensor(folder / f"expected{batch}.safetensors", "output")
        differences = {}
        for contender in contenders:
            path = contender.output(folder / "output.safetensors")
            differences[contender.name] = outputs.check(contender.name, dtype,
                                                        outputs.read_tensor(path, "output"), expected)
        return differences

    def results(self, argv):
        results = {"command": shlex.join(["benchmarks/compare/run.py", *argv]), "machine": machine.describe(),
                   "pytorch": json.loads(self.call_python("facts.py")), "isa_limit": self.args.isa_limit,
                   "libtorch": environment.libtorch_digests(self.args.l2c, self.python),
                   "rounds": self.args.rounds, "seconds": self.args.seconds, "cases": []}
        for model in self.args.models:
            folder = self.prepare(model)
            for dtype in self.args.dtypes:
                for batch in self.args.batches:
                    for threads in self.args.threads:
                        results["cases"].append(self.case(model, folder, dtype, batch, threads))
                        write(self.args.out, results)  # what is measured stays when a later case fails
        return results


def say(text):
    print(text, file=sys.stderr, flush=True)


def write(path, results):
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(results, indent=1) + "\n")
    partial.replace(path)


def main(argv):
    args = parse_arguments(argv)
    environment.cores(max(args.threads + [args.scaling]))
    python = args.python or environment.ensure_python()
    with tempfile.TemporaryDirectory(prefix="l2c-compare-") as folder:
        try:
            results = Run(args, python, Path(folder)).results(argv)
        except (Failed, outputs.Differs) as error:
            sys.exit(f"error: {error}")
    text = report.markdown(results)
    args.out.with_suffix(".md").write_text(text)
    print(text)
    say(f"wrote {args.out} and {args.out.with_suffix('.md')}")


if __name__ == "__main__":
    main(sys.argv[1:])
