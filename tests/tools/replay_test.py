"""Pictures that carry their settings, made again; single images, previews and the other options of l2c sample.

    L2C_PROGRAM=build/dev/tools/l2c/l2c python3 replay_test.py [TestClass]
"""
import json
import os
import shutil
import struct
import subprocess
import time
import unittest
import zlib
from pathlib import Path

import tensor_file
from program import DATA, PROGRAM, TINY, FASHION, FAST, QUALITY, Case, l2c, png_size

DEMO = [*FASHION, "--labels", "3,5,9", "--steps", 20]
ROUTER = ["--router", FAST, "--threshold", 0.4]


def chunks(raw):
    at = 8
    while at < len(raw):
        size, = struct.unpack(">I", raw[at:at + 4])
        yield raw[at + 4:at + 8], raw[at + 8:at + 8 + size]
        at += 12 + size


def settings(path):
    for kind, data in chunks(path.read_bytes()):
        if kind == b"tEXt" and data.startswith(b"l2c\0"):
            return json.loads(data[4:])
    return None


def write_settings(source, target, value):
    """A copy of a picture with other settings."""
    raw = b"\x89PNG\r\n\x1a\n"
    for kind, data in chunks(source.read_bytes()):
        if kind == b"tEXt":
            data = b"l2c\0" + (value if isinstance(value, bytes) else json.dumps(value).encode())
        raw += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    target.write_bytes(raw)


