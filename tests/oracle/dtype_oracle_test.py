"""Compares the decoding of every dtype with numpy and ml_dtypes: all bit patterns of types of up to 16 bits, a million
random and all interesting ones of the wider ones."""

import os
import subprocess

import ml_dtypes
import numpy as np
import pytest

PRINT_VALUES = os.path.join(os.environ.get("TENSORD_TESTS", "build/release/tests"), "print_values")

TYPES = {
    "BOOL": np.uint8,  # The byte as it stands.
    "F4": ml_dtypes.float4_e2m1fn,
    "F6_E2M3": ml_dtypes.float6_e2m3fn,
    "F6_E3M2": ml_dtypes.float6_e3m2fn,
    "U8": np.uint8,
    "I8": np.int8,
    "F8_E5M2": ml_dtypes.float8_e5m2,
    "F8_E4M3": ml_dtypes.float8_e4m3fn,
    "F8_E8M0": ml_dtypes.float8_e8m0fnu,
    "F8_E4M3FNUZ": ml_dtypes.float8_e4m3fnuz,
    "F8_E5M2FNUZ": ml_dtypes.float8_e5m2fnuz,
    "I16": np.int16,
    "U16": np.uint16,
    "F16": np.float16,
    "BF16": ml_dtypes.bfloat16,
    "I32": np.int32,
    "U32": np.uint32,
    "F32": np.float32,
    "C64": np.complex64,
    "F64": np.float64,
    "I64": np.int64,
    "U64": np.uint64,
}
SUB_BYTE_BITS = {"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6}


def patterns(dtype, random):
    """Elements of `dtype` as they stand in numpy's memory, one value each."""
    numpy_type = np.dtype(TYPES[dtype])
    if dtype in SUB_BYTE_BITS:
        # Twice in order and once shuffled, so that every pattern stands at every place within a byte.
        all_of_them = np.arange(2 ** SUB_BYTE_BITS[dtype], dtype=np.uint8)
        mixed = random.integers(0, len(all_of_them), 65536, dtype=np.uint8)
        return np.concatenate([all_of_them, all_of_them[::-1], mixed])
    if numpy_type.itemsize <= 2:
        return np.arange(2 ** (8 * numpy_type.itemsize), dtype=f"u{numpy_type.itemsize}")
    part = 4 if dtype == "C64" else numpy_type.itemsize  # A complex number is two floats.
    word = np.dtype(f"u{part}")
    bits = 8 * part
    edges = [1 << i for i in range(bits)] + [(1 << i) - 1 for i in range(bits + 1)]
    edges += [(1 << bits) - (1 << i) for i in range(1, bits)]
    return np.concatenate([np.array(edges + edges, dtype=word), random.integers(0, 2**bits, 1 << 20, dtype=word)])


def packed(dtype, values):
    """As in a file: sub-byte elements one after another, least significant bits first."""
    if dtype not in SUB_BYTE_BITS:
        return values.tobytes()
    width = SUB_BYTE_BITS[dtype]
    bits = "".join(format(int(v), f"0{width}b") for v in reversed(values))
    return int(bits, 2).to_bytes(len(values) * width // 8, "little")


def wanted(dtype, values):
    numbers = values.view(TYPES[dtype])
    if numbers.dtype.kind in "iu":
        return [int(n) for n in numbers]
    if numbers.dtype.kind == "c":
        numbers = numbers.view(np.float32)
    with np.errstate(invalid="ignore"):  # Signalling NaN.
        return numbers.astype(np.float64)


@pytest.mark.parametrize("dtype", TYPES)
def test_decodes_as_the_oracle(dtype):
    values = patterns(dtype, np.random.default_rng(1))
    lines = subprocess.run([PRINT_VALUES, dtype], input=packed(dtype, values), check=True, capture_output=True)
    got = lines.stdout.decode().split()
    expected = wanted(dtype, values)
    assert len(got) == len(expected)
    if isinstance(expected, list):
        assert [int(g) for g in got] == expected
        return
    got = np.array([float.fromhex(g) for g in got])
    nan = np.isnan(expected)
    assert (np.isnan(got) == nan).all()
    different = np.flatnonzero((got.view(np.uint64) != expected.view(np.uint64)) & ~nan)
    assert not len(different), f"element {different[0]}: {got[different[0]]}, wanted {expected[different[0]]}"
    print(f"{dtype}: {len(got)} values, {nan.sum()} of them NaN")


def test_no_dtype_is_left_out():
    assert len(TYPES) == 22
