"""Tables and plots of a benchmark's results."""

import os
import statistics
import sys

from targets import GROWTH_BOUND, GROWTH_SUFFIX, TARGETS, ratio

# Rows that share a plot, and its title. A logarithmic axis where the subjects are orders of magnitude apart.
PLOTS = [
    ("stream", ["stream"], "One stream of 4 GiB (MB/s)", False),
    ("frames-64", ["frames-64"], "Frames of 64 bytes, one way (frames/s)", True),
    ("frames-1k", ["frames-1k"], "Frames of 1 KiB, one way (frames/s)", True),
    ("frames-32k", ["frames-32k"], "Frames of 32 KiB, one way (MB/s)", False),
    ("ping", ["ping"], "64 bytes there and back, median (microseconds)", False),
    ("open-close", ["open-close", "open-close-64"], "Channels opened and closed (a second)", True),
    ("connect", ["connect", "connect-4"], "Connect, exchange keys, authenticate, disconnect (a second)", True),
    ("memory", ["idle-channels", "idle-connections"], "Memory of an idle channel, an idle connection, a side (KiB)", True),
    ("ping-beside-bulk", ["ping-beside-bulk"], "A ping beside a saturating channel, median (microseconds)", True),
    ("gateway", ["gateway"], "A plain TCP stream through two processes (MB/s)", False),
    ("gateway-connect", ["gateway-connect"], "New connections through a gateway (a second)", True),
    ("http", ["http-1k-keepalive", "http-1k-new"], "HTTP requests of 1 KiB (a second)", True),
    ("http-single", ["http-1k-single"], "One HTTP request of 1 KiB at a time, median (microseconds)", False),
    ("http-1m", ["http-1m-keepalive"], "HTTP requests of 1 MiB (a second)", False),
    ("inproc-64", ["inproc-64"], "In process, 64 bytes (M/s)", True),
    ("inproc", ["inproc-4k", "inproc-64k"], "In process, 4 KiB and 64 KiB (GB/s)", True),
    ("delay", ["delay-100ms"], "One channel over a round trip of 100 ms (MB/s)", False),
]
COLOURS = {"ours": "#0b6e4f", "limit": "#888888", "tcp": "#bbbbbb"}
RIVAL_COLOUR = "#c8553d"


def values(result, field="value"):
    return [run[field] for run in result["runs"] if field in run] if result else []


def median(result, field="value"):
    found = values(result, field)
    return statistics.median(found) if found else None


def find(results, row, subject, variant):
    return next((r for r in results if (r["row"], r["subject"], r["variant"]) == (row, subject, variant)), None)


def limit_of(results, result):
    """The yardstick of the same variant, else the first one with the same kind of cipher."""
    if result["subject"] == "limit":
        return None
    variant = result["variant"].removesuffix(GROWTH_SUFFIX)
    limits = [r for r in results if r["row"] == result["row"] and r["subject"] == "limit" and r["runs"]]
    same_kind = [r for r in limits if r["variant"].endswith("-fast") == variant.endswith("-fast")]
    return next((r for r in limits if r["variant"] == variant), same_kind[0] if same_kind else None)


def number(value):
    if value is None:
        return ""
    if value >= 1e6:
        return f"{value / 1e6:.2f} M"
    return f"{value:.0f}" if value >= 1000 else f"{value:.4g}"


# ---------------------------------------------------------------- tables

def print_table(head, lines, markdown):
    if markdown:
        print("| " + " | ".join(head) + " |")
        print("|" + "---|" * len(head))
        for line in lines:
            print("| " + " | ".join(line) + " |")
        return
    widths = [max(len(line[i]) for line in [head, *lines]) for i in range(len(head))]
    for line in [head, *lines]:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())


def line_of(results, result):
    if not result["runs"]:
        why = result.get("skipped") or "failed: " + result.get("failed", "not measured")
        return [result["subject"], result["variant"], "-", "", "", "", why.splitlines()[0][:70]]
    found, limit = values(result), limit_of(results, result)
    to_limit = f"{ratio(found, values(limit)):.2f}" if limit else ""
    more = [f"bulk {number(median(result, 'bulk_mb_s'))} MB/s"] if values(result, "bulk_mb_s") else []
    if result["unit"] != "us" and values(result, "p50_us"):
        more.append(f"p50 {number(median(result, 'p50_us'))} us")
    if values(result, "p99_us"):
        more.append(f"p99 {number(median(result, 'p99_us'))} us")
    if result["unit"] == "MB/s" and values(result, "cpu_s_per_gb"):
        more.append(f"{median(result, 'cpu_s_per_gb'):.2f} CPU-s/GB")
    return [result["subject"], result["variant"], number(median(result)), number(min(found)), number(max(found)), to_limit,
            ", ".join(more)]


