"""Just enough of safetensors to make and read test files with the standard library."""
import json
import math
import struct


def write(path, tensors):
    """tensors: name -> (shape, list of values), written as I64 when all are ints, else as F32."""
    header, data = {}, b""
    for name, (shape, values) in tensors.items():
        assert math.prod(shape) == len(values), name
        whole = all(isinstance(value, int) for value in values)
        raw = struct.pack(f"<{len(values)}{'q' if whole else 'f'}", *values)
        header[name] = {"dtype": "I64" if whole else "F32", "shape": list(shape),
                        "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def read_int64(path, name):
    """The values of one I64 tensor."""
    with open(path, "rb") as file:
        raw = file.read()
    size = struct.unpack("<Q", raw[:8])[0]
    begin, end = json.loads(raw[8:8 + size])[name]["data_offsets"]
    return list(struct.unpack(f"<{(end - begin) // 8}q", raw[8 + size + begin:8 + size + end]))


def read(path):
    """name -> (shape, list of floats) of the F32 tensors."""
    with open(path, "rb") as file:
        raw = file.read()
    size = struct.unpack("<Q", raw[:8])[0]
    header, data = json.loads(raw[8:8 + size]), raw[8 + size:]
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__" or entry["dtype"] != "F32":
            continue
        begin, end = entry["data_offsets"]
        tensors[name] = (entry["shape"], list(struct.unpack(f"<{(end - begin) // 4}f", data[begin:end])))
    return tensors
