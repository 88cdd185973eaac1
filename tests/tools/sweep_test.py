"""l2c sweep as a user runs it.

    L2C_PROGRAM=build/dev/tools/l2c/l2c python3 sweep_test.py Sweep
"""
import base64
import csv
import json
import shlex
import signal
import subprocess
import tempfile
import time
import unittest
from html.parser import HTMLParser
from pathlib import Path

from eval_test import make_inputs
from program import FASHION, FAST, PROGRAM, Case, png_size

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Tags must close in order; collects what the tests ask for."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.sources, self.pre = [], [], [], []
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.sources += [value for name, value in attributes if name in ("src", "href")]
        if tag == "pre":
            self.pre.append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, (tag, self.open)
        self.open.pop()

    def handle_data(self, data):
        if self.open and self.open[-1] == "pre":
            self.pre[-1] += data


class SweepCase(Case):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.shared = Path(folder.name)
        cls.data, cls.classifier = make_inputs(cls.shared)

    def command(self, *options, **changed):
        """changed: option names with '_' for '-'; None leaves the option out."""
        settings = {"classifier": self.classifier, "data": self.data, "images": 8, "seeds": "0,1",
                    "report_seeds": "5,6", "steps": 4, "cfg_scale": 1.5, "batch_size": 4, "rounds": 1,
                    "threads": 1, "out": self.folder / "sweep"} | changed
        line = ["sweep", *FASHION]
        for name, value in settings.items():
            if value is not None:
                line += ["--" + name.replace("_", "-"), value]
        return [*line, *options]

    def sweep(self, *options, **changed):
        self.said = self.ok(*self.command(*options, **changed))
        self.out = Path(changed.get("out", self.folder / "sweep"))
        return json.loads((self.out / "sweep.json").read_text())

    def shards(self):
        return {path: path.stat().st_mtime_ns for path in self.folder.rglob("shard-*.safetensors")}

    def run_text(self, command):
        shell = f"l2c() {{ {shlex.quote(str(Path(PROGRAM).resolve()))} \"$@\"; }}; " + command
        done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, timeout=120, cwd=self.folder)
        self.assertEqual(done.returncode, 0, done.stderr)


