"""Every dtype of the format, against what stands in the file."""

import ml_dtypes
import numpy as np
import pytest
import stores

import tensord

# As numpy reads a tensor's bytes.
WHOLE_BYTES = {
    "BOOL": "?", "U8": "u1", "I8": "i1", "I16": "<i2", "U16": "<u2", "F16": "<f2", "I32": "<i4", "U32": "<u4",
    "F32": "<f4", "C64": "<c8", "F64": "<f8", "I64": "<i8", "U64": "<u8", "BF16": ml_dtypes.bfloat16,
    "F8_E5M2": ml_dtypes.float8_e5m2, "F8_E4M3": ml_dtypes.float8_e4m3fn, "F8_E8M0": ml_dtypes.float8_e8m0fnu,
    "F8_E4M3FNUZ": ml_dtypes.float8_e4m3fnuz, "F8_E5M2FNUZ": ml_dtypes.float8_e5m2fnuz,
}
BELOW_A_BYTE = {"F4": ml_dtypes.float4_e2m1fn, "F6_E2M3": ml_dtypes.float6_e2m3fn, "F6_E3M2": ml_dtypes.float6_e3m2fn}


@pytest.fixture(scope="module")
def opened(module_server, tmp_path_factory):
    root, rng = tmp_path_factory.mktemp("dtypes"), np.random.default_rng(3)
    raw = {dtype: stores.random_raw(rng, dtype, (3, 8)) for dtype in stores.BITS}
    raw["BOOL"] = ("BOOL", (3, 8), bytes(rng.integers(0, 2, 24, np.uint8)))
    stores.write_raw(root / "m.safetensors", raw)
    with tensord.safe_open(f"tensord://{module_server(root).address}/m", framework="np") as f:
        yield f, raw


def test_all_dtypes_of_the_format_are_here():
    assert {*WHOLE_BYTES, *BELOW_A_BYTE} == set(stores.BITS)


@pytest.mark.parametrize("dtype", WHOLE_BYTES)
def test_a_dtype_is_numpy_s(opened, dtype):
    f, raw = opened
    want = np.frombuffer(raw[dtype][2], WHOLE_BYTES[dtype]).reshape(3, 8)
    for got, part in ((f.get_tensor(dtype), want), (f.get_slice(dtype)[1:, ::3], want[1:, ::3])):
        assert got.dtype == want.dtype and got.shape == part.shape
        assert got.tobytes() == part.tobytes()


@pytest.mark.parametrize("dtype", BELOW_A_BYTE)
def test_elements_below_a_byte_are_unpacked(opened, dtype):
    """Element i is bits [i * w, (i + 1) * w) of the tensor, least significant first."""
    f, raw = opened
    bits, number = stores.BITS[dtype], int.from_bytes(raw[dtype][2], "little")
    want = [(number >> (i * bits)) & ((1 << bits) - 1) for i in range(24)]
    got = f.get_tensor(dtype)
    assert got.dtype == BELOW_A_BYTE[dtype] and got.shape == (3, 8)
    assert got.view(np.uint8).reshape(-1).tolist() == want
    assert f.get_slice(dtype)[1].view(np.uint8).tolist() == want[8:16]


def test_a_cut_through_a_byte_says_so(opened):
    with pytest.raises(IndexError) as raised:
        opened[0].get_slice("F4")[:, 1:]
    assert raised.value.reason == "BAD_SLICE"


def test_without_ml_dtypes_the_error_says_what_to_install(opened, monkeypatch):
    monkeypatch.setattr("tensord._frameworks.importlib.util.find_spec", lambda name: None)
    with pytest.raises(tensord.TensordError, match="pip install ml_dtypes"):
        opened[0].get_tensor("BF16")
    assert opened[0].get_tensor("F32").shape == (3, 8)
