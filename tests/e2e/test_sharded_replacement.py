"""A checkpoint of several shards that is replaced while whole batches of it are read: shard by shard, each by rename, and all at
once, by a `..data` symlink. A stream that ends OK carries what its version stands for, in all shards (P3, P4, P5)."""
import json
import shutil
import threading

import grpc
import numpy as np
import pytest

from fault_rounds import ROUNDS, rounds
from processes import wait_until
from reading import CALL_SECONDS, Background, open_channel, reason_of
from wire import pb, rpc
from words import Model, WrongBytes

SHARDS, READERS, ROWS = 4, 3, 128
MODES = ("mmap", "pread")


def name_of(shard):
    return f"model-{shard + 1:05}-of-{SHARDS:05}"


def tensors_of(shard):
    """Its tensor has a number of its own, so that its words differ from those of every other shard."""
    return {**{f"s{shard}.pad{i}": (1,) for i in range(shard)}, f"s{shard}.t": (ROWS, 1024)}


def new_shard(directory, shard, generation=0):
    """The shard whose next generation is the one after `generation`."""
    part = Model(directory, name_of(shard), tensors_of(shard))
    part.generation = generation
    return part


def write_index(directory):
    names = {tensor: f"{name_of(shard)}.safetensors" for shard in range(SHARDS) for tensor in tensors_of(shard)}
    (directory / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": names}))


def generation_of(shard, data):
    """The generation of a shard's tensor; raises WrongBytes unless it is whole and of one generation."""
    words = np.frombuffer(data, np.uint64)
    if len(words) != ROWS * 1024:
        raise WrongBytes(f"shard {shard}: {len(data)} bytes with status OK")
    generation = int(words[0]) >> 48
    wanted = np.arange(len(words), dtype=np.uint64) + np.uint64(generation << 48 | shard << 40)
    if not np.array_equal(words, wanted):
        raise WrongBytes(f"shard {shard}: {np.count_nonzero(words != wanted)} words are not of generation {generation}")
    return generation


def read_all(stub):
    """One batch over all shards: (version, the generation of each shard), or the reason why it failed."""
    names, data, info = {}, {}, None
    request = pb.GetTensorsRequest(model="big", selections=[pb.Selection(pattern="*.t")])
    try:
        for chunk in stub.GetTensors(request, timeout=CALL_SECONDS):
            info = chunk.info if chunk.HasField("info") else info
            for part in chunk.parts:
                if part.HasField("header"):
                    names[part.result], data[part.result] = part.header.tensor, bytearray()
                assert not part.HasField("error") or data.pop(part.result, None) is not None
                if part.result in data:
                    data[part.result] += part.data
    except grpc.RpcError as error:
        assert reason_of(error), error
        return reason_of(error)
    by_name = {names[result]: data[result] for result in data}
    if set(by_name) != {f"s{shard}.t" for shard in range(SHARDS)}:
        raise WrongBytes(f"OK, with the results {sorted(by_name)}")
    return info.version, tuple(generation_of(shard, by_name[f"s{shard}.t"]) for shard in range(SHARDS))


class Readers:
    """Read the model until they are stopped. What they saw: which generations each version stood for."""

    def __init__(self, server, check):
        self._server, self._check, self._over = server, check, threading.Event()
        self._lock, self.known, self.failed, self.num_ok = threading.Lock(), {}, {}, 0
        self._threads = [Background(self._run) for _ in range(READERS)]

    def _run(self):
        with open_channel(self._server.address) as channel:
            stub = rpc.TensorStoreStub(channel)
            while not self._over.is_set():
                self.take(read_all(stub))

    def take(self, result):
        with self._lock:
            if isinstance(result, str):
                self.failed[result] = self.failed.get(result, 0) + 1
                return
            version, generations = result
            self._check(generations)
            self.num_ok += 1
            if self.known.setdefault(version, generations) != generations:
                raise WrongBytes(f"version {version} is {generations}, and was {self.known[version]} before")

    def stop(self):
        self._over.set()
        for thread in self._threads:
            thread.join()


@pytest.fixture
def store(tmp_path):
    (tmp_path / "store" / "big").mkdir(parents=True)
    return tmp_path / "store"


def await_generation(readers, stub, number):
    """Until a batch is of that generation in all shards: what was replaced is served."""
    def is_served():
        result = read_all(stub)
        readers.take(result)
        return result[1:] == ((number,) * SHARDS,)

    wait_until(is_served, f"generation {number} is served")


@pytest.mark.parametrize("mode", MODES)
def test_shards_renamed_one_after_the_other(server, store, mode):
    """On the way a version may stand for shards of two generations, as they lay on the disk; it always stands for the same."""
    shards = [new_shard(store / "big", shard).replace() for shard in range(SHARDS)]
    write_index(store / "big")
    running = server(store, "--read-mode", mode)
    readers = Readers(running, lambda generations: None)
    with open_channel(running.address) as channel:
        stub = rpc.TensorStoreStub(channel)
        await_generation(readers, stub, 1)
        for random in rounds(f"a checkpoint replaced shard by shard, {mode}"):
            order, pause = random.sample(shards, SHARDS), threading.Event()
            for shard in order:
                shard.replace()
                pause.wait(random.uniform(0, 0.06))
            await_generation(readers, stub, shards[0].generation)
    readers.stop()
    assert set(readers.failed) <= {"FILE_CHANGED"}, readers.failed
    assert len(readers.known) > ROUNDS and readers.num_ok > ROUNDS
    print(f"{mode}: {readers.num_ok} OK of {len(readers.known)} versions, {readers.failed}")


@pytest.mark.parametrize("mode", MODES)
def test_a_swapped_directory_of_shards_is_one_switch(server, store, mode):
    """As kubelet does it: no batch that ends OK, and no version, has shards of two sets."""
    big = store / "big"

    def swap(number):
        (big / f"..set{number}").mkdir()
        for shard in range(SHARDS):
            new_shard(big / f"..set{number}", shard, number - 1).replace()
        write_index(big / f"..set{number}")
        (big / "..data_tmp").symlink_to(f"..set{number}")
        (big / "..data_tmp").rename(big / "..data")
        if number > 1:
            shutil.rmtree(big / f"..set{number - 1}")

    def check(generations):
        if len(set(generations)) != 1:
            raise WrongBytes(f"OK with a mixture of sets {generations}")

    swap(1)
    for file in sorted((big / "..data").iterdir()):
        (big / file.name).symlink_to(f"..data/{file.name}")
    running = server(store, "--read-mode", mode)
    readers = Readers(running, check)
    with open_channel(running.address) as channel:
        stub = rpc.TensorStoreStub(channel)
        await_generation(readers, stub, 1)
        for number, _ in enumerate(rounds(f"a swapped directory of shards, {mode}"), 2):
            swap(number)
            if number % 3 == 0:
                await_generation(readers, stub, number)
        await_generation(readers, stub, number)
    readers.stop()
    # A shard that was not open yet may be gone, or be another one, until the scan has seen the swap.
    assert set(readers.failed) <= {"FILE_CHANGED", "READ_ERROR", "SHARD_MISSING"}, readers.failed
    assert len(readers.known) > ROUNDS // 3 and readers.num_ok > ROUNDS // 3
    print(f"{mode}: {readers.num_ok} OK of {len(readers.known)} versions, {readers.failed}")
