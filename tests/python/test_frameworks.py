"""torch, jax and the others, where they are installed; TENSORD_PYTHON_TORCH=1 installs torch and jax, and has these run."""

import numpy as np
import pytest

import tensord

pytestmark = pytest.mark.frameworks


@pytest.fixture
def torch():
    import torch

    return torch


def test_torch_tensors_have_the_values_and_memory_of_their_own(torch, url, tensors):
    from tensord.torch import load_file

    for state in (load_file(url), tensord.load_file(url, framework="pt")):
        assert state.keys() == tensors.keys()
        for name, want in tensors.items():
            assert torch.equal(state[name], torch.from_numpy(want.copy())), name
        state["wte.weight"].zero_()
    with tensord.safe_open(url, framework="pt", device="cpu") as f:
        part = f.get_slice("wte.weight")[1:5, ::2]
        assert torch.equal(part, torch.from_numpy(tensors["wte.weight"][1:5, ::2].copy()))


def test_torch_reads_into_its_own_memory(torch, url, tensors):
    dense, wide = torch.zeros(96, 64), torch.full((96, 80), -1.0)
    with tensord.Client(url) as client:
        client.read_many([tensord.Read("wte.weight", out=dense), tensord.Read("wte.weight", out=wide[:, 8:72])])
        with pytest.raises(ValueError, match="dtype"):
            client.read_many({"wte.weight": torch.zeros(96, 64, dtype=torch.bfloat16)})
    want = torch.from_numpy(tensors["wte.weight"])
    assert torch.equal(dense, want) and torch.equal(wide[:, 8:72], want) and (wide[:, :8] == -1).all()


def test_torch_dtypes_are_the_reference_s(torch, module_server, tmp_path):
    from safetensors.torch import load_file, save_file

    names = ["bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu", "uint16",
             "uint64", "complex64", "bool", "float4_e2m1fn_x2"]
    data = torch.arange(64, dtype=torch.uint8).reshape(4, 16)
    data = {name: (data % 2 if name == "bool" else data).view(getattr(torch, name)).clone()
            for name in names if hasattr(torch, name)}
    save_file(data, tmp_path / "m.safetensors")
    want = load_file(tmp_path / "m.safetensors")
    got = tensord.load_file(f"tensord://{module_server(tmp_path).address}/m", framework="pt")
    for name in data:
        assert got[name].dtype == want[name].dtype and got[name].shape == want[name].shape, name
        assert torch.equal(got[name].view(torch.uint8), want[name].view(torch.uint8)), name


@pytest.mark.parametrize("name", ["bfloat16", "float8_e4m3fn", "float8_e5m2"])
def test_torch_s_small_floats_by_slice_by_shard_and_into_given_memory(torch, module_server, tmp_path, name):
    from safetensors.torch import save_file

    dtype = getattr(torch, name)
    want = torch.arange(-96, 96).reshape(12, 16).to(torch.float32).to(dtype)
    save_file({"w": want, "v": want[0].clone()}, tmp_path / "m.safetensors")

    def same(a, b):
        return a.dtype == b.dtype and a.shape == b.shape and torch.equal(a.contiguous().view(torch.uint8), b.contiguous().view(torch.uint8))

    with tensord.Client(f"tensord://{module_server(tmp_path).address}/m") as client:
        assert same(client.get_tensor("w", np.s_[1::3, 4:12], framework="pt"), want[1::3, 4:12])
        for dim in (0, 1):
            parts = [client.load("*", shard=(dim, rank, 4), framework="pt") for rank in range(4)]
            assert same(torch.cat([part["w"].view(torch.uint8) for part in parts], dim),
                        torch.cat([piece.contiguous().view(torch.uint8) for piece in want.chunk(4, dim)], dim))
        dense, wide = torch.zeros(12, 16, dtype=dtype), torch.zeros(12, 32, dtype=dtype)
        flat = torch.zeros(want.nbytes, dtype=torch.uint8)
        client.read_many([tensord.Read("w", out=dense), tensord.Read("w", out=wide[:, ::2]), tensord.Read("w", out=flat)])
        assert same(dense, want) and same(wide[:, ::2], want) and torch.equal(flat, want.view(torch.uint8).reshape(-1))
        assert not wide[:, 1::2].contiguous().view(torch.uint8).any()


@pytest.mark.parametrize("framework, module", [("jax", "jax"), ("tf", "tensorflow"), ("mlx", "mlx"), ("paddle", "paddle")])
def test_other_frameworks_get_the_same_values(url, tensors, framework, module):
    pytest.importorskip(module, reason=f"needs {module}")
    with tensord.safe_open(url, framework=framework) as f:
        np.testing.assert_array_equal(np.asarray(f.get_tensor("wte.weight")), tensors["wte.weight"])
        np.testing.assert_array_equal(np.asarray(f.get_slice("h.2.w")[1:, ..., 0]), tensors["h.2.w"][1:, ..., 0])
