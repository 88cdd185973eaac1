"""The soak program: a short soak keeps every promise, and mistakes made on purpose are found.

    L2C_SOAK=build/dev/tests/soak/l2c_soak soak_test.py [Short | Planted | Arguments]
"""
import json
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = os.environ["L2C_SOAK"]
SANITIZED = os.environ.get("L2C_SANITIZE", "OFF") not in ("", "OFF")


def soak(*arguments):
    return subprocess.run([PROGRAM, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, timeout=280)


class Short(unittest.TestCase):
    def test_mixed_runs_keep_everything(self):
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "soak.json"
            done = soak("--runs", 60, "--threads", 4, "--cases", 26, "--pool-threads", 3, "--out", out)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            report = json.loads(out.read_text())
        self.assertTrue(report["passed"])
        self.assertEqual(report["problems"], [])
        self.assertEqual(sum(report["were_to"].values()), 60)
        self.assertEqual(sum(report["ended"].values()), 60)
        self.assertEqual(len(report["resident_kib_after_each_run"]), 60)
        self.assertEqual(len(set(report["requests"])), 26)
        # What the soak is for must really have happened.
        self.assertGreaterEqual(report["ended"]["was cancelled"], 27)
        self.assertGreaterEqual(report["compared_bit_for_bit"], 20)
        self.assertEqual(report["ended"]["threw the caller's exception"], 3)
        self.assertEqual(report["ended"]["was refused"], 2)
        self.assertEqual(report["ended"]["failed"], 1)
        self.assertEqual(report["base"]["malloc_in_use_bytes"] is None, SANITIZED)
        judged = [criterion["name"] for criterion in report["criteria"]]
        self.assertEqual(len(judged), 4 if SANITIZED else 6, judged)


class Planted(unittest.TestCase):
    def planted(self, mistake):
        done = soak("--runs", 40, "--threads", 2, "--cases", 13, "--plant", mistake)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        broken = [line.split(":")[0].removeprefix("BROKEN").strip() for line in done.stdout.splitlines()
                  if line.startswith("BROKEN")]
        return broken, done.stderr

    def test_wrong_bits(self):
        broken, problems = self.planted("bits")
        self.assertEqual(broken, ["runs with a problem"])
        self.assertRegex(problems, r"1 of \d+ latents differ")

    @unittest.skipIf(SANITIZED, "AddressSanitizer's allocator is not counted")
    def test_growth(self):
        broken, _ = self.planted("growth")
        self.assertIn("in use by malloc after last tenth above second's", broken)
        self.assertNotIn("runs with a problem", broken)

    def test_open_files(self):
        broken, _ = self.planted("files")
        self.assertEqual(broken, ["open files, last tenth against second"])

    def test_stops_that_nobody_hears(self):
        broken, problems = self.planted("stops")
        self.assertEqual(broken[:2], ["runs with a problem", "runs that were not cancelled"])
        self.assertIn("was to stop before the run, but finished", problems)


class Arguments(unittest.TestCase):
    def refused(self, message, *arguments):
        done = soak(*arguments)
        self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
        self.assertIn(message, done.stderr)

    def test_what_cannot_be_done(self):
        self.refused("fewer than 10 runs", "--runs", 9)
        self.refused("at least one thread", "--threads", 0)
        self.refused("/absent/dit.safetensors", "--assets", "/absent")
        self.refused("is a directory", "--out", "/tmp")
        self.refused("memory limit of", "--memory-limit", 1000)


if __name__ == "__main__":
    unittest.main()
