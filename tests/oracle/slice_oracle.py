"""Compares slices with numpy: shapes, bytes and errors, in random chunks of random byte ranges.

Seeded random tensors are indexed with numpy's own basic indexing, with np.ix_ for lists and shards, and with texts
that Python's own parser judges; tensord_slice_eval answers the same cases. Sub-byte elements are compared bit by bit.

usage: slice_oracle.py [--seed N] [--count N]     (a failure prints the seed and index that replay it)
"""

import argparse
import ast
import collections
import os
import random
import re
import subprocess
import sys

import numpy as np

EVAL = os.path.join(os.environ.get("TENSORD_TESTS", "build/release/tests"), "tensord_slice_eval")

BITS = {"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "BOOL": 8, "U8": 8, "F8_E4M3": 8, "BF16": 16, "F16": 16, "I32": 32,
        "F32": 32, "C64": 64, "I64": 64, "F64": 64}
SUB_BYTE = ["F4", "F6_E2M3", "F6_E3M2"]
OK, BAD_SLICE, OUT_OF_BOUNDS, UNEVEN = "OK", "BAD_SLICE", "INDEX_OUT_OF_BOUNDS", "UNEVEN_SHARD"
HUGE = [-(2**63), -(2**62), 2**62, 2**63 - 1]


# ---- Drawing cases -------------------------------------------------------------------------------------------------


def any_shape(rng, dtype):
    rank = rng.choice([0, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 5])
    shape = [0 if rng.random() < 0.04 else rng.randint(1, 12 if rank < 4 else 5) for _ in range(rank)]
    if int(np.prod(shape)) * BITS[dtype] % 8:
        shape.append(rng.choice([4, 8]))
    return shape


def any_bound(rng, extent):
    if rng.random() < 0.3:
        return None
    return rng.choice(HUGE) if rng.random() < 0.03 else rng.randint(-extent - 3, extent + 3)


def any_range(rng, extent):
    step = None
    if rng.random() < 0.5:
        step = rng.choice([1, 1, 2, 2, 3, 4, -1, -1, -2, -3])
        step = rng.choice(HUGE) if rng.random() < 0.03 else 0 if rng.random() < 0.03 else step
    return slice(any_bound(rng, extent), any_bound(rng, extent), step)


def any_basic(rng, extent):
    if rng.random() < 0.3:
        slack = 2 if rng.random() < 0.1 else 0
        return rng.randint(-extent - slack, max(extent - 1, 0) + slack)
    return slice(None) if rng.random() < 0.2 else any_range(rng, extent)


