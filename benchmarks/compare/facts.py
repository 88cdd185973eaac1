"""Prints what PyTorch in this environment computes with, as one line of JSON."""

import json
import os
import re
import tempfile

import torch


def onednn_isa():
    """oneDNN's own words, written by its first product to standard output."""
    torch.set_num_threads(1)
    linear = torch.nn.Linear(64, 64).bfloat16()
    saved = os.dup(1)
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), 1)
        try:
            with torch.no_grad(), torch.backends.mkldnn.verbose(torch.backends.mkldnn.VERBOSE_ON):
                linear(torch.zeros(64, 64, dtype=torch.bfloat16))
        finally:
            os.dup2(saved, 1)
        captured.seek(0)
        found = re.search(r"info,cpu,isa:(.*)", captured.read().decode(errors="replace"))
    return found.group(1).strip() if found else "unknown"


if __name__ == "__main__":
    print(json.dumps({"torch": torch.__version__, "capability": torch.backends.cpu.get_cpu_capability(),
                      "onednn_isa": onednn_isa()}))
