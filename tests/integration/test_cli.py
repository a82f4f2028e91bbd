"""The commands as one types them: what they say, what they leave behind, and their exit codes."""

import json
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import click
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from confluent_kafka.admin import AdminClient

from streamscore.cli.main import cli
from streamscore.core.events.transaction import TRANSACTION
from streamscore.models.store import ModelStore
from streamscore.simulator import streams as simulator
from tests.integration.conftest import published
from tests.support import forked
from tests.support.apache_kafka.cluster import free_ports
from tests.support.apache_kafka.endpoint import Endpoint
from tests.support.running import START, Books, environment, road, until, worker
from tests.support.trained import microseconds, write_table
from trainer.cli.main import cli as trainer_cli

ROWS = 600

Done = subprocess.CompletedProcess[str]


def run(*arguments: object, code: int = 0, program: str = "streamscore", env: Mapping[str, str] = {}) -> Done:
    """Run a command, which must end with the code, within a folder that has the examples."""
    done = forked.run(program, arguments, environment() | dict(env))
    assert done.returncode == code, done.stdout + done.stderr
    return done


def given(**settings: object) -> list[str]:
    """Settings as flags; `kafka__group` is `kafka.group`."""
    return [part for key, value in settings.items() for part in ("--set", f"{key.replace('__', '.')}={value}")]


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command of a group and of the groups in it."""
    yield path
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name)


@pytest.mark.parametrize("path", list(commands(cli)), ids=" ".join)
def test_every_command_has_help(path: tuple[str, ...]) -> None:
    """`-h` and `--help` explain each command in a sentence."""
    short, long = (CliRunner().invoke(cli, [*path, flag]) for flag in ("-h", "--help"))
    assert short.exit_code == long.exit_code == 0
    assert short.output == long.output
    usage, _, rest = long.output.partition("\n\n")
    assert usage.startswith("Usage: ")
    assert rest.strip()[0].isupper()


@pytest.mark.parametrize("path", list(commands(trainer_cli)), ids=" ".join)
def test_every_command_of_the_trainer_has_help(path: tuple[str, ...]) -> None:
    """`--help` explains each command of the trainer."""
    answer = CliRunner().invoke(trainer_cli, [*path, "--help"])
    assert answer.exit_code == 0
    assert "Usage: " in answer.output


def test_a_misspelt_setting_is_refused() -> None:
    """An unknown key ends with 3, and the words name the one that was probably meant."""
    said = run("worker", *given(kafka__boostrap="localhost:9092"), code=3).stderr
    assert "there is no setting kafka.boostrap; did you mean kafka.bootstrap?" in said
    assert "Traceback" not in said


def test_config_show_masks_secrets_and_tells_origins(tmp_path: Path) -> None:
    """Each setting stands with its value and where that came from; a password stands nowhere."""
    file = tmp_path / "risk.yaml"
    file.write_text(
        "kafka: {group: risk, options: {sasl.password: hunter2, sasl.username: me}}\nbatch: {max_events: 9}"
    )
    env = {"STREAMSCORE_BATCH__MAX_EVENTS": "512", "STREAMSCORE_KAFKA__OPTIONS__SSL_KEY_PASSWORD": "hunter2"}
    done = run("config", "show", "--config", file, *given(http__port=1234), env=env)
    shown = [line.split() for line in done.stdout.splitlines()]
    assert ["kafka.group", "risk", f"({file})"] in shown
    assert ["batch.max_events", "512", "(STREAMSCORE_BATCH__MAX_EVENTS)"] in shown
    assert ["http.port", "1234", "(--set", "http.port)"] in shown
    assert ["batch.max_age_ms", "20.0", "(default)"] in shown
    assert ["kafka.options.sasl.username", "me", f"({file})"] in shown
    assert ["kafka.options.sasl.password", "********", f"({file})"] in shown
    secret = ["kafka.options.ssl.key.password", "********", "(STREAMSCORE_KAFKA__OPTIONS__SSL_KEY_PASSWORD)"]
    assert secret in shown
    assert "hunter2" not in done.stdout + done.stderr


def test_check_says_everything_that_is_wrong(tmp_path: Path) -> None:
    """A broken setup ends with 1, and each thing that is wrong has its line."""
    settings = given(
        kafka__bootstrap=f"127.0.0.1:{free_ports(1)[0]}",
        inputs="{payments: transactoin, credits: application}",
        models__store=tmp_path,
    )
    lines = run("check", *settings, code=1).stdout.splitlines()
    failed = [line for line in lines if line.startswith("FAIL  ")]
    assert [line for line in lines if line.startswith("ok")] == ["ok    settings", "ok    event type application"]
    assert failed[0].startswith("FAIL  broker 127.0.0.1:")
    assert failed[0].endswith("topics and group were not looked at")
    assert "did you mean transaction?" in failed[1]
    assert "no champion for application" in failed[2]


@pytest.mark.kafka
def test_check_and_create_topics(kafka: Endpoint, store: Path) -> None:
    """`topics create` makes what is missing and leaves the rest, and then everything is well."""
    names = {key: f"{key}-{uuid.uuid4().hex}" for key in ("payments", "scores", "alerts", "dead_letters")}
    outputs = {f"outputs__{key}": name for key, name in names.items() if key != "payments"}
    inputs = f"{{{names['payments']}: transaction}}"
    settings = given(kafka__bootstrap=kafka.bootstrap, inputs=inputs, models__store=store, **outputs)
    for word, partitions in (("created", 3), ("exists", 5)):
        said = run("topics", "create", "--partitions", partitions, *settings).stdout
        assert sorted(map(str.split, said.splitlines())) == sorted([word, name] for name in names.values())
    topics = AdminClient({"bootstrap.servers": kafka.bootstrap}).list_topics(timeout=10).topics
    assert {len(topics[name].partitions) for name in names.values()} == {3}
    # In this process, which has the backend already: another takes ten seconds to start.
    refused, well = (
        CliRunner().invoke(cli, ["check", *settings, *told]) for told in ((), given(kafka__start_from="earliest"))
    )
    assert (refused.exit_code, well.exit_code) == (1, 0)
    (untold,) = [line for line in refused.stdout.splitlines() if line.startswith("FAIL")]
    assert f"has never read {names['payments']}: set kafka.start_from" in untold
    lines = well.stdout.splitlines()
    assert {line[:6] for line in lines} == {"ok    "}
    version = ModelStore(str(store), "transaction").alias("champion")
    assert f"model of transaction: {version} on cpu" in lines[-1]


def test_models_list_show_promote_rollback(models: Path) -> None:
    """The champion can be seen, replaced by a verified bundle only, and brought back."""
    store = ModelStore(str(models), "transaction")
    first = store.alias("champion") or ""
    bundle = store.read(first)
    for name in ("next", "spoilt"):
        store.write(bundle.manifest.model_copy(update={"version": name}), bundle.files)
    (models / "transaction" / "spoilt" / "scaler.json").write_text("{}")
    flags = ("--store", models, "--event-type", "transaction")

    def listed() -> dict[str, str]:
        lines = run("models", "list", *flags).stdout.splitlines()
        return {line.split()[0]: line.split()[-1] for line in lines}

    assert listed()[first] == "champion"
    assert "no previous champion" in run("models", "rollback", *flags, code=4).stderr
    assert run("models", "promote", "next", *flags).stdout == "next is the champion\n"
    assert (listed()["next"], listed()[first]) == ("champion", "previous")
    assert "spoilt: scaler.json" in run("models", "promote", "spoilt", *flags, code=4).stderr
    assert run("models", "show", "champion", *flags).stdout.strip() == bundle.files["card.md"].decode().strip()
    assert run("models", "rollback", *flags).stdout == f"{first} is the champion again\n"
    assert (listed()[first], listed()["next"]) == ("champion", "previous")
    assert "no-such: there is no such bundle" in run("models", "show", "no-such", *flags, code=4).stderr


@pytest.mark.kafka
def test_a_file_scores_as_its_replay_does(kafka: Endpoint, store: Path, tmp_path: Path) -> None:
    """Files replayed to a worker get the risks, decisions and reasons that `score` gives them without Kafka."""
    path = road(kafka, store, 2)
    events = simulator.transactions(ROWS, START, 1.0, 5)
    lines = simulator.json_lines(TRANSACTION, events)
    (tmp_path / "all.ndjson").write_bytes(b"\n".join(lines))
    (tmp_path / "first.jsonl").write_bytes(b"\n".join(lines[: ROWS // 2]))
    columns = {name: pa.array(values[ROWS // 2 :], from_pandas=True) for name, values in events.columns.items()}
    write_table(tmp_path / "rest", columns | {"occurred_at": microseconds(events.columns["occurred_at"][ROWS // 2 :])})
    settings = given(kafka__bootstrap=kafka.bootstrap, inputs=f"{{{path.input}: transaction}}", models__store=store)
    with worker(path, tmp_path) as running:
        for file in ("first.jsonl", "rest/0.parquet"):
            said = run("replay", tmp_path / file, "--event-type", "transaction", *settings).stdout
            assert said.startswith(f"{ROWS // 2} events sent to {path.input} in ")
        books = Books(path)
        until(lambda: books.read() == ROWS, 30, "the replay is scored", running.alive)
        books.close()
        assert running.terminate() == 0
    live = [json.loads(message.value() or b"") for message in published(kafka.bootstrap, path.outputs["scores"])]
    keys = {message.key() for message in published(kafka.bootstrap, path.input)}
    assert keys == set(simulator.keys(TRANSACTION, events))
    out = tmp_path / "scores.parquet"
    said = run("score", tmp_path / "all.ndjson", out, "--event-type", "transaction", *settings).stdout
    offline = {row["event_id"]: row for row in pq.read_table(out).to_pylist()}
    adverse = sum(score["decision"] != "approve" for score in live)
    assert adverse
    assert said == f"{ROWS} rows: {ROWS} scored, {adverse} alerts, 0 refused\n"
    assert len(offline) == len(live) == ROWS
    for score in live:
        row = offline[score["event_id"]]
        assert score["risk"] == pytest.approx(row["risk"], abs=1e-6)
        assert (score["decision"], score["model"]) == (row["decision"], row["model"])
        codes = [reason["code"] for reason in score.get("reasons", [])]
        assert codes == [reason["code"] for reason in json.loads(row["reasons"])]


def test_a_simulated_past_trains_a_model(tmp_path: Path) -> None:
    """`simulate --archive` writes an archive, and `trainer once` makes a champion of it."""
    archive, store = tmp_path / "archive", tmp_path / "models"
    said = run("simulate", "--event-type", "application", "--rows", 3000, "--archive", archive).stdout
    assert said.startswith("3,000 events, ")
    settings = ("--set", "preset=dense", "--set", "epochs=20", "--set", "batch=32")
    where = ("--archive", archive / "application", "--event-type", "application", "--store", store)
    done = run("once", *where, *settings, program="trainer")
    (version,) = ModelStore(str(store), "application").versions()
    assert f"{version}: promote, it is the champion of application" in done.stderr
    assert done.stdout == ""
    listed = run("models", "list", "--store", store, "--event-type", "application").stdout
    assert listed.startswith(f"{version}  ")
    assert "auc " in listed


GERMAN = {
    "application_id": [1, 2, 3],
    "checking_status": ["A11", "A12", "A99"],
    "duration_months": [6, 48, 12],
    "credit_history": ["A34", "A32", "A34"],
    "purpose": ["A43", "A43", "A46"],
    "credit_amount": [1169, 5951, 2096],
    "savings": ["A65", "A61", "A61"],
    "employment_since": ["A75", "A73", "A74"],
    "installment_rate": [4, 2, 2],
    "personal_status_sex": ["A93", "A92", "A93"],
    "other_debtors": ["A101", "A101", "A101"],
    "residence_since": [4, 2, 3],
    "property": ["A121", "A121", "A121"],
    "age_years": [67, 22, 49],
    "other_installment_plans": ["A143", "A143", "A143"],
    "housing": ["A152", "A152", "A152"],
    "existing_credits": [2, 1, 1],
    "job": ["A173", "A173", "A172"],
    "dependents": [1, 1, 2],
    "telephone": ["A192", "A191", "A191"],
    "foreign_worker": ["A201", "A201", "A201"],
    "is_bad": [0, 1, 0],
}


def test_a_labelled_csv_of_an_own_event_type_is_imported(tmp_path: Path) -> None:
    """`import` finds an event type by its import path, takes good rows with their labels and lists the others."""
    file, archive = tmp_path / "german.csv", tmp_path / "archive"
    rows = [GERMAN.keys(), *zip(*GERMAN.values(), strict=True)]
    file.write_text("\n".join(",".join(map(str, row)) for row in rows))
    how = ("--event-type", "examples.german:APPLICATION", "--occurred-at", "2024-01-01T00:00:00Z", "--label-days", 30)
    said = run("import", file, archive, *how).stdout
    assert said == f"2 events and 2 labels in {archive}; 1 rows refused\n"
    events = pq.read_table(archive / "events").to_pylist()
    labels = pq.read_table(archive / "labels").to_pylist()
    assert [row["event_id"] for row in events] == [1, 2]
    assert [row["label"] for row in labels] == [False, True]
    assert {(row["labelled_at"] - row["occurred_at"]).days for row in labels} == {30}
    (refused,) = (archive / "refused.ndjson").read_text().splitlines()
    assert "unknown_value" in refused
    assert "A99" not in refused
