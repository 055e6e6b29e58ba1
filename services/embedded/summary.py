"""What came of a finite run, for people and as JSON."""

from typing import NamedTuple

from services.embedded.meter import Account, Finish, Playing


class Summary(NamedTuple):
    """Counts are of everything that ClickHouse holds of the source, so a second run over the same says the same.

    `seconds` runs from the first change that this run read and kept to the moment when all was stored; it is None, and
    so is `changes_per_s`, where this run had nothing left to read.
    """

    source: str
    read: int
    dropped: dict[str, int]  # by reason
    dead_lettered: int
    stored: int
    duplicates: int
    late: int
    windows: int
    reverts: int
    reverts_with_name: int  # of these, those that name the reverted editor
    seconds: float | None
    changes_per_s: float | None
    peak_memory_mib: float  # of all processes together
    memory_measure: str  # PSS or RSS, sampled once a second


def summarise(
    source: str, account: Account, playing: Playing, finish: Finish, peak_memory: int, memory_measure: str
) -> Summary:
    """Put together what was counted; `account` is taken after the workers have ended, `peak_memory` is in bytes."""
    began = account.first_received.timestamp() if account.first_received else None
    seconds = finish.at - began if began is not None else None
    empty = {"empty_lines": playing.empty_lines} if playing.empty_lines else {}
    return Summary(
        source=source,
        read=account.read,
        dropped={**account.dropped, **empty},
        dead_lettered=account.dead_letters,
        stored=account.stored,
        duplicates=account.duplicates,
        late=account.late,
        windows=account.windows,
        reverts=account.reverts,
        reverts_with_name=account.reverts_with_name,
        seconds=round(seconds, 3) if seconds is not None else None,
        changes_per_s=round(account.read / seconds, 1) if seconds else None,
        peak_memory_mib=round(peak_memory / 2**20, 1),
        memory_measure=memory_measure,
    )


def summary_text(summary: Summary) -> str:
    """The summary for people."""
    dropped = ", ".join(f"{count:,} {reason}" for reason, count in sorted(summary.dropped.items()))
    lines = [
        f"read            {summary.read:>10,}",
        f"dropped         {sum(summary.dropped.values()):>10,}" + (f"  ({dropped})" if dropped else ""),
        f"dead-lettered   {summary.dead_lettered:>10,}",
        f"stored          {summary.stored:>10,}  ({summary.late:,} late)",
        f"duplicates      {summary.duplicates:>10,}",
        f"windows         {summary.windows:>10,}",
        f"reverts         {summary.reverts:>10,}  ({summary.reverts_with_name:,} name the reverted editor)",
    ]
    if summary.seconds is not None:
        lines.append(f"seconds         {summary.seconds:>10,.1f}  ({summary.changes_per_s:,.0f} changes/s)")
    else:
        lines.append("seconds                  –  (there was nothing left to read)")
    lines.append(f"peak memory     {summary.peak_memory_mib:>10,.0f}  MiB ({summary.memory_measure} of all processes)")
    return "\n".join(lines)