class Replay(Case):
    def picture(self, *options, name="first.png"):
        out = self.folder / name
        self.ok("sample", *options, "--out", out)
        return out

    def again(self, source, *options, model=FASHION):
        out = self.folder / "again.png"
        done = l2c("sample", "--from", source, *model, *options, "--out", out)
        self.assertEqual(done.returncode, 0, done.stderr)
        return out, done.stderr

    def assert_same(self, source, *options, model=FASHION):
        out, errors = self.again(source, *options, model=model)
        self.assertEqual(out.read_bytes(), source.read_bytes())
        self.assertNotIn("note: the picture", errors)

    def test_a_picture_made_again_is_the_same_file(self):
        self.assert_same(self.picture(*DEMO, "--seed", 7))
        self.assert_same(self.picture(*DEMO, "--seed", 7, "--per-class", 2, *ROUTER, "--batch-size", 4), "--router", FAST)
        self.assert_same(self.picture(*DEMO, "--router", FAST, "--recall", "taylor:1", "--dtype", "bf16"), "--router", FAST)
        self.assert_same(self.picture(*DEMO, "--cache-every", 3, "--recall", "chebyshev:2"))
        self.assert_same(self.picture(*DEMO, "--policy", "teacache:0.1", "--cfg-scale", 2.5, "--cfg-channels", "all"))
        self.assert_same(self.picture(*DEMO, "--seeds", "4,18446744073709551615,4", "--sampler", "ddpm"))
        self.assert_same(self.picture(*FASHION, "--labels", 1, "--spacing", "ddim10", "--eta", 0.5, "--cfg-range", "100,800"))
        self.assert_same(self.picture(*DEMO, *ROUTER, "--compare"), "--router", FAST)
        self.assert_same(self.picture(*DEMO, "--cache-every", 3, "--compare", "--cfg-range", "200,800", "--seeds", "1,2,3",
                                      "--batch-size", 2))

    def test_single_images_are_made_again_from_their_micro_batch(self):
        images = self.folder / "images"
        self.ok("sample", *DEMO, "--per-class", 2, *ROUTER, "--batch-size", 4, "--seed", 3, "--images", images)
        names = sorted(path.name for path in images.iterdir())
        self.assertEqual(names, [f"{i:06}-label-{label}.png" for i, label in enumerate([3, 3, 5, 5, 9, 9])])
        for name in (names[1], names[5]):
            self.assertEqual(png_size(images / name), (28, 28))
            self.assert_same(images / name, "--router", FAST)
        self.assertEqual(settings(images / names[5])["labels"], [9, 9])
        # Of the micro-batch, that image alone is written.
        again, latents = self.folder / "again", self.folder / "x.safetensors"
        self.ok("sample", "--from", images / names[5], *FASHION, "--router", FAST, "--images", again, "--save-latents", latents)
        self.assertEqual([path.name for path in again.iterdir()], [names[5]])
        self.assertEqual((again / names[5]).read_bytes(), (images / names[5]).read_bytes())
        self.assertEqual(tensor_file.read(latents)["latents"][0], [1, 1, 28, 28])
        both, _ = self.again(images / names[5], "--router", FAST, "--compare")
        self.assertEqual(png_size(both)[0], 28)
        self.assertGreaterEqual(png_size(both)[1], 56)
        # Another seed is that of the same place.
        other, _ = self.again(images / names[5], "--router", FAST, "--seed", 4)
        self.assertEqual(settings(other), {**settings(images / names[5]), "seed": 4})
        sheet = self.picture(*DEMO, "--per-class", 2, *ROUTER, "--batch-size", 4, "--seed", 3)
        self.assertNotEqual(png_size(sheet), (28, 28))

    def test_options_change_what_the_picture_says(self):
        first = self.picture(*DEMO, "--seed", 7)
        other, _ = self.again(first, "--seed", 8)
        self.assertNotEqual(other.read_bytes(), first.read_bytes())
        self.assertEqual(settings(other), {**settings(first), "seed": 8})
        fewer, _ = self.again(first, "--steps", 5)
        self.assertEqual(settings(fewer)["steps"], 5)
        more, _ = self.again(first, "--per-class", 2)
        self.assertEqual(settings(more), {**settings(first), "per_class": 2})
        others, _ = self.again(first, "--labels", "1,2")
        self.assertEqual(settings(others), {**settings(first), "labels": [1, 2]})
        seeded = self.picture(*DEMO, "--seeds", "4,9,4", name="seeded.png")
        self.fails(2, "sample", "--from", seeded, *FASHION, "--labels", 1, "--out", self.folder / "x.png",
                   says="a seed for each image")
        stats = self.folder / "stats.json"
        self.again(first, "--stats", stats)
        self.assertNotIn("cfg_range", json.loads(stats.read_text())["settings"])
        reused, errors = self.again(first, "--cache-every", 2)
        self.assertEqual(settings(reused)["policy"], "every:2")
        self.assertIn("reuse compute all, now every 2", errors)
        routed, errors = self.again(first, "--router", FAST)
        self.assertIn("reuse compute all, now router", errors)
        full, errors = self.again(self.picture(*DEMO, *ROUTER, name="routed.png"), "--policy", "full")
        self.assertIn(", now compute all", errors)
        forecast, _ = self.again(self.picture(*DEMO, "--policy", "every:3+chebyshev:2", name="c.png"), "--recall", "taylor:1")
        self.assertEqual(settings(forecast)["policy"], "every:3+taylor:1")

    def test_a_picture_is_not_written_over_unasked(self):
        source = self.picture(*DEMO, name="samples.png")
        done = subprocess.run([os.path.abspath(PROGRAM), "sample", "--from", source.name, *map(str, FASHION)], cwd=self.folder,
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 2)
        self.assertIn("would be written over", done.stderr)

    def test_settings_name_no_file(self):
        text = json.dumps(settings(self.picture(*DEMO, *ROUTER)))
        for word in ("/", "safetensors", str(self.folder)):
            self.assertNotIn(word, text)

    def test_another_model_or_router_is_refused(self):
        plain = self.picture(*DEMO)
        self.fails(2, "sample", "--from", plain, *TINY, says=["with fingerprint", "give the checkpoint"])
        routed = self.picture(*DEMO, *ROUTER, name="routed.png")
        self.fails(2, "sample", "--from", routed, *FASHION, says=["was made with the router", "none is given"])
        self.fails(2, "sample", "--from", routed, *FASHION, "--router", QUALITY, says=["was made with the router", "this one is"])

    def test_inspect_shows_the_settings(self):
        source = self.picture(*DEMO, *ROUTER)
        shown = json.loads(self.ok("inspect", source, "--json"))
        self.assertEqual(shown["settings"], settings(source))
        text = self.ok("inspect", source)
        for word in ("picture", "threshold", "0.4", "470dac5f1904e69298e3f467bccbcaae"):
            self.assertIn(word, text)

    def test_pictures_without_settings_are_refused(self):
        bare = self.folder / "bare.png"
        source = self.picture(*DEMO)
        write_settings(source, bare, b"")
        self.fails(2, "sample", "--from", bare, *FASHION, says="no JSON object")
        raw = b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
            for kind, data in chunks(source.read_bytes()) if kind != b"tEXt")
        bare.write_bytes(raw)
        self.fails(2, "sample", "--from", bare, *FASHION, says="carries no settings")
        self.fails(2, "sample", "--from", FAST, *FASHION, says="is no PNG file")
        self.fails(2, "sample", "--from", self.folder / "nowhere.png", *FASHION, says="nowhere.png")

    def test_settings_are_not_trusted(self):
        source, forged = self.picture(*DEMO), self.folder / "forged.png"
        good = settings(source)

        def refused(says, **change):
            write_settings(source, forged, {**good, **change})
            self.fails(2, "sample", "--from", forged, *FASHION, "--out", self.folder / "no.png", says=says)

        secret = self.folder / "secret.safetensors"
        secret.write_bytes(FAST.read_bytes())
        for policy in (f"router:{secret}", f"smoothcache:{secret}", f"every:2+fitted:{secret}@2"):
            refused("a picture's settings open no file", policy=policy, cache="x")
        refused("open no file", policy="nonsense", cache="x")
        refused("what is given makes compute all", cache="something else")
        refused("no type of this program", dtype="fp8")
        refused("whole numbers", labels=["golden retriever"])
        refused("label 1000", labels=[1000])
        refused("images at once", per_class=2_000_000_000)
        refused("shows image 9 of 3", image=9)
        refused("shows image -1 of 3", image=-1)
        refused("100000 steps: give 1 to 1000", steps=100_000)
        refused('"labels" is empty', labels=[])
        refused("made with the VAE 123, and there is none", vae="123")
        refused("guidance range", guidance_range=[5, 1])
        refused("printable ASCII", architecture="\x1b[31m")
        refused("batch size 0", batch_size=0)
        self.assertFalse((self.folder / "no.png").exists())

    def test_initial_noise_has_to_be_given_again(self):
        noise = self.folder / "z.safetensors"
        tensor_file.write(noise, {"z": ([2, 1, 28, 28], [0.001 * (i % 997) - 0.5 for i in range(2 * 784)])})
        asked = [*FASHION, "--labels", "3,5", "--steps", 5]
        source = self.picture(*asked, "--initial-noise", noise)
        self.assert_same(source, "--initial-noise", noise)
        self.fails(2, "sample", "--from", source, *FASHION, says=["was made from initial noise", "none is given"])

    def test_another_machine_is_noted(self):
        source, forged = self.picture(*DEMO, "--threads", 1), self.folder / "forged.png"
        self.assert_same(source, "--threads", 2)
        write_settings(source, forged, {**settings(source), "instruction_set": "avx1024", "version": "9"})
        _, errors = self.again(forged)
        self.assertIn("l2c 9, now 0.1.0; instruction set avx1024, now", errors)


