"""The machine and the moment, for the record. Standard library only."""

import datetime
import os
import platform
import re
from pathlib import Path

TELLING_FLAGS = ["avx2", "fma", "avx512f", "avx512_bf16", "avx512_fp16", "avx512_vnni", "amx_tile", "amx_bf16"]


def describe():
    try:
        info = Path("/proc/cpuinfo").read_text()
    except OSError:
        info = ""
    name = re.search(r"^model name\s*: (.*)$", info, re.MULTILINE)
    flags = re.search(r"^flags\s*: (.*)$", info, re.MULTILINE)
    present = set(flags.group(1).split()) if flags else set()
    return {"cpu": name.group(1) if name else platform.processor(),
            "flags": [flag for flag in TELLING_FLAGS if flag in present],
            "cores": len(os.sched_getaffinity(0)), "system": platform.platform(),
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")}


def load():
    """Processes that wanted a core in the last minute."""
    return round(os.getloadavg()[0], 2)
