"""A store that changes while it is served: by inotify, by time, by SIGHUP; and what that costs."""
import json
import os
import random
import resource
import shutil
import signal
import threading
import time

import grpc
import pytest

from fault_rounds import SEED, counts
from processes import anon_bytes, num_fds, num_mappings, num_threads, wait_until
from reading import Background, judge, open_channel, read, reason_of
from stores import write_raw
from wire import collect, list_all_models, pb, rpc
from words import Model, Truth

SECONDS = float(os.environ.get("TENSORD_LIVE_SECONDS", "10"))  # Of replacing under load; OPERATIONS' promise is for 60.
RELOADS = int(os.environ.get("TENSORD_RELOADS", "300"))  # The promise is for 1,000.
SWAPS = int(os.environ.get("TENSORD_SWAPS", "300"))  # The promise is for 1,000.
ADAPTERS = int(os.environ.get("TENSORD_ADAPTERS", "3000"))  # The promise is for 50,000.
HANGUPS = int(os.environ.get("TENSORD_HANGUPS", "300"))
SHARDS = 1433
ONLY_INOTIFY = ("--rescan-interval", "0")
SMALL = {"small": (64, 8)}


@pytest.fixture(autouse=True)
def say_seed():
    print(f"TENSORD_SEED={SEED}")


@pytest.fixture
def store(tmp_path):
    (tmp_path / "store").mkdir()
    return tmp_path / "store"


@pytest.fixture
def connect():
    """connect(server): a stub on a connection of its own."""
    channels = []

    def open_one(server):
        channels.append(open_channel(server.address))
        return rpc.TensorStoreStub(channels[-1])

    yield open_one
    for channel in channels:
        channel.close()


def states(stub):
    return {model.id: model.state for model in list_all_models(stub)}


def generation(stub, truth, name, tensor="small"):
    """Which generation a call gets now, 0 if none."""
    outcome = read(stub, name, tensor)
    return judge(truth, outcome) if outcome.ok else 0


def wait_for_generation(stub, truth, model):
    wait_until(lambda: generation(stub, truth, model.name) == model.generation, f"{model.name} is the newest one")


def test_replaced_20_times_a_second_under_load(server, store, connect):
    """P4: no call fails, each gets the bytes of one generation, the last one is seen."""
    models = [Model(store, name).replace() for name in ("a", "b")]
    truth, running, over = Truth(models), server(store), threading.Event()
    wanted = [(model.name, tensor, columns) for model in models
              for tensor, columns in (("t", None), ("small", None), ("t", slice(1, 900, 7)))]

    def load(number):
        draw, stub, seen = random.Random(f"{SEED}/load/{number}"), connect(running), set()
        while not over.is_set():
            name, tensor, columns = draw.choice(wanted)
            outcome = read(stub, name, tensor, columns)
            assert outcome.ok, str(outcome)
            seen.add((name, judge(truth, outcome)))
        return seen

    readers = [Background(load, number) for number in range(3)]
    draw, end = random.Random(f"{SEED}/replace"), time.monotonic() + SECONDS
    while time.monotonic() < end:
        draw.choice(models).replace()
        counts["a replacement under load"] += 1
        time.sleep(0.05)
    over.set()
    seen = set().union(*(reader.join() for reader in readers))
    assert len(seen) > 4, "several generations were read"
    for model in models:
        wait_for_generation(connect(running), truth, model)


def test_a_running_stream_ends_with_the_bytes_it_began_with(server, store, connect):
    model = Model(store, "m").replace()
    truth, running = Truth([model]), server(store, *ONLY_INOTIFY)
    stub, other = connect(running), connect(running)
    assert generation(other, truth, "m") == 1

    def replace_once(number):
        if number == 1:
            model.replace()
            wait_for_generation(other, truth, model)

    outcome = read(stub, "m", pace=replace_once)
    assert outcome.ok, str(outcome)
    assert judge(truth, outcome) == 1
    pinned = read(stub, "m", version=outcome.info.version)
    assert (pinned.code, pinned.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "VERSION_CHANGED")


