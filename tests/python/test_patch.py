"""patch(): code that knows nothing of tensord reads from it."""

import json

import numpy as np
import pytest
from conftest import ROOT

import tensord

MINILM = ROOT / "build" / "models" / "minilm"


@pytest.fixture(scope="module")
def minilm(module_server):
    assert (MINILM / "model.safetensors").is_file(), "tests/tools.sh fetches it"
    return f"tensord://{module_server(MINILM).address}/model"


def test_names_imported_before_the_patch_read_remotely_too(run_program, url, store):
    assert "patched" in run_program("""
import sys
from safetensors import safe_open
from safetensors.numpy import load_file
import tensord, types
late = types.ModuleType("loader"); late.open_it, late.load_it = safe_open, load_file; sys.modules["loader"] = late
url, path = sys.argv[1:]
tensord.patch(); tensord.patch()
import safetensors, safetensors.numpy
with late.open_it(url, framework="np") as f:
    assert f.get_tensor("scalar") == 7.5
assert late.load_it(url).keys() == safetensors.numpy.load_file(url).keys()
assert late.load_it(path)["x"].sum() == 45 and safetensors.safe_open(path, "np").keys() == ["x"], "local paths go on"
tensord.unpatch()
try:
    safetensors.numpy.load_file(url)
except FileNotFoundError:
    print("patched and unpatched")
""", url, store / "plain.safetensors")


def test_a_snapshot_has_side_files_and_stand_ins(minilm):
    directory = tensord.snapshot(minilm)
    assert directory == tensord.snapshot(minilm), "made once"
    from pathlib import Path

    files = {path.name: path.stat().st_size for path in Path(directory).iterdir()}
    assert files.pop("model.safetensors") == 0
    assert set(files) >= {"config.json", "tokenizer.json"}
    for name in files:
        assert (Path(directory) / name).read_bytes() == (MINILM / name).read_bytes()


def test_minilm_embeds_a_sentence_as_from_local_files(run_program, minilm):
    """A loader in the way of from_pretrained: config, tokenizer and weights out of one directory, by name; the forward pass is
    numpy's."""
    program = """
import json, pathlib, sys
import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer

def from_pretrained(directory):
    directory = pathlib.Path(directory)
    config = json.loads((directory / "config.json").read_text())
    return config, Tokenizer.from_file(str(directory / "tokenizer.json")), load_file(directory / "model.safetensors")

def norm(x, w, name):
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-12)
    return x * w[name + ".weight"] + w[name + ".bias"]

def linear(x, w, name):
    return x @ w[name + ".weight"].T + w[name + ".bias"]

def embed(model, text):
    config, tokenizer, w = model
    ids = tokenizer.encode(text).ids
    e = "embeddings."
    x = w[e + "word_embeddings.weight"][ids] + w[e + "position_embeddings.weight"][:len(ids)] + w[e + "token_type_embeddings.weight"][0]
    x = norm(x, w, e + "LayerNorm")
    heads = config["num_attention_heads"]
    for i in range(config["num_hidden_layers"]):
        p = f"encoder.layer.{i}."
        q, k, v = (linear(x, w, f"{p}attention.self.{n}").reshape(len(ids), heads, -1).transpose(1, 0, 2) for n in ("query", "key", "value"))
        s = q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[-1])
        s = np.exp(s - s.max(-1, keepdims=True))
        a = (s / s.sum(-1, keepdims=True) @ v).transpose(1, 0, 2).reshape(len(ids), -1)
        x = norm(x + linear(a, w, p + "attention.output.dense"), w, p + "attention.output.LayerNorm")
        h = linear(x, w, p + "intermediate.dense")
        h = h * 0.5 * (1 + np.tanh(0.7978845608 * (h + 0.044715 * h ** 3)))
        x = norm(x + linear(h, w, p + "output.dense"), w, p + "output.LayerNorm")
    x = x.mean(0)
    return x / np.linalg.norm(x)

local = from_pretrained(sys.argv[1])
import tensord
tensord.patch()
from safetensors.numpy import load_file
remote = from_pretrained(tensord.snapshot(sys.argv[2]))
a, b = (embed(model, "A server streams tensors.") for model in (local, remote))
assert np.array_equal(a, b) and a.shape == (384,)
close, far = embed(remote, "Weights arrive over the network."), embed(remote, "The cat sleeps on the sofa.")
assert a @ close > a @ far, (a @ close, a @ far)
print("embedded")
"""
    # One thread: OpenBLAS's spin for minutes on a machine with other work.
    assert "embedded" in run_program(program, MINILM, minilm, OPENBLAS_NUM_THREADS="1")


@pytest.mark.frameworks
@pytest.mark.parametrize("patched", ["first", "later"])
def test_transformers_loads_a_model_by_its_url(run_program, minilm, patched):
    assert "same" in run_program("""
import sys, torch, tensord
if sys.argv[3] == "first":
    tensord.patch()
from transformers import AutoModel, AutoTokenizer
local = AutoModel.from_pretrained(sys.argv[1])
tensord.patch()
for where in (sys.argv[2], tensord.snapshot(sys.argv[2])):
    tokenizer, remote = AutoTokenizer.from_pretrained(where), AutoModel.from_pretrained(where)
    words = tokenizer("A server streams tensors.", return_tensors="pt")
    with torch.no_grad():
        assert torch.equal(local(**words).last_hidden_state, remote(**words).last_hidden_state)
print("same")
""", MINILM, minilm, patched, HF_HUB_OFFLINE="1")


def test_a_snapshot_s_stand_in_is_no_model_without_the_patch(minilm):
    import safetensors
    from safetensors.numpy import load_file

    with pytest.raises(safetensors.SafetensorError):
        load_file(f"{tensord.snapshot(minilm)}/model.safetensors")


def test_side_files_alone(minilm):
    client = tensord.Client(minilm)
    assert json.loads(client.read_file("config.json"))["num_hidden_layers"] == 6
    shape = client.get_tensor("embeddings.word_embeddings.weight", np.s_[:2]).shape
    assert shape == (2, 384)


def test_without_safetensors_patch_says_what_to_install(run_program):
    assert "pip install safetensors" in run_program("""
import sys
sys.modules["safetensors"] = None
import tensord
try:
    tensord.patch()
except ModuleNotFoundError as error:
    print(error)
""")
