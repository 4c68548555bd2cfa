"""What changes about a file besides its bytes leaves its version, and the streams that read it, alone (DESIGN.md 4): so a
client may resume at another replica. A remount needs privileges: full/full_remount.py."""
import os
import shutil

import pytest

from fault_rounds import counts
from processes import wait_until
from reading import judge, open_channel, read
from wire import pb, rpc
from words import Model, Truth


def chmod(path):
    path.chmod(0o640)


def chown(path):
    """To who owns it already, unless root runs this: ctime changes all the same."""
    os.chown(path, 65532 if os.getuid() == 0 else os.getuid(), -1)


def hard_link(path):
    os.link(path, path.parent.parent / "link")


def copy(path):
    """What rsync -a does: another inode, the same modification time."""
    shutil.copy2(path, path.with_suffix(".copy"))
    path.with_suffix(".copy").rename(path)


def move_away_and_back(path):
    path.rename(path.with_suffix(".away"))
    path.with_suffix(".away").rename(path)


@pytest.fixture
def model(tmp_path):
    (tmp_path / "store").mkdir()
    return Model(tmp_path / "store", "m").replace()


@pytest.mark.parametrize("touch", [chmod, chown, hard_link, copy, move_away_and_back], ids=lambda touch: touch.__name__)
def test_a_change_besides_the_bytes_is_none(server, tmp_path, model, touch):
    truth, running = Truth([model]), server(tmp_path / "store", "--rescan-interval", "100ms")
    with open_channel(running.address) as channel:
        stub = rpc.TensorStoreStub(channel)
        before = read(stub, "m", pace=lambda number: touch(model.path) if number == 2 else None)
        assert before.ok, str(before)
        judge(truth, before)
        # What comes after this model was seen by a scan that saw the change, too.
        Model(tmp_path / "store", "later").replace()
        wait_until(lambda: read(stub, "later", "small").ok, "a scan has come by")
        after = read(stub, "m", version=before.info.version)
        assert after.ok, str(after)
        judge(truth, after)
        counts[f"{touch.__name__} of a file that is read"] += 1


def test_a_copy_on_a_second_server_has_the_version(server, tmp_path, model):
    """A stream of the first goes on at the second, pinned to the version, and its bytes are of one file."""
    shutil.copytree(tmp_path / "store", tmp_path / "copy")  # Keeps modification times.
    truth, first, second = Truth([model]), server(tmp_path / "store"), server(tmp_path / "copy")
    with open_channel(first.address) as one, open_channel(second.address) as other:
        whole = read(rpc.TensorStoreStub(one), "m")
        middle = len(whole.data) // 2
        rest = read(rpc.TensorStoreStub(other), "m", begin=middle, version=whole.info.version)
        assert rest.ok, str(rest)
        assert rest.info.version == whole.info.version
        judge(truth, rest)
        assert rest.data == whole.data[middle:]


def test_bytes_that_differ_are_another_version(server, tmp_path, model):
    """The counterpart: a tensor renamed in the header, at the same size and time."""
    running = server(tmp_path / "store", "--rescan-interval", "100ms")
    with open_channel(running.address) as channel:
        stub = rpc.TensorStoreStub(channel)

        def version():
            return stub.GetMetadata(pb.GetMetadataRequest(model="m")).model.version

        before, times = version(), model.path.stat()
        data = model.path.read_bytes().replace(b'"small"', b'"sMall"', 1)
        model.path.with_suffix(".new").write_bytes(data)
        os.utime(model.path.with_suffix(".new"), ns=(times.st_atime_ns, times.st_mtime_ns))
        model.path.with_suffix(".new").rename(model.path)
        wait_until(lambda: version() != before, "the other header is seen")
