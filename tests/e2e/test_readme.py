"""README shows what was run: every command and program in it, in order, against the sample store."""
import os
import re
import socket
import subprocess
import sys

import pytest

import wire

DEFAULT_ADDRESS = "127.0.0.1:50051"
TLS_ADDRESS = "localhost:50443"
README = (wire.ROOT / "README.md").read_text()


def blocks():
    """(line, language, text) of each fenced block that is not marked as run elsewhere."""
    for match in re.finditer(r"(<!-- not run here: .*? -->\n)?```(sh|python)\n(.*?)```", README, re.S):
        if not match.group(1):
            yield README[:match.start()].count("\n") + 1, match.group(2), match.group(3)


BLOCKS = list(blocks())


def test_readme_has_blocks_to_run():
    assert {language for _, language, _ in BLOCKS} == {"sh", "python"}
    assert len(BLOCKS) >= 6


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def sample(module_server, bin_dir, tmp_path_factory):
    """A server over the sample store, and a directory and environment to run README's commands in."""
    work = tmp_path_factory.mktemp("readme")
    subprocess.run([sys.executable, wire.ROOT / "deploy/make_sample_store.py", work / "store"], check=True)
    (work / "proto").symlink_to(wire.ROOT / "proto")
    address = module_server(work / "store").address
    path = os.pathsep.join([str(bin_dir), str(wire.ROOT / "build/tools/bin"), os.path.dirname(sys.executable),
                            os.environ["PATH"]])
    return work, address, {**os.environ, "PATH": path, "TENSORD_ADDRESS": address, "PYTHONPATH": str(work)}


@pytest.fixture(scope="module")
def results(sample):
    """What each block has said, by its line. All run in order wherever one of them is judged: later ones use what earlier ones left."""
    work, address, environment = sample
    said = {}
    for line, language, text in BLOCKS:
        text = text.replace(DEFAULT_ADDRESS, address).replace(TLS_ADDRESS, f"localhost:{free_port()}")
        command = ["bash", "-euxo", "pipefail", "-c", text] if language == "sh" else [sys.executable, "-c", text]
        said[line] = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, timeout=120)
    return said


@pytest.mark.parametrize("line, text", [(line, text) for line, _, text in BLOCKS], ids=[f"line-{line}" for line, _, _ in BLOCKS])
def test_readme_block_runs(results, line, text):
    result = results[line]
    assert result.returncode == 0, f"README.md:{line}\n{result.stdout}\n{result.stderr}"
    assert result.stdout or "-o rows.npy" in text or "protoc" in text, "a command that shows nothing is no example"


def test_readme_slice_has_the_sample_store_s_values(results):
    """The Python program's output is what deploy/make_sample_store.py wrote: element i is i % 1021."""
    output = next(results[line].stdout for line, language, _ in BLOCKS if language == "python")
    numbers = [float(number) for number in re.findall(r"\d+\.?", output)]
    assert numbers == [128, 144, 160, 176, 192, 208, 224, 240]
