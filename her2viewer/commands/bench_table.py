"""Figures of ``her2viewer bench`` for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def show(console: Console, figures: dict[str, Any]) -> None:
    """Print all tables."""
    machine, slide = figures["machine"], figures["slide"]
    memory = "" if machine["memory_gb"] is None else f", {machine['memory_gb']:.0f} GB"
    console.print(f"{machine['processor']}, {machine['cores']} cores{memory}; {machine['system']}", markup=False)
    console.print(f"her2viewer {machine['her2viewer']}, Python {machine['python']}, Qt {machine['qt']}", markup=False)
    levels = ", ".join(f"{d:g}" for d in slide["downsamples"])
    width, height = figures["view"]
    console.print(
        f"{slide['name']}: {slide['format']}, {slide['width']:,} x {slide['height']:,} px, levels {levels}; "
        f"view of {width} x {height} px\n",
        markup=False,
    )
    for table in (
        _decode(figures["decode"]),
        _sharp(figures),
        _pan(figures),
        _frames(figures["frames"]),
        _answers(figures),
    ):
        console.print(table)
        console.print()
    console.print(_memory(figures["memory"]), markup=False)
    console.print(f"It took {figures['seconds']:.0f} s.")


def _table(title: str, *columns: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i == 0 else "right")
    return table


def _decode(rates: dict[str, Any]) -> Table:
    raw = rates["raw_decoder"] or "none"
    title = f"Tiles of {rates['tile'][0]} x {rates['tile'][1]} px from file to memory, Mpx/s (raw decoder: {raw})"
    table = _table(title, "threads", "raw decoder", "this reader", "OpenSlide", "of raw", "times OpenSlide")
    for threads, row in rates["threads"].items():
        table.add_row(
            threads,
            _number(row["raw"], "{:.0f}"),
            _number(row["reader"], "{:.0f}"),
            _number(row["openslide"], "{:.0f}"),
            _number(row["of_raw"], "{:.0%}"),
            _number(row["of_openslide"], "{:.1f}"),
        )
    return table


def _sharp(figures: dict[str, Any]) -> Table:
    table = _table("From a cold cache to sharp, ms", "", "median", "p99", "times decoding alone", "on all cores")
    first = figures["first_view"]
    for name, key in (("open the file", "open"), ("show the whole slide", "show"), ("both: first view", "together")):
        table.add_row(name, _ms(first[key], "median_ms"), _ms(first[key], "p99_ms"), "", "")
    for jump in figures["jumps"]:
        blank = f" ({jump['blank']} blank at first)" if jump["blank"] else ""
        table.add_row(
            f"jump at {jump['zoom']}{blank}",
            _ms(jump, "median_ms"),
            _ms(jump, "p99_ms"),
            f"{jump['of_decoding']:.1f}",
            f"{jump['of_decoding_all_cores']:.1f}",
        )
    return table


def _pan(figures: dict[str, Any]) -> Table:
    table = _table("Panning at 1:1 over new tissue, 60 steps a second", "", "alone", "while all cores are busy")
    both = (figures["pan"], figures["pan_while_busy"])
    rows = {
        "seconds": [f"{p['seconds']:.1f}" for p in both],
        "frame, median ms": [_ms(p["cost"], "median_ms") for p in both],
        "frame, p99 ms": [_ms(p["cost"], "p99_ms") for p in both],
        "worst frame, ms": [_ms(p["cost"], "worst_ms") for p in both],
        "input to frame, median ms": [_ms(p["input_to_frame"], "median_ms") for p in both],
        "input to frame, p99 ms": [_ms(p["input_to_frame"], "p99_ms") for p in both],
        "frames over 16 ms": [f"{p['over_16_ms']} of {p['frames']}" for p in both],
        "steps shown over two frames late": [str(p["late"]) for p in both],
        "frames wholly sharp": [f"{p['sharp_percent']:.0f} %" for p in both],
    }
    for name, values in rows.items():
        table.add_row(name, *values)
    return table


def _frames(frames: list[dict[str, Any]]) -> Table:
    table = _table(
        "Frames of tiles at hand", "", "median ms", "p99 ms", "blit ms", "blit p99 ms", "of a blit", "p99 of a blit"
    )
    for row in frames:
        answer = row.get("input_to_frame")
        more = f" (input to frame {_ms(answer, 'median_ms')}, p99 {_ms(answer, 'p99_ms')} ms)" if answer else ""
        table.add_row(
            row["what"] + more,
            f"{row['median_ms']:.2f}",
            f"{row['p99_ms']:.2f}",
            f"{row['blit_ms']:.2f}",
            f"{row['blit_p99_ms']:.2f}",
            f"{row['of_blit']:.2f}",
            f"{row['p99_of_blit']:.2f}",
        )
    return table


def _answers(figures: dict[str, Any]) -> Table:
    table = _table(
        "Words under the cursor, and shares while a region is edited", "", "median ms", "p99 ms", "worst ms"
    )
    for row in figures["readout"]:
        values = (f"{row[key]:.3f}" for key in ("median_ms", "p99_ms", "worst_ms"))
        table.add_row(f"words on a point: {row['what']}", *values)
    for row in figures["shares"]:
        table.add_row(row["what"], *(_ms(row, key) for key in ("median_ms", "p99_ms", "worst_ms")))
    return table


def _memory(memory: dict[str, Any]) -> str:
    before, after, peak = (_number(memory[k], "{:.0f}") for k in ("before_mb", "after_panning_mb", "peak_mb"))
    return f"Memory of the process: {before} MiB before, {after} MiB after panning, {peak} MiB at most (with cells)."


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)


def _ms(figures: dict[str, float], key: str) -> str:
    return f"{figures[key]:.1f}"
