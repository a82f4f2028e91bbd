"""Champions change while events flow: promoted, refused, rolled back."""

import json
import threading
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import pytest

from streamscore.models.bundle_files import NETWORK
from streamscore.models.store import ModelStore
from tests.integration.conftest import published
from tests.support import forked
from tests.support.apache_kafka.endpoint import Endpoint
from tests.support.running import Books, Worker, endless, environment, produce, road, until, worker
from tests.support.trained import trained_store

pytestmark = pytest.mark.kafka

PARTITIONS, RATE = 3, 500
LOAD_SECONDS = 60.0
NEXT, SPOILT = "next-1", "spoilt-1"


class Story(NamedTuple):
    """What happened while the champion went from the first to the next, to a spoilt one and back to the first."""

    first: str
    said: list[str]  # what the commands said
    events: int
    lost: int
    duplicates: int
    runs: dict[int, list[str]]  # by partition, the versions of its scores in the order of offsets
    failures: list[str]  # the metric of refused bundles, at the end
    in_use_meanwhile: list[str]  # the metric of models in use, after the spoilt one was refused
    aliases: dict[str, str | None]
    exit_code: int
    log: str


def another(store: ModelStore, version: str, name: str) -> None:
    """A bundle with the same files under another name."""
    bundle = store.read(version)
    store.write(bundle.manifest.model_copy(update={"version": name}), bundle.files)


def models_command(store: Path, *arguments: str) -> str:
    command = ["models", *arguments, "--store", str(store), "--event-type", "transaction"]
    done = forked.run("streamscore", command, environment())
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def metric_lines(running: Worker, name: str) -> list[str]:
    return [line for line in running.get("/metrics")[1].splitlines() if line.startswith(name)]


@pytest.fixture(scope="module")
def story(kafka: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """One worker under a steady stream, and three changes of the champion alias."""
    folder = tmp_path_factory.mktemp("swap")
    store, first = folder / "models", trained_store(folder / "models")["transaction"]
    models = ModelStore(str(store), "transaction")
    another(models, first, NEXT)
    another(models, first, SPOILT)
    network = store / "transaction" / SPOILT / NETWORK
    network.write_bytes(network.read_bytes()[:-100])
    path, enough = road(kafka, store, PARTITIONS), threading.Event()
    sender = threading.Thread(target=produce, args=(path, endless(100, enough.is_set), RATE), daemon=True)
    books = Books(path)
    with worker(path, folder) as running:
        sender.start()
        flowing(books, running)
        said = [models_command(store, "promote", NEXT)]
        in_use(running, NEXT)
        flowing(books, running)
        (store / "transaction" / "aliases" / "champion").write_text(SPOILT)
        refused = 'streamscore_model_load_failures_total{event_type="transaction"} 1.0'
        until(lambda: refused in running.get("/metrics")[1], LOAD_SECONDS, "the spoilt one is refused", running.alive)
        flowing(books, running)
        in_use_meanwhile = metric_lines(running, "streamscore_model_info{")
        said += [models_command(store, "rollback")]
        in_use(running, first)
        flowing(books, running)
        enough.set()
        sender.join(60)
        books.await_all(60, running.alive)
        failures = metric_lines(running, "streamscore_model_load_failures_total{")
        exit_code, log = running.terminate(), running.log()
    books.read()
    events, lost, duplicates = sum(books.ends().values()), books.lost(), books.duplicates()
    books.close()
    scores = [json.loads(message.value() or b"") for message in published(kafka.bootstrap, path.outputs["scores"])]
    scores.sort(key=lambda score: (score["partition"], score["offset"]))
    return Story(
        first=first,
        said=said,
        events=events,
        lost=lost,
        duplicates=duplicates,
        runs={
            partition: [version for version, _ in groupby(score["model"] for score in ours)]
            for partition, ours in groupby(scores, lambda score: int(score["partition"]))
        },
        failures=failures,
        in_use_meanwhile=in_use_meanwhile,
        aliases={name: models.alias(name) for name in ("champion", "previous", "challenger")},
        exit_code=exit_code,
        log=log,
    )


def in_use(running: Worker, version: str) -> None:
    """Wait until the worker says that it scores with a version."""
    wanted = f'streamscore_model_info{{event_type="transaction",version="{version}"}} 1.0'
    until(lambda: wanted in running.get("/metrics")[1], LOAD_SECONDS, f"{version} is in use", running.alive)


def flowing(books: Books, running: Worker) -> None:
    """Wait until some more events are scored."""
    before = books.read()
    until(lambda: books.read() > before + RATE // 2, LOAD_SECONDS, "events are scored", running.alive)


def test_no_event_is_lost_or_scored_twice(story: Story) -> None:
    """Through all changes every event has exactly one score, and so exactly one version."""
    assert story.events > RATE
    assert (story.lost, story.duplicates, story.exit_code) == (0, 0, 0), story.log[-2000:]


def test_versions_change_once_and_for_all(story: Story) -> None:
    """In each partition the first champion is followed by the next and that by the first again, in one piece each."""
    assert story.runs == {partition: [story.first, NEXT, story.first] for partition in range(PARTITIONS)}


def test_a_spoilt_champion_is_refused(story: Story) -> None:
    """A bundle that is not what its manifest says is counted and said once, and the one in use stays."""
    assert story.failures == ['streamscore_model_load_failures_total{event_type="transaction"} 1.0']
    assert story.in_use_meanwhile == [f'streamscore_model_info{{event_type="transaction",version="{NEXT}"}} 1.0']
    refused = [line for line in story.log.splitlines() if "refused" in line]
    assert len(refused) == 1
    assert f"{SPOILT}: {NETWORK}" in refused[0]


def test_promote_and_rollback_say_what_they_did(story: Story) -> None:
    """The commands name the champion, and the aliases are where they say."""
    assert story.said == [f"{NEXT} is the champion", f"{story.first} is the champion again"]
    assert story.aliases == {"champion": story.first, "previous": SPOILT, "challenger": None}
