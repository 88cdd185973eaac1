"""l2c eval with a network in the place of Inception, .npz files, and several processes.

    L2C_PROGRAM=build/dev/tools/l2c/l2c python3 eval_standard_test.py EvalStandard
"""
import csv
import json
import struct
import subprocess
import tempfile
import time
import unittest
import zipfile
from pathlib import Path

from eval_test import SIZE, write_images
from program import DATA, FASHION, PROGRAM, Case

NETWORK = DATA / "evaluation/tiny.pt"


def npy(kind, shape, data):
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {tuple(shape)}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def write_npz(path, arrays):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            archive.writestr(f"{name}.npy", npy(*array))


def identity(size):
    return struct.pack(f"<{size * size}d", *(float(i // size == i % size) for i in range(size * size)))


class EvalStandard(Case):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.data = Path(folder.name) / "data"
        cls.data.mkdir()
        write_images(cls.data, "train", 40, 1)
        write_images(cls.data, "t10k", 40, 2)

    def command(self, *options, **changed):
        """changed: option names with '_' for '-'; None leaves the option out."""
        settings = {"inception": NETWORK, "reference": self.data, "images": 8, "seeds": "0", "steps": 4,
                    "cfg_scale": 1.5, "batch_size": 4, "rounds": 1, "threads": 1, "policy": "every:2",
                    "work": self.folder / "work", "out": self.folder / "eval.json"} | changed
        line = ["eval", *FASHION]
        for name, value in settings.items():
            if value is not None:
                line += ["--" + name.replace("_", "-"), value]
        return [*line, *options]

    def report(self, *options, **changed):
        self.table = self.ok(*self.command(*options, **changed))
        return json.loads((self.folder / "eval.json").read_text())

    def test_measures_what_the_network_gives(self):
        report = self.report()
        seed = report["policies"][0]["seeds"][0]
        for name in ("frechet", "spatial_frechet", "kid", "precision", "inception_score_whole"):
            self.assertIsNotNone(seed[name], name)
        self.assertIsNone(seed["accuracy"]["value"])
        self.assertIn("tiny.pt", report["network"]["description"])
        self.assertIn("--inception", report["command"])
        self.assertIn("spatial Fréchet", self.table)
        self.assertNotIn("accuracy", self.table)
        kept = [path for path in (self.folder / "work").iterdir() if path.name.startswith("reference-")]
        again = self.report(reference=kept[0])
        self.assertEqual(again["policies"][0]["seeds"], report["policies"][0]["seeds"])
        self.assertEqual(again["reference"], report["reference"])

    def test_takes_images_and_statistics_as_npz(self):
        pixels = bytes(i * 7 % 256 for i in range(20 * SIZE * SIZE))
        images, both, numbers = (self.folder / f"{name}.npz" for name in ("images", "both", "numbers"))
        shape = [20, SIZE, SIZE, 1]
        statistics = {"mu": ("<f8", [16], bytes(8 * 16)), "sigma": ("<f8", [16, 16], identity(16))}
        write_npz(images, {"arr_0": ("|u1", shape, pixels)})
        write_npz(both, {"arr_0": ("|u1", shape, pixels)} | statistics)
        write_npz(numbers, statistics)
        seeds = [self.report(reference=path)["policies"][0]["seeds"][0] for path in (images, both, numbers)]
        self.assertEqual(seeds[0]["kid"], seeds[1]["kid"])
        self.assertNotEqual(seeds[0]["frechet"], seeds[1]["frechet"])
        self.assertEqual(seeds[1]["frechet"], seeds[2]["frechet"])
        for name in ("kid", "precision", "recall", "spatial_frechet"):
            self.assertIsNone(seeds[2][name], name)

    def test_a_sweep_keeps_unknown_numbers_unknown(self):
        numbers, out = self.folder / "numbers.npz", self.folder / "sweep"
        write_npz(numbers, {"mu": ("<f8", [16], bytes(8 * 16)), "sigma": ("<f8", [16, 16], identity(16))})
        options = self.command("--report-seeds", "1", reference=numbers, out=out)[1:]
        records = []
        for _ in range(2):
            self.ok("sweep", *options)
            records.append(json.loads((out / "sweep.json").read_text()))
        first, second = records
        point = second["points"][1]
        for name in ("kid", "precision", "recall", "accuracy"):
            self.assertIsNone(point["choosing"][name]["mean"], name)
        self.assertIsNotNone(point["choosing"]["inception_score"]["mean"])
        self.assertEqual(point["choosing"], first["points"][1]["choosing"], "taken up again, times included")
        with open(out / "sweep.csv", newline="") as file:
            self.assertEqual({row["kid"] for row in csv.DictReader(file)}, {""})
        self.assertIn(f"--inception {NETWORK} --reference {numbers}", point["reproduce"])
        again = self.folder / "again"
        self.ok("sweep", "--from", out / "sweep.json", "--out", again)
        for name in ("sweep.csv", "report.html"):
            self.assertEqual((again / name).read_bytes(), (out / name).read_bytes(), name)

    def test_writes_npz(self):
        target = self.folder / "samples.npz"
        report = self.report(npz=target, images=12)
        self.assertIn("--npz", report["command"])
        self.assertIn("samples.npz", self.table)
        with zipfile.ZipFile(target) as archive:
            self.assertIsNone(archive.testzip())
            self.assertEqual(archive.namelist(), ["arr_0.npy", "arr_1.npy"])
            images, labels = archive.read("arr_0.npy"), archive.read("arr_1.npy")
        self.assertIn(f"'shape': (12, {SIZE}, {SIZE}, 3)".encode(), images)
        pixels = images[-12 * SIZE * SIZE * 3:]
        self.assertEqual(pixels[0::3], pixels[1::3])
        self.assertGreater(len(set(pixels)), 50)
        self.assertEqual(struct.unpack("<12q", labels[-96:]), tuple(i % 10 for i in range(12)))

    def test_samples_alone_need_no_network(self):
        target = self.folder / "samples.npz"
        alone = {"inception": None, "reference": None, "out": None}
        self.table = self.ok(*self.command("--samples-only", npz=target, **alone))
        self.assertIn("samples.npz", self.table)
        with zipfile.ZipFile(target) as archive:
            self.assertIn(f"'shape': (8, {SIZE}, {SIZE}, 3)".encode(), archive.read("arr_0.npy"))
        before = target.read_bytes()
        target.unlink()
        self.report(npz=target)  # with a network, of the images that are there
        self.assertEqual(target.read_bytes(), before)
        self.assertEqual(len(list((self.folder / "work").glob("every-2-*/seed-0/shard-*"))), 1)
        self.fails(2, *self.command("--samples-only", inception=None, reference=None), says="leave out --out")
        self.fails(2, *self.command("--samples-only", steps=5, **alone), says="steps: 4 in the folder, 5 now")
        self.fails(2, *self.command("--samples-only", seeds="1,1", **alone), says="seed 1 is given twice")
        self.fails(2, *self.command("--samples-only", seeds="0,1", npz=target, **alone), says="one seed")

    def test_two_processes_share_and_one_is_killed(self):
        settings = {"images": 64, "steps": 20, "out": None}
        alone = self.report(images=64, steps=20, work=self.folder / "alone")
        line = [PROGRAM, *map(str, self.command("--share", "--samples-only", **settings))]
        victim, helper = (subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
                          for _ in range(2))
        until = time.monotonic() + 60
        while not list((self.folder / "work").glob("every-2-*/seed-0/shard-*.safetensors")) and time.monotonic() < until:
            time.sleep(0.01)
        shards, = (self.folder / "work").glob("every-2-*/seed-0")
        victim.kill()
        victim.communicate()
        error = helper.communicate(timeout=120)[1]
        self.assertEqual(helper.returncode, 0, error)
        self.assertEqual(len(list(shards.glob("shard-*.safetensors"))), 4)
        self.assertEqual(list(shards.glob("*.partial")), [])
        before = {path.name: path.stat().st_mtime_ns for path in shards.glob("shard-*")}
        shared = self.report("--share", images=64, steps=20)
        self.assertEqual({path.name: path.stat().st_mtime_ns for path in shards.glob("shard-*")}, before)
        pick = [[seed[name] for name in ("images_fingerprint", "frechet", "spatial_frechet", "kid")]
                for seed in (alone["policies"][0]["seeds"][0], shared["policies"][0]["seeds"][0])]
        self.assertEqual(pick[0], pick[1])

    def test_refuses_what_does_not_fit_together(self):
        bad = self.folder / "bad.npz"
        write_npz(bad, {"mu": ("<f8", [3], bytes(24)), "sigma": ("<f8", [3, 3], identity(3))})
        for says, options, changed in (
                ("one of --classifier and --inception", [], {"inception": None}),
                ("one of --classifier and --inception", [], {"classifier": "x"}),
                ("one of --data and --reference", [], {"reference": None}),
                ("one of --data and --reference", [], {"data": self.data}),
                ("give --out", [], {"out": None}),
                ("one policy and one seed", [], {"seeds": "0,1", "npz": self.folder / "x.npz"}),
                ("prepares its images itself", [], {"inception_input": "tensorflow"}),
                ("pytorch-fid or tensorflow", [], {"inception_input": "adm"}),
                ("statistics of 3 features", [], {"reference": bad}),
                ("absent.pth", [], {"inception": self.folder / "absent.pth"})):
            self.fails(2, *self.command(*options, **changed), says=says)
        self.assertEqual(self.left_behind(), ["bad.npz"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
