"""l2c with Diffusers folders as a user runs it.

    L2C_PROGRAM=build/dev/tools/l2c/l2c python3 diffusers_test.py [TestClass]
"""
import json
import shutil
import unittest

import tensor_file
from program import DATA, SHARED, TINY, Case, l2c, png_size

FOLDER = DATA / "diffusers"
VAE = SHARED / "vae_tiny/diffusers"


class Diffusers(Case):
    def setUp(self):
        super().setUp()
        self.copied = self.folder / "DiT-tiny"
        shutil.copytree(FOLDER, self.copied)

    def sampled(self, *options):
        out, stats = self.folder / "x.safetensors", self.folder / "s.json"
        self.ok("sample", "--steps", 5, "--save-latents", out, "--stats", stats, *options)
        return tensor_file.read(out)["latents"], json.loads(stats.read_text())["settings"]

    def test_folder_transformer_and_file_sample_as_the_official_file(self):
        official, settings = self.sampled(*TINY, "--labels", "4,1")
        for model in (FOLDER, FOLDER / "transformer", FOLDER / "transformer/diffusion_pytorch_model.safetensors"):
            latents, own = self.sampled("--model", model, "--labels", "4,1")
            self.assertEqual(latents, official, model)
            self.assertEqual(own["fingerprint"], settings["fingerprint"])

    def test_labels_by_name(self):
        numbers, _ = self.sampled("--model", FOLDER, "--labels", "4,1,2")
        names, settings = self.sampled("--model", FOLDER, "--labels", "golden retriever, Carassius auratus,2")
        self.assertEqual(names, numbers)
        self.assertEqual(settings["labels"], [4, 1, 2])

    def test_labels_that_are_none(self):
        out = ["--out", self.folder / "x.png"]
        self.fails(2, "sample", "--model", FOLDER, *out, "--labels", "golden retreiver",
                   says=['label "golden retreiver"', 'did you mean "golden retriever" (4)?', "model_index.json"])
        self.fails(2, "sample", "--model", FOLDER, *out, "--labels", "crane", says="3 (crane) or 5 (crane)")
        self.fails(2, "sample", "--model", FOLDER, *out, "--labels", "10", says=["label 10", "0 to 9"])
        self.fails(2, "sample", *TINY, *out, "--labels", "otter", says=['label "otter"', "no names of classes"])
        self.assertEqual(self.left_behind(), ["DiT-tiny"])

    def test_the_folders_scheduler_only_when_asked_for(self):
        official, settings = self.sampled("--model", FOLDER, "--labels", "4,1")
        self.assertEqual((settings["sampler"], settings["spacing"]), ("ddim", "5"))
        folders, settings = self.sampled("--model", FOLDER, "--labels", "4,1", "--sampler", "folder")
        self.assertEqual((settings["sampler"], settings["spacing"]), ("folder", "DDIMScheduler, leading"))
        self.assertNotEqual(folders, official)
        self.fails(2, "sample", *TINY, "--sampler", "folder", "--out", self.folder / "x.png",
                   says=["the folder's scheduler can't be used", "choose ddim or ddpm"])
        self.fails(2, "sample", "--model", FOLDER, "--sampler", "folder", "--spacing", "ddim5", "--out",
                   self.folder / "x.png", says='spacing "ddim5"')

    def test_the_scheduler_against_diffusers(self):
        golden = tensor_file.read(DATA / "sampling/dpmpp2m_20.safetensors")
        text = (DATA / "sampling/dpmpp2m_scheduler_config.json").read_text()
        (self.copied / "scheduler/scheduler_config.json").write_text(
            text.replace("{", '{"_class_name": "DPMSolverMultistepScheduler",', 1))
        count = 4 * 4 * 8 * 8
        noise, out = self.folder / "z.safetensors", self.folder / "x.safetensors"
        tensor_file.write(noise, {"z": ([4, 4, 8, 8], golden["x"][1][:count])})
        labels = ",".join(map(str, tensor_file.read_int64(DATA / "sampling/dpmpp2m_20.safetensors", "y")[:4]))
        self.ok("sample", "--model", self.copied, "--sampler", "folder", "--steps", 20, "--cfg-scale", 4,
                "--cfg-channels", "all", "--labels", labels, "--initial-noise", noise, "--save-latents", out)
        expected = golden["x"][1][20 * count:]
        largest = max(map(abs, expected))
        error = max(abs(a - b) for a, b in zip(tensor_file.read(out)["latents"][1], expected)) / largest
        self.assertLess(error, 1e-4)

    @unittest.skipUnless(VAE.is_dir(), "shared/reference is not here")
    def test_the_folders_vae_makes_the_pictures(self):
        def size(*options):
            out = self.folder / "x.png"
            done = l2c("sample", "--labels", "1", "--steps", 2, "--out", out, *options)
            self.assertEqual(done.returncode, 0, done.stderr)
            return png_size(out), "false-colour" in done.stderr

        self.assertEqual(size("--model", self.copied), ((12, 12), True))
        shutil.copytree(VAE, self.copied / "vae")
        self.assertEqual(size("--model", self.copied), ((20, 20), False))
        self.assertEqual(size("--model", self.copied, "--vae", "none"), ((12, 12), True))
        self.assertEqual(size(*TINY, "--vae", VAE), ((20, 20), False))

    def test_inspect(self):
        model = json.loads(self.ok("inspect", "--json", FOLDER))
        official = json.loads(self.ok("inspect", "--json", DATA / "dit_tiny/weights.safetensors"))
        self.assertEqual((model["kind"], model["stored_as"]), ("model", "Diffusers"))
        self.assertEqual(model["config"]["depth"], 4)
        self.assertEqual(model["named_classes"], 10)
        self.assertEqual(model["scheduler"], "DDIMScheduler, leading")
        file = json.loads(self.ok("inspect", "--json", FOLDER / "transformer/diffusion_pytorch_model.safetensors"))
        self.assertEqual(file["fingerprint"], model["fingerprint"])
        self.assertEqual(official["tensors"], 52)

    def test_folders_that_are_none(self):
        sample = ["sample", "--out", self.folder / "x.png", "--model"]
        self.fails(2, *sample, DATA, says=["model_index.json", str(DATA)])
        config = self.copied / "transformer/config.json"
        config.write_text(config.read_text().replace("ada_norm_zero", "ada_norm"))
        self.fails(2, *sample, self.copied, says=["norm_type is ada_norm", str(config)])
        index = self.copied / "model_index.json"
        index.write_text(index.read_text().replace("DiTPipeline", "StableDiffusionPipeline"))
        self.fails(2, *sample, self.copied, says="StableDiffusionPipeline")
        self.fails(2, "inspect", self.copied, says="StableDiffusionPipeline")

    def test_help(self):
        text = self.ok("sample", "--help")
        for word in ("Diffusers", "golden", "folder:"):
            self.assertIn(word, text)

    def test_other_commands_take_folders(self):
        data = self.folder / "data.safetensors"
        tensor_file.write(data, {"latents": ([2, 4, 8, 8], [(i % 7) / 7 for i in range(512)]), "labels": ([2], [1, 4])})
        numbers = [json.loads(self.ok("validate", "--data", data, "--json", *model))
                   for model in (TINY, ["--model", FOLDER])]
        self.assertEqual(numbers[0]["images"], 2)
        self.assertEqual(numbers[0], numbers[1])


if __name__ == "__main__":
    unittest.main(verbosity=2)