def any_list(rng, extent):
    ranges = []
    for _ in range(rng.randint(0, 4)):
        start = rng.randint(0, extent)
        part = slice(start, start + rng.randint(0, max(1, extent // 2)), None)
        ranges.append(any_range(rng, extent) if rng.random() < 0.15 else part)
    return ranges


def any_shard(rng):
    count = 0 if rng.random() < 0.03 else rng.randint(1, 6)
    index = rng.randint(0, 6) if rng.random() < 0.05 else rng.randint(0, max(count - 1, 0))
    return (index, count, rng.choice([0, 0, 1, 2, 3, 4]), rng.choice([0, 0, 0, 5, 12, 16]), rng.random() < 0.7)


# ---- Spelling them for us ------------------------------------------------------------------------------------------


def range_text(part):
    return ":".join("" if bound is None else str(bound) for bound in (part.start, part.stop, part.step))


def dim_text(dim):
    if isinstance(dim, int):
        return f"i{dim}"
    if isinstance(dim, slice):
        return "r" + range_text(dim)
    if isinstance(dim, list):
        return "l" + ";".join(range_text(part) for part in dim)
    return "s" + ",".join(str(int(member)) for member in dim)


def basic_text(rng, entries):
    """As a person would type it, in one of the forms that mean the same."""

    def one(entry):
        if entry is Ellipsis:
            return "..."
        if isinstance(entry, int):
            return str(entry)
        text = range_text(entry)
        return text[:-1] if entry.step is None and rng.random() < 0.7 else text

    text = rng.choice([",", ", ", " , "]).join(one(entry) for entry in entries)
    if entries and rng.random() < 0.1:
        text += ","
    return f"[{text}]" if rng.random() < 0.7 else text


# ---- What should come out ------------------------------------------------------------------------------------------


def is_aligned(elements, bits):
    """Every stretch of adjacent elements begins and ends on a byte."""
    flat = elements.reshape(-1)
    if bits % 8 == 0 or flat.size == 0:
        return True
    breaks = np.flatnonzero(np.diff(flat) != 1)
    begins = flat[np.concatenate([[0], breaks + 1])]
    ends = flat[np.concatenate([breaks, [flat.size - 1]])] + 1
    return not ((begins * bits % 8).any() or (ends * bits % 8).any())


def basic_faults(shape, entries):
    """Every fault of a basic index: numpy names but the first."""
    faults = set()
    dims = [entry for entry in entries if entry is not Ellipsis]
    if len(dims) > len(shape):
        return {BAD_SLICE}
    split = entries.index(Ellipsis) if Ellipsis in entries else len(dims)
    extents = shape[:split] + shape[len(shape) - (len(dims) - split) :]
    for dim, extent in zip(dims, extents):
        if isinstance(dim, int) and not -extent <= dim < extent:
            faults.add(OUT_OF_BOUNDS)
        if isinstance(dim, slice) and dim.step == 0:
            faults.add(BAD_SLICE)
    return faults


def index_basic(shape, entries):
    """The flat elements that numpy gives, or the set of errors that fit what it raises."""
    flat = np.arange(int(np.prod(shape)), dtype=np.int64).reshape(shape)
    try:
        return np.asarray(flat[tuple(entries)]), set()
    except (IndexError, ValueError) as error:
        faults = basic_faults(shape, entries)
        assert faults, f"numpy alone refuses: {error}"
        return None, faults


def positions(dim, extent):
    """The positions of one grid dimension, or an error."""
    every = np.arange(extent)
    if isinstance(dim, int):
        return (every[[dim]], None) if -extent <= dim < extent else (None, OUT_OF_BOUNDS)
    if isinstance(dim, tuple):
        index, count, multiple, padded_size, allow_uneven = dim
        if index >= count:
            return None, BAD_SLICE
        if multiple < 2 and padded_size == 0 and not allow_uneven and extent % count:
            return None, UNEVEN
        unit = count * max(1, multiple)
        rows = -(-max(extent, padded_size) // unit) * max(1, multiple)
        return every[index * rows : (index + 1) * rows], None
    parts = dim if isinstance(dim, list) else [dim]
    if any(part.step == 0 for part in parts):
        return None, BAD_SLICE
    taken = np.concatenate([every[:0], *(every[part] for part in parts)])
    return (taken, None) if len(taken) <= extent else (None, BAD_SLICE)


def index_grid(shape, dims):
    if len(dims) > len(shape):
        return None, {BAD_SLICE}
    dims = dims + [slice(None)] * (len(shape) - len(dims))
    flat = np.arange(int(np.prod(shape)), dtype=np.int64).reshape(shape)
    taken = [positions(dim, extent) for dim, extent in zip(dims, shape)]
    faults = {fault for _, fault in taken if fault}
    if faults:
        return None, faults
    elements = flat[np.ix_(*(part.astype(np.intp) for part, _ in taken))] if dims else flat
    return elements[tuple(0 if isinstance(dim, int) else slice(None) for dim in dims)], set()


def index_text(shape, text):
    entries = python_entries(text)
    return (None, {BAD_SLICE}) if entries is None else index_basic(shape, entries)


def python_entries(text):
    """The index that Python's parser reads out of a text, None where our grammar has no such form."""
    inner = text.strip()
    if inner.startswith("[") and inner.endswith("]"):
        inner = inner[1:-1]
    if not inner.strip():
        return []
    if re.search(r"[+-]\s*([+-]|\s)", inner):  # Python's unary operators; a sign of ours touches its digits.
        return None
    inner = re.sub(r"(?<![\d.])0+(?=\d)", "", inner)  # Leading zeros, which Python refuses.
    try:
        tree = ast.parse(f"a[{inner}]", mode="eval").body
        if not isinstance(tree, ast.Subscript) or not isinstance(tree.value, ast.Name):
            return None
        nodes = tree.slice.elts if isinstance(tree.slice, ast.Tuple) else [tree.slice]
        entries = [entry_of(node) for node in nodes]
    except (SyntaxError, ValueError):
        return None
    return None if entries.count(Ellipsis) > 1 else entries


def entry_of(node):
    if isinstance(node, ast.Slice):
        bounds = [None if part is None else int_of(part) for part in (node.lower, node.upper, node.step)]
        return slice(*bounds)
    if isinstance(node, ast.Constant) and node.value is Ellipsis:
        return Ellipsis
    return int_of(node)


def int_of(node):
    value = ast.literal_eval(node)
    if type(value) is not int or not -(2**63) <= value < 2**63:
        raise ValueError(f"not an integer of 64 bits: {value}")
    return value


# ---- Comparing -----------------------------------------------------------------------------------------------------


def known_bytes(size):
    return ((np.arange(size, dtype=np.uint64) * np.uint64(2654435761)) >> np.uint64(13)).astype(np.uint8)


def bytes_of(dtype, shape, elements):
    bits = BITS[dtype]
    tensor = np.unpackbits(known_bytes(int(np.prod(shape)) * bits // 8), bitorder="little").reshape(-1, bits)
    return np.packbits(tensor[elements.reshape(-1)], bitorder="little").tobytes()


class Case:
    def __init__(self, seed, index):
        rng = random.Random(f"{seed}/{index}")
        self.dtype = rng.choice(SUB_BYTE) if rng.random() < 0.3 else rng.choice(list(BITS))
        self.shape = any_shape(rng, self.dtype)
        self.kind = rng.choice(["text", "text", "dims", "grid", "grid", "typo"])
        num_dims = rng.randint(0, len(self.shape) + (rng.random() < 0.05))
        extents = (self.shape + [3])[:num_dims]
        if self.kind == "grid":
            dims = [self.any_grid_dim(rng, extent) for extent in extents]
            self.index = "dims:" + " ".join(dim_text(dim) for dim in dims)
            elements, self.faults = index_grid(self.shape, dims)
        else:
            entries = [any_basic(rng, extent) for extent in extents]
            if self.kind == "dims":
                self.index = "dims:" + " ".join(dim_text(entry) for entry in entries)
                elements, self.faults = index_basic(self.shape, entries)
            else:
                if rng.random() < 0.4:
                    entries = self.with_ellipsis(rng, entries)
                text = basic_text(rng, entries)
                text = self.mistyped(rng, text) if self.kind == "typo" else text
                self.index = "text:" + text
                elements, self.faults = index_text(self.shape, text)
        self.expect(rng, elements)

    @staticmethod
    def any_grid_dim(rng, extent):
        draw = rng.random()
        if draw < 0.45:
            return any_list(rng, extent)
        return any_shard(rng) if draw < 0.65 else any_basic(rng, extent)

    def with_ellipsis(self, rng, entries):
        """Entries behind the ellipsis index the last dimensions, so draw those anew for their extents."""
        front = rng.randint(0, len(entries))
        num_back = len(entries) - front
        back = [any_basic(rng, extent) for extent in self.shape[len(self.shape) - num_back :]] if num_back else []
        return entries[:front] + [Ellipsis] + back

    @staticmethod
    def mistyped(rng, text):
        text = list(text)
        for _ in range(rng.randint(1, 3)):
            place = rng.randint(0, len(text))
            text[place : place + rng.randint(0, 1)] = rng.choice(list("0123456789:::,,..-+[] z") + ["...", "::"])
        return "".join(text)

    def expect(self, rng, elements):
        if not self.faults and not is_aligned(elements, BITS[self.dtype]):
            self.faults = {BAD_SLICE}
        self.begin = self.end = 0
        if not self.faults:
            data = bytes_of(self.dtype, self.shape, elements)
            self.end = len(data)
            if rng.random() < 0.5:
                self.begin, self.end = sorted(rng.randint(0, len(data)) for _ in range(2))
            self.answer = "\t".join(
                [OK, ",".join(map(str, elements.shape)), str(len(data)), data[self.begin : self.end].hex()]
            )
        self.chunk_bytes = rng.choice([1, 3, 7, 16, 64, 1000, 65536])

    def line(self):
        shape = ",".join(map(str, self.shape))
        return f"{self.dtype}\t{shape}\t{self.index}\t{self.chunk_bytes}\t{self.begin}\t{self.end}"

    def accepts(self, answer):
        return answer in self.faults if self.faults else answer == self.answer


def compare(seed, count):
    """Counts of cases by kind and verdict; AssertionError names the first that differs."""
    cases = [Case(seed, index) for index in range(count)]
    text = "".join(case.line() + "\n" for case in cases)
    answers = subprocess.run([EVAL], input=text, capture_output=True, text=True, check=True).stdout.split("\n")
    assert len(answers) == count + 1, f"{count} cases, {len(answers) - 1} answers"
    counts = collections.Counter()
    for index, (case, answer) in enumerate(zip(cases, answers)):
        wanted = case.faults or case.answer
        assert case.accepts(answer), f"--seed {seed}, index {index}: {case.line()!r}\ngot    {answer}\nwanted {wanted}"
        verdict = answer.split("\t")[0]
        counts["cases"] += 1
        counts[f"{case.kind} {verdict}"] += 1
        counts[f"sub-byte {verdict}"] += case.dtype in SUB_BYTE
        counts["bytes compared"] += case.end - case.begin
    return counts


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=60_000)
    options = parser.parse_args()
    for key, number in sorted(compare(options.seed, options.count).items()):
        print(f"{number:10} {key}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
