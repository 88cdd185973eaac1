#!/usr/bin/env python3
"""Runs the fuzzers of the file readers, and keeps their corpus. docs/fuzzing.md says how to work with it.

fuzz.py run [--seconds N] [TARGET ...]   each target in turn; ends with a table, and with 1 for findings
fuzz.py seeds                            writes build/fuzz/seeds: needs the tests of build/dev
fuzz.py merge [TARGET ...]               fuzz/corpus anew: the fewest of all known inputs that reach as much
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build/fuzz"
CORPUS = ROOT / "fuzz/corpus"
CRASHES = BUILD / "crashes"
TARGETS = re.search(r"set\(L2C_FUZZ_TARGETS (.*)\)", (ROOT / "fuzz/sources.cmake").read_text()).group(1).split()
LONGEST_INPUT = 4096
LARGEST_SEED = 8192
LARGEST_COMMITTED = 2048  # of several hundred files
MOST_FINDINGS = 10  # of one target in one run

# docs/formats.md: a reader takes at most four times the file's size and 64 MB. What one piece may take is a
# little below, and what all may take leaves room for LibTorch, the sanitizer and the corpus itself.
LIMITS = [f"-max_len={LONGEST_INPUT}", "-malloc_limit_mb=100", "-rss_limit_mb=2048", "-timeout=20"]
ENVIRONMENT = {
    "ASAN_OPTIONS": "quarantine_size_mb=16:detect_leaks=1:allocator_may_return_null=0:strict_string_checks=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "passive",
}
STATISTICS = {
    "executions": r"^stat::number_of_executed_units: *(\d+)",
    "new inputs": r"^stat::new_units_added: *(\d+)",
    "slowest, s": r"^stat::slowest_unit_time_sec: *(\d+)",
    "memory, MB": r"^stat::peak_rss_mb: *(\d+)",
}
COLUMNS = ["target", "seconds", "CPU s", "executions", "exec/s", "edges", "corpus", "corpus KB", "new inputs", "slowest, s",
           "memory, MB", "findings"]  # fmt: skip


def fuzzer(target):
    program = BUILD / f"fuzz/fuzz_{target}"
    if not program.is_file():
        sys.exit(f"{program} is not there: build it with `make fuzz`, or see docs/fuzzing.md")
    return program


def dictionary(target):
    path = ROOT / f"fuzz/{target}.dict"
    return [f"-dict={path}"] if path.is_file() else []


def call(target, arguments, log):
    with open(log, "ab") as stream:
        command = [str(fuzzer(target)), *arguments]
        return subprocess.run(command, env=os.environ | ENVIRONMENT, stdout=stream, stderr=stream).returncode


def last(pattern, text):
    found = re.findall(pattern, text, re.MULTILINE)
    return found[-1] if found else None


def run_target(target, seconds, jobs_log):
    """One row of the table. After a finding the fuzzer starts again for the rest of the time."""
    own = BUILD / "corpus" / target
    own.mkdir(parents=True, exist_ok=True)
    CRASHES.mkdir(parents=True, exist_ok=True)
    before = set(CRASHES.glob(f"{target}-*"))
    start, start_cpu = time.monotonic(), cpu_seconds()
    row = {"target": target, "executions": 0, "new inputs": 0, "slowest, s": 0, "memory, MB": 0, "edges": 0}
    for _ in range(MOST_FINDINGS):
        left = seconds - (time.monotonic() - start)
        if left < 1:
            break
        log = jobs_log.with_name(f"{target}.log")
        at = log.stat().st_size if log.is_file() else 0
        known = [str(own), str(CORPUS / target)]
        call(target, [f"-max_total_time={int(left)}", f"-artifact_prefix={CRASHES}/{target}-", "-print_final_stats=1",
                      *LIMITS, *dictionary(target), *known], log)  # fmt: skip
        add_statistics(row, log.read_text(errors="replace")[at:])
    row["seconds"] = round(time.monotonic() - start)
    row["CPU s"] = round(cpu_seconds() - start_cpu)
    row["exec/s"] = round(row["executions"] / max(1, row["seconds"]))
    row["findings"] = len(set(CRASHES.glob(f"{target}-*")) - before)
    return row


def cpu_seconds():
    """Of all programs that have been waited for: on a busy machine much less than the clock's."""
    times = os.times()
    return times.children_user + times.children_system


def add_statistics(row, text):
    for name, pattern in STATISTICS.items():
        value = int(last(pattern, text) or 0)
        row[name] = row[name] + value if name in ("executions", "new inputs") else max(row[name], value)
    row["edges"] = max(row["edges"], int(last(r"\bcov: (\d+)", text) or 0))
    corpus = last(r"\bcorp: (\d+/\d+[a-zA-Z]+)", text) or "0/0b"
    count, size, unit = re.fullmatch(r"(\d+)/(\d+)([a-zA-Z]+)", corpus).groups()
    row["corpus"] = int(count)
    row["corpus KB"] = round(int(size) * {"b": 1 / 1024, "Kb": 1, "Mb": 1024}[unit])


