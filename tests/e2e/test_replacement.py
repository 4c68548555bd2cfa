"""Files replaced, deleted and overwritten while they are read: a running stream ends with the bytes it began with or says that
it cannot; the next one sees what is there now (P3, P4)."""
import contextlib

import grpc
import pytest

from fault_rounds import ROUNDS, rounds
from injection import environment
from processes import wait_until
from reading import Background, judge, open_channel, read
from transports import TRANSPORTS, Transport
from wire import rpc
from words import Model, Truth

VARIANTS = {"mapped": {}, "gathered": {"columns": slice(9, 900, 2)}, "checksum": {"checksum": True}}


def do_at(random, action):
    """A pace that acts once, after some messages."""
    at = random.randrange(1, 5)
    return lambda number: action() if number == at else None


@pytest.fixture(params=TRANSPORTS)
def stub_of(request, server, tmp_path):
    """Starts a server of what is in the store by then."""
    with Transport(request.param) as transport, contextlib.ExitStack() as channels:
        def start():
            channel = channels.enter_context(transport.channel(server(tmp_path, *transport.flags)))
            return rpc.TensorStoreStub(channel)

        yield start


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_stream_ends_with_the_bytes_it_began_with(stub_of, tmp_path, variant):
    """Renamed over in mid-stream: the old bytes to the end; then the new ones; pinned to the old version: VERSION_CHANGED."""
    model, fields = Model(tmp_path, "m").replace(), VARIANTS[variant]
    truth, stub = Truth([model]), stub_of()
    for random in rounds(f"replaced by rename, {variant}"):
        before = model.generation
        outcome = read(stub, "m", pace=do_at(random, model.replace), **fields)
        assert outcome.ok, str(outcome)
        assert judge(truth, outcome) == before
        wait_until(lambda: judge(truth, read(stub, "m", "small")) == model.generation, "the new bytes are served")
        pinned = read(stub, "m", version=outcome.info.version, **fields)
        assert (pinned.code, pinned.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "VERSION_CHANGED")


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_deleted_file_is_read_to_its_end(stub_of, tmp_path, variant):
    models = [Model(tmp_path, f"m{i}").replace() for i in range(ROUNDS)]
    truth, stub = Truth(models), stub_of()
    for random, model in zip(rounds(f"deleted, {variant}"), models):
        outcome = read(stub, model.name, pace=do_at(random, model.path.unlink), **VARIANTS[variant])
        assert outcome.ok, str(outcome)
        judge(truth, outcome)
        wait_until(lambda: read(stub, model.name).reason == "MODEL_NOT_FOUND", "the model is gone")


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_overwritten_file_is_never_mixed(stub_of, tmp_path, variant):
    models = [Model(tmp_path, f"m{i}").replace() for i in range(ROUNDS)]
    truth, stub = Truth(models), stub_of()
    for random, model in zip(rounds(f"overwritten in place, {variant}"), models):
        outcome = read(stub, model.name, pace=do_at(random, model.overwrite), **VARIANTS[variant])
        if outcome.ok:
            judge(truth, outcome)
        else:
            assert (outcome.code, outcome.reason) == (grpc.StatusCode.DATA_LOSS, "FILE_CHANGED"), str(outcome)
    for model in models:
        wait_until(lambda: read(stub, model.name).ok, "what was written is served")
        assert judge(truth, read(stub, model.name)) == model.generation


def test_a_file_that_is_replaced_while_its_header_is_read_is_never_missing(server, tmp_path):
    """It is served as it was read until the next scan has found what is there now, which takes as long."""
    store, fired = tmp_path / "store", tmp_path / "fired"
    store.mkdir()
    model = Model(store, "m").replace()
    truth = Truth([model])
    slow_header = environment("pread", model.path.name, error=0, milliseconds=200, fired=fired)

    def replace_meanwhile():
        wait_until(fired.exists, "the header is being read")
        model.replace()

    replacing = Background(replace_meanwhile)
    running = server(store, "--read-mode", "mmap", env=slow_header)
    replacing.join()
    with open_channel(running.address) as channel:
        stub = rpc.TensorStoreStub(channel)

        def shows_the_new_bytes():
            outcome = read(stub, "m")
            assert outcome.ok, str(outcome)
            return judge(truth, outcome) == model.generation

        wait_until(shows_the_new_bytes, "the new bytes are served")
