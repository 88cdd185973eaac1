"""What the contenders computed, compared. Standard library only."""

import array
import json
import struct
from dataclasses import dataclass

# Largest difference to eager fp32, relative to its largest value. bf16 rounds each product to 8 bits.
TOLERANCE = {"fp32": 1e-5, "bf16": 5e-2}


class Differs(Exception):
    """A contender that computes something else: its time means nothing."""


@dataclass(frozen=True)
class Tensor:
    shape: tuple
    values: array.array


def read_tensor(path, name):
    """One fp32 tensor of a safetensors file."""
    with open(path, "rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
        if name not in header:
            raise Differs(f"{path} holds no tensor \"{name}\"")
        entry = header[name]
        if entry["dtype"] != "F32":
            raise Differs(f"{path}: \"{name}\" is {entry['dtype']}, expected F32")
        begin, end = entry["data_offsets"]
        file.seek(8 + size + begin)
        values = array.array("f")
        values.frombytes(file.read(end - begin))
    return Tensor(tuple(entry["shape"]), values)


def relative_difference(actual, expected):
    """max|a-b| / max|b|; not a number anywhere counts as infinitely far."""
    if actual.shape != expected.shape:
        raise Differs(f"shape {list(actual.shape)}, expected {list(expected.shape)}")
    largest = max(map(abs, expected.values))
    worst = 0.0
    for a, b in zip(actual.values, expected.values):
        distance = abs(a - b)
        if not distance <= worst:
            if distance != distance:
                return float("inf")
            worst = distance
    return worst / largest


def mean_square_difference(actual, expected):
    return sum((a - b) ** 2 for a, b in zip(actual.values, expected.values, strict=True)) / len(expected.values)


def check(contender, dtype, actual, expected, tolerance=None):
    """The relative difference; throws Differs when it is beyond what the type explains."""
    limit = TOLERANCE[dtype] if tolerance is None else tolerance
    try:
        difference = relative_difference(actual, expected)
    except Differs as error:
        raise Differs(f"{contender}: {error}") from None
    if not difference <= limit:
        raise Differs(f"{contender} ({dtype}) differs from eager fp32 by {difference:.3g} of the largest value, "
                      f"allowed is {limit:g}: it does not run the same model, and its time means nothing")
    return difference


def check_nearer(contender, actual, expected, other):
    """Throws Differs when a run reuses although it should not, or the other way round."""
    if mean_square_difference(actual, expected) >= mean_square_difference(actual, other):
        raise Differs(f"{contender}: its latents are nearer to the run with the other plan (everything computed, or "
                      "the router's): it does not reuse what it should, and its time means nothing")
