"""Runs the benchmark and prints one table; started by run.sh, which builds and installs.

A round runs every measure of a group once, in turn; a round in which other processes took more than 0.35 core is dropped
and repeated, up to twice as many rounds as wanted. Ratios are of medians over the kept rounds. The spread of a row is how
far its middle 80% lie apart, relative to the median; where that of the group's raw row exceeds 20%, or too few rounds
were quiet, the verdict is INCONCLUSIVE. --quick takes the rounds as they come and marks its verdicts so; there only the raw
row's spread makes one INCONCLUSIVE.
"""
import argparse
import json
import os
import platform
import statistics
import sys
import time
from pathlib import Path

from rows import GROUPS, RATE
from workbench import ROOT, NotMeasured, OthersWatch, Workbench

ROUNDS, QUICK_ROUNDS = 9, 3
QUIET_CORES = 0.35
MAX_RAW_SPREAD = 0.20
QUICK_SECONDS = 130  # Below the 3 minutes that --quick promises; start-up, and the rounds that overrun a share, come on top.
WIDTHS = (62, 18, 18, 8, 8)


def main():
    options = arguments()
    machine = describe_machine()
    print_header(machine, options)
    results = []
    groups = [group for group in GROUPS if not options.only or any(word in group.name for word in options.only)]
    end = time.monotonic() + QUICK_SECONDS
    with Workbench(options.build, options.stores, options.quick) as workbench:
        for i, group in enumerate(groups):
            share = (end - time.monotonic()) / (len(groups) - i)
            report = run_group(workbench, group, options, share if options.quick else float("inf"))
            results.append(report)
            for row in report["rows"]:
                print_row(row)
            workbench.stop_servers()
    if options.json:
        options.json.write_text(json.dumps({"machine": machine, "quick": options.quick, "groups": results}, indent=1))
    print_summary(results)
    return 0


def arguments():
    parser = argparse.ArgumentParser(prog="run.sh", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, smaller sizes: ends within 3 minutes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round of every measure to FILE")
    parser.add_argument("--only", nargs="+", metavar="WORD", help="only groups whose name has one of these words")
    parser.add_argument("--rounds", type=int, help=f"rounds to keep; default {ROUNDS}, quick {QUICK_ROUNDS}")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "release", help=argparse.SUPPRESS)
    parser.add_argument("--stores", type=Path, default=ROOT / "build" / "bench" / "stores", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    return options


# ---- Measuring ----

def run_group(workbench, group, options, seconds):
    report = {"name": group.name, "rounds": [], "rows": []}
    reason = None
    try:
        report["rounds"] = run_rounds(workbench, group, options, seconds)
        report["memory"] = sample_memory(report["rounds"])
    except (NotMeasured, RuntimeError, FileNotFoundError) as error:
        reason = str(error).strip().replace("\n", " ")
    wanted = min(options.rounds, group.rounds or options.rounds)
    report["rows"] = [judge(row, group, report["rounds"], wanted, reason, options.quick) for row in group.rows]
    return report


def run_rounds(workbench, group, options, seconds):
    """All rounds, each with the cores that others took and whether it was kept; one at least, no more once `seconds` have
    passed."""
    begin = time.monotonic()
    wanted = min(options.rounds, group.rounds or options.rounds)
    attempts = wanted if options.quick else 2 * wanted
    rounds = []
    for _ in range(attempts):
        one = {"others_cores": 0.0, "load": os.getloadavg()[0], "results": {}}
        for name, measure in group.measures.items():
            watch = OthersWatch(workbench)
            one["results"][name] = measure(workbench)
            one["others_cores"] = max(one["others_cores"], watch.cores())
        one["kept"] = not group.timed or one["others_cores"] <= QUIET_CORES
        rounds.append(one)
        elapsed = time.monotonic() - begin
        no_time = elapsed * (1 + 1 / len(rounds)) > seconds
        if no_time or sum(each["kept"] for each in rounds) == wanted:
            break
    return rounds


def sample_memory(rounds):
    """The largest anonymous memory seen at the end of a run, by measure and side, in MiB."""
    memory = {}
    for one in rounds:
        for name, result in one["results"].items():
            for side in ("client_anon_bytes", "server_anon_bytes"):
                if side in result:
                    at = memory.setdefault(name, {})
                    at[side] = max(at.get(side, 0), result[side])
    return memory


# ---- Judging ----

def spread_of(values):
    """How far the middle 80% lie apart, relative to the median."""
    ordered = sorted(values)
    cut = round(len(ordered) / 10)
    middle = ordered[cut:len(ordered) - cut]
    return (middle[-1] - middle[0]) / statistics.median(ordered)


def judge(row, group, rounds, wanted, reason, quick):
    """What the table shows of a row. Rounds that were not kept count only where too few were, and in a quick run."""
    out = {"title": row.title, "goal": row.goal, "unit": row.figure.unit, "digits": row.figure.digits}
    if reason is not None:
        return out | {"verdict": "NOT MEASURED", "reason": reason}
    kept = [one for one in rounds if one["kept"]]
    used = kept if len(kept) >= wanted and not quick else rounds
    ours = [row.figure.of(one["results"][row.ours]) for one in used]
    value = out["ours"] = statistics.median(ours)
    out["rounds"], out["kept"], out["spread"] = len(rounds), len(kept), spread_of(ours)
    if row.yardstick:
        out["yardstick"] = statistics.median(row.figure.of(one["results"][row.yardstick]) for one in used)
        value = out["ratio"] = out["ours"] / out["yardstick"]
    doubts = []
    if group.raw:
        out["raw_spread"] = spread_of([RATE.of(one["results"][group.raw]) for one in used])
        if out["raw_spread"] > MAX_RAW_SPREAD:
            doubts.append(f"raw spreads {out['raw_spread']:.0%}")
    if group.timed and len(kept) < wanted and not quick:
        doubts.append(f"{len(kept)} of {len(rounds)} rounds were quiet, wanted {wanted}")
    return out | verdict(row.goal, value, doubts) | {"quick": quick}


def verdict(goal, value, doubts):
    if goal == "report":
        return {"verdict": "", "reason": "; ".join(doubts)}
    relation, wanted = goal.split()
    holds = value >= float(wanted) if relation == ">=" else value <= float(wanted)
    seen = "HOLDS" if holds else "MISSES"
    if doubts:
        return {"verdict": "INCONCLUSIVE", "seen": seen, "reason": "; ".join(doubts)}
    return {"verdict": seen, "reason": ""}


# ---- Showing ----

def describe_machine():
    model = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())
    versions = {"python": platform.python_version()}
    for name in ("pyarrow", "safetensors", "numpy"):
        try:
            versions[name] = __import__(name).__version__
        except ImportError:
            versions[name] = "absent"
    return {"cpu": model, "cores": os.cpu_count(), "kernel": platform.release(), "load": os.getloadavg(),
            "congestion": Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip(), "versions": versions,
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}


