"""The parts of the documentation that the code itself says: `python -m tools.documents` writes them anew."""

import re
from pathlib import Path

from prometheus_client import CollectorRegistry
from pydantic import BaseModel

from streamscore.archive.metrics import ArchiveMetrics
from streamscore.monitoring.metrics import Metrics
from streamscore.settings.schema import described
from trainer.metrics import TrainerMetrics
from trainer.settings import GateSettings, TeacherSettings, ThresholdSettings, TrainingSettings

PAGES = tuple(Path("docs/reference", f"{name}.md") for name in ("settings", "metrics"))


def settings_table() -> str:
    """Every setting with its default and meaning."""
    rows = (f"| `{key}` | {f'`{default}`' if default else ''} | {meaning} |" for key, default, meaning in described())
    return "\n".join(["| setting | default | |", "|---|---|---|", *rows])


def metrics_table(registry: CollectorRegistry) -> str:
    """Every metric of ours on a registry, with its kind and help."""
    families = sorted(registry.collect(), key=lambda family: family.name)
    ours = (family for family in families if family.name.startswith("streamscore_"))
    rows = (f"| `{f.name}{'_total' if f.type == 'counter' else ''}` | {f.type} | {f.documentation} |" for f in ours)
    return "\n".join(["| metric | kind | |", "|---|---|---|", *rows])


def training_table(settings: type[BaseModel], section: str = "") -> str:
    """Every training setting of a section with its default and meaning."""
    told = {name: field for name, field in settings.model_fields.items() if field.description}
    defaults = {name: "" if field.default in (None, "") else f"`{field.default}`" for name, field in told.items()}
    rows = (f"| `{section}{name}` | {defaults[name]} | {field.description} |" for name, field in told.items())
    return "\n".join(["| setting | default | |", "|---|---|---|", *rows])


def filled(text: str) -> str:
    """A page with its generated parts as the code says them."""
    tables = {
        "settings": settings_table(),
        "metrics": metrics_table(Metrics().registry),
        "archive metrics": metrics_table(ArchiveMetrics().registry),
        "training": training_table(TrainingSettings),
        "teacher": training_table(TeacherSettings, "teacher."),
        "thresholds": training_table(ThresholdSettings, "thresholds."),
        "gates": training_table(GateSettings, "gates."),
        "training metrics": metrics_table(TrainerMetrics().registry),
    }
    for name, table in tables.items():
        pattern = rf"<!-- {name} -->\n.*?<!-- end -->"
        text = re.sub(pattern, lambda _: f"<!-- {name} -->\n{table}\n<!-- end -->", text, flags=re.DOTALL)  # noqa: B023
    return text


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(filled(page.read_text()))
