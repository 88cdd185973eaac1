#!/usr/bin/env python3
"""report.py RESULTS.json: the tables of a comparison, as Markdown. Standard library only."""

import json
import statistics
import sys
from pathlib import Path

from rounds import ratios, summary

OURS = "l2c"
OURS_CACHED = "l2c, router"


def milliseconds(values):
    s = {key: 1000 * value for key, value in summary(values).items()}
    return f"{s['median']:.2f} ({s['low']:.2f}-{s['high']:.2f})"


def times(values):
    s = summary(values)
    return f"{s['median']:.2f} ({s['low']:.2f}-{s['high']:.2f})"


def mean_rows(cases):
    """What all cases of a type say of a contender together: the geometric mean of the medians."""
    medians = {}
    for case in cases:
        ours = case["contenders"][OURS]["cpu"]
        for name, contender in case["contenders"].items():
            if name != OURS and contender["threads"] == case["threads"]:
                ratio = summary(ratios(contender["cpu"], ours))["median"]
                medians.setdefault((case["dtype"], name), []).append(ratio)
    for (dtype, name), values in medians.items():
        yield [dtype, name, len(values), f"**{statistics.geometric_mean(values):.2f}**", f"{min(values):.2f}"]


def row(cells):
    return f"| {' | '.join(map(str, cells))} |"


def table(header, rows):
    return "\n".join([row(header), row(["-"] * len(header)), *map(row, rows)])


def case_rows(case):
    ours = case["contenders"][OURS]
    for name, contender in case["contenders"].items():
        if contender["threads"] != case["threads"]:
            continue
        ratio = "1" if name == OURS else f"**{times(ratios(contender['cpu'], ours['cpu']))}**"
        yield [case["model"], case["dtype"], case["batch"], case["threads"], name, milliseconds(contender["cpu"]),
               f"{1000 * summary(contender['wall'])['median']:.2f}", ratio, f"{contender['difference']:.1e}"]


def scaling_rows(case):
    ours = case["contenders"][OURS]
    for contender in case["contenders"].values():
        if contender["threads"] == case["threads"]:
            continue
        yield [case["model"], case["dtype"], case["batch"], f"{contender['threads']} against {case['threads']}",
               f"{times(ratios(ours['wall'], contender['wall']))}",
               f"{times(ratios(contender['cpu'], ours['cpu']))}"]


def busy(case):
    """Where a core was shared: one thread's wall clock beyond its CPU time, as a factor."""
    if case["threads"] != 1:
        return 1.0
    return max(summary(ratios(c["wall"], c["cpu"]))["median"] for c in case["contenders"].values()
               if c["threads"] == 1)


def isa_text(results):
    limit = results["isa_limit"]
    return f"limited to {limit} on both sides" if limit else "not limited (each side uses what it can)"


def libtorch_text(results):
    digests = results["libtorch"]
    if digests["l2c"] is None:
        return "l2c links none"
    same = digests["l2c"] == digests["PyTorch"]
    return f"{'the same file on both sides' if same else '**NOT the same file**'}, sha256 {digests['l2c'][:12]}"


def facts(results):
    machine, pytorch = results["machine"], results["pytorch"]
    ours = {c["contenders"][OURS]["facts"].get("isa", "?") for c in results["cases"]}
    return [f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}; {machine['date']}.",
            f"Flags: {', '.join(machine['flags'])}.",
            f"Instruction set {isa_text(results)}: l2c {', '.join(sorted(ours))}; PyTorch {pytorch['capability']}, "
            f"oneDNN \"{pytorch['onednn_isa']}\".",
            f"PyTorch {pytorch['torch']}; libtorch_cpu.so: {libtorch_text(results)}.",
            f"{results['rounds']} rounds in changing order, {results['seconds']:g} s a contender and round; medians "
            "(quartiles) of the rounds' medians.",
            f"Command: `{results['command']}`"]


def notes(results):
    for case in results["cases"]:
        factor = busy(case)
        if factor > 1.05:
            what = f"{case['images']} images" if "images" in case else f"{case['model']} batch {case['batch']}"
            yield (f"Note: {what} {case['dtype']}: a contender's wall clock was "
                   f"{factor:.2f} of its CPU time; the core was shared with something else.")


def markdown(results):
    cases = results["cases"]
    parts = ["\n".join(f"- {fact}" for fact in facts(results)),
             table(["model", "type", "batch", "threads", "contender", "CPU ms a forward", "wall ms",
                    "CPU time, l2c = 1", "difference to fp32"], [r for case in cases for r in case_rows(case)])]
    parts.append(table(["type", "contender", "cases", "CPU time, l2c = 1: geometric mean", "least"], mean_rows(cases)))
    scaling = [r for case in cases for r in scaling_rows(case)]
    if scaling:
        parts.append(table(["model", "type", "batch", "l2c's threads", "speed-up (wall)", "CPU time, fewer = 1"],
                           scaling))
    parts += notes(results)
    return "\n\n".join(parts) + "\n"


def sampling_rows(case):
    contenders = case["contenders"]
    for name, contender in contenders.items():
        full = contenders.get(contender["full_run"])
        rival = contenders[OURS_CACHED if contender["full_run"] else OURS]
        same_plan = contender["full_run"] and contender["difference"] is not None
        difference = "-" if contender["difference"] is None else f"{contender['difference']:.1e}"
        yield [case["images"], case["dtype"], name, milliseconds(contender["cpu"]),
               times(ratios(full["cpu"], contender["cpu"])) if full else "-" if contender["full_run"] else "1",
               f"{contenders[OURS_CACHED]['facts']['ideal_speedup']:.2f}" if same_plan else "-",
               "1" if contender is rival else f"**{times(ratios(contender['cpu'], rival['cpu']))}**",
               difference, f"{contender['mean_square_to_full']:.1e}"]


def sampling_markdown(results):
    cases = results["cases"]
    run = (f"{Path(results['model']).name}, {Path(results['router']).name}, {results['steps']} DDIM steps, guidance "
           f"{results['cfg_scale']:g}, {cases[0]['threads']} thread(s).")
    return "\n\n".join([
        "\n".join(f"- {fact}" for fact in [run, *facts(results)]),
        table(["images", "type", "contender", "CPU ms a run", "speed-up by reuse", "ideal", "CPU time, l2c = 1",
               "difference to eager fp32", "mean square to full"], [r for case in cases for r in sampling_rows(case)]),
        *notes(results)]) + "\n"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    found = json.loads(Path(sys.argv[1]).read_text())
    sys.stdout.write((sampling_markdown if "router" in found else markdown)(found))
