"""Diffusers' First Block Cache on its DiT: all blocks but the first are skipped while the first one's
contribution hardly changes.

Diffusers gives DiTTransformer2DModel no caches; deriving from its CacheMixin, too, is enough.
"""

from diffusers import DiTTransformer2DModel
from diffusers.hooks import FirstBlockCacheConfig
from diffusers.models.cache_utils import CacheMixin

from . import diffusers_dit
from .eager import DTYPES


class CachingDiT(DiTTransformer2DModel, CacheMixin):
    pass


class FirstBlockCache:
    """fp32 in and out; begin() before each run. Its threshold is Diffusers' default (0.05)."""

    def __init__(self, path, dtype):
        self.model, self.dtype = diffusers_dit.load(path, dtype, CachingDiT), DTYPES[dtype]
        self.model.enable_cache(FirstBlockCacheConfig())

    def begin(self):
        self.model._reset_stateful_cache()

    def __call__(self, x, t, y):
        with self.model.cache_context("sampling"):
            return self.model(x.to(self.dtype), timestep=t, class_labels=y, return_dict=False)[0].float()
