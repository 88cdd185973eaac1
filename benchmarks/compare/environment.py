"""The Python that the contenders run in, and what every contender's process is given."""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

REQUIREMENTS = Path(__file__).with_name("requirements.txt")

# Instruction set limits: l2c's own switch, oneDNN's (in PyTorch, under both of its names) and MKL's.
ISA_LIMITS = {
    "avx2": {"L2C_CPU_ISA": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "DNNL_MAX_CPU_ISA": "AVX2",
             "MKL_ENABLE_INSTRUCTIONS": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"},
    "avx512": {"L2C_CPU_ISA": "avx512", "ONEDNN_MAX_CPU_ISA": "AVX512_CORE",
               "DNNL_MAX_CPU_ISA": "AVX512_CORE", "MKL_ENABLE_INSTRUCTIONS": "AVX512"},
    "avx512_bf16": {"L2C_CPU_ISA": "avx512_bf16", "ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16",
                    "DNNL_MAX_CPU_ISA": "AVX512_CORE_BF16", "MKL_ENABLE_INSTRUCTIONS": "AVX512_E3"},
}


def pinned(package, requirements=REQUIREMENTS):
    """The version of a package that requirements.txt asks for."""
    found = re.search(rf"^{package}==(\S+)$", requirements.read_text(), re.MULTILINE)
    if not found:
        raise SystemExit(f"{requirements} does not pin {package}: add a line {package}==VERSION")
    return found.group(1)


def cache_folder():
    own = os.environ.get("L2C_DEPS_DIR")
    return Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "l2c"


def ensure_python():
    """The interpreter of the virtual environment, made at the first call (2.7 GB download)."""
    folder = cache_folder() / f"compare-{pinned('torch')}"
    marker = folder / "complete"
    wanted = REQUIREMENTS.read_text()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{folder}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two runs must not install into one folder
        if not marker.is_file() or marker.read_text() != wanted:
            print(f"setting up {folder}: 2.7 GB download, 5 GB on disk, once per user", file=sys.stderr)
            marker.unlink(missing_ok=True)
            if not (folder / "bin/python").exists():
                shutil.rmtree(folder, ignore_errors=True)
                run_or_stop([sys.executable, "-m", "venv", folder])
            run_or_stop([folder / "bin/python", "-m", "pip", "install", "--quiet", "--no-cache-dir",
                         "--disable-pip-version-check", "-r", REQUIREMENTS])
            marker.write_text(wanted)
    return folder / "bin/python"


def run_or_stop(command):
    done = subprocess.run([str(part) for part in command], stdout=sys.stderr)
    if done.returncode != 0:
        raise SystemExit(f"failed: {' '.join(map(str, command))}; see its message above, then run again")


def available():
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0))


def cores(threads):
    """The processor numbers that a contender with so many threads may use."""
    allowed = sorted(os.sched_getaffinity(0))
    if threads > len(allowed):
        raise SystemExit(f"{threads} threads asked for, but this process may use {len(allowed)} cores: "
                         f"give --threads {len(allowed)} or fewer")
    return allowed[:threads]


def process_environment(threads, isa_limit=None):
    """The same for every contender: threads, waiting that burns no time, the instruction set."""
    chosen = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads),
              "OMP_WAIT_POLICY": "passive", "KMP_BLOCKTIME": "0", "PYTHONDONTWRITEBYTECODE": "1",
              "CUDA_VISIBLE_DEVICES": "", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    limits = {key for limit in ISA_LIMITS.values() for key in limit}
    kept = {key: value for key, value in os.environ.items() if key not in limits}
    return {**kept, **chosen, **(ISA_LIMITS[isa_limit] if isa_limit else {})}


def pinned_command(command, threads):
    return ["taskset", "-c", ",".join(map(str, cores(threads))), *map(str, command)]


def libtorch_of(program):
    """The libtorch_cpu.so that a program links, None when it links none."""
    listed = subprocess.run(["ldd", str(program)], capture_output=True, text=True).stdout
    found = re.search(r"libtorch_cpu\.so => (\S+)", listed)
    return Path(found.group(1)).resolve() if found else None


def libtorch_digests(program, python):
    """SHA-256 of the libtorch_cpu.so of both sides; they should be one file's."""
    theirs = next(Path(python).parent.parent.glob("lib/python3*/site-packages/torch/lib/libtorch_cpu.so"), None)
    files = {"l2c": libtorch_of(program), "PyTorch": theirs}
    return {name: digest(file) if file else None for name, file in files.items()}


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") \
            else hashlib.sha256(file.read()).hexdigest()
