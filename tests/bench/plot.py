"""Draws what scale.py measured: one SVG a series.

usage: plot.py SCALE.json DIRECTORY
"""
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "tensord"  # The same figures make the same file.
from matplotlib import pyplot  # noqa: E402

LINEAR = {"cores"}


def draw(series, subtitle, path):
    figure, axes = pyplot.subplots(figsize=(6.4, 4.0), layout="constrained")
    x = [point["x"] for point in series["points"]]
    axes.plot(x, [point[series["y"]] for point in series["points"]], "o-", color="tab:blue")
    axes.set(title=f"Cost by {series['name']}", xlabel=f"{series['x']}\n{subtitle}", ylabel=series["y"], ylim=(0, None))
    if series["name"] not in LINEAR:
        axes.set_xscale("symlog" if 0 in x else "log", base=2)
    if series["y"] in ("us", "us each", "ms to ready"):
        axes.set_yscale("log")
    memory = [point.get("server MiB") for point in series["points"]]
    if None not in memory:
        right = axes.twinx()
        right.plot(x, memory, "s--", color="tab:orange")
        right.set(ylabel="server's anonymous memory, MiB", ylim=(0, None))
    axes.grid(alpha=0.3)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    measured, directory = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    directory.mkdir(parents=True, exist_ok=True)
    for each in measured["series"]:
        if each["points"]:
            name = each["name"].replace(" ", "_") + ".svg"
            draw(each, f"{measured['cores']} cores, kernel {measured['kernel']}", directory / name)
            print(directory / name)
