"""What both comparisons (run.py, sampling.py) share: processes, one case, the file of results."""

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import environment
import machine
import outputs
from contender import HERE, Failed
from rounds import alternate

ROOT = HERE.parents[1]


def words(text):
    return [word for word in text.split(",") if word]


def numbers(text):
    return [int(word) for word in words(text)]


def make_parser(description, kinds, program, out):
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dtypes", type=words, default="bf16,fp32")
    parser.add_argument("--contenders", type=words, default=",".join(kinds), help=f"of {', '.join(kinds)}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2, help="a contender and round")
    parser.add_argument("--isa-limit", choices=list(environment.ISA_LIMITS), help="for both sides")
    parser.add_argument("--l2c", type=Path, default=ROOT / "build/dev/benchmarks" / program)
    parser.add_argument("--python", type=Path, help="with PyTorch, instead of the one that is set up")
    parser.add_argument("--out", type=Path, default=ROOT / "out" / out)
    return parser


def check_common(parser, args, kinds):
    unknown = [name for name in args.contenders if name not in kinds]
    if unknown:
        parser.error(f"no contender is called {unknown[0]}; known are {', '.join(kinds)}")
    if not set(args.dtypes) <= set(outputs.TOLERANCE):
        parser.error(f"--dtypes {','.join(args.dtypes)}: known are {', '.join(outputs.TOLERANCE)}")
    if args.rounds < 1:
        parser.error(f"--rounds {args.rounds}: at least 1, and 5 for numbers to keep")
    if not os.access(args.l2c, os.X_OK):
        parser.error(f"{args.l2c} is no program: build it (make compare does), or give --l2c")


@dataclass(frozen=True)
class Entry:
    """A contender of a case, made when its turn to start comes."""

    threads: int
    make: Callable


class Session:
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

    def measured(self, entries, check):
        """{name: numbers} of one case. check(contender) gives facts about its output, or throws Differs."""
        contenders, threads, facts = [], {}, {}
        try:
            for entry in entries:  # one after the other: none is disturbed by another's start
                contenders.append(entry.make())
                contenders[-1].start()
                threads[contenders[-1].name] = entry.threads
            for contender in contenders:
                facts[contender.name] = check(contender)
            series = alternate(contenders, self.args.rounds, lambda i: say(f"  round {i + 1} of {self.args.rounds}"))
        finally:
            for contender in contenders:
                contender.close()
        return {c.name: {"threads": threads[c.name], **facts[c.name], "facts": c.facts, "cpu": series[c.name].cpu,
                         "wall": series[c.name].wall} for c in contenders}

    def new_results(self, script, argv):
        """Everything about the run but its cases."""
        return {"command": shlex.join([f"benchmarks/compare/{script}", *argv]), "machine": machine.describe(),
                "pytorch": json.loads(self.call_python("facts.py")), "isa_limit": self.args.isa_limit,
                "libtorch": environment.libtorch_digests(self.args.l2c, self.python),
                "rounds": self.args.rounds, "seconds": self.args.seconds, "cases": []}


def say(text):
    print(text, file=sys.stderr, flush=True)


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text)
    partial.replace(path)


def write_results(path, results):
    write(path, json.dumps(results, indent=1) + "\n")


def run(kind, args, argv, markdown):
    """Makes the Python, runs, prints and keeps the tables. Ends the program when a contender fails or differs."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))  # cleaning up on the way
    python = args.python or environment.ensure_python()
    with tempfile.TemporaryDirectory(prefix="l2c-compare-") as folder:
        try:
            results = kind(args, python, Path(folder)).results(argv)
        except (Failed, outputs.Differs) as error:
            sys.exit(f"error: {error}")
    text = markdown(results)
    write(args.out.with_suffix(".md"), text)
    print(text)
    say(f"wrote {args.out} and {args.out.with_suffix('.md')}")
