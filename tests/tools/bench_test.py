"""l2c bench as a user runs it.

    L2C_PROGRAM=build/dev/tools/l2c/l2c python3 bench_test.py Bench
"""
import json
import shlex
import signal
import subprocess
import time
import unittest

from program import ASSETS, DATA, FASHION, FAST, PROGRAM, TINY, Case, l2c, png_size

OPERATIONS = ["qkv", "attention", "proj", "fc1", "fc2", "residual_norm", "other_products", "other"]


class Bench(Case):
    def setUp(self):
        super().setUp()
        self.json, self.chart = self.folder / "b.json", self.folder / "b.png"

    def bench(self, *options, model=TINY):
        line = ["bench", *model, "--json", self.json, *options]
        for name, value in (("--steps", 2), ("--runs", 2), ("--threads", 1)):
            if name not in options:
                line += [name, value]
        done = l2c(*line)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.table, self.progress = done.stdout, done.stderr
        return json.loads(self.json.read_text())

    def one(self, *options, **changed):
        return self.bench(*options, **changed)["combinations"][0]

    def test_measures_every_combination_with_and_without_the_cache(self):
        report = self.bench("--cache-every", 2, "--batch", "1,3", "--dtype", "fp32,bf16", "--chart", self.chart)
        self.assertTrue(report["complete"])
        self.assertEqual(report["combinations_planned"], 4)
        entries = report["combinations"]
        self.assertEqual([(e["dtype"], e["batch"], e["threads"]) for e in entries],
                         [("fp32", 1, 1), ("fp32", 3, 1), ("bf16", 1, 1), ("bf16", 3, 1)])
        for entry in entries:
            full, cached = entry["full"], entry["cached"]
            self.assertEqual((len(full["seconds"]), len(cached["seconds"])), (2, 2))
            self.assertEqual(len(full["cpu_seconds"]), 2)
            self.assertAlmostEqual(full["p50_seconds"], sum(full["seconds"]) / 2)
            self.assertAlmostEqual(full["images_per_second"], entry["batch"] / full["p50_seconds"])
            self.assertAlmostEqual(full["seconds_per_step"], full["p50_seconds"] / 2)
            rounds = [a / b for a, b in zip(full["seconds"], cached["seconds"])]
            self.assertAlmostEqual(entry["realised_speedup"], sum(rounds) / 2)
            self.assertAlmostEqual(entry["realised_over_ideal"],
                                   entry["realised_speedup"] / entry["ideal_speedup"])
            self.assertAlmostEqual(full["of_product_ceiling"],
                                   full["gflops"] / entry["product_ceiling"]["gflops"])
            self.assertGreater(entry["ideal_speedup"], 1)
            self.assertEqual(full["computed"], 2 * cached["computed"])
            self.assertGreater(full["peak_memory_bytes"], 10e6)
            self.assertEqual([layer["name"] for layer in entry["product_ceiling"]["layers"]],
                             ["qkv", "proj", "fc1", "fc2"])
        self.assertEqual(entries[0]["cached"]["cache_bytes"], 2 * entries[2]["cached"]["cache_bytes"])
        self.assertAlmostEqual(entries[1]["run_gflop"], 3 * entries[0]["run_gflop"])
        width, height = png_size(self.chart)
        self.assertGreater(width, 600)
        self.assertGreater(height, 4 * 2 * 22)
        for word in ("p95 s", "images/s", "of ceiling", "peak MB", "realised", "best square", "wrote"):
            self.assertIn(word, self.table)
        self.assertIn("[4/4] bf16, batch 3, 1 thread: runs, 2 of 2", self.progress)

    def test_a_router_is_measured_at_its_threshold(self):
        def reused(*options):
            return self.one("--router", FAST, "--steps", 20, "--runs", 1, *options, model=FASHION)["cached"]["reused"]

        self.assertEqual((reused("--threshold", 0.1), reused("--threshold", 0.5)), (113, 118))
        report = json.loads(self.json.read_text())
        self.assertIn("router20_fast", report["policy"])
        self.assertIn("dit.safetensors", report["model"]["weights"])

    def test_without_a_policy_there_is_no_cached_run(self):
        report = self.bench("--chart", self.chart)
        self.assertIsNone(report["policy"])
        self.assertNotIn("cached", report["combinations"][0])
        self.assertNotIn("cached", self.table)
        png_size(self.chart)

    def test_profile_sums_up_to_the_processor_time(self):
        entry = self.one("--cache-every", 2, "--steps", 10, "--batch", 4, "--profile")
        for kind in ("full", "cached"):
            profile = entry[kind]["profile"]
            self.assertEqual([op["name"] for op in profile["operations"]], OPERATIONS)
            # Without what is left over: at most all there was, and most of it.
            seconds = sum(op["seconds"] for op in profile["operations"][:-1])
            self.assertLessEqual(seconds, profile["cpu_seconds"])
            self.assertGreater(seconds, 0.2 * profile["cpu_seconds"])
            self.assertAlmostEqual(sum(op["share"] for op in profile["operations"]), 1)
        times = {op["name"]: op["seconds"] * (op["gflops"] or 0) for op in entry["full"]["profile"]["operations"]}
        self.assertAlmostEqual(times["fc1"], times["fc2"])
        self.assertAlmostEqual(times["qkv"], 3 * times["proj"])
        self.assertIn("residual_norm", self.table)
        self.assertIn("GFLOP/s a thread", self.table)
        self.assertNotIn("profile", self.one()["full"])

    def test_options_change_what_is_measured(self):
        base = self.one()
        self.assertEqual(self.one("--threads", 2)["threads"], 2)
        self.assertEqual(len(self.one("--runs", 3)["full"]["seconds"]), 3)
        self.assertEqual(len(self.one("--runs", 1000, "--seconds", "0.000001")["full"]["seconds"]), 1)
        self.assertAlmostEqual(self.one("--steps", 6)["run_gflop"], 3 * base["run_gflop"])
        self.assertAlmostEqual(self.one("--cfg-scale", 1)["run_gflop"], base["run_gflop"] / 2)
        report = self.bench("--sampler", "ddpm", "--cfg-channels", "all", "--seed", 7)
        self.assertEqual([report["settings"][name] for name in ("sampler", "guidance_channels", "seed")],
                         ["ddpm", "all", 7])
        self.assertEqual(self.bench("--eta", 0.5)["settings"]["eta"], 0.5)
        seeded = self.bench(model=["--init", "seeded:3", "--arch", DATA / "dit_tiny/config.json"])
        self.assertEqual(seeded["model"]["weights"], "seeded:3")

    def test_the_recorded_command_does_the_same(self):
        self.json = self.folder / "it's a report.json"
        first = self.bench("--cache-every", 2, "--batch", "1,2", "--profile")
        self.json.unlink()
        shell = f"l2c() {{ {shlex.quote(PROGRAM)} \"$@\"; }}; " + first["command"]
        done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        again = json.loads(self.json.read_text())
        self.assertEqual(again["command"], first["command"])
        self.assertEqual([e["batch"] for e in again["combinations"]], [1, 2])
        self.assertIn("profile", again["combinations"][0]["full"])

    def test_bad_input_is_refused_before_anything_is_measured(self):
        def bad(*options, says, model=FASHION):
            done = l2c("bench", *model, "--json", self.json, *options)
            self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
            for text in says:
                self.assertIn(text, done.stderr)
            self.assertNotIn("products", done.stderr)
            self.assertEqual(self.left_behind(), [])

        bad("--batch", 0, says=["--batch 0"])
        bad("--batch", "2,2", says=["--batch 2", "twice"])
        bad("--batch", "two", says=["two"])
        bad("--dtype", "fp32,fp16", says=["fp16"])
        bad("--threads", 0, says=["--threads 0"])
        bad("--runs", 0, says=["0 runs"])
        bad("--seconds", 0, says=["0 seconds"])
        bad("--profile", "--device", "cuda:0", says=["cuda:0"])
        bad("--threshold", 0.1, says=["--router"])
        bad("--router", FAST, "--steps", 10, says=["20", "10"])
        bad("--router", FAST, says=["28", "8"], model=["--init", "seeded:1", "--arch", "DiT-XL/2"])
        bad("--router", DATA / "l2c/router_random.pt", "--steps", 20, says=["router_random.pt", "4", "8"])
        bad("--chart", self.json, says=["same path"])
        bad("--chart", self.folder / "no/b.png", says=[str(self.folder / "no")])
        bad(says=["--model", "--init"], model=[])
        bad(says=["--arch"], model=["--init", "seeded:1"])
        bad("--arch", ASSETS / "none.json", says=["none.json"])

    def test_a_combination_that_fails_does_not_take_the_others_with_it(self):
        self.fails(2, "bench", *TINY, "--cache-every", 2, "--threads", 1, "--runs", 2, "--steps", 2,
                   "--batch", "1,2000000", "--json", self.json, says="1000000")
        report = json.loads(self.json.read_text())
        self.assertFalse(report["complete"])
        self.assertEqual([(e["batch"], e["complete"]) for e in report["combinations"]], [(1, True)])

    def test_ctrl_c_keeps_what_was_measured(self):
        line = ["bench", *FASHION, "--cache-every", 2, "--threads", 1, "--runs", 1000000, "--batch", "1,2",
                "--steps", 4, "--json", self.json, "--chart", self.chart]
        run = subprocess.Popen([PROGRAM, *map(str, line)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(run.kill)
        for text in run.stderr:
            if ": runs, 1 of" in text:
                break
        self.assertIsNone(run.poll())
        run.send_signal(signal.SIGINT)
        table, errors = run.communicate(timeout=60)
        self.assertEqual(run.returncode, 130, errors)
        self.assertIn("0 of 2 combinations are complete", errors)
        report = json.loads(self.json.read_text())
        self.assertFalse(report["complete"])
        self.assertEqual(len(report["combinations"]), 1)
        entry = report["combinations"][0]
        self.assertFalse(entry["complete"])
        self.assertGreater(len(entry["full"]["seconds"]), 0)
        self.assertIn("all computed", table)
        png_size(self.chart)
        self.assertEqual(self.left_behind(), ["b.json", "b.png"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
