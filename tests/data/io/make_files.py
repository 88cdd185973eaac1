"""Makes protocol3.pt and protocol4.pt beside it: files as torch.save(..., pickle_protocol=N) writes
them, from Python's own pickle and stand-ins for torch's names (torch is not needed)."""
import argparse
import collections
import io
import pathlib
import pickle
import struct
import sys
import types
import zipfile

torch = types.ModuleType("torch")
utils = types.ModuleType("torch._utils")
sys.modules.update({"torch": torch, "torch._utils": utils})
torch._utils = utils


def stand_in(module, name):
    value = type(name, (), {"__module__": module.__name__})
    setattr(module, name, value)
    return value


def constructor(name):
    def function(*arguments):
        raise NotImplementedError

    function.__module__, function.__name__, function.__qualname__ = "torch._utils", name, name
    setattr(utils, name, function)
    return function


storage_types = {n: stand_in(torch, n) for n in ("FloatStorage", "HalfStorage", "LongStorage",
                                                 "UntypedStorage")}
rebuild, rebuild_v3 = constructor("_rebuild_tensor_v2"), constructor("_rebuild_tensor_v3")
rebuild_parameter = constructor("_rebuild_parameter")


class Size(tuple):
    def __reduce__(self):
        return Size, (tuple(self),)


Size.__module__, torch.Size, Size.__qualname__ = "torch", Size, "Size"


class Dtype:
    def __reduce__(self):
        return "float8_e4m3fn"


Dtype.__module__, torch.float8_e4m3fn = "torch", Dtype()


class Storage:
    def __init__(self, kind, data, elements, location="cpu"):
        self.kind, self.data, self.elements, self.location = kind, data, elements, location


class Tensor:
    def __init__(self, storage, offset, size, stride, dtype=None):
        self.parts = (storage, offset, size, stride, False, collections.OrderedDict())
        self.dtype = dtype

    def __reduce__(self):
        return (rebuild_v3, self.parts + (self.dtype,)) if self.dtype else (rebuild, self.parts)


class Parameter:
    def __init__(self, tensor):
        self.tensor = tensor

    def __reduce__(self):
        return rebuild_parameter, (self.tensor, True, collections.OrderedDict())


class Saver(pickle.Pickler):
    def __init__(self, file, protocol):
        super().__init__(file, protocol)
        self.storages = []

    def persistent_id(self, thing):
        if not isinstance(thing, Storage):
            return None
        if thing not in self.storages:
            self.storages.append(thing)
        key = str(self.storages.index(thing))
        return ("storage", storage_types[thing.kind], key, thing.location, thing.elements)


def content():
    floats = Storage("FloatStorage", struct.pack("<12f", *range(12)), 12, "cuda:0")
    halves = Storage("HalfStorage", struct.pack("<4e", 0.5, -1, 2, 65504), 4)
    whole = Storage("LongStorage", struct.pack("<q", -(2**40)), 1)
    eights = Storage("UntypedStorage", bytes([0x38, 0xB8, 0x40]), 3)
    state = collections.OrderedDict(
        plain=Tensor(floats, 0, Size((3, 4)), (4, 1)),
        transposed=Tensor(floats, 0, Size((4, 3)), (1, 4)),
        row=Tensor(floats, 4, Size((4,)), (1,)),
        half=Parameter(Tensor(halves, 0, Size((2, 2)), (2, 1))),
        scalar=Tensor(whole, 0, Size(()), ()),
        empty=Tensor(floats, 0, Size((0, 4)), (4, 1)),
        eight=Tensor(eights, 0, Size((3,)), (1,), torch.float8_e4m3fn),
    )
    state._metadata = collections.OrderedDict([("", {"version": 1})])
    counts = collections.defaultdict(int)
    counts["a"] = 1
    things = dict(none=None, true=True, false=False, small=7, medium=300, negative=-5,
                  large=2**40, below=-(2**62), number=0.1, text="Gr\u00fc\u00dfe", long="x" * 300,
                  data=b"\x00\xff", long_data=b"y" * 300, list=[1, 2, 3], tuple=(1, "two", 3.0, None),
                  set={5}, frozen=frozenset([6]), size=Size((2, 3)), counts=counts,
                  names=argparse.Namespace(model="DiT-tiny", steps=20), shared=[state["row"]])
    return {"state": state, "things": things}


for protocol in (3, 4):
    target = pathlib.Path(__file__).parent / f"protocol{protocol}.pt"
    program = io.BytesIO()
    saver = Saver(program, protocol)
    saver.dump(content())
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        entries = {"data.pkl": program.getvalue(), "byteorder": b"little"}
        entries.update({f"data/{i}": s.data for i, s in enumerate(saver.storages)})
        for name, data in {**entries, "version": b"3\n"}.items():
            archive.writestr(zipfile.ZipInfo(f"protocol{protocol}/{name}"), data)
