"""get_slice against numpy, which is the meaning of an index."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import basic_indices
from safetensors.numpy import save_file

import tensord

SHAPES = [(), (1,), (0,), (7,), (5, 3), (4, 0, 2), (3, 4, 5), (2, 1, 3, 2)]


def array_of(shape):
    return np.arange(np.prod(shape, dtype=int), dtype=np.int32).reshape(shape)


@pytest.fixture(scope="module")
def opened(module_server, tmp_path_factory):
    root = tmp_path_factory.mktemp("slices")
    save_file({str(shape): array_of(shape) for shape in SHAPES}, root / "m.safetensors")
    address = module_server(root).address
    with tensord.safe_open(f"tensord://{address}/m", framework="np") as f:
        f.keys()
        yield f


def check(opened, shape, index):
    """Both give the same array, or both say IndexError or ValueError."""
    array = array_of(shape)
    try:
        want = np.asarray(array[index])
    except (IndexError, ValueError):
        with pytest.raises((IndexError, ValueError)):
            opened.get_slice(str(shape))[index]
        return
    got = opened.get_slice(str(shape))[index]
    assert got.shape == want.shape, index
    np.testing.assert_array_equal(got, want)


LOTS = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@LOTS
@given(data=st.data())
def test_basic_indices_are_numpy_s(opened, data):
    shape = data.draw(st.sampled_from(SHAPES))
    index = data.draw(basic_indices(shape, allow_newaxis=True, allow_ellipsis=True))
    check(opened, shape, index)


numbers = st.one_of(st.none(), st.integers(-9, 9), st.sampled_from([2**62, -(2**62), 2**63, -(2**70)]))


@LOTS
@given(data=st.data())
def test_slices_that_overshoot_are_clamped_as_numpy_does(opened, data):
    shape = data.draw(st.sampled_from([s for s in SHAPES if s]))
    dims = st.one_of(st.builds(slice, numbers, numbers, numbers), st.integers(-6, 6), st.just(...), st.none())
    check(opened, shape, tuple(data.draw(st.lists(dims, max_size=len(shape) + 1))))


@LOTS
@given(data=st.data())
def test_one_list_of_positions_is_numpy_s(opened, data):
    shape = data.draw(st.sampled_from([s for s in SHAPES if s]))
    axis = data.draw(st.integers(0, len(shape) - 1))
    positions = data.draw(st.lists(st.integers(-shape[axis] - 1, shape[axis]), max_size=shape[axis]))
    index = tuple(data.draw(st.builds(slice, numbers, numbers)) for _ in range(axis)) + (positions,)
    check(opened, shape, index)


@pytest.mark.parametrize("index", [
    (), ..., slice(None), np.int64(1), np.uint8(2), (np.int32(-1), slice(None)), (None, ..., None), None, [], [0, 2],
    (..., [0, 2]), (slice(None), [1, -1], slice(0, 2)), [2, 0, 0],
], ids=str)
def test_forms_of_an_index(opened, index):
    check(opened, (3, 4, 5), index)


@pytest.mark.parametrize("index", [True, 1.0, "0", [True], [[0]], ([0], [1]), (0, [1]), {0}, np.array([0, 1])], ids=str)
def test_what_no_basic_index_is_raises_index_error(opened, index):
    with pytest.raises(IndexError) as raised:
        opened.get_slice("(3, 4, 5)")[index]
    assert raised.value.reason == "BAD_SLICE"


def test_a_slice_moves_only_its_bytes(opened):
    before = opened.client.bytes_received
    opened.get_slice("(3, 4, 5)")[:, 1:3, ::2]
    assert opened.client.bytes_received - before == 3 * 2 * 3 * 4


@pytest.mark.parametrize("shard, rows", [
    (tensord.Shard(0, 2, allow_uneven=True), slice(0, 4)),
    (tensord.Shard(1, 2, allow_uneven=True), slice(4, 7)),
    (tensord.Shard(1, 2, multiple=3), slice(6, 7)),
    (tensord.Shard(2, 4, padded_size=8), slice(4, 6)),
    (tensord.Shard(3, 4, padded_size=16), slice(7, 7)),
])
def test_shards_are_rows_of_their_rank(opened, shard, rows):
    np.testing.assert_array_equal(opened.get_slice("(7,)")[shard], array_of((7,))[rows])


def test_a_shard_stands_beside_other_indices(opened):
    np.testing.assert_array_equal(opened.get_slice("(3, 4, 5)")[..., tensord.Shard(1, 2), 1:],
                                  array_of((3, 4, 5))[:, 2:4, 1:])


def test_an_uneven_shard_says_so(opened):
    with pytest.raises(ValueError) as raised:
        opened.get_slice("(7,)")[tensord.Shard(0, 2)]
    assert raised.value.reason == "UNEVEN_SHARD"




@LOTS
@given(data=st.data())
def test_any_index_reads_into_any_strided_memory(opened, data):
    """The result goes where it belongs, and between its elements nothing is written."""
    shape = data.draw(st.sampled_from(SHAPES))
    index = data.draw(basic_indices(shape, allow_newaxis=True, allow_ellipsis=True))
    index = ... if index is None else index  # None is no index for Read.
    want = np.asarray(array_of(shape)[index])
    steps = [data.draw(st.integers(1, 3)) for _ in want.shape]
    pads = [data.draw(st.integers(0, 2)) for _ in want.shape]
    order = data.draw(st.permutations(range(want.ndim)))
    extents = [pad + step * extent for extent, step, pad in zip(want.shape, steps, pads, strict=True)]
    memory = np.full([extents[axis] for axis in order], -7, np.int32).transpose(np.argsort(order))
    place = (*(slice(pad, None, step) for step, pad in zip(steps, pads, strict=True)), ...)  # Never a scalar.
    out = memory[place]
    assert out.shape == want.shape
    opened.client.read_many([tensord.Read(str(shape), index, out)], model="m")
    np.testing.assert_array_equal(out, want)
    assert np.count_nonzero(memory == -7) == memory.size - want.size
