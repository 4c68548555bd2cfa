"""The asyncio twins."""

import asyncio

import numpy as np
import pytest

import tensord
from tensord import aio


def run(work):
    return asyncio.run(asyncio.wait_for(work, 60))


def test_twins_return_what_the_blocking_calls_do(url, tensors, tmp_path):
    async def work():
        async with aio.Client(url) as client:
            one, many, models, info, listed, planned, config = await asyncio.gather(
                client.get_tensor("wte.weight", np.s_[:2]), client.read_many({"h.2.w": None}), client.list_models(),
                client.get_tensor_info("scalar"), client.list_tensors("h.*"), client.plan("h.*"),
                client.read_file("config.json"))
            np.testing.assert_array_equal(one, tensors["wte.weight"][:2])
            np.testing.assert_array_equal(many["h.2.w"], tensors["h.2.w"])
            assert len(models) == 2 and info.dtype == "F64" and config == b'{"hidden": 64}'
            assert [t.name for t in listed.tensors] == [p.tensor for p in planned] == ["h.2.w", "h.10.w"]
            assert (await client.get_metadata()).id == "org/small/model"
            await client.download("config.json", tmp_path / "config.json")
            assert client.bytes_received == 2 * 64 * 4 + tensors["h.2.w"].nbytes
            assert (await client.load("scalar"))["scalar"] == 7.5
        assert (await aio.load_file(url)).keys() == tensors.keys()

    run(work())


def test_iteration_yields_everything(url, tensors):
    async def work():
        async with aio.Client(url) as client:
            return {name: array async for name, array in client.iterate(window_bytes=100)}

    got = run(work())
    assert got.keys() == tensors.keys()
    for name, array in got.items():
        np.testing.assert_array_equal(array, tensors[name])


def test_errors_are_the_same(url):
    async def work():
        async with aio.Client(url) as client:
            await client.get_tensor("nothing")

    with pytest.raises(KeyError):
        run(work())


def test_the_loop_goes_on_while_a_call_waits_and_cancelling_the_task_ends_it(tmp_path):
    async def work():
        client = aio.Client(f"unix:{tmp_path}/none.sock", connect_timeout=1000)
        task = asyncio.create_task(client.list_models())
        for _ in range(20):
            await asyncio.sleep(0.01)
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await client.close()

    run(work())


def test_use_after_close_says_so(url):
    async def work():
        async with aio.Client(url) as client:
            pass
        with pytest.raises((tensord.FileClosedError, RuntimeError)):
            await client.list_models()

    run(work())
