"""Write the generated parts of docs/reference/ from the code: `python -m tools.documents`.

A generated part stands between `<!-- NAME -->` and `<!-- end -->`. The text around it is written by hand.
"""

import re
from functools import cache
from pathlib import Path

from prometheus_client import CollectorRegistry
from pydantic import BaseModel

import streamscore
import streamscore.testing
import trainer
from streamscore.archive.metrics import ArchiveMetrics
from streamscore.monitoring.metrics import Metrics
from streamscore.settings.schema import described
from tools.document_commands import commands_reference
from tools.document_python import python_reference
from tools.document_records import records_tables
from trainer.metrics import TrainerMetrics
from trainer.settings import GateSettings, TeacherSettings, ThresholdSettings, TrainingSettings

PAGES = tuple(Path("docs/reference", f"{name}.md") for name in ("settings", "metrics", "records", "commands", "python"))


def settings_table() -> str:
    """Every setting with its default and meaning."""
    rows = (f"| `{key}` | {f'`{default}`' if default else ''} | {meaning} |" for key, default, meaning in described())
    return "\n".join(["| setting | default | meaning |", "|---|---|---|", *rows])


def metrics_table(registry: CollectorRegistry) -> str:
    """Every `streamscore_` metric on a registry, with its kind and help."""
    families = sorted(registry.collect(), key=lambda family: family.name)
    product = (family for family in families if family.name.startswith("streamscore_"))
    rows = (f"| `{f.name}{'_total' if f.type == 'counter' else ''}` | {f.type} | {f.documentation} |" for f in product)
    return "\n".join(["| metric | kind | meaning |", "|---|---|---|", *rows])


def training_table(settings: type[BaseModel], section: str = "") -> str:
    """Every training setting of a section with its default and meaning."""
    fields = {name: field for name, field in settings.model_fields.items() if field.description}
    defaults = {name: "" if field.default in (None, "") else f"`{field.default}`" for name, field in fields.items()}
    rows = (f"| `{section}{name}` | {defaults[name]} | {field.description} |" for name, field in fields.items())
    return "\n".join(["| setting | default | meaning |", "|---|---|---|", *rows])


@cache
def parts() -> dict[str, str]:
    """Each generated part by its name."""
    return {
        "settings": settings_table(),
        "metrics": metrics_table(Metrics().registry),
        "archive metrics": metrics_table(ArchiveMetrics().registry),
        "training": training_table(TrainingSettings),
        "teacher": training_table(TeacherSettings, "teacher."),
        "thresholds": training_table(ThresholdSettings, "thresholds."),
        "gates": training_table(GateSettings, "gates."),
        "training metrics": metrics_table(TrainerMetrics().registry),
        "streamscore commands": commands_reference("streamscore"),
        "trainer commands": commands_reference("trainer"),
        "python": python_reference(streamscore),
        "python testing": python_reference(streamscore.testing),
        "python trainer": python_reference(trainer),
        **records_tables(),
    }


def filled(text: str) -> str:
    """A page with its generated parts as the code says them."""

    def part(found: re.Match[str]) -> str:
        name = found[1]
        return f"<!-- {name} -->\n{parts()[name]}\n<!-- end -->" if name in parts() else found[0]

    return re.sub(r"<!-- ([\w ]+) -->\n.*?<!-- end -->", part, text, flags=re.DOTALL)


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(filled(page.read_text()))
