"""The reference's own Python tests for reading, out of its published source, run against a server."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors
from conftest import ROOT

HERE = Path(__file__).parent / "reference"
HAS_TORCH = importlib.util.find_spec("torch") is not None
FILES = ["test_simple.py", "test_pread_backend.py", "test_pt_comparison.py", "test_pt_model.py", "test_multithreaded.py"]
if importlib.util.find_spec("flax") is not None:
    FILES.append("test_flax_comparison.py")
# Not here: test_threadable.py is about writing, test_handle.py about open files of this machine; tensorflow, mlx and paddle
# have a file each, which needs them.

# Each with why it is meant to be so.
DIFFERENCES = {
    "test_simple.py::ErrorsTestCase::test_file_not_found":
        "the message names the server's model and the closest ones, not a path; FileNotFoundError it is",
    "test_simple.py::ReadmeTestCase::test_numpy_slice":
        "numpy's semantics: [:20] of 10 rows is clamped, [[0, 1]] takes two rows; [2:, 20] and [2:, -6] are errors of other words",
}
COLLECTED_AT_LEAST = 20


@pytest.fixture(scope="module")
def reference_tests():
    directory = ROOT / "build" / f"reference-tests-{safetensors.__version__}"
    if not directory.is_dir():
        subprocess.run([sys.executable, HERE / "fetch.py", safetensors.__version__, directory], check=True)
    return directory


def test_the_reference_s_own_tests_pass_but_for_the_listed_differences(reference_tests, server, tmp_path, capsys):
    store, work = tmp_path / "store", tmp_path / "work"
    store.mkdir()
    shutil.copytree(reference_tests, work / "tests")  # They write to ./tests/data.
    files = [f"tests/{name}" for name in FILES]
    environment = {**os.environ, "PYTHONPATH": str(HERE), "REFERENCE_STORE": str(store), "REFERENCE_ADDRESS": server(store).address}
    result = subprocess.run([sys.executable, "-m", "pytest", "-p", "remote_reading", "-p", "no:cacheprovider", "-rA", "-q",
                             "--rootdir", str(work), *files],
                            cwd=work, env=environment, capture_output=True, text=True, timeout=600)
    verdicts = dict(re.findall(r"^(?:\S*/)?(test_\w+\.py::\S+) (PASSED|FAILED|SKIPPED|ERROR)", result.stdout, re.M))
    verdicts.update({name: verdict for verdict, name in
                     re.findall(r"^(PASSED|FAILED|ERROR) (?:\S*/)?(test_\w+\.py::\S+)", result.stdout, re.M)})
    passed = {name for name, verdict in verdicts.items() if verdict == "PASSED"}
    failed = {name for name, verdict in verdicts.items() if verdict in ("FAILED", "ERROR")}
    skipped = result.stdout.count("torch is not installed")
    with capsys.disabled():
        print(f"\nreference {safetensors.__version__}: {len(passed)} passed, {len(failed)} differ as listed, "
              f"{skipped or 'none'} skipped for want of torch")
    assert failed == set(DIFFERENCES), result.stdout[-12000:]
    assert len(passed) >= (COLLECTED_AT_LEAST if HAS_TORCH else 1), result.stdout[-3000:]
