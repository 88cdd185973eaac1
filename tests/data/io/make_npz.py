"""Made stored.npz and deflated.npz (numpy 1.24.2):  python3 make_npz.py

deflated.npz also holds headers of .npy version 2 and 3, and arrays that l2c refuses.
"""
import io
import zipfile

import numpy as np

arrays = {
    "arr_0": np.arange(2 * 4 * 3 * 3, dtype=np.uint8).reshape(2, 4, 3, 3),
    "arr_1": np.array([7, -9_000_000_000], dtype=np.int64),
    "i4": np.array([[1, -2, 3]], dtype=np.int32),
    "mu": np.linspace(-1, 1, 5, dtype=np.float64),
    "f4": np.float32(0.1) * np.arange(6, dtype=np.float32).reshape(3, 2),
    "scalar": np.array(2.5),
    "empty": np.zeros((0, 3), dtype=np.float32),
}
np.savez("stored.npz", **arrays)
arrays |= {"fortran": np.asfortranarray(np.ones((2, 3))), "f2": np.ones(2, np.float16),
           "big": np.ones(2, ">f4"), "text": np.array(["a"]), "records": np.zeros(1, [("a", "f4"), ("b", "f4")])}
np.savez_compressed("deflated.npz", **arrays)
with zipfile.ZipFile("deflated.npz", "a", zipfile.ZIP_DEFLATED) as archive:
    for version in (2, 3):
        stream = io.BytesIO()
        np.lib.format.write_array(stream, arrays["f4"], version=(version, 0))
        archive.writestr(f"v{version}.npy", stream.getvalue())
