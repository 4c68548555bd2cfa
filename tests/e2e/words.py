"""Models whose bytes say where they come from, so that any stream can be judged without knowing when it was read.

Each 8 bytes of a tensor are a word: generation (16 bits), number of the tensor (8 bits), place in the tensor (40 bits).
Replacing a model writes the next generation: same header, same size, other words. A result is right when all its words are
those of one generation, at the places the index asked for, and when that generation is the one that its version has always
stood for.
"""
import json
import os
import struct
import threading
from pathlib import Path

import numpy as np

TENSORS = {"t": (1024, 1024), "small": (64, 8)}  # 8 MiB, and 4 KiB. U64.


class WrongBytes(AssertionError):
    """What must never happen: bytes with status OK that are not the file's."""


def _words(generation, number, shape):
    first = np.uint64(generation << 48 | number << 40)
    return (np.arange(int(np.prod(shape)), dtype=np.uint64) + first).reshape(shape)


class Model:
    """A model of one file, `DIRECTORY/NAME.safetensors`. One thread changes it."""

    def __init__(self, directory, name, tensors=None):
        self.name, self.tensors = name, dict(tensors or TENSORS)
        self.path = Path(directory, f"{name}.safetensors")
        self.generation = 0
        self.header = self._header()

    def _header(self):
        fields, offset = {}, 0
        for name, shape in self.tensors.items():
            size = 8 * int(np.prod(shape))
            fields[name] = {"dtype": "U64", "shape": list(shape), "data_offsets": [offset, offset + size]}
            offset += size
        self.data_bytes = offset
        text = json.dumps(fields).encode()
        text += b" " * (-len(text) % 8)
        return struct.pack("<Q", len(text)) + text

    @property
    def size_bytes(self):
        return len(self.header) + self.data_bytes

    def _write(self, path, mode):
        self.generation += 1
        with open(path, mode) as file:
            file.write(self.header)
            for number, shape in enumerate(self.tensors.values()):
                file.write(_words(self.generation, number, shape).data)

    def replace(self):
        """The next generation, as a careful producer brings it: written aside, renamed over."""
        aside = self.path.with_suffix(".writing")
        self._write(aside, "wb")
        # An age at which a version is published at once; each generation its own.
        os.utime(aside, ns=(0, 1_600_000_000_000_000_000 + self.generation * 1_000_000_000))
        aside.rename(self.path)
        return self

    def overwrite(self):
        """The next generation, as a careless one does: in place, while it is read."""
        self._write(self.path, "r+b")

    def truncate(self, size):
        os.truncate(self.path, size)


class Truth:
    """Judges results, from any thread. Knows for each version which generation it stands for."""

    def __init__(self, models):
        self._models = {model.name: model for model in models}
        self._lock = threading.Lock()
        self._generations = {}  # (model, version) -> generation
        self.streams = self.bytes = 0

    def judge(self, info, tensor, data, begin=0, columns=None, is_whole=True):
        """`data`: bytes of a tensor, or of its `columns` (a slice), from byte `begin` of the result on. Returns the
        generation, or 0 of empty bytes; raises WrongBytes. `is_whole`: the result ends with `data`."""
        model = self._models[info.model]
        number, shape = list(model.tensors).index(tensor), model.tensors[tensor]
        if columns is None:
            size, wanted = 8 * int(np.prod(shape)), None
        else:
            wanted = _words(0, number, shape)[:, columns].reshape(-1)
            size = wanted.nbytes
        what = f"{info.model} {info.version} {tensor} from byte {begin}"
        if is_whole and begin + len(data) != size:
            raise WrongBytes(f"{what}: ends at {begin + len(data)}, not at {size}")
        whole = slice(-begin % 8, -begin % 8 + (len(data) - -begin % 8) // 8 * 8)
        words = np.frombuffer(memoryview(data)[whole], np.uint64)
        if not len(words):
            return 0
        first = (begin + whole.start) // 8
        places = (np.arange(first, first + len(words), dtype=np.uint64) + np.uint64(number << 40) if wanted is None
                  else wanted[first:first + len(words)])
        generation = int(words[0]) >> 48
        wrong = np.flatnonzero(words != places + np.uint64(generation << 48))
        if len(wrong):
            at = int(wrong[0])
            raise WrongBytes(f"{what}: {len(wrong)} of {len(words)} words are wrong, the first at word {first + at}: "
                             f"{int(words[at]):016x}, generation of the first {generation}")
        if not 0 < generation <= model.generation:
            raise WrongBytes(f"{what}: generation {generation} was never written")
        with self._lock:
            known = self._generations.setdefault((info.model, info.version), generation)
            self.streams += 1
            self.bytes += len(data)
        if known != generation:
            raise WrongBytes(f"{what}: generation {generation}, but this version was generation {known} before")
        return generation
