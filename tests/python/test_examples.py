"""The package's examples and README's Python section, run as a user runs them."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT
from safetensors.numpy import save_file

EXAMPLES = ROOT / "client" / "python" / "examples"


@pytest.fixture(scope="module")
def gpt2(module_server, tmp_path_factory):
    """GPT-2's names and shapes at a smaller width."""
    import stores

    root = tmp_path_factory.mktemp("gpt2")
    stores.gpt2(root / "gpt2", vocabulary=1000)
    return f"tensord://{module_server(root).address}/gpt2"


def run(name, *arguments, **environment):
    result = subprocess.run([sys.executable, EXAMPLES / name, *arguments], capture_output=True, text=True, timeout=120,
                            env={**os.environ, **environment})
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_every_example_is_run():
    assert {path.name for path in EXAMPLES.iterdir() if path.suffix == ".py"} == {
        "gpt2.py", "embedding_slice.py", "serverless_shard.py"}


def test_gpt2(gpt2):
    assert re.fullmatch(r"40 tensors, \d+ bytes\n", run("gpt2.py", gpt2))


def test_embedding_slice_moves_a_quarter(gpt2):
    assert run("embedding_slice.py", gpt2, "transformer.wte.weight") == f"(1000, 12): {1000 * 12 * 4} bytes travelled\n"


def test_serverless_shard_moves_its_share_and_keeps_it(gpt2):
    output = run("serverless_shard.py", MODEL_URL=gpt2, RANK="3", WORLD_SIZE="8")
    travelled, whole = map(int, re.search(r"(\d+) of (\d+) bytes travelled", output).groups())
    assert travelled < 0.2 * whole, "an eighth of the matrices, and the vectors whole"
    assert output.count("cold start") == 1 and output.count("'rank': 3") == 2


def test_readme_s_python_section(module_server, tmp_path):
    text = (ROOT / "README.md").read_text().partition("## Python\n")[2].partition("\n## ")[0]
    programs = re.findall(r"```python\n(.*?)```", text, re.S)
    assert programs, "README has a Python section with a program"
    save_file({"wte.weight": np.ones((256, 64), np.float32)}, tmp_path / "tiny-gpt2.safetensors")
    address = module_server(tmp_path).address
    for program in programs:
        result = subprocess.run([sys.executable, "-c", program.replace("127.0.0.1:50051", address)], capture_output=True,
                                text=True, timeout=120)
        assert result.returncode == 0, result.stderr
