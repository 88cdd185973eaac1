"""l2c eval as a user runs it.

    L2C_PROGRAM=build/dev/tools/l2c/l2c python3 eval_test.py Eval
"""
import json
import random
import shlex
import signal
import struct
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from program import ASSETS, FASHION, FAST, PROGRAM, Case, l2c

SIZE, CLASSES = 28, 10


def write_idx(path, shape, data):
    path.write_bytes(struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape) + bytes(data))


def write_images(folder, prefix, count, seed, classes=CLASSES):
    """A bright column for each class, with noise."""
    dice = random.Random(seed)
    labels = [i % classes for i in range(count)]
    pixels = []
    for label in labels:
        for _ in range(SIZE):
            pixels += [(150 if column * classes // SIZE == label else 0) + dice.randrange(100)
                       for column in range(SIZE)]
    write_idx(folder / f"{prefix}-images-idx3-ubyte", [count, SIZE, SIZE], pixels)
    write_idx(folder / f"{prefix}-labels-idx1-ubyte", [count], labels)


def make_inputs(folder, classes=CLASSES):
    data = folder / f"data{classes}"
    data.mkdir()
    write_images(data, "train", 100, 1, classes)
    write_images(data, "t10k", 40, 2, classes)
    classifier = folder / f"classifier{classes}.safetensors"
    done = l2c("train-classifier", "--data", data, "--out", classifier, "--epochs", 2, "--widths",
               "4,6,8,8", "--batch-size", 20, "--threads", 1)
    assert done.returncode == 0, done.stderr
    return data, classifier


class Eval(Case):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.shared = Path(folder.name)
        cls.data, cls.classifier = make_inputs(cls.shared)

    def setUp(self):
        super().setUp()
        self.work, self.out = self.folder / "work", self.folder / "eval.json"

    def command(self, *options, work=None, **changed):
        """changed: option names with '_' for '-'; None leaves the option out."""
        settings = {"classifier": self.classifier, "data": self.data, "images": 8, "seeds": "0",
                    "steps": 4, "cfg_scale": 1.5, "batch_size": 4, "rounds": 1, "threads": 1,
                    "work": work or self.work, "out": self.out} | changed
        line = ["eval", *FASHION]
        for name, value in settings.items():
            if value is not None:
                line += ["--" + name.replace("_", "-"), value]
        return [*line, *options]

    def report(self, *options, read=None, **changed):
        self.table = self.ok(*self.command(*options, **changed))
        return json.loads((read or self.out).read_text())

    def fingerprints(self, report):
        return [seed["images_fingerprint"] for policy in report["policies"] for seed in policy["seeds"]]

    def test_compares_policies(self):
        report = self.report("--policy", "full", "steps:2", "every:2", seeds="0,3")
        full, steps, every = report["policies"]
        self.assertEqual([full["steps"], steps["steps"], every["steps"]], [4, 2, 4])
        self.assertEqual([full["computed_share"], steps["computed_share"], every["computed_share"]],
                         [1, 0.5, 0.5])
        self.assertAlmostEqual(steps["ideal_speedup"], 2)
        self.assertGreater(every["cache_bytes"], 0)
        self.assertEqual(len(set(self.fingerprints(report))), 6)
        for policy in report["policies"]:
            values = [seed["frechet"] for seed in policy["seeds"]]
            self.assertAlmostEqual(policy["frechet"]["mean"], sum(values) / 2)
            self.assertGreater(policy["frechet"]["mean"], 0)
            self.assertGreater(policy["timing"]["seconds_per_image"], 0)
            self.assertEqual(sum(seed["images"] for seed in policy["seeds"]), 16)
        self.assertEqual(report["reference"]["images"], 40)
        self.assertIn("l2c eval --model", report["command"])
        for word in ("full ", "steps 2 ", "every 2 ", "Fréchet", "wrote"):
            self.assertIn(word, self.table)
        folders = sorted(path.name for path in self.work.iterdir() if path.is_dir())
        self.assertEqual(folders[1:], ["full", "steps-2"])
        self.assertRegex(folders[0], "^every-2-[0-9a-f]{8}$")

    def test_inspect_shows_a_report(self):
        report = self.report("--policy", "full", "every:2")
        shown = self.ok("inspect", self.out)
        self.assertIn("every 2 ", shown)
        self.assertIn(report["model"]["fingerprint"], shown)
        self.assertEqual(json.loads(self.ok("inspect", "--json", self.out)), report)
        part = {name: report[name] for name in ("policies", "machine")}
        self.out.write_text(json.dumps(part))
        shown = self.ok("inspect", self.out)
        self.assertIn("machine ", shown)
        for absent in ("settings", "reference", "null"):
            self.assertNotIn(absent, shown)
        for text in ("{}", '{"policies": []}', '{"policies": null}'):
            self.out.write_text(text)
            self.fails(2, "inspect", self.out, says="not a report of l2c eval")
            self.fails(2, "inspect", "--json", self.out, says="not a report of l2c eval")

    def test_one_seed_has_no_spread(self):
        report = self.report("--policy", "steps:1", images=4)
        self.assertIsNone(report["policies"][0]["frechet"]["deviation"])
        self.assertIn(" ± - ", self.table)
        self.assertNotIn("± 0.000", self.table)
        self.assertIn(" ± - ", self.ok("inspect", self.out))

    def test_the_recorded_command_does_the_same(self):
        folder = self.folder / "it's a folder; with $(odd) names"
        folder.mkdir()
        report = self.report("--policy", "steps:1", "every:2", "--split", "train", images=4,
                             work=folder / "the work", out=folder / "a report.json", read=folder / "a report.json")
        command = shlex.split(report["command"])
        self.assertEqual(command[0], "l2c")
        (folder / "a report.json").unlink()
        shell = f"l2c() {{ {shlex.quote(PROGRAM)} \"$@\"; }}; " + report["command"]
        done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        again = json.loads((folder / "a report.json").read_text())
        self.assertEqual(self.fingerprints(again), self.fingerprints(report))
        self.assertEqual((again["command"], again["settings"]), (report["command"], report["settings"]))

    def test_records_what_was_measured_how(self):
        report = self.report("--policy", "steps:1", images=9, batch_size=2000000, rounds=3)
        settings = report["settings"]
        self.assertEqual((settings["inception_blocks"], settings["inception_block_images"]), (9, 1))
        self.assertEqual((settings["batch_size"], settings["timing_batch"]), (2000000, 9))
        self.assertEqual(report["machine"]["cpu_model"],
                         json.loads(self.ok("doctor", "--json"))["cpu_model"])
        timing = report["policies"][0]["timing"]
        ratios = sorted(full / own for full, own in
                        zip(report["full_timing"]["seconds"], timing["seconds"]))
        self.assertAlmostEqual(timing["speedup"], ratios[1])
        self.assertAlmostEqual(timing["speedup_quartiles"]["low"], (ratios[0] + ratios[1]) / 2)
        self.assertAlmostEqual(timing["speedup_quartiles"]["high"], (ratios[1] + ratios[2]) / 2)
        self.assertRegex(self.table, r" \d+\.\d\dx \(\d+\.\d\d-\d+\.\d\d\) ")

    def test_two_share_a_work_folder_but_not_a_sample_set(self):
        first = self.command("--policy", "full", images=400, batch_size=1, steps=20, out=self.folder / "a.json")
        run = subprocess.Popen([PROGRAM, *map(str, first)], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
        self.addCleanup(run.wait)
        self.addCleanup(run.kill)
        deadline = time.monotonic() + 60
        while not (self.work / "full/seed-0/shard-00000.safetensors").exists():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)
        self.ok(*self.command("--policy", "every:2", images=4))
        self.fails(2, *self.command("--policy", "full", images=400, batch_size=1, steps=20),
                   says="another evaluation is running in")
        self.assertIsNone(run.poll(), "the first ended too early for this test")

    def test_clears_what_a_killed_run_left(self):
        folder = self.work / "steps-1/seed-0"
        folder.mkdir(parents=True)
        left = [folder / "shard-00000.safetensors.abc123.partial",
                self.work / "reference-0-0.safetensors.abc123.partial"]
        for path in left:
            path.write_text("half")
        self.report("--policy", "steps:1", images=4)
        self.assertEqual([path.exists() for path in left], [False, False])

    def test_routers_at_several_thresholds(self):
        router = f"router:{FAST}"
        report = self.report("--policy", router, router + "@0.5", steps=20, images=4)
        shares = [policy["computed_share"] for policy in report["policies"]]
        self.assertEqual(shares, [(320 - 113) / 320, (320 - 118) / 320])
        self.assertEqual([policy["threshold"] for policy in report["policies"]], [0.1, 0.5])

    def test_options_change_what_is_done(self):
        def quick(work, **changed):
            return self.report("--policy", "steps:1", images=4, work=self.folder / work, **changed)

        base = quick("base")
        self.assertNotEqual(self.fingerprints(base), self.fingerprints(quick("seed", seeds="1")))
        self.assertNotEqual(self.fingerprints(base), self.fingerprints(quick("cfg", cfg_scale=4)))
        self.assertEqual(quick("base", split="train")["reference"]["images"], 100)
        self.assertEqual(len(quick("base", rounds=3)["full_timing"]["seconds"]), 3)
        self.assertEqual(quick("threads", threads=2)["machine"]["threads"], 2)
        other = quick("batch", batch_size=2)
        self.assertEqual(other["settings"]["batch_size"], 2)
        config = ["--arch", ASSETS / "config.json"]
        self.assertEqual(self.fingerprints(base), self.fingerprints(
            self.report("--policy", "steps:1", *config, images=4, work=self.folder / "base")))
        self.fails(2, *self.command("--policy", "full", "--arch", "DiT-S/2"), says="DiT-S/2")

    def test_goes_on_after_an_interrupt_and_a_kill(self):
        command = self.command("--policy", "full", "every:2", images=40, batch_size=1)
        shard = self.work / "full" / "seed-0"
        for number, (stop, code) in enumerate([(signal.SIGINT, 130), (signal.SIGKILL, -9)], 1):
            run = subprocess.Popen([PROGRAM, *map(str, command)], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
            deadline = time.monotonic() + 60
            while not (shard / f"shard-{2 * number - 1:05}.safetensors").exists():
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.01)
            run.send_signal(stop)
            _, errors = run.communicate(timeout=60)
            self.assertEqual(run.returncode, code, errors)
            self.assertFalse(self.out.exists())
            if stop == signal.SIGINT:
                self.assertIn("of 40 images are in", errors)
        kept = {path.name: path.stat().st_mtime_ns for path in shard.glob("*.safetensors")}
        self.ok(*command)
        for name, time_ns in kept.items():
            self.assertEqual((shard / name).stat().st_mtime_ns, time_ns)
        resumed = json.loads(self.out.read_text())
        whole = self.report("--policy", "full", "every:2", images=40, batch_size=1,
                            work=self.folder / "other")
        self.assertEqual(self.fingerprints(resumed), self.fingerprints(whole))
        self.assertEqual([policy["frechet"] for policy in resumed["policies"]],
                         [policy["frechet"] for policy in whole["policies"]])

    def test_refuses_before_any_work(self):
        self.report("--policy", "steps:1", images=4)
        reference, = self.work.glob("reference-*.safetensors")
        reference.unlink()
        self.fails(2, *self.command("--policy", "full", "steps:1", images=4, cfg_scale=2),
                   says="guidance: 1.5 in the folder, 2 now")
        self.fails(2, *self.command("--policy", "steps:2", steps=1001), says="1001 steps")
        self.fails(2, *self.command("--policy", "full", images=2000000, batch_size=2000000),
                   says="2000000 images at once")
        self.assertEqual(sorted(path.name for path in self.work.iterdir()), ["lock", "steps-1"])

    def test_refuses_what_does_not_fit(self):
        self.report("--policy", "steps:1", images=4)
        self.fails(2, *self.command("--policy", "full", split="validation"),
                   says=["--split", "validation", "train", "test"])
        self.fails(2, *self.command("--policy", "full", split="test or all"), says="--split")
        self.fails(2, *self.command("--policy", "steps:1", images=4, cfg_scale=2),
                   says="guidance: 1.5 in the folder, 2 now")
        self.fails(2, *self.command("--policy", "fast"), says=["policy \"fast\"", "router:FILE"])
        self.fails(2, *self.command("--policy", "full", "full"), says="the same run")
        self.fails(2, *self.command(), says="--policy")
        self.fails(2, *self.command("--policy", "full", seeds="1,1"), says="seed 1 is given twice")
        self.fails(2, *self.command("--policy", "full", images=2), says="2 images: give at least 4")
        self.fails(2, *self.command("--policy", "full", classifier=self.folder / "absent"), says="absent")
        self.fails(2, *self.command("--policy", "full", out=self.folder / "no" / "x.json"), says="no")
        data, classifier = make_inputs(self.folder, classes=3)
        self.fails(2, *self.command("--policy", "full", classifier=classifier),
                   says="knows 3 classes, the images have 10")
        self.fails(2, *self.command("--policy", "full", classifier=classifier, data=data),
                   says=["in 10 classes", "in 3"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
