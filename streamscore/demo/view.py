"""What the demo shows in the terminal: a live page, or plain lines for scripts and logs."""

import sys
import time
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from streamscore.demo.ledger import Books

PLAIN_SECONDS = 2.0
SAID = 6  # sentences of the start that stay on the page
COLOURS = {"approve": "green", "review": "yellow", "refer": "yellow", "decline": "red"}


class View:
    """Everything goes to standard error: standard output is kept for the last line."""

    def __init__(self, plain: bool) -> None:
        self._console = Console(stderr=True)
        self._plain = plain or not self._console.is_terminal
        self._live = None if self._plain else Live(console=self._console, auto_refresh=False, screen=False)
        self._said: list[str] = []
        self._next_line = 0.0
        self._last: tuple[float, int] | None = None
        self._rate = 0.0
        self.metrics = ""

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        if self._live:
            self._live.stop()

    def say(self, sentence: str) -> None:
        """A step of the start."""
        self._said = [*self._said, sentence][-SAID:]
        if self._live:
            self._live.update(Panel("\n".join(self._said), title="StreamScore demo"), refresh=True)
        else:
            print(sentence, file=sys.stderr, flush=True)

    def show(self, ledger: Books) -> None:
        """How the stream stands."""
        self._measure(ledger)
        if self._live:
            self._live.update(self._page(ledger), refresh=True)
        elif time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + PLAIN_SECONDS
            print(self._line(ledger), file=sys.stderr, flush=True)

    def _measure(self, ledger: Books) -> None:
        """Events a second over the last two seconds or so."""
        now, count = time.monotonic(), ledger.counts["scored"] + ledger.counts["dead_letters"]
        if self._last is None or now - self._last[0] > 1.0:
            if self._last is not None:
                self._rate = (count - self._last[1]) / (now - self._last[0])
            self._last = (now, count)

    def _line(self, ledger: Books) -> str:
        counts = "  ".join(f"{name} {count:,}" for name, count in ledger.counts.items() if count)
        ages = f"age p50 {ledger.age_ms(0.5)} ms, p99 {ledger.age_ms(0.99)} ms"
        last = f"  latest alert: {_words(ledger.alerts[-1])}" if ledger.alerts else ""
        return f"{self._rate:,.0f} events/s  {ages}  {counts}{last}"

    def _page(self, ledger: Books) -> Group:
        return Group(
            Panel(self._figures(ledger), title="StreamScore demo", subtitle="Ctrl-C ends it"),
            Panel(_alerts(ledger), title="latest alerts"),
            Text(f"models {' · '.join(f'{k} {v}' for k, v in ledger.models.items())}\nmetrics {self.metrics}", "dim"),
        )

    def _figures(self, ledger: Books) -> Table:
        grid = Table.grid(padding=(0, 3))
        counts = ledger.counts
        grid.add_row(
            f"[bold]{self._rate:,.0f}[/] events/s",
            f"age p50 [bold]{ledger.age_ms(0.5)}[/] ms",
            f"p99 [bold]{ledger.age_ms(0.99)}[/] ms",
        )
        decisions = (f"[{COLOURS[name]}]{name}[/] {count:,}" for name, count in ledger.decisions.most_common())
        grid.add_row(*decisions)
        grid.add_row(
            f"sent {counts['sent']:,}",
            f"scored {counts['scored']:,}",
            f"dead letters {counts['dead_letters']:,}",
            f"duplicates {counts['duplicates']:,}",
        )
        return grid


def _alerts(ledger: Books) -> Table:
    table = Table.grid(padding=(0, 2))
    for alert in reversed(list(ledger.alerts)):
        colour = COLOURS.get(alert["decision"], "white")
        who = " ".join(str(value) for value in alert["entities"].values())
        risk = f"{alert['risk']:.3f}"
        table.add_row(Text(alert["severity"], colour), Text(risk, "bold"), Text(who), Text(_reasons(alert)))
    return table


def _reasons(alert: dict[str, Any]) -> str:
    return "; ".join(reason["text"] for reason in alert["reasons"])


def _words(alert: dict[str, Any]) -> str:
    return f"{alert['event_type']} {alert['decision']} at {alert['risk']:.3f}: {_reasons(alert)}"
