"""The library cache-dit on Diffusers' DiT: its DBCache, which skips all blocks but the first while the first
one's contribution hardly changes, after one full step.

Its own defaults compute 8 blocks (all that the demo model has) and 8 whole steps first: made for larger models
and longer runs.
"""

import logging

import cache_dit

from . import diffusers_dit
from .eager import DTYPES


class DBCache:
    """fp32 in and out; begin() before each run."""

    def __init__(self, path, dtype, steps, threshold=0.08):
        logging.disable(logging.WARNING)  # it tells about itself at each refresh
        self.model, self.dtype = diffusers_dit.load(path, dtype), DTYPES[dtype]
        self.config = cache_dit.DBCacheConfig(Fn_compute_blocks=1, Bn_compute_blocks=0, max_warmup_steps=1,
                                              residual_diff_threshold=threshold, num_inference_steps=steps)
        cache_dit.enable_cache(self.model, cache_config=self.config)

    def begin(self):
        cache_dit.refresh_context(self.model, cache_config=self.config)

    def __call__(self, x, t, y):
        return self.model(x.to(self.dtype), timestep=t, class_labels=y, return_dict=False)[0].float()
