"""What l2c reuses: --policy, --recall, calibrate.

    L2C_PROGRAM=build/dev/tools/l2c/l2c python3 cache_test.py [TestClass]
"""
import json
import unittest

from program import ASSETS, DATA, FAST, TINY, Case

FEW = ["--labels", "1,2", "--cfg-scale", 2, "--threads", 1]


class Cache(Case):
    def plan(self, *arguments):
        return json.loads(self.ok("plan", "--json", "--arch", DATA / "dit_tiny/config.json",
                                  "--steps", 12, *arguments))

    def sample(self, name, *arguments):
        latents, stats = self.folder / f"{name}.safetensors", self.folder / f"{name}.json"
        self.ok("sample", *TINY, *FEW, "--save-latents", latents, "--stats", stats, *arguments)
        return latents.read_bytes(), json.loads(stats.read_text())

    def test_policy_is_what_the_short_options_say(self):
        self.assertEqual(self.plan("--policy", "every:3"), self.plan("--cache-every", 3))
        short = self.sample("a", "--steps", 6, "--cache-every", 2)
        long = self.sample("b", "--steps", 6, "--policy", "every:2")
        self.assertEqual(short[0], long[0])

    def test_warm_up_reuses_less(self):
        self.assertEqual(self.plan("--policy", "every:3")["reused"], 8 * 8)
        self.assertEqual(self.plan("--policy", "every:3,warm-up=3")["reused"], 6 * 8)

    def test_a_recall_takes_memory_and_changes_the_images(self):
        latest = self.plan("--policy", "every:2")
        for recall, places in [("taylor:1", 2), ("taylor:2", 3), ("chebyshev:3", 4)]:
            forecast = self.plan("--policy", "every:2", "--recall", recall)
            self.assertEqual(forecast["reused"], latest["reused"])
            self.assertEqual(forecast["cache_bytes"], places * latest["cache_bytes"])
        plain = self.sample("plain", "--steps", 8, "--cache-every", 2)
        taylor = self.sample("taylor", "--steps", 8, "--cache-every", 2, "--recall", "taylor:1")
        spec = self.sample("spec", "--steps", 8, "--policy", "every:2+taylor:1")
        self.assertNotEqual(plain[0], taylor[0])
        self.assertEqual(spec[0], taylor[0])
        self.assertEqual(taylor[1]["cache_bytes"], 2 * plain[1]["cache_bytes"])
        self.assertEqual(taylor[1]["settings"]["policy"], "every 2, taylor:1")

    def test_a_router_with_a_recall(self):
        options = ["--arch", ASSETS / "config.json", "--json"]
        router = ["--router", FAST, "--threshold", 0.1, "--recall", "taylor:1"]
        forecast = json.loads(self.ok("plan", *options, *router))
        latest = json.loads(self.ok("plan", *options, *router[:4]))
        self.assertEqual(forecast["reused"], latest["reused"])
        self.assertGreater(forecast["cache_bytes"], latest["cache_bytes"])
        chosen = json.loads(self.ok("plan", *options, "--router", FAST, "--recall", "taylor:1",
                                    "--target-speedup", 1.25))
        self.assertGreater(chosen["cache_bytes"], 0)
        spec = json.loads(self.ok("plan", *options, "--policy", f"l2c:{FAST}@0.1+taylor:1"))
        self.assertEqual(spec["cache_bytes"], forecast["cache_bytes"])
        self.assertEqual(spec["reused"], 113)

    def test_calibrate_makes_a_schedule_that_sample_takes(self):
        schedule = self.folder / "schedule.json"
        text = self.ok("calibrate", *TINY, "--steps", 8, "--threshold", 0.5, "--out", schedule,
                       "--cfg-scale", 2, "--threads", 1)
        entries = json.loads(schedule.read_text())
        self.assertEqual(sorted(entries), ["attn", "mlp"])
        reused = 4 * sum(steps.count(0) for steps in entries.values())
        self.assertGreater(reused, 0)
        self.assertIn(f"reuses {reused} of 64 branches", text)
        stats = self.sample("s", "--policy", f"smoothcache:{schedule}")[1]
        self.assertEqual(stats["steps"], 8)
        self.assertEqual(stats["reused"], reused)

    def test_calibrations_options_change_the_schedule(self):
        def schedule(*arguments):
            out = self.folder / "s.json"
            self.ok("calibrate", *TINY, "--steps", 8, "--out", out, "--threads", 1, *arguments)
            return json.loads(out.read_text())
        self.assertEqual(schedule("--threshold", 0)["attn"], [1] * 8)
        self.assertEqual(schedule("--threshold", 9, "--lookahead", 1)["mlp"], [1, 0, 1, 0, 1, 0, 1, 1])
        self.assertEqual(schedule("--threshold", 9)["mlp"], [1, 0, 0, 0, 1, 0, 0, 1])

    def test_a_fitted_forecast(self):
        fitted = self.folder / "forecast.safetensors"
        self.ok("calibrate", *TINY, "--steps", 8, "--cfg-scale", 2, "--threads", 1, "--fit", fitted)
        every = ["--steps", 8, "--cache-every", 2]
        full = self.sample("full", "--steps", 8)[0]
        made = {name: self.sample(name, *every, "--recall", recall)[0]
                for name, recall in [("latest", "latest"), ("two", f"fitted:{fitted}"),
                                     ("again", f"fitted:{fitted}@2"), ("three", f"fitted:{fitted}@3")]}
        self.assertEqual(made["two"], made["again"])
        self.assertEqual(len({full, made["latest"], made["two"], made["three"]}), 4)
        self.fails(2, "sample", *TINY, *FEW, "--steps", 9, "--cache-every", 2, "--recall", f"fitted:{fitted}",
                   says="for 8 evaluations of 8 units, the run has 9 of 8")

    def test_placed_steps(self):
        router = self.folder / "placed.safetensors"
        place = ["place-steps", *TINY, "--steps", 8, "--images", 2, "--cfg-scale", 2, "--threads", 1, "--out", router]
        text = self.ok(*place, "--target-speedup", 2.2, "--dtype", "bf16", "--recall", "latest")
        self.assertIn("computes everything in steps 0, ", text)
        text = self.ok(*place, "--full-steps", 3, "--recall", "taylor:1")
        self.assertIn(f"wrote {router}", text)
        record = json.loads((self.folder / "placed.safetensors.search.json").read_text())
        self.assertEqual([search["settings"]["recall"] for search in record["searches"]], ["latest", "taylor:1"])
        own = self.folder / "own.json"
        self.ok(*place, "--full-steps", 3, "--recall", "taylor:1", "--record", own)
        self.assertEqual(json.loads(own.read_text())["searches"], record["searches"][1:])
        latents, stats = self.sample("own", "--router", router)
        self.assertEqual((stats["steps"], stats["reused"]), (8, 5 * 8))
        self.assertEqual(latents, self.sample("same", "--router", router, "--recall", "taylor:1")[0])
        self.assertNotEqual(latents, self.sample("latest", "--router", router, "--recall", "latest")[0])
        self.fails(2, *place, says="give one of them")
        self.fails(2, *place, "--full-steps", 9, says="give 1 to 8")
        self.fails(2, *place, "--target-speedup", 30, says="the largest possible")
        self.fails(2, *place, "--full-steps", 3, "--recall", "newton", says="taylor:ORDER")

    def test_bad_input(self):
        plan = ["plan", "--arch", "DiT-S/8", "--steps", 10]
        self.fails(2, *plan, "--policy", "fast", says=["no such policy", "every:N,warm-up=W"])
        self.fails(2, *plan, "--policy", "steps:5", says="give --steps 5 instead")
        self.fails(2, *plan, says="give --router, --cache-every or --policy")
        self.fails(2, *plan, "--policy", "first-block:0.1", says=["decides while it samples", "sample --compare"])
        self.fails(2, *plan, "--recall", "taylor:1", says="needs something that reuses")
        self.fails(2, *plan, "--cache-every", 2, "--recall", "newton", says="taylor:ORDER")
        self.fails(2, *plan, "--cache-every", 2, "--policy", "every:2", says="--policy")
        self.fails(2, "calibrate", *TINY, says="nothing to make")
        self.fails(2, "calibrate", *TINY, "--threshold", 1, "--fit", self.folder / "f", says="belong together")
        absent = self.folder / "absent" / "s.json"
        self.fails(2, "calibrate", *TINY, "--threshold", 0.1, "--out", absent, says="absent")
        self.fails(2, "calibrate", *TINY, "--threshold", -1, "--out", self.folder / "s.json",
                   says="at least 0")
        self.fails(2, "calibrate", *TINY, "--threshold", 1, "--lookahead", 0, "--out",
                   self.folder / "s.json", says="at least 1")
        self.assertEqual(self.left_behind(), [])


if __name__ == "__main__":
    unittest.main()
