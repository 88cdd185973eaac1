"""The trainers as a user runs them: killed, interrupted, resumed, refused. Standard library only.

    L2C_PROGRAM=build/dev/tools/l2c/l2c python3 training_test.py [TestClass]
"""
import json
import os
import random
import resource
import signal
import subprocess
import time
import unittest

import tensor_file
from program_test import PROGRAM, Case

CONFIG = {"input_size": 8, "patch_size": 4, "in_channels": 1, "hidden_size": 16, "depth": 2,
          "num_heads": 2, "num_classes": 2}


def squares(path, value=1.0):
    """16 images of 8 x 8: dark ones of class 0, bright ones of class 1."""
    pixels = [value if i % 2 else -value for i in range(16) for _ in range(64)]
    tensor_file.write(path, {"images": ([16, 1, 8, 8], pixels), "labels": ([16], [i % 2 for i in range(16)])})


class Trainer(Case):
    """What holds for every trainer; `command` is its command line without --out."""

    result = ""  # what it leaves in its folder
    command = []
    env = {**os.environ, "OMP_NUM_THREADS": "1"}

    def start(self, out, *more, **how):
        return subprocess.Popen([PROGRAM, *map(str, [*self.command, "--out", out, *more])], env=self.env,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True, **how)

    def finish(self, out, *more):
        run = self.start(out, *more)
        output, errors = run.communicate(timeout=120)
        self.assertEqual(run.returncode, 0, output + errors)
        return errors

    def bits(self, out):
        return (out / self.result).read_bytes(), (out / "curve.csv").read_bytes()

    def saved_steps(self, out):
        return sorted(int(path.name.split("-")[1].split(".")[0]) for path in out.glob("checkpoint-*.safetensors"))

    def check_killed_at_any_moment(self, *more):
        """SIGKILL at random times, a save after every step: nearly every one hits a save."""
        whole, parts = self.folder / "whole", self.folder / "parts"
        self.finish(whole, *more)
        draw = random.Random(5)
        killed = 0
        for _ in range(12):
            before = max(self.saved_steps(parts), default=0)
            run = self.start(parts, *more)
            time.sleep(0.35 + 0.4 * draw.random())
            run.kill()
            run.communicate()
            killed += run.returncode == -signal.SIGKILL
            self.assertGreaterEqual(max(self.saved_steps(parts), default=0), before)
            self.assertLessEqual(len(self.saved_steps(parts)), 3)  # two, and the one being replaced
        self.assertGreater(killed, 0)
        self.finish(parts, *more)
        self.assertEqual(self.bits(whole), self.bits(parts))
        self.assertEqual(list(parts.glob("*.partial")), [])

    def check_killed_inside_a_save(self, short, *more):
        """The kernel kills a process that writes beyond RLIMIT_FSIZE: in the middle of a file. `short` are the
        options of the same training that ends after its first save."""
        whole, parts = self.folder / "whole", self.folder / "parts"
        self.finish(whole, *more)
        self.finish(self.folder / "first", *short)
        first = max((self.folder / "first").glob("checkpoint-*"), key=lambda path: path.name)
        limit = first.stat().st_size + 8  # the loss curve in the next one is longer

        run = self.start(parts, *more, preexec_fn=lambda: resource.setrlimit(
            resource.RLIMIT_FSIZE, (limit, limit)))
        run.communicate(timeout=120)
        self.assertEqual(run.returncode, -signal.SIGXFSZ)
        self.assertEqual(len(list(parts.glob("*.partial"))), 1, "not killed inside a save")
        kept = max(self.saved_steps(parts))
        self.assertIn(f"going on after step {kept}", self.finish(parts, *more))
        self.assertEqual(self.bits(whole), self.bits(parts))

    def check_interrupt(self, number, *more):
        whole, parts = self.folder / "whole", self.folder / "parts"
        self.finish(whole, *more)
        run = self.start(parts, *more)
        run.stderr.readline()
        run.stderr.readline()
        time.sleep(0.2)
        run.send_signal(number)
        _, errors = run.communicate(timeout=60)
        self.assertEqual(run.returncode, 130, errors)
        self.assertIn("the same command goes on", errors)
        self.finish(parts, *more)
        self.assertEqual(self.bits(whole), self.bits(parts))


