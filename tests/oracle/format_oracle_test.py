"""Our verdicts on safetensors files are the reference implementation's (format_oracle.py says how)."""

import pytest

import format_oracle


def test_hand_made_files():
    counts = format_oracle.compare_hand_made()
    assert counts["cases"] > 600
    for variant in ["OK", "policy: entry as array", *format_oracle.SENTENCES.values()]:
        assert counts[variant] > 0, f"no case of {variant}"


@pytest.mark.parametrize("seed", range(4))
def test_random_files(seed):
    counts = format_oracle.compare_random(seed, 5000)
    assert counts["cases"] == 5000
    assert counts["OK"] > 500