class Sweep(SweepCase):
    def test_makes_the_files(self):
        record = self.sweep("--policies", "every:2", "steps:2", "--recalls", "taylor:1", "--budgets", "0,1000000")
        self.assertEqual([point["policy"] for point in record["points"]],
                         ["full", "every:2", "steps:2", "every:2+taylor:1"])
        self.assertEqual((record["choosing_seeds"], record["reporting_seeds"]), ([0, 1], [5, 6]))
        self.assertTrue(any(point["on_front"] for point in record["points"]))
        self.assertEqual(sorted(path.name for path in self.out.iterdir()),
                         ["report.html", "sweep.csv", "sweep.json", "sweep.png", "work"])
        self.assertGreaterEqual(png_size(self.out / "sweep.png")[0], 1200)
        with open(self.out / "sweep.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        for point in record["points"]:
            own = [row for row in rows if row["policy"] == point["policy"]]
            self.assertEqual([row["seeds_for"] for row in own],
                             ["choosing", "reporting"] if point["reporting"] else ["choosing"])
            self.assertEqual(float(own[0]["frechet"]), point["choosing"]["frechet"]["mean"])
            self.assertEqual(own[0]["reproduce"], point["reproduce"])
        self.assertIn("at most +1000000 % Fréchet distance:", self.said)
        self.assertIn("l2c sample --model", self.said)

    def test_the_page_stands_alone(self):
        record = self.sweep("--policies", f"router:{FAST}", "--thresholds", "0.5", steps=20, images=4, seeds="0", report_seeds="1")
        page = Page((self.out / "report.html").read_text())
        self.assertNotIn("script", page.tags)
        self.assertEqual(page.tags.count("svg"), 3)
        for source in page.sources:
            self.assertTrue(source.startswith("data:image/png;base64,"), source[:40])
            raw = base64.b64decode(source.split(",", 1)[1], validate=True)
            self.assertEqual(raw[:8], b"\x89PNG\r\n\x1a\n")
        reported = [point for point in record["points"] if point["reporting"]]
        reusing = [point for point in record["points"] if "." in "".join(point["plan"])]
        self.assertEqual(len(reusing), 2)
        self.assertEqual(len(page.sources), len(reported) + len(reusing))
        for point in record["points"]:
            self.assertIn(point["reproduce"], page.pre)
            self.assertIn(point["use"], page.pre)

    def test_makes_the_files_anew(self):
        self.sweep("--policies", "every:2", "steps:2")
        files = {name: (self.out / name).read_bytes() for name in ("report.html", "sweep.csv", "sweep.png", "sweep.json")}
        again = self.folder / "again"
        self.ok("sweep", "--from", self.out / "sweep.json", "--out", again)
        self.assertEqual({name: (again / name).read_bytes() for name in files}, files)
        (again / "sweep.json").write_text("{}")
        self.fails(2, "sweep", "--from", again / "sweep.json", "--out", again, says="is not what l2c sweep writes")
        self.fails(2, "sweep", "--from", self.out / "sweep.json", "--out", again, "--steps", 4, says="--from")

    def test_refuses_before_any_work(self):
        self.fails(2, *self.command("--policies", "every:2", report_seeds="1,5"), says="seed 1 is to choose and to report")
        self.fails(2, *self.command("--policies", f"router:{FAST}"), says="trained for 20 steps, the run has 4")
        self.fails(2, *self.command("--policy", "fast"), says="no such policy")
        self.fails(2, *self.command("--policies", "every:2", "--thresholds", "0.1,0.5"), says="thresholds without a router")
        self.fails(2, *self.command("--grid", "default", "--recalls", "tailor:1"), says="tailor:1")
        self.fails(2, *self.command(), says="nothing to compare with")
        self.fails(2, *self.command("--policies", "every:2", "--budgets", "-1"), says="a budget of -1 %")
        self.fails(2, *self.command("--policies", "every:2", "--at-least-speedup", "0.5"), says="at least 1")
        self.fails(2, *self.command("--policies", "every:2", "--grid", "large"), says="--grid: large not in")
        self.fails(2, *self.command("--policies", "every:2", data=None), says="give one of --data and --reference")
        self.fails(2, *self.command("--policies", "every:2", classifier=None), says="give one of --classifier and --inception")
        self.fails(2, *self.command("--policies", "every:2", device="cudo"), says="cudo")
        self.fails(2, *self.command("--policies", "every:2", show=0), says="0 images to show")
        self.fails(2, *self.command("--policies", "every:2", out=None), says="--out is required")
        self.fails(2, *self.command("--policies", "every:2", out=self.folder / "no/folder"), says="no/folder")
        file = self.folder / "file"
        file.write_text("")
        self.fails(2, *self.command("--policies", "every:2", out=file), says="is a file")
        self.assertEqual(self.left_behind(), ["file"])


class SweepRuns(SweepCase):
    def test_its_commands_do_what_they_say(self):
        out = self.folder / "it's a folder"
        record = self.sweep("--policies", "every:2+taylor:1", "steps:2", out=out)
        before = self.shards()
        for point in record["points"]:
            if not point["reporting"]:
                self.assertIn("--seeds 0,1 ", point["reproduce"])
                continue
            self.run_text(point["reproduce"])
            full, *others = json.loads((self.folder / "point.json").read_text())["policies"]
            self.assertEqual([one["spec"] for one in (full, *others)],
                             ["full"] if point["policy"] == "full" else ["full", point["policy"]])
            self.assertEqual(full["frechet"], record["points"][0]["reporting"]["frechet"])
            self.assertEqual((others or [full])[-1]["frechet"], point["reporting"]["frechet"])
            self.run_text(point["use"] + " --labels 1 --out one.png --stats one.json")
            self.assertEqual(json.loads((self.folder / "one.json").read_text())["steps"], point["steps"])
        self.assertEqual(self.shards(), before)
        self.run_text(record["command"])
        self.assertEqual(json.loads((out / "sweep.json").read_text())["command"], record["command"])
        self.assertEqual(self.shards(), before)

    def test_goes_on_after_a_kill_and_samples_nothing_twice(self):
        command = self.command("--policies", "every:2", images=24, batch_size=1)
        run = subprocess.Popen([PROGRAM, *map(str, command)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(run.wait)
        deadline = time.monotonic() + 60
        while len(self.shards()) < 3:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)
        run.send_signal(signal.SIGKILL)
        self.assertEqual(run.wait(), -9)
        self.assertFalse((self.folder / "sweep/report.html").exists())
        kept = self.shards()
        self.ok(*command)
        all_shards = self.shards()
        self.assertEqual({path: all_shards[path] for path in kept}, kept)
        self.ok(*command)
        self.assertEqual(self.shards(), all_shards)

    def test_options_change_what_is_done(self):
        def quick(*options, **changed):
            return self.sweep("--policies", "every:2", *options, **({"images": 4, "seeds": "0", "report_seeds": "1"} | changed))

        def frechet(record, purpose):
            return record["points"][0][purpose]["frechet"]["mean"]

        base = quick(out=self.folder / "a")
        self.assertEqual((base["settings"]["dtype"], base["machine"]["device"]), ("fp32", "cpu"))
        other = quick(out=self.folder / "b", report_seeds="2")
        self.assertEqual(frechet(base, "choosing"), frechet(other, "choosing"))
        self.assertNotEqual(frechet(base, "reporting"), frechet(other, "reporting"))
        changed = quick("--dtype", "bf16", out=self.folder / "c", cfg_scale=4)
        self.assertNotEqual(frechet(base, "choosing"), frechet(changed, "choosing"))
        self.assertEqual(changed["settings"]["dtype"], "bf16")
        for command in ("use", "reproduce"):
            self.assertIn(" --dtype bf16 ", changed["points"][0][command])
        self.assertEqual([found["value"] for found in base["recommendations"]], [1, 2, 5])
        again = quick("--at-least-speedup", "1.5", "--budgets", "3", "--show", "2", work=self.folder / "a/work",
                      out=self.folder / "e")
        self.assertEqual([(one["budget"], one["value"]) for one in again["recommendations"]],
                         [("frechet_percent", 3), ("speedup", 1.5)])
        self.assertEqual(again["images_shown"], 2)
        self.assertEqual(again["points"][1]["choosing"], base["points"][1]["choosing"], "taken up from --work")
        self.assertFalse((self.folder / "e/work").exists())

    def test_the_standard_grid(self):
        record = self.sweep("--grid", images=4, seeds="0", report_seeds="1", steps=3)
        self.assertEqual([point["policy"] for point in record["points"]][:4], ["full", "steps:2", "steps:1", "every:2"])
        self.assertIn("every:3+chebyshev:2", [point["policy"] for point in record["points"]])
        self.assertIn(" --grid default ", record["command"] + " ")


if __name__ == "__main__":
    unittest.main(verbosity=2)
