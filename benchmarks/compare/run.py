#!/usr/bin/env python3
"""Forward passes of l2c against PyTorch: same machine, weights and inputs, in turn, outputs compared.

    python3 benchmarks/compare/run.py --out out/compare.json

Makes a Python of its own at the first call (environment.py), prints the tables (report.py) and keeps
every round's numbers as JSON. Stops with an error when a contender computes something else.
"""

import sys

import environment
import machine
import outputs
import report
import session
from contender import HERE, Program, Worker
from contenders import NAMES
from session import Entry, numbers, say, words

OURS = report.OURS


def parse_arguments(argv):
    parser = session.make_parser(__doc__, NAMES, "bench_forward", "compare.json")
    parser.add_argument("--models", type=words, default="demo,DiT-S/2", help="demo, DiT-S/2, ..., F.safetensors")
    parser.add_argument("--batches", type=numbers, default="2,8", help="rows of a forward")
    parser.add_argument("--threads", type=numbers, default="1")
    parser.add_argument("--scaling", type=int, metavar="N",
                        help="where --threads has 1: l2c with N threads, too; 0: not (default: 2 where there are two cores)")
    args = parser.parse_args(argv)
    session.check_common(parser, args, NAMES)
    environment.cores(max(args.threads))
    if 1 not in args.threads:
        args.scaling = 0
    elif args.scaling is None:
        args.scaling = 2 if environment.available() > 1 else 0
    elif args.scaling > environment.available():
        parser.error(f"--scaling {args.scaling}: this process may use {environment.available()} cores")
    return args


class Forwards(session.Session):
    def prepare(self, model):
        folder = self.folder / model.replace("/", "-")
        folder.mkdir(exist_ok=True)
        self.call_python("prepare.py", "--model", model, "--folder", folder,
                         "--batches", ",".join(map(str, self.args.batches)))
        return folder

    def program(self, folder, dtype, batch, threads, name):
        output = folder / f"{threads}.safetensors"
        command = environment.pinned_command(
            [self.args.l2c, "--model", folder / "model.safetensors", "--inputs", folder / f"inputs{batch}.safetensors",
             "--output", output, "--dtype", dtype, "--threads", threads, "--seconds", self.args.seconds], threads)
        return Entry(threads, lambda: Program(name, command, output, "forward", self.environment(threads)))

    def worker(self, folder, dtype, batch, threads, kind):
        command = environment.pinned_command(
            [self.python, HERE / "worker.py", "--contender", kind, "--model", folder / "model.safetensors",
             "--inputs", folder / f"inputs{batch}.safetensors", "--dtype", dtype, "--threads", threads], threads)
        question = {"seconds": self.args.seconds, "warm_up": 3, "fewest": 5}  # as bench_forward does
        return Entry(threads, lambda: Worker(NAMES[kind], command, folder / f"{kind}.log", question,
                                             self.environment(threads)))

    def entries(self, *case):
        threads = case[-1]
        yield self.program(*case, OURS)
        if threads == 1 and self.args.scaling > 1:
            yield self.program(*case[:-1], self.args.scaling, f"{OURS}, {self.args.scaling} threads")
        for kind in self.args.contenders:
            yield self.worker(*case, kind)

    def case(self, model, folder, dtype, batch, threads):
        say(f"{model}, {dtype}, batch {batch}, {threads} thread(s): warming up")
        expected = outputs.read_tensor(folder / f"expected{batch}.safetensors", "output")

        def check(contender):
            actual = outputs.read_tensor(contender.output(folder / "output.safetensors"), "output")
            return {"difference": outputs.check(contender.name, dtype, actual, expected)}
        load = machine.load()
        return {"model": model, "dtype": dtype, "batch": batch, "threads": threads, "load_before": load,
                "contenders": self.measured(self.entries(folder, dtype, batch, threads), check)}

    def results(self, argv):
        results = self.new_results("run.py", argv)
        for model in self.args.models:
            folder = self.prepare(model)
            for dtype in self.args.dtypes:
                for batch in self.args.batches:
                    for threads in self.args.threads:
                        results["cases"].append(self.case(model, folder, dtype, batch, threads))
                        # What is measured stays when a later case fails.
                        session.write_results(self.args.out, results)
        return results


def main(argv):
    args = parse_arguments(argv)
    session.run(Forwards, args, argv, report.markdown)


if __name__ == "__main__":
    main(sys.argv[1:])