def test_changes_are_seen_without_being_asked(server, store, connect):
    kept = Model(store, "kept", SMALL).replace()
    truth, running = Truth([kept]), server(store, *ONLY_INOTIFY)
    stub = connect(running)
    ready, invalid = pb.MODEL_STATE_READY, pb.MODEL_STATE_INVALID

    def becomes(expected, what):
        wait_until(lambda: states(stub) == expected, what)

    becomes({"kept": ready}, "one model")
    Model(store, "added", SMALL).replace()
    becomes({"kept": ready, "added": ready}, "a model was added")
    (store / "added.safetensors").rename(store / "renamed.safetensors")
    becomes({"kept": ready, "renamed": ready}, "it was renamed")
    (store / "deep" / "below").mkdir(parents=True)
    (store / "renamed.safetensors").rename(store / "deep" / "below" / "m.safetensors")
    becomes({"kept": ready, "deep/below/m": ready}, "it moved into a new directory")
    (store / "deep").rename(store / "other")
    becomes({"kept": ready, "other/below/m": ready}, "the directory was renamed")
    os.truncate(store / "other" / "below" / "m.safetensors", 30)
    becomes({"kept": ready, "other/below/m": invalid}, "it was truncated")
    shutil.rmtree(store / "other")
    becomes({"kept": ready}, "it was removed")
    kept.overwrite()
    wait_for_generation(stub, truth, kept)


