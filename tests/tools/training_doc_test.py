"""Runs every command of docs/training.md's first part as it stands there, on pictures of three classes."""
import math
import os
import random
import re
import shlex
import struct
import subprocess
import sys
import tempfile
import unittest
import zlib
from pathlib import Path

PROGRAM = os.environ["L2C_PROGRAM"]
DOC = Path(__file__).resolve().parents[2] / "docs/training.md"


def write_png(path, size, pixel):
    rows = b"".join(b"\0" + bytes(v for x in range(size) for v in pixel(x, y)) for y in range(size))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows))
                     + chunk(b"IEND", b""))


def photos(folder, draw, count):
    """Discs, bars and chequers, each in colours and places of its own."""
    for name in ("bars", "chequers", "discs"):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            size = draw.randrange(20, 33)
            colour = tuple(draw.randrange(120, 256) for _ in range(3))
            shift, centre = draw.randrange(8), size * draw.uniform(0.4, 0.6)
            inside = {"bars": lambda x, y: (x + shift) // 4 % 2,
                      "chequers": lambda x, y: ((x + shift) // 8 + (y + shift) // 8) % 2,
                      "discs": lambda x, y: math.hypot(x - centre, y - centre) < size / 3}[name]
            write_png(folder / name / f"{i}.png", size, lambda x, y: colour if inside(x, y) else (10, 10, 30))


class TrainingDoc(unittest.TestCase):
    def test_every_command_runs(self):
        text = DOC.read_text().split("## For real")[0]
        commands = [line for block in re.findall(r"```sh\n(.*?)```", text, re.S) for line in block.splitlines()]
        self.assertGreaterEqual(len(commands), 8)
        with tempfile.TemporaryDirectory() as name:
            folder, draw = Path(name), random.Random(1)
            photos(folder / "photos/train", draw, 32)
            photos(folder / "photos/test", draw, 16)
            (folder / "small.json").write_text(re.search(r"```json\n(.*?)```", text, re.S)[1])
            for command in commands:
                words = shlex.split(command)
                self.assertEqual(words[0], "l2c")
                done = subprocess.run([PROGRAM, *words[1:]], cwd=folder, capture_output=True, text=True, timeout=280)
                print(f"$ {command}\n{done.stdout}", file=sys.stderr)
                self.assertEqual(done.returncode, 0, f"{command}\n{done.stderr}")
            for made in ("dit/curve.csv", "samples.png", "router/heat_map.png", "router/curve.csv", "compare.png",
                         "router-own/router.safetensors", "classifier.safetensors", "eval.json"):
                self.assertTrue((folder / "run" / made).is_file(), made)


if __name__ == "__main__":
    unittest.main(verbosity=2)