def show_targets(results, markdown):
    lines = []
    for target in TARGETS:
        ours = values(find(results, target.row, "ours", target.variant), target.field)
        theirs = values(find(results, target.row, *target.against), target.field) if target.against else None
        figure = target.figure(ours, theirs)
        if figure is not None:
            lines.append([target.row, target.variant, target.words(), number(figure), "yes" if target.is_reached(figure) else "NO"])
    for grown in (r for r in results if r["variant"].endswith(GROWTH_SUFFIX) and r["runs"]):
        alone = values(find(results, grown["row"], "ours", grown["variant"].removesuffix(GROWTH_SUFFIX)))
        if alone:
            kept = ratio(values(grown), alone) if grown["higher_is_better"] else ratio(alone, values(grown))
            lines.append([grown["row"], grown["variant"], f">= {GROWTH_BOUND} of that without idle ones", number(kept),
                          "yes" if kept >= GROWTH_BOUND else "NO"])
    if lines:
        print("\n### To reach\n" if markdown else "\nto reach")
        print_table(["row", "ours", "target", "is", "reached"], lines, markdown)


def show(everything, markdown):
    machine, results = everything["machine"], everything["results"]
    print(f"{everything['date']}, {machine['cpu']}, {machine['cores']} cores, {machine['kernel']}, "
          f"congestion control {machine['congestion_control']}, {machine['libcrypto']}, AES-GCM by {machine['aes_gcm']}; "
          f"{everything['rounds']} rounds, medians, and medians of the rounds' ratios" + (f", {everything['scale']:g} of the work" if everything["scale"] != 1 else ""))
    for row in dict.fromkeys(r["row"] for r in results):
        of_row = [r for r in results if r["row"] == row]
        print(f"\n### {row} ({of_row[0]['unit']})\n" if markdown else f"\n{row} ({of_row[0]['unit']})")
        print_table(["subject", "variant", "median", "min", "max", "x limit", ""], [line_of(results, r) for r in of_row], markdown)
    show_targets(results, markdown)


# ---------------------------------------------------------------- plots

def draw(pyplot, title, results, is_logarithmic, path):
    labels = [f"{r['subject']} {r['variant']}" for r in results]
    if len({r["row"] for r in results}) > 1:
        labels = [f"{r['row']}: {label}" for r, label in zip(results, labels)]
    middles = [median(r) for r in results]
    spread = [[m - min(values(r)) for m, r in zip(middles, results)], [max(values(r)) - m for m, r in zip(middles, results)]]
    figure, axes = pyplot.subplots(figsize=(9, 0.9 + 0.32 * len(results)))
    axes.barh(labels, middles, xerr=spread, color=[COLOURS.get(r["subject"], RIVAL_COLOUR) for r in results],
              height=0.7, error_kw={"ecolor": "#333333", "elinewidth": 1, "capsize": 2})
    if is_logarithmic:
        axes.set_xscale("log")
    axes.invert_yaxis()
    axes.set_title(title + (", less is better" if not results[0]["higher_is_better"] else ""), loc="left", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    for at, middle in enumerate(middles):
        axes.annotate(" " + number(middle), (middle + spread[1][at], at), va="center", fontsize=8)
    axes.margins(x=0.12, y=0.02)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def plot(everything, folder):
    """An SVG for each plot with something in it."""
    try:
        import matplotlib
    except ImportError:
        print("no plots: install python3-matplotlib", file=sys.stderr)
        return
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "streamkit"  # the same results give the same file
    matplotlib.rcParams["svg.fonttype"] = "none"
    from matplotlib import pyplot

    drawn = []
    for name, rows, title, is_logarithmic in PLOTS:
        results = [r for r in everything["results"] if r["row"] in rows and r["runs"]]
        if results:
            path = folder / f"{name}.svg"
            draw(pyplot, title, results, is_logarithmic, path)
            # matplotlib leaves blanks at ends of lines
            path.write_text("\n".join(line.rstrip() for line in path.read_text(encoding="utf-8").splitlines()) + "\n",
                            encoding="utf-8")
            drawn.append(path.name)
    print(f"plots: {len(drawn)} in {os.path.relpath(folder)}", file=sys.stderr)
