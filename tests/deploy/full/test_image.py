"""The image that deploy/image.sh built: what is in it, and how it runs."""
import hashlib
import json
import os
import struct
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from commands import DEPLOY
from containers import DIR, IMAGE, Container, must, podman, tensorctl

MOST_BYTES = 30 * 1000 * 1000
STORE_BYTES = 2 << 30
NUM_TENSORS = 8


@pytest.fixture(scope="module")
def image():
    return json.loads(must(podman("image", "inspect", IMAGE)))[0]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """{path: tar entry} of the image's root file system."""
    archive = tmp_path_factory.mktemp("image") / "root.tar"
    name = must(podman("create", "--pull=never", IMAGE)).strip()
    try:
        must(podman("export", "-o", archive, name))
    finally:
        podman("rm", name)
    with tarfile.open(archive) as tar:
        return {entry.name: entry for entry in tar}


@pytest.fixture
def container(tmp_path):
    """container(store, memory): one that is removed at the end."""
    started = []

    def start(store, memory):
        started.append(Container(store, tmp_path / f"socket{len(started)}", memory))
        return started[-1]

    yield start
    for each in started:
        each.remove()


@pytest.fixture
def sample_store(tmp_path):
    subprocess.run([sys.executable, DEPLOY / "make_sample_store.py", tmp_path / "store"], check=True)
    return tmp_path / "store"


@pytest.fixture(scope="module")
def large_store(tmp_path_factory):
    """(directory, {tensor: sha256}) of a model of STORE_BYTES without two equal pages."""
    directory = tmp_path_factory.mktemp("large") / "store"  # pytest's own folders are for root only.
    directory.mkdir()
    size = STORE_BYTES // NUM_TENSORS
    header = json.dumps({f"t{i}": {"dtype": "U8", "shape": [size], "data_offsets": [i * size, (i + 1) * size]}
                         for i in range(NUM_TENSORS)}).encode()
    digests = {}
    with open(directory / "large.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        for i in range(NUM_TENSORS):
            digest, block = hashlib.sha256(), os.urandom(1 << 20)
            for j in range(size >> 20):
                data = struct.pack("<QQ", i, j) + block[16:]
                digest.update(data)
                file.write(data)
            digests[f"t{i}"] = digest.hexdigest()
        # Out of the page cache: the container shall bring in, and be charged for, every byte.
        file.flush()
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return directory, digests


def test_it_is_small(image):
    print(f"image: {image['Size']} bytes")
    assert image["Size"] <= MOST_BYTES


def test_it_has_two_commands_and_no_shell(files):
    programs = {name for name in files if name.startswith("usr/local/bin/")}
    assert programs == {"usr/local/bin/tensord", "usr/local/bin/tensorctl"}
    executables = {name for name, entry in files.items() if entry.isfile() and entry.mode & 0o111}
    libraries = {name for name in executables if ".so" in name}
    assert executables - libraries == {"usr/local/bin/tensord"}


def test_nothing_in_it_is_set_user_id(files):
    assert not [name for name, entry in files.items() if entry.isfile() and entry.mode & 0o6000]


def test_what_it_says_of_itself(image):
    config = image["Config"]
    assert config["User"] == "65532:65532"
    assert config["Entrypoint"] == ["/usr/local/bin/tensord"]
    assert config["StopSignal"] in ("SIGTERM", "15")
    assert image["HealthCheck" if "HealthCheck" in image else "Healthcheck"]["Test"] == ["CMD", "/usr/local/bin/tensorctl", "probe"]
    assert {"title", "licenses", "version", "revision"} <= {k.rsplit(".", 1)[1] for k in config["Labels"]}


def test_the_bill_of_materials_names_every_component(files):
    bom = json.loads((DIR / "tensord.cdx.json").read_text())
    kinds = {c["name"]: c["properties"][0]["value"] for c in bom["components"]}
    for path in (name for name in files if ".so" in name and files[name].isfile()):
        owner = subprocess.run(["dpkg", "-S", f"*/{Path(path).name}"], stdout=subprocess.PIPE, text=True, check=True).stdout
        assert any(line.split(":")[0] in kinds for line in owner.splitlines()), (path, owner)
    # What is linked in or compiled in.
    for name in ("libgrpc++-dev", "libprotobuf-dev", "libabsl-dev"):
        assert kinds[name] == "static", kinds
    for name in ("libcli11-dev", "nlohmann-json3-dev", "rapidjson-dev"):
        assert kinds[name] == "header", kinds
    assert all(c["version"] and c["purl"] for c in bom["components"])
    print(f"bill of materials: {len(kinds)} components: {' '.join(sorted(kinds))}")


def test_it_serves_hardened(container, sample_store):
    server = container(sample_store, "64m")
    data = tensorctl(server.address, "get", "tiny-gpt2", "wte.weight[0:2]", "-o", "-")
    assert data == struct.pack("<128f", *range(128))
    pid = server.state()["Pid"]
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    assert status["Uid"].split() == ["65532"] * 4
    assert (int(status["CapEff"], 16), status["NoNewPrivs"], status["Seccomp"]) == (0, "1", "2")
    assert server.stop() == 0, server.log()


def test_the_probe_says_that_it_is_healthy(container, sample_store):
    server = container(sample_store, "64m")
    assert must(podman("healthcheck", "run", server.name)) is not None


def test_64_mib_serve_2_gib(container, large_store):
    directory, digests = large_store
    server = container(directory, "64m")
    for name, digest in digests.items():
        assert hashlib.sha256(tensorctl(server.address, "get", "large", name, "-o", "-")).hexdigest() == digest, name
    # Single bytes that lie apart, which are gathered.
    size = STORE_BYTES // NUM_TENSORS
    thin = tensorctl(server.address, "get", "large", "t0[::1048576]", "-o", "-")
    assert thin == bytes(size >> 20), "the first byte of each block is the tensor's number"
    state = server.state()
    assert state["Running"] and not state["OOMKilled"], state
    print(f"64 MiB container: {peak_of(state['Pid'])}")
    assert server.stop() == 0, server.log()


def peak_of(pid):
    """What the kernel says of the memory of `pid` and of its control group."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    own = [line.replace("\t", "").replace("  ", "") for line in lines if line.startswith(("VmHWM", "RssAnon"))]
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        group = Path("/sys/fs/cgroup/memory" + line.split(":", 2)[2])
        if ":memory:" in line and (group / "memory.failcnt").exists():
            own += [f"{name} {(group / name).read_text().strip()}" for name in ("memory.max_usage_in_bytes", "memory.failcnt")]
    return ", ".join(own)
