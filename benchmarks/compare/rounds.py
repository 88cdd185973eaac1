"""Contenders in turn, and what the rounds say. Standard library only."""

import statistics
from dataclasses import dataclass, field


@dataclass
class Series:
    """One contender's rounds: seconds a forward (or a run), CPU and wall clock."""

    cpu: list = field(default_factory=list)
    wall: list = field(default_factory=list)


def order(contenders, index):
    """Each round begins with the next one, and every second goes backwards: what a contender leaves in the caches
    serves none more than others."""
    shift = index % len(contenders)
    forwards = contenders[shift:] + contenders[:shift]
    return forwards if index % 2 == 0 else forwards[:1] + forwards[:0:-1]


def alternate(contenders, rounds, on_round=None):
    """{name: Series}: each round measures every contender once, each round in another order."""
    series = {contender.name: Series() for contender in contenders}
    for index in range(rounds):
        for contender in order(contenders, index):
            cpu, wall = contender.measure()
            series[contender.name].cpu.append(cpu)
            series[contender.name].wall.append(wall)
        if on_round:
            on_round(index)
    return series


def summary(values):
    """Median and quartiles."""
    low, _, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return {"median": statistics.median(values), "low": low, "high": high}


def ratios(numerator, denominator):
    """Round by round, so that what slows a whole round down cancels."""
    return [a / b for a, b in zip(numerator, denominator, strict=True)]