def test_a_half_written_file_is_a_problem_until_it_is_whole(server, store, connect):
    kept = Model(store, "kept", SMALL).replace()
    running = server(store, *ONLY_INOTIFY)
    stub = connect(running)
    whole = kept.path.read_bytes()
    with open(store / "slow.safetensors", "wb") as file:
        for end in (5, 40, len(whole) // 2, len(whole) - 1):
            file.write(whole[file.tell():end])
            file.flush()
            wait_until(lambda: states(stub) == {"kept": pb.MODEL_STATE_READY, "slow": pb.MODEL_STATE_INVALID}, "a part is there")
        file.write(whole[-1:])
    wait_until(lambda: set(states(stub).values()) == {pb.MODEL_STATE_READY}, "it is whole")
    truth = Truth([Model(store, "slow", SMALL)])
    truth._models["slow"].generation = 1
    assert generation(stub, truth, "slow") == 1


def test_time_alone_finds_changes(server, store, connect):
    model = Model(store, "m", SMALL).replace()
    truth, running = Truth([model]), server(store, "--rescan-interval", "200ms")
    model.replace()
    wait_for_generation(connect(running), truth, model)


def test_a_swapped_directory_is_one_switch(server, store, connect):
    """P5: as kubelet brings a ConfigMap's next set; a listing is of one set. A set's number is its models' size."""
    names = [f"m{i}" for i in range(6)]

    def write_set(number):
        for name in names:
            write_raw(store / f"..set{number}" / f"{name}.safetensors", {"t": ("U8", (number,), bytes(number))})
        (store / "..data_tmp").symlink_to(f"..set{number}")
        (store / "..data_tmp").rename(store / "..data")

    write_set(1)
    for name in names:
        (store / f"{name}.safetensors").symlink_to(f"..data/{name}.safetensors")
    running, over = server(store), threading.Event()

    def look():
        stub, seen = connect(running), set()
        while not over.is_set():
            models = stub.ListModels(pb.ListModelsRequest()).models
            assert [model.id for model in models] == names
            sizes = {model.num_parameters for model in models if model.state == pb.MODEL_STATE_READY}
            assert len(sizes) <= 1, f"a mixture of sets {sizes}"
            seen |= sizes
        return seen

    lookers, stub = [Background(look) for _ in range(2)], connect(running)

    def served():
        return {model.num_parameters for model in list_all_models(stub)}

    for number in range(2, SWAPS + 2):
        write_set(number)
        shutil.rmtree(store / f"..set{number - 1}")
        counts["a swapped directory"] += 1
        if number % (SWAPS // 10) == 0:
            wait_until(lambda: served() == {number}, "a set is served")
    wait_until(lambda: served() == {SWAPS + 1}, "the last set is served")
    over.set()
    seen = set().union(*(looker.join() for looker in lookers))
    assert len(seen) > 3, "several sets were seen"


def test_a_hub_cache_gains_a_revision_and_loses_blobs(server, store, connect):
    repository = store / "models--org--name"

    def blob(name, tensor):
        write_raw(repository / "blobs" / f"{name}.incomplete", {tensor: ("U8", (4,), b"abcd")})
        (repository / "blobs" / f"{name}.incomplete").rename(repository / "blobs" / name)

    def link(commit, file, name):
        (repository / "snapshots" / commit).mkdir(parents=True, exist_ok=True)
        (repository / "snapshots" / commit / file).symlink_to(f"../../blobs/{name}")

    def set_main(commit):
        (repository / "refs").mkdir(exist_ok=True, parents=True)
        (repository / "refs" / "main").write_text(commit)

    def meant():
        return stub.GetMetadata(pb.GetMetadataRequest(model="org/name")).model.id

    blob("a" * 64, "old")
    link("c1", "model.safetensors", "a" * 64)
    set_main("c1")
    running = server(store, *ONLY_INOTIFY)
    stub = connect(running)
    assert meant() == "org/name@c1/model"
    set_main("c2")
    blob("b" * 64, "new.0")
    link("c2", "model-00001-of-00002.safetensors", "b" * 64)
    wait_until(lambda: states(stub).get("org/name@c2/model") == pb.MODEL_STATE_INCOMPLETE, "half of the revision is there")
    assert meant() == "org/name@c1/model"
    blob("c" * 64, "new.1")
    link("c2", "model-00002-of-00002.safetensors", "c" * 64)
    wait_until(lambda: meant() == "org/name@c2/model", "the revision is complete")
    (repository / "blobs" / ("c" * 64)).unlink()
    wait_until(lambda: meant() == "org/name@c1/model", "the last complete revision is meant again")
    set_main("c1")
    shutil.rmtree(repository / "snapshots" / "c2")
    wait_until(lambda: states(stub) == {"org/name@c1/model": pb.MODEL_STATE_READY}, "the revision is gone")


def test_a_vanished_store_stays_as_it_was_until_it_returns(server, store, connect):
    model = Model(store, "m", SMALL).replace()
    truth, running = Truth([model]), server(store, "--rescan-interval", "100ms")
    stub = connect(running)
    store.rename(store.parent / "away")
    wait_until(lambda: "store cannot be scanned" in running.log, "it is reported")
    assert generation(stub, truth, "m") == 1
    (store.parent / "away").rename(store)
    model.replace()
    wait_for_generation(stub, truth, model)
    assert running.log.count("store cannot be scanned") == 1


def test_a_problem_is_logged_once_while_it_lasts(server, store, connect):
    model = Model(store, "m", SMALL).replace()
    (store / "bad.safetensors").write_bytes(b"\0")
    truth, running = Truth([model]), server(store, "--rescan-interval", "100ms")
    stub = connect(running)
    for _ in range(5):
        time.sleep(1.1)  # Of like lines the log has one a second.
        model.replace()
        wait_for_generation(stub, truth, model)
    assert running.log.count("cannot serve") == 1, running.log
    assert running.log.count("reloaded") >= 5
    assert "changed=1" in running.log or '"changed":1' in running.log


def test_reloads_under_load_leak_nothing(server, store, connect):
    """P30: SIGHUP after each change, while clients stream."""
    models = [Model(store, name, {"t": (64, 1024), **SMALL}).replace() for name in "abcd"]
    truth, running, over = Truth(models), server(store, *ONLY_INOTIFY), threading.Event()
    stub = connect(running)

    def load():
        draw, own = random.Random(f"{SEED}/stream"), connect(running)
        while not over.is_set():
            outcome = read(own, draw.choice(models).name, draw.choice(("t", "small")))
            assert outcome.ok, str(outcome)
            judge(truth, outcome)

    def reload(number):
        model = models[number % len(models)].replace()
        os.kill(running.pid, signal.SIGHUP)
        wait_for_generation(stub, truth, model)
        counts["a reload under load"] += 1

    def held():
        return num_fds(running.pid), num_mappings(running.pid, str(store)), num_threads(running.pid)

    loader = Background(load)
    for number in range(RELOADS // 10):
        reload(number)
    anon = anon_bytes(running.pid)
    for number in range(RELOADS):
        reload(number)
    grown = anon_bytes(running.pid) - anon
    over.set()
    loader.join()
    wait_until(lambda: num_mappings(running.pid, str(store)) == len(models), f"four mappings are left, not {held()}")
    fds = num_fds(running.pid)
    for number in range(20):
        reload(number)
    wait_until(lambda: num_fds(running.pid) <= fds, "descriptors are freed")
    assert not num_mappings(running.pid, "(deleted)")
    assert grown < 8 << 20, f"anonymous memory grew by {grown} bytes"  # A leak of 8 KiB a reload.


def test_a_hundred_hangups_a_second_disturb_no_reader(server, store, connect):
    """Beside a store that takes a while to scan: every stream is right, all readers get on, and changes are seen meanwhile."""
    for i in range(1000):
        write_raw(store / "many" / f"a{i:04}.safetensors", {"w": ("U8", (5,), b"%05d" % i)}, pad=False)
    models = [Model(store, name).replace() for name in "abcd"]
    truth, running, over = Truth(models), server(store, *ONLY_INOTIFY), threading.Event()
    done = [0] * len(models)

    def load(number):
        stub = connect(running)
        while not over.is_set() or not done[number]:
            outcome = read(stub, models[number].name, columns=slice(1, 900, 7) if number % 2 else None)
            assert outcome.ok, str(outcome)
            judge(truth, outcome)
            done[number] += 1

    loaders = [Background(load, number) for number in range(len(models))]
    for number in range(HANGUPS):
        if number % 100 == 50:
            models[0].replace()
        os.kill(running.pid, signal.SIGHUP)
        time.sleep(0.01)
    over.set()
    for loader in loaders:
        loader.join()
    stub = connect(running)
    wait_for_generation(stub, truth, models[0])
    print(f"streams of each reader beside {HANGUPS} SIGHUPs: {done}")
    counts["SIGHUP of a hundred a second"] += HANGUPS


def test_small_budgets_serve_many_adapters(server, store, connect):
    """Through 64 descriptors and a megabyte of headers."""
    for i in range(ADAPTERS):
        write_raw(store / f"{i // 100:03}" / f"a{i % 100:02}.safetensors", {"w": ("U8", (5,), b"%05d" % i)}, pad=False)
    running = server(store, "--index-memory", "1MiB", "--max-open-files", "64", *ONLY_INOTIFY)
    stub, fds, anon = connect(running), num_fds(running.pid), anon_bytes(running.pid)
    assert fds < 64 + 64
    for i in random.Random(SEED).sample(range(ADAPTERS), max(600, ADAPTERS // 10)):
        outcome = read(stub, f"{i // 100:03}/a{i % 100:02}", "w")
        assert outcome.ok and bytes(outcome.data) == b"%05d" % i, str(outcome)
    assert num_mappings(running.pid, str(store)) <= 64
    assert num_fds(running.pid) <= fds + 64 + 8
    assert anon_bytes(running.pid) - anon <= 16 << 20
    counts["an adapter beyond the budgets"] += ADAPTERS


def test_a_checkpoint_of_1433_shards_needs_few_descriptors(server, store, connect):
    """With fewer of them than shards."""
    names = [f"model-{shard + 1:05}-of-{SHARDS:05}.safetensors" for shard in range(SHARDS)]
    for shard, name in enumerate(names):
        write_raw(store / "big" / name, {f"w{shard}": ("U8", (5,), b"%05d" % shard)}, pad=False)
    (store / "big" / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {f"w{shard}": name for shard, name in enumerate(names)}}))
    limit = (256, 256)
    running = server(store, *ONLY_INOTIFY, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, limit))
    stub, fds, read_so_far = connect(running), num_fds(running.pid), set()
    assert states(stub) == {"big/model": pb.MODEL_STATE_READY}
    for first in range(0, SHARDS, 50):
        wanted = [pb.Selection(tensor=f"w{shard}") for shard in range(first, min(first + 50, SHARDS))]
        _, results = collect(stub.GetTensors(pb.GetTensorsRequest(model="big", selections=wanted)))
        read_so_far |= {(result.tensor, bytes(result.data)) for result in results.values()}
    assert read_so_far == {(f"w{shard}", b"%05d" % shard) for shard in range(SHARDS)}
    kept = fds + 64 + 8  # A quarter of the descriptors for files that were used last.
    wait_until(lambda: num_mappings(running.pid, str(store)) <= 64, "a quarter of the descriptors is kept")
    assert num_fds(running.pid) <= kept
    # All of it by one call, and by several at once: a stream lets go of the shards that it has behind it.
    everything = {(f"w{shard}", b"%05d" % shard) for shard in range(SHARDS)}
    for streams in (1, 4):
        calls = [stub.GetTensors(pb.GetTensorsRequest(model="big", selections=[pb.Selection(pattern="*")]))
                 for _ in range(streams)]
        for call in calls:
            _, results = collect(call)
            assert {(result.tensor, bytes(result.data)) for result in results.values()} == everything
    wait_until(lambda: num_mappings(running.pid, str(store)) <= 64, "a quarter of the descriptors is kept")
    assert num_fds(running.pid) <= kept


def test_a_listing_of_many_models_knows_them_all(server, store, connect):
    for i in range(500):
        write_raw(store / "adapters" / f"a{i:03}.safetensors", {"w": ("U8", (4,), b"%04d" % i)}, pad=False)
    stub = connect(server(store, "--index-memory", "1MiB"))
    models = stub.ListModels(pb.ListModelsRequest(page_size=1000)).models
    assert [model.id for model in models] == [f"adapters/a{i:03}" for i in range(500)]
    assert {model.num_tensors for model in models} == {1}
    with pytest.raises(grpc.RpcError) as error:
        stub.GetMetadata(pb.GetMetadataRequest(model="adapters"))
    assert reason_of(error.value) == "AMBIGUOUS_MODEL"
