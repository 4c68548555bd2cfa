"""The same file system, mounted anew on another device: the version stays, so that clients resume (DESIGN.md 4)."""
import contextlib
import subprocess

from fault_rounds import counts
from reading import judge, open_channel, read
from wire import rpc
from words import Model, Truth

IMAGE_BYTES = 64 << 20


@contextlib.contextmanager
def mounted(image, directory):
    subprocess.run(["mount", "-o", "loop,ro", image, directory], check=True)
    try:
        yield directory
    finally:
        subprocess.run(["umount", directory], check=True)


def test_a_remount_keeps_the_version(server, tmp_path):
    files, image, where = tmp_path / "files", tmp_path / "image", tmp_path / "mounted"
    files.mkdir()
    where.mkdir()
    model = Model(files, "m").replace()
    truth = Truth([model])
    with open(image, "wb") as file:
        file.truncate(IMAGE_BYTES)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-d", files, image], check=True)
    # A second device, kept busy, so that the next mount gets another number.
    other = tmp_path / "other"
    other.write_bytes(image.read_bytes())
    (tmp_path / "elsewhere").mkdir()

    with mounted(image, where):
        device = where.stat().st_dev
        running = server(where)
        with open_channel(running.address) as channel:
            first = read(rpc.TensorStoreStub(channel), "m")
        judge(truth, first)
        assert running.stop() == 0
    with mounted(other, tmp_path / "elsewhere"), mounted(image, where):
        assert where.stat().st_dev != device, "it is not another device"
        running = server(where)
        with open_channel(running.address) as channel:
            pinned = read(rpc.TensorStoreStub(channel), "m", version=first.info.version)
        assert pinned.ok, str(pinned)
        judge(truth, pinned)
        assert running.stop() == 0
        counts["remount on another device"] += 1
