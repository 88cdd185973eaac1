"""l2c train-classifier as a user runs it. Standard library only.

    L2C_PROGRAM=build/dev/tools/l2c/l2c python3 classifier_test.py TrainClassifier
"""
import json
import random
import signal
import struct
import subprocess
import time
import unittest

import tensor_file
from program import PROGRAM, Case

SIZE, CLASSES = 12, 3


def write_idx(path, shape, data):
    path.write_bytes(struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape) + bytes(data))


def write_patterns(folder, prefix, count, seed, classes=CLASSES):
    """A bright bar at one of three heights, with noise."""
    dice = random.Random(seed)
    labels, pixels = [], []
    for i in range(count):
        label = i % classes
        labels.append(label)
        for row in range(SIZE):
            bright = 150 if row // 4 == label else 0
            pixels += [bright + dice.randrange(100) for _ in range(SIZE)]
    write_idx(folder / f"{prefix}-images-idx3-ubyte", [count, SIZE, SIZE], pixels)
    write_idx(folder / f"{prefix}-labels-idx1-ubyte", [count], labels)


class TrainClassifier(Case):
    def setUp(self):
        super().setUp()
        self.data = self.folder / "data"
        self.data.mkdir()
        write_patterns(self.data, "train", 120, seed=1)
        write_patterns(self.data, "t10k", 30, seed=2)
        self.out = self.folder / "c.safetensors"
        self.quick = ["train-classifier", "--data", self.data, "--out", self.out, "--batch-size", 20,
                      "--widths", "4,6,8,8", "--threads", 1]

    def metadata(self):
        raw = self.out.read_bytes()
        size = struct.unpack("<Q", raw[:8])[0]
        return json.loads(raw[8:8 + size])["__metadata__"]

    def test_trains_and_says_how_well(self):
        text = self.ok(*self.quick, "--epochs", 12)
        self.assertIn("100.00 % of 30 images", text)
        self.assertRegex(text, r"class 2 +10 of 10")
        metadata = self.metadata()
        self.assertEqual(metadata["kind"], "l2c-classifier")
        self.assertEqual(metadata["test_accuracy"], "1.0000")
        self.assertEqual(json.loads(metadata["config"]),
                         {"channels": 1, "image_size": SIZE, "num_classes": CLASSES, "widths": [4, 6, 8, 8]})

    def test_options_change_the_file(self):
        seen = set()
        for options in ([], ["--seed", 1], ["--lr", 0.002], ["--warmup", 0.5], ["--weight-decay", 0],
                        ["--label-smoothing", 0.2], ["--no-flip"], ["--crop", 1], ["--epochs", 2],
                        ["--batch-size", 30], ["--widths", "4,6,8,9"]):
            arguments = [*self.quick, "--epochs", 1]
            for i in range(0, len(options), 2):  # the last of an option given twice is not taken: replace
                if options[i] in arguments:
                    at = arguments.index(options[i])
                    del arguments[at:at + 2]
            self.ok(*arguments, *options)
            weights = self.out.read_bytes()
            weights = weights[8 + struct.unpack("<Q", weights[:8])[0]:]
            self.assertNotIn(weights, seen, options)
            seen.add(weights)

    def test_other_test_data(self):
        other = self.folder / "other"
        other.mkdir()
        write_patterns(other, "train", 60, seed=3)
        self.assertIn("of 60 images", self.ok(*self.quick, "--epochs", 1, "--test-data", other))

    def test_test_data_of_another_kind_are_refused_before_the_training(self):
        other = self.folder / "other"
        other.mkdir()
        write_patterns(other, "train", 20, seed=3, classes=2)
        for name in ("images", "labels"):  # both parts, as the classes are counted over both
            (other / f"t10k-{name}-idx{3 if name == 'images' else 1}-ubyte").write_bytes(
                (other / f"train-{name}-idx{3 if name == 'images' else 1}-ubyte").read_bytes())
        larger = self.folder / "larger.safetensors"
        tensor_file.write(larger, {"images": ([3, 1, 16, 16], [0.5] * 768), "labels": ([3], [0, 1, 2])})
        colour = self.folder / "colour.safetensors"
        tensor_file.write(colour, {"images": ([3, 3, 12, 12], [0.5] * 1296), "labels": ([3], [0, 1, 2])})
        for data, says in ((other, "in 2 classes"), (larger, "1 channels of 16 x 16"),
                           (colour, "3 channels of 12 x 12")):
            # So many epochs would take hours.
            self.fails(2, *self.quick, "--epochs", 100000, "--test-data", data,
                       says=["the test data", says, "in 3 classes"])
        self.assertFalse(self.out.exists())

    def test_ctrl_c_during_the_measurement_keeps_the_classifier(self):
        count = 150000
        (self.data / "t10k-images-idx3-ubyte").write_bytes(
            struct.pack(">HBB3I", 0, 8, 3, count, SIZE, SIZE) + random.Random(4).randbytes(count * SIZE * SIZE))
        (self.data / "t10k-labels-idx1-ubyte").write_bytes(
            struct.pack(">HBBI", 0, 8, 1, count) + bytes(i % CLASSES for i in range(count)))
        run = subprocess.Popen([PROGRAM, *map(str, self.quick), "--epochs", "1"], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 60
        while not self.out.exists() and run.poll() is None:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.005)
        run.send_signal(signal.SIGINT)
        _, errors = run.communicate(timeout=60)
        self.assertEqual(run.returncode, 130, errors)
        self.assertIn(f"the trained classifier is in '{self.out}'", errors)
        self.assertEqual(self.metadata()["kind"], "l2c-classifier")
        self.assertNotIn("test_accuracy", self.metadata())
        self.assertEqual(self.left_behind(), ["c.safetensors", "data"])

    def test_bad_input(self):
        self.fails(2, *self.quick, "--epochs", 0, says="epochs")
        self.fails(2, *self.quick, "--widths", "4,6", says="--widths")
        self.fails(2, *self.quick, "--channels", 3, says="3 were asked for")
        self.fails(2, *self.quick, "--image-size", 16, says="16 x 16")
        self.fails(2, "train-classifier", "--data", self.folder, "--out", self.out, says=str(self.folder))
        self.fails(2, "train-classifier", "--data", self.data, "--out", self.folder, says="directory")
        (self.data / "t10k-images-idx3-ubyte").unlink()
        self.fails(2, *self.quick, says="t10k-images-idx3-ubyte")
        self.assertEqual(self.left_behind(), ["data"])

    def test_ctrl_c_ends_with_130_and_writes_nothing(self):
        arguments = [*map(str, self.quick), "--epochs", "100000"]
        run = subprocess.Popen([PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(3)
        self.assertIsNone(run.poll(), "the training ended before the interrupt")
        run.send_signal(signal.SIGINT)
        _, errors = run.communicate(timeout=60)
        self.assertEqual(run.returncode, 130, errors)
        self.assertIn("nothing was written", errors)
        self.assertEqual(self.left_behind(), ["data"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