def print_header(machine, options):
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    print(f"{machine['cpu']}, {machine['cores']} cores, kernel {machine['kernel']}, load {machine['load'][0]:.2f}, "
          f"TCP {machine['congestion']}\n{versions}\n{options.rounds} rounds kept"
          f"{'; --quick figures are a first look, no proof' if options.quick else ''}\n")
    titles = ("row", "ours", "yardstick", "ratio", "goal")
    print("".join(f"{title:<{width}}" for title, width in zip(titles, WIDTHS)) + "verdict", flush=True)


def print_row(row):
    def figure(key):
        return f"{row[key]:.{row['digits']}f} {row['unit']}" if key in row else "-"
    ratio = f"{row['ratio']:.2f}" if "ratio" in row else "-"
    goal = "none" if row["goal"] == "report" else row["goal"]
    seen = f" (saw {row['seen']})" if "seen" in row else " (quick)" if row.get("quick") and row["verdict"] else ""
    why = f": {row['reason']}" if row["reason"] else ""
    cells = (row["title"], figure("ours"), figure("yardstick"), ratio, goal)
    print("".join(f"{cell:<{width}}" for cell, width in zip(cells, WIDTHS)) + row["verdict"] + seen + why, flush=True)


def print_summary(results):
    verdicts = [row["verdict"] for group in results for row in group["rows"] if row["verdict"]]
    print("\n" + ", ".join(f"{verdicts.count(kind)} {kind}" for kind in ("HOLDS", "MISSES", "INCONCLUSIVE", "NOT MEASURED")))
    print("\nBelow, a measure is named by its group (what --only takes) and who or what was measured.")
    print("Anonymous memory at the end of a run, MiB:")
    print(f"  {'group':<20}{'measure':<12}{'client':>8}{'server':>8}   (client: with its destination)")
    for group in results:
        for name, sides in group.get("memory", {}).items():
            if "client_anon_bytes" in sides:
                print(f"  {group['name']:<20}{name:<12}{sides['client_anon_bytes'] / 2**20:8.0f}"
                      f"{sides.get('server_anon_bytes', 0) / 2**20:8.1f}")
    print("\nCPU seconds per GB, medians over all rounds:")
    print(f"  {'group':<20}{'measure':<12}{'client':>8}{'server':>8}")
    for group in results:
        for name in dict.fromkeys(name for one in group["rounds"] for name in one["results"]):
            runs = [one["results"][name] for one in group["rounds"]]
            if all(run.get("bytes") and "client_cpu_s" in run for run in runs):
                client, server = (statistics.median(run[side] / run["bytes"] * 1e9 for run in runs)
                                  for side in ("client_cpu_s", "server_cpu_s"))
                print(f"  {group['name']:<20}{name:<12}{client:8.3f}{server:8.3f}")


if __name__ == "__main__":
    sys.exit(main())
