"""A measured figure and its bar, and how a list of them is written and shown."""

import json
import operator
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

COMPARISONS = {">=": operator.ge, "<=": operator.le, "==": operator.eq}


class Row(NamedTuple):
    """`bar` is such as ">= 0.45", or empty for a figure that is only stated."""

    name: str
    figure: float
    unit: str
    bar: str = ""

    @property
    def holds(self) -> bool:
        if not self.bar:
            return True
        comparison, value = self.bar.split()
        return bool(COMPARISONS[comparison](self.figure, float(value)))


def publish(rows: Sequence[Row], path: Path) -> int:
    """Write the rows as JSON, print them as a table; 1 when a bar does not hold, else 0."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = [row._asdict() | {"holds": row.holds} for row in rows]
    path.write_text(json.dumps(content, indent=1) + "\n")
    width = max(len(row.name) for row in rows)
    for row in rows:
        verdict = "" if not row.bar else "holds" if row.holds else "DOES NOT HOLD"
        print(f"{row.name:{width}}  {row.figure:>14,.4g} {row.unit:22} {row.bar:10} {verdict}".rstrip())
    return int(not all(row.holds for row in rows))
