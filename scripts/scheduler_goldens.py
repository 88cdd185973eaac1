"""Makes tests/data/sampling/schedulers.safetensors: what Diffusers' schedulers make of random predictions.

    ~/.cache/l2c/compare-2.11.0/bin/python scripts/scheduler_goldens.py tests/data/sampling/schedulers.safetensors

Needs torch, diffusers and safetensors (benchmarks/compare/requirements.txt has the versions). For each case NAME the
file has NAME.x [steps + 1, 2, 4, 3, 3] (x[0] is noise), NAME.epsilon and NAME.noise [steps, 2, 4, 3, 3] and
NAME.timesteps [steps]; its metadata has NAME: the scheduler_config.json, and NAME.eta.
"""
import json
import sys

import diffusers
import torch
from safetensors.torch import save_file

PUBLISHED = {"beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "linear", "clip_sample": False,
             "num_train_timesteps": 1000, "prediction_type": "epsilon", "set_alpha_to_one": True, "steps_offset": 0,
             "trained_betas": None}  # DDIM without clipping, as DiT was published for Diffusers
DDIM, DPM = "DDIMScheduler", "DPMSolverMultistepScheduler"
# name: class, options, steps, eta
CASES = {
    "ddim_leading": (DDIM, PUBLISHED, 20, 0),
    "ddim_leading_7": (DDIM, PUBLISHED, 7, 0),
    "ddim_defaults": (DDIM, {}, 12, 0),
    "ddim_offset": (DDIM, {"steps_offset": 1, "set_alpha_to_one": False, "clip_sample_range": 2.0}, 12, 0),
    "ddim_trailing": (DDIM, {**PUBLISHED, "timestep_spacing": "trailing"}, 11, 0),
    "ddim_linspace_eta": (DDIM, {**PUBLISHED, "timestep_spacing": "linspace"}, 10, 0.5),
    "ddim_scaled": (DDIM, {**PUBLISHED, "beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012},
                    10, 0),
    "dpm_defaults": (DPM, {}, 20, 0),
    "dpm_few": (DPM, {}, 8, 0),
    "dpm_one": (DPM, {}, 1, 0),
    "dpm_leading_heun": (DPM, {"timestep_spacing": "leading", "solver_type": "heun", "steps_offset": 1}, 16, 0),
    "dpm_trailing_sigma_min": (DPM, {"timestep_spacing": "trailing", "final_sigmas_type": "sigma_min"}, 16, 0),
    "dpm_sigma_min_few": (DPM, {"final_sigmas_type": "sigma_min"}, 8, 0),
    "dpm_sigma_min_euler": (DPM, {"final_sigmas_type": "sigma_min", "euler_at_final": True}, 16, 0),
    "dpm_sigma_min_no_lower": (DPM, {"final_sigmas_type": "sigma_min", "lower_order_final": False}, 8, 0),
    "dpm_order_1": (DPM, {"solver_order": 1}, 9, 0),
}


def run(name, options, steps, eta, generator):
    scheduler = getattr(diffusers, name)(**options)
    scheduler.set_timesteps(steps)
    shape = (2, 4, 3, 3)
    x = [torch.randn(shape, generator=generator)]
    epsilon = torch.randn((steps, *shape), generator=generator)
    noise = torch.randn((steps, *shape), generator=generator)
    for k, t in enumerate(scheduler.timesteps):
        more = {"eta": eta, "variance_noise": noise[k]} if name == DDIM else {}
        x.append(scheduler.step(epsilon[k], t, x[-1], **more).prev_sample)
    config = {**dict(scheduler.config), "_class_name": name, "_diffusers_version": diffusers.__version__}
    config.pop("_use_default_values", None)
    tensors = {"x": torch.stack(x), "epsilon": epsilon, "timesteps": scheduler.timesteps.clone()}
    if eta:
        tensors["noise"] = noise
    return tensors, json.dumps(config)


def main():
    generator = torch.Generator().manual_seed(7)
    tensors, metadata = {}, {}
    for case, (name, options, steps, eta) in CASES.items():
        made, metadata[case] = run(name, options, steps, eta, generator)
        metadata[f"{case}.eta"] = str(eta)
        tensors.update({f"{case}.{key}": value.contiguous() for key, value in made.items()})
    save_file(tensors, sys.argv[1], metadata)


if __name__ == "__main__":
    main()
