"""Turns the measurements of `make sizes` into tables; it measures nothing."""

from collections.abc import Callable, Mapping

from benchmarks.prices import Price
from benchmarks.size_costs import (
    COLD_SHARE,
    P95_LIMIT_MS,
    PEER,
    SIZES,
    STACKS,
    Sizes,
    Summary,
    decided,
    million_usd,
    mixed_million_usd,
    peak_memory,
    slowest_p95,
)
from benchmarks.subjects import LABELS, OURS
from tests.support.report import FIGURES, PERFORMANCE, table, write_section
from tests.support.workload import OPERATIONS, SHARES


def write(sizes: Sizes, prices: Mapping[str, Price]) -> None:
    """Write the table that decides and the tables of each operation."""
    write_section(PERFORMANCE, "sizes", performance_section(sizes, prices))
    write_section(FIGURES, "sizes", figures_section(sizes, prices))


def performance_section(sizes: Sizes, prices: Mapping[str, Price]) -> str:
    """Return the table that decides, and the decision."""
    chosen = decided(sizes, prices)
    rows = [
        (
            f"**{size:,}**" if size == chosen else f"{size:,}",
            f"{slowest_p95(sizes, size, OURS):,.0f}",
            f"{sizes.summaries[size, OURS, 'get'].cold_ms:,.0f}",
            f"{sizes.summaries[size, OURS, 'create'].cold_ms:,.0f}",
            f"{peak_memory(sizes, size):.0f}",
            f"{mixed_million_usd(sizes, size, OURS, prices):.3f}",
            f"{mixed_million_usd(sizes, size, PEER, prices):.3f}",
        )
        for size in SIZES
    ]
    heads = (
        "memory, MB",
        "warm p95 of the slowest operation, ms",
        "cold start of get, ms",
        "cold start of create, ms",
        "highest memory, MB",
        "USD for a million requests",
        "USD for a million, peer (a)",
    )
    decision = (
        f"The default of `memory_size` is **{chosen:,} MB**: the cheapest size with every p95"
        f" within {P95_LIMIT_MS} ms."
    )
    fitting = [size for size in SIZES if peak_memory(sizes, size) < size]
    memory = (
        f"The functions fit into {fitting[0]} MB and more: they took at most"
        f" {max(peak_memory(sizes, size) for size in SIZES):.0f} MB."
    )
    return f"{_conditions(sizes)}\n\n{table(heads, rows)}\n\n{decision}\n{memory}"


def figures_section(sizes: Sizes, prices: Mapping[str, Price]) -> str:
    """Return a table of each measure: one row for a stack and size, one column per operation."""
    measures: tuple[tuple[str, Callable[[int, Summary], str]], ...] = (
        ("Cold start, ms", lambda _, each: f"{each.cold_ms:,.0f}"),
        ("Warm latency, median, ms", lambda _, each: f"{each.p50_ms:.1f}"),
        ("Warm latency, 95th percentile, ms", lambda _, each: f"{each.p95_ms:.1f}"),
        ("Billed duration of a warm request, mean, ms", lambda _, each: f"{each.billed_ms:.1f}"),
        ("CPU time of a warm request, ms", lambda _, each: f"{each.cpu_ms:.2f}"),
        ("Peak memory, MB of 1,048,576 bytes", lambda _, each: f"{each.peak_memory_mb:.1f}"),
        (
            "USD for a million requests",
            lambda size, each: f"{million_usd(size, each, prices):.2f}",
        ),
    )
    parts = [_conditions(sizes)]
    for title, cell in measures:
        rows = [
            (
                f"{LABELS[stack]}, {size:,} MB",
                *(cell(size, sizes.summaries[size, stack, operation]) for operation in OPERATIONS),
            )
            for stack in STACKS
            for size in SIZES
        ]
        parts += [f"### {title}, by memory size", table(("", *OPERATIONS), rows)]
    parts.append(
        f"A list of 100 products of the largest size takes {sizes.largest_page_mb:.0f} MB."
    )
    return "\n\n".join(parts)


def _conditions(sizes: Sizes) -> str:
    mix = ", ".join(f"{share}% {operation}" for operation, share in SHARES.items())
    effect = ", so all times are too long" if sizes.load > sizes.cores else ""
    rounds = "1 round" if sizes.rounds == 1 else f"{sizes.rounds} rounds"
    return (
        f"{rounds}, with {sizes.requests} warm requests in each process."
        f" Python {sizes.python} on {sizes.machine}.\n"
        f"The load of the machine was {sizes.load:.1f} on {sizes.cores} cores{effect}.\n"
        f"A million requests are {mix}, and {COLD_SHARE:.0%} of them"
        "\nmeet a cold start."
    )
