#!/usr/bin/env python3
"""Draws curves.png and lambda.png from the CSV files beside it. Needs matplotlib."""
import csv
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402 (the backend comes first)

HERE = Path(__file__).parent
ROUTERS = ["router20_quality", "router20_fast", "router50_quality", "router50_fast"]


def read(name):
    """Columns of a CSV file by name."""
    with open(HERE / "curves" / name, newline="") as file:
        rows = list(csv.DictReader(file))
    return {key: [float(row[key]) for row in rows] for key in rows[0]}


def curves():
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(15, 4))
    dit = read("dit.csv")
    left.plot(dit["step"], dit["mse"], label="noise prediction (mean square)")
    left.plot(dit["step"], dit["vb"], label="variational term (bits)")
    left.set(title="DiT", xlabel="step", yscale="log")
    for name in ROUTERS:
        router = read(f"{name}.csv")
        middle.plot(router["step"], router["mse"], label=name)
        right.plot(router["step"], router["ideal_speedup"], label=name)
    middle.set(title="routers: mean square to the full pass", xlabel="iteration", yscale="log")
    right.set(title="routers: ideal speed-up at threshold 0.1", xlabel="iteration")
    for axes in (left, middle, right):
        axes.legend()
        axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(HERE / "curves.png", dpi=80)


def sweep():
    points = read("lambda.csv")
    figure, axes = plt.subplots(figsize=(7, 4))
    axes.plot(points["lambda"], points["branches_on"], "o-")
    for x, y, speedup in zip(points["lambda"], points["branches_on"], points["ideal_speedup"]):
        axes.annotate(f"{speedup:.2f}×", (x, y), textcoords="offset points", xytext=(6, 6))
    axes.set(title="20 steps: branches computed at the cache steps (of 160), ideal speed-up", xlabel="λ",
             ylabel="branches on", xscale="log", ylim=(0, 170))
    axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(HERE / "lambda.png", dpi=80)


curves()
sweep()
