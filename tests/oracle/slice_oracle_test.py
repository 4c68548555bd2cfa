"""Our slices are numpy's (slice_oracle.py says how)."""

import pytest

import slice_oracle


@pytest.mark.parametrize("seed", range(4))
def test_random_slices(seed):
    counts = slice_oracle.compare(seed, 15_000)
    assert counts["cases"] == 15_000
    for kind in ["text", "dims", "grid", "typo", "sub-byte"]:
        assert counts[f"{kind} OK"] > 200
        assert counts[f"{kind} BAD_SLICE"] > 50
    assert counts["grid UNEVEN_SHARD"] > 20
    assert counts["text INDEX_OUT_OF_BOUNDS"] > 50