class TrainDit(Trainer):
    result = "model.safetensors"

    def setUp(self):
        super().setUp()
        self.data, arch = self.folder / "data.safetensors", self.folder / "arch.json"
        squares(self.data)
        arch.write_text(json.dumps(CONFIG))
        self.command = ["train-dit", "--data", self.data, "--arch", arch, "--batch-size", 8,
                        "--lr-decay", "cosine", "--clip", 1, "--ema-ramp", "--threads", 1, "--report-every", 5]

    def test_killed_at_any_moment_it_ends_with_the_same_bits(self):
        self.check_killed_at_any_moment("--steps", 120, "--save-every", 1)

    def test_killed_inside_a_save_it_ends_with_the_same_bits(self):
        self.command[self.command.index("cosine")] = "constant"  # so that `short` is the same training
        self.check_killed_inside_a_save(["--steps", 10], "--save-every", 10, "--steps", 40)

    def test_ctrl_c_saves_and_ends_with_130(self):
        self.check_interrupt(signal.SIGINT, "--steps", 400)

    def test_sigterm_saves_and_ends_with_130(self):
        self.check_interrupt(signal.SIGTERM, "--steps", 400)

    def test_a_second_one_in_the_folder_is_refused(self):
        first = self.start(self.folder / "run", "--steps", 100000)
        self.addCleanup(first.wait)
        self.addCleanup(first.kill)
        first.stderr.readline()
        first.stderr.readline()  # its first report
        self.fails(2, *self.command, "--out", self.folder / "run", "--steps", 100000,
                   says="another training is running")
        first.kill()
        first.communicate()

    def test_other_data_model_or_options_are_refused(self):
        out = self.folder / "run"
        self.finish(out, "--steps", 6)
        before = self.bits(out)
        self.fails(2, *self.command, "--out", out, "--steps", 6, "--ema", 0.5, "--seed", 3,
                   says=["ema_decay: 0.9999 in the checkpoint, 0.5 now", "seed: 0 in the checkpoint, 3 now"])
        self.fails(2, *self.command, "--out", out, "--steps", 7, says="steps: 6 in the checkpoint, 7 now")
        (self.folder / "arch.json").write_text(json.dumps({**CONFIG, "depth": 3}))
        self.fails(2, *self.command, "--out", out, "--steps", 6, says='"depth":3')
        (self.folder / "arch.json").write_text(json.dumps(CONFIG))
        squares(self.data, 0.5)
        self.fails(2, *self.command, "--out", out, "--steps", 6, says="data: ")
        self.assertEqual(self.bits(out), before)

    def test_bad_input(self):
        out = ["--out", self.folder / "run"]
        self.fails(2, *self.command, *out, "--lr", -1, says="learning_rate")
        for option, value, says in [("--data", self.folder / "none", "none"), ("--arch", "DiT-S/2", "in_channels")]:
            command = list(self.command)
            command[command.index(option) + 1] = value
            self.fails(2, *command, *out, says=says)
        self.fails(2, *self.command, *out, "--dtype", "fp8", says="fp8")
        self.fails(2, *self.command, "--out", self.data, says="data.safetensors")

    def test_a_full_disk_keeps_the_checkpoints(self):
        out = self.folder / "run"
        self.finish(out, "--steps", 20, "--save-every", 10)
        before = self.bits(out)
        (out / "curve.csv").unlink()
        (out / "curve.csv").symlink_to("/dev/full")
        self.fails(1, *self.command, "--out", out, "--steps", 20, "--save-every", 10, says="the disk is full")
        (out / "curve.csv").unlink()
        self.finish(out, "--steps", 20, "--save-every", 10)
        self.assertEqual(self.bits(out), before)

    def test_what_it_made_can_be_sampled(self):
        out = self.folder / "run"
        self.finish(out, "--steps", 6, "--save-dtype", "bf16")
        self.ok("sample", "--model", out / "model.safetensors", "--steps", 2, "--labels", 1, "--out",
                self.folder / "x.png")
        self.assertIn("training_steps", self.ok("inspect", out / "model.safetensors"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