class SampleExtras(Case):
    def test_seeds_are_those_of_single_runs(self):
        def latents(*options):
            out = self.folder / "x.safetensors"
            self.ok("sample", *FASHION, "--steps", 5, "--batch-size", 1, "--save-latents", out, *options)
            return tensor_file.read(out)["latents"][1]

        both = latents("--labels", "3,5", "--seeds", "11,12")
        alone = latents("--labels", 5, "--seed", 12)
        self.assertEqual(both[784:], alone)
        self.fails(2, "sample", *FASHION, "--labels", "3,5", "--seeds", 11, says="1 seeds for 2 images")
        self.fails(2, "sample", *FASHION, "--labels", 3, "--seeds", 11, "--seed", 4, says="--seed")

    def test_previews_are_written_while_it_runs(self):
        preview, out = self.folder / "now.png", self.folder / "x.png"
        self.ok("sample", *DEMO, "--preview", preview, "--preview-every", 7, "--out", out)
        # At the end it shows what has come out.
        pixels = [data for kind, data in chunks(preview.read_bytes()) if kind == b"IDAT"]
        self.assertEqual(pixels, [data for kind, data in chunks(out.read_bytes()) if kind == b"IDAT"])
        self.assertIsNone(settings(preview))
        self.fails(2, "sample", *DEMO, "--preview-every", 7, says="--preview")
        self.fails(2, "sample", *DEMO, "--preview", preview, "--preview-every", 0, says="--preview-every")
        self.fails(2, "sample", *DEMO, "--preview", preview, "--out", preview, says="two outputs")

    def test_guidance_in_a_range_begins_anew_at_both_ends(self):
        def stats(*options):
            path = self.folder / "s.json"
            self.ok("sample", *DEMO, "--stats", path, *options)
            return json.loads(path.read_text())

        self.assertEqual(stats("--cache-every", 3)["computed"], 7 * 16)
        numbers = stats("--cfg-range", "200,800", "--cache-every", 3)
        self.assertEqual(numbers["settings"]["cfg_range"], [200, 800])
        self.assertEqual(numbers["computed"], 9 * 16)  # begins anew in steps 4 and 16, too
        self.fails(2, "sample", *DEMO, "--cfg-range", "800,200", says="guidance range 800 to 200")
        self.fails(2, "sample", *DEMO, "--cfg-range", 800, says="--cfg-range")

    def test_outputs_do_not_replace_what_is_read(self):
        model, router = self.folder / "m.safetensors", self.folder / "r.safetensors"
        model.write_bytes(Path(FASHION[1]).read_bytes())
        router.write_bytes(FAST.read_bytes())
        run = ["sample", "--model", model, "--router", router, "--labels", 1, "--steps", 20]
        link = self.folder / "link.safetensors"
        link.symlink_to(model)
        for option, path in (("--save-latents", model), ("--save-latents", link), ("--stats", router),
                             ("--out", self.folder / "x/../r.safetensors")):
            (self.folder / "x").mkdir(exist_ok=True)
            self.fails(2, *run, option, path, says="would be written over")
        spec = ["sample", "--model", model, "--labels", 1, "--steps", 20, "--policy"]
        self.fails(2, *spec, f"router:{router}@0.5", "--stats", router, says="would be written over")
        self.fails(2, *spec, f"router:{router}@0.5+taylor:1", "--stats", router, says="would be written over")
        config = self.folder / "c.json"
        config.write_text((DATA / "dit_tiny/config.json").read_text())
        self.fails(2, "sample", "--model", TINY[1], "--arch", config, "--labels", 1, "--stats", config, says="would be written over")
        images = self.folder / "images"
        self.ok(*run, "--images", images)
        source = images / "000000-label-1.png"
        before = source.read_bytes()
        self.fails(2, *run[:-4], "--from", source, "--seed", 9, "--images", images, says="would be written over")
        self.assertEqual(source.read_bytes(), before)
        self.assertEqual(model.read_bytes(), Path(FASHION[1]).read_bytes())
        self.assertEqual(router.read_bytes(), FAST.read_bytes())
        folder = self.folder / "folder"
        shutil.copytree(DATA / "diffusers", folder)
        self.fails(2, "sample", "--model", folder, "--labels", 1, "--steps", 2, "--stats", folder / "model_index.json",
                   says="would be written over")
        for _ in range(2):  # what it made itself may be made again
            self.ok("sample", "--model", folder, "--labels", 1, "--steps", 2, "--out", folder / "samples.png", "--stats", folder / "s.json")

    def test_two_outputs_are_two_files(self):
        stats, images = self.folder / "s.json", self.folder / "images"
        self.fails(2, "sample", *DEMO, "--stats", stats, "--save-latents", self.folder / "../" / self.folder.name / "s.json",
                   says="are the same path")
        self.fails(2, "sample", *FASHION, "--labels", 1, "--steps", 2, "--images", images, "--out", images / "000000-label-1.png",
                   says="does not exist")
        images.mkdir()
        self.fails(2, "sample", *FASHION, "--labels", 1, "--steps", 2, "--images", images, "--out", images / "000000-label-1.png",
                   says="the same path")
        self.assertEqual(list(images.iterdir()), [])

    def test_a_refused_request_leaves_no_folder(self):
        images = self.folder / "images"
        self.fails(2, "sample", *FASHION, "--labels", 999, "--images", images, says="999")
        self.assertFalse(images.exists())

    def test_a_preview_that_cannot_be_written_is_no_reason_to_stop(self):
        # Its folder vanishes while the run goes on.
        now, out = self.folder / "now", self.folder / "x.png"
        now.mkdir()
        with subprocess.Popen([PROGRAM, "sample", *map(str, FASHION), "--per-class", "40", "--steps", "50", "--preview",
                               str(now / "p.png"), "--preview-every", "1", "--out", str(out)], stderr=subprocess.PIPE,
                              stdout=subprocess.DEVNULL, text=True) as run:
            deadline = time.monotonic() + 60
            while not (now / "p.png").exists() and time.monotonic() < deadline:
                time.sleep(0.01)
            while now.exists():
                shutil.rmtree(now, ignore_errors=True)
            errors = run.communicate(timeout=240)[1]
        self.assertEqual(run.returncode, 0, errors)
        self.assertEqual(errors.count("no more previews"), 1, errors)
        self.assertTrue(out.exists())

    def test_a_folder_that_cannot_be_made(self):
        (self.folder / "file").write_text("x")
        self.fails(2, "sample", *DEMO, "--images", self.folder / "file", says="--images")
        self.fails(2, "sample", *DEMO, "--images", self.folder / "a/b", says=["a/b", "create it"])

    def test_log_levels(self):
        config = json.loads((DATA / "dit_tiny/config.json").read_text())
        odd = self.folder / "odd.json"
        odd.write_text(json.dumps({**config, "colour": "red"}))
        plain = ["sample", "--model", DATA / "dit_tiny/weights.safetensors", "--arch", odd, "--labels", 1, "--steps", 2,
                 "--save-latents", self.folder / "x.safetensors"]
        remark = "\"colour\" is not a field"
        self.assertIn(remark, l2c(*plain).stderr)
        self.assertIn(remark, l2c("--log-level", "debug", *plain).stderr)
        self.assertNotIn(remark, l2c("--log-level", "none", *plain).stderr)
        self.fails(2, "--log-level", "loud", *plain, says="--log-level")


if __name__ == "__main__":
    unittest.main()
