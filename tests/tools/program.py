"""What the tests of the l2c program share: the program, the files, a case with a folder of its own. Standard library only."""
import os
import struct
import subprocess
import tempfile
import unittest
from pathlib import Path

PROGRAM = os.environ["L2C_PROGRAM"]
ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests/data"
ASSETS = ROOT / "assets/fashion-mnist"
SHARED = Path(os.environ.get("L2C_SHARED", ROOT.parent / "shared")) / "reference"
TINY = ["--model", DATA / "dit_tiny/weights.safetensors", "--arch", DATA / "dit_tiny/config.json"]
FASHION = ["--model", ASSETS / "dit.safetensors"]
FAST = ASSETS / "router20_fast.safetensors"
QUALITY = ASSETS / "router20_quality.safetensors"
OFFICIAL_LAYOUT = DATA / "fashion_mnist/router20_fast.pt"  # of another model of the same shape: 93 of 160 at 0.1


def l2c(*arguments, timeout=120):
    return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True,
                          timeout=timeout, stdin=subprocess.DEVNULL)


def peak_memory(test, *arguments, **environment):
    """Bytes that the program takes at most, its libraries included, with these variables set as well. It has to succeed."""
    child = subprocess.Popen([PROGRAM, *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                             env={**os.environ, **environment})
    with child.stderr:
        complaints = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    test.assertEqual(child.returncode, 0, complaints)
    return usage.ru_maxrss * 1024


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def ok(self, *arguments):
        done = l2c(*arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def fails(self, code, *arguments, says):
        done = l2c(*arguments)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        for text in [says] if isinstance(says, str) else says:
            self.assertIn(text, done.stderr)
        self.assertNotIn("terminate", done.stderr)

    def left_behind(self):
        return sorted(path.name for path in self.folder.iterdir())


def png_size(path):
    raw = Path(path).read_bytes()
    assert raw[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", raw[16:24])