def print_table(rows):
    cells = [COLUMNS] + [[str(row.get(column, "")) for column in COLUMNS] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(COLUMNS))]
    for line in cells:
        print("  ".join(cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, widths))))


def processor():
    name = last(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text())
    return f"{name}, {os.cpu_count()} threads"


def run(options):
    stamp = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H%M%SZ")
    folder = options.out or BUILD / "logs" / stamp
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for target in options.targets:
        print(f"fuzzing {target} for {options.seconds} s (log: {folder / target}.log)", flush=True)
        rows.append(run_target(target, options.seconds, folder / "log"))
        record = {"date": stamp, "device": processor(), "rows": rows}
        (folder / f"totals-{'-'.join(options.targets)}.json").write_text(json.dumps(record, indent=1) + "\n")
    print_table(rows)
    findings = sum(row["findings"] for row in rows)
    if findings:
        print(f"{findings} findings: {CRASHES}. Run one again: {BUILD}/fuzz/fuzz_TARGET FILE")
    return 1 if findings else 0


def seeds(_):
    """Sound and hostile files of the tests, by the readers that they are for."""
    folder = BUILD / "seeds"
    shutil.rmtree(folder, ignore_errors=True)
    raw = folder / "raw"
    for module in ("fuzz", "io", "cache", "models"):
        (raw / module).mkdir(parents=True)
        program = ROOT / f"build/dev/tests/{module}/test_{module}"
        if not program.is_file():
            sys.exit(f"{program} is not there: build it with cmake --build build/dev --target test_{module}")
        subprocess.run([program, "--gtest_filter=Hostile*:Seeds.*", "--gtest_brief=1"], check=True,
                       env=os.environ | {"L2C_KEEP_FILES": str(raw / module)}, stdout=subprocess.DEVNULL)  # fmt: skip
    for file in sorted(raw.rglob("*")) + [p for p in sorted((ROOT / "tests/data").rglob("*")) if is_seed(p)]:
        if not file.is_file() or file.stat().st_size > LARGEST_SEED:
            continue
        for target in targets_of(file):
            (folder / target).mkdir(exist_ok=True)
            shutil.copy(file, folder / target / f"{file.parent.name}-{file.name}")
    shutil.rmtree(raw)
    for target in TARGETS:
        print(f"{target}: {len(list((folder / target).iterdir()))} seeds")


def is_seed(path):
    return path.suffix in (".pt", ".npz", ".safetensors", ".json", ".png", ".jpg")


def targets_of(file):
    start = file.read_bytes()[:9]
    kinds = []
    if start[:2] == b"PK":
        kinds.append("torch_zip")
    elif start[:1] == b"\x80":
        kinds.append("torch_legacy")
    elif start[1:4] == b"PNG" or start[:2] == b"\xff\xd8" or file.suffix in (".png", ".jpg"):
        return ["png_text"]
    elif file.suffix == ".json" or start[:1] in (b"{", b"["):
        return ["json_config"]
    elif start[8:9] == b"{" or file.suffix == ".safetensors":
        kinds.append("safetensors")
    if "router" in file.name.lower() or file.parent.name == "cache":
        kinds.append("router")
    return kinds or ["torch_zip"]


def small_files(target):
    """A folder with copies of all inputs known that are small enough to be committed."""
    folder = BUILD / "small" / target
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for known in (BUILD / "seeds" / target, CORPUS / target, BUILD / "corpus" / target):
        for file in known.glob("*"):
            if file.stat().st_size <= LARGEST_COMMITTED:
                shutil.copy(file, folder / f"{known.parent.name}-{file.name}")
    return folder


def merge(options):
    for target in options.targets:
        new = BUILD / "merged" / target
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        known = small_files(target)
        (CORPUS / target).mkdir(parents=True, exist_ok=True)
        # Whether an edge was passed counts, not how often: a corpus to commit, not one to search with.
        code = call(target, ["-merge=1", "-use_counters=0", *LIMITS, str(new), str(known)], BUILD / "merge.log")
        if code != 0:
            sys.exit(f"merging {target} failed: see {BUILD / 'merge.log'}")
        shutil.rmtree(CORPUS / target)
        shutil.copytree(new, CORPUS / target)
        files = list(new.iterdir())
        print(f"{target}: {len(files)} files, {sum(f.stat().st_size for f in files) / 1024:.0f} KB")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["run", "seeds", "merge"])
    parser.add_argument("targets", nargs="*", help="all, when none is named")
    parser.add_argument("--seconds", type=int, default=60, help="of each target (default: 60)")
    parser.add_argument("--out", type=Path, help="a folder for the logs and the totals")
    options = parser.parse_intermixed_args()
    unknown = sorted(set(options.targets) - set(TARGETS))
    if unknown:
        sys.exit(f"no such target: {', '.join(unknown)}; there are {', '.join(TARGETS)}")
    options.targets = options.targets or TARGETS
    return {"run": run, "seeds": seeds, "merge": merge}[options.command](options)


if __name__ == "__main__":
    sys.exit(main())
