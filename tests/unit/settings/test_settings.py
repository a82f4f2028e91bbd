"""Settings from file, environment and flags: the later one wins, and every mistake is told."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from streamscore.errors import SettingsError
from streamscore.kafka.clients import admin
from streamscore.settings.load import load, shown
from streamscore.settings.schema import REFUSED, Settings, described
from streamscore.worker.startup import event_types, label_topics

SECRET = "hunter2-canary"  # noqa: S105  it must be found nowhere


def written(folder: Path, text: str) -> Path:
    path = folder / "settings.yaml"
    path.write_text(text)
    return path


def refusal(environment: dict[str, str] | None = None, *flags: str, file: Path | None = None) -> str:
    """The sentence with which settings are refused."""
    with pytest.raises(SettingsError) as caught:
        load(file, environment or {}, flags)
    return str(caught.value)


def test_defaults_need_nothing() -> None:
    """Without file, variables and flags every setting has its default and no origin."""
    settings, origins = load(None, {})
    assert settings == Settings()
    assert origins == {}


def test_precedence(tmp_path: Path) -> None:
    """A variable wins over the file, a flag over both; each value knows its origin."""
    file = written(tmp_path, "kafka: {bootstrap: 'file:1', group: file, start_from: earliest}\ndrain_seconds: 5\n")
    environment = {"STREAMSCORE_KAFKA__GROUP": "env", "STREAMSCORE_KAFKA__START_FROM": "latest", "HOME": "/"}
    settings, origins = load(file, environment, ["kafka.start_from=2026-01-31T00:00:00Z"])
    assert settings.kafka.bootstrap == "file:1"
    assert settings.kafka.group == "env"
    assert settings.kafka.start_from == "2026-01-31T00:00:00Z"
    assert settings.drain_seconds == 5
    assert origins == {
        "kafka.bootstrap": str(file),
        "kafka.group": "STREAMSCORE_KAFKA__GROUP",
        "kafka.start_from": "--set kafka.start_from",
        "drain_seconds": str(file),
    }


def test_last_flag_wins() -> None:
    """Of two flags for one setting the later counts."""
    assert load(None, {}, ["http.port=1", "http.port=2"])[0].http.port == 2


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("kafka.bootstrp", "did you mean kafka.bootstrap?"),
        ("kafak.bootstrap", "did you mean kafka?"),
        ("drain_second", "did you mean drain_seconds?"),
        ("batch.max_event", "did you mean batch.max_events?"),
    ],
)
def test_unknown_settings_get_a_suggestion(path: str, hint: str, tmp_path: Path) -> None:
    """A misspelt setting is refused with the nearest one, from whichever source it came."""
    assert hint in refusal({}, f"{path}=1")
    assert hint in refusal({"STREAMSCORE_" + path.upper().replace(".", "__"): "1"})
    *outer, inner = path.split(".")
    text = f"{inner}: 1" if not outer else f"{outer[0]}:\n  {inner}: 1"
    assert hint in refusal(file=written(tmp_path, text))


def test_unknown_without_a_neighbour() -> None:
    """A setting like no other is refused without a suggestion."""
    assert refusal({}, "zzz=1") == "--set zzz: there is no setting zzz"


def test_settings_below_a_value() -> None:
    """A name below a plain setting is refused."""
    assert "drain_seconds has no settings below it" in refusal({}, "drain_seconds.x=1")


def test_variables_that_are_not_settings() -> None:
    """The variables that only say where the file is, or steer tests, are no settings."""
    load(None, {"STREAMSCORE_CONFIG": "x", "STREAMSCORE_REQUIRE_KAFKA": "1", "STREAMSCORE_TEST_BOOTSTRAP": "b"})


@pytest.mark.parametrize("section", ["options", "consumer", "producer"])
def test_librdkafka_options(section: str, tmp_path: Path) -> None:
    """Options of librdkafka are given by their dotted names in file and flags, with _ in variables."""
    expected = {"socket.keepalive.enable": "true"}
    named = f"kafka.{section}.socket.keepalive.enable=true"
    for settings, _ in (
        load(None, {}, [named]),
        load(None, {f"STREAMSCORE_KAFKA__{section.upper()}__SOCKET_KEEPALIVE_ENABLE": "true"}),
        load(None, {}, [f"kafka.{section}={{socket.keepalive.enable: 'true'}}"]),
        load(written(tmp_path, f"kafka: {{{section}: {{socket.keepalive.enable: 'true'}}}}"), {}),
        load(written(tmp_path, f"kafka: {{{section}: {{socket: {{keepalive.enable: 'true'}}}}}}"), {}),
    ):
        assert getattr(settings.kafka, section) == expected


@pytest.mark.parametrize("section", ["options", "consumer", "producer"])
@pytest.mark.parametrize("option", sorted(REFUSED))
def test_unsafe_options_are_refused(option: str, section: str) -> None:
    """Each option that would break a guarantee is refused in every section, with what to do instead."""
    assert f"{option} is refused: {REFUSED[option]}" in refusal({}, f"kafka.{section}.{option}=1")
    assert len(REFUSED[option]) > 10


@pytest.mark.parametrize("value", ["latest", "earliest", "2026-01-31T00:00:00Z", "2026-01-31T00:00:00+02:00"])
def test_start_from(value: str) -> None:
    """A group starts at the end, the beginning, or a time with a zone."""
    assert load(None, {}, [f"kafka.start_from={value}"])[0].kafka.start_from == value


@pytest.mark.parametrize("value", ["", "middle", "Latest", "2026-01-31", "2026-01-31T00:00:00", "1700000000"])
def test_bad_start_from(value: str) -> None:
    """Any other place to start is refused with what is allowed."""
    said = refusal({}, f"kafka.start_from={value}")
    assert "kafka.start_from: " in said
    assert "must be latest, earliest, or a time with a zone" in said
    assert said.endswith("(from --set kafka.start_from)")


@pytest.mark.parametrize(
    "flag",
    [
        "http.port=70000", "http.port=x", "batch.max_events=0", "models.device=tpu", "drain_seconds=0", "inputs={}",
        "models.poll_seconds=inf", "models.poll_seconds=86401", "drain_seconds=inf", "history.slack_seconds=inf",
        "history.slack_seconds=1e15", "limits.max_future_seconds=inf", "limits.max_future_seconds=nan",
    ],
)  # fmt: skip
def test_values_out_of_range(flag: str) -> None:
    """A value that a setting cannot take is refused with the setting's name."""
    assert refusal({}, flag).startswith(flag.partition("=")[0])


def test_inputs_as_a_mapping(tmp_path: Path) -> None:
    """Inputs given replace the default ones, whole or one by one, and topics may have dots."""
    assert load(None, {"STREAMSCORE_INPUTS": "{a.b: transaction}"})[0].inputs == {"a.b": "transaction"}
    file = written(tmp_path, "inputs:\n  pay: transaction\n")
    assert load(file, {}, ["inputs.ask.now=application"])[0].inputs == {"pay": "transaction", "ask.now": "application"}


def test_topics_in_variables_keep_their_underscores() -> None:
    """A variable names the topic as it is; only the names of librdkafka's options get dots."""
    settings, _ = load(None, {"STREAMSCORE_INPUTS__CARD_PAYMENTS": "transaction", "STREAMSCORE_LABELS__BAD_NEWS": "x"})
    assert (settings.inputs, settings.labels) == ({"card_payments": "transaction"}, {"bad_news": "x"})


def test_times_in_yaml_stay_as_they_are(tmp_path: Path) -> None:
    """A time needs no quotes, and what only looks like a date is judged as any other text."""
    file = written(tmp_path, "kafka:\n  start_from: 2026-01-31T00:00:00Z\n")
    assert load(file, {})[0].kafka.start_from == "2026-01-31T00:00:00Z"
    assert "must be latest, earliest" in refusal(file=written(tmp_path, "kafka: {start_from: 2026-02-30}"))
    assert load(None, {}, ["inputs={a: 2026-02-30}"])[0].inputs == {"a": "2026-02-30"}


@pytest.mark.parametrize(
    "value", ["!!timestamp 2026-02-30", "!!timestamp x", "!!int x", "0x_", "[" * 5000], ids=lambda value: value[:16]
)
def test_values_that_yaml_cannot_make(value: str, tmp_path: Path) -> None:
    """A value at which the YAML reader stumbles is refused like any other bad YAML."""
    assert "is not YAML" in refusal(file=written(tmp_path, f"drain_seconds: {value}"))
    assert "must be a YAML mapping" in refusal({}, f"inputs={{a: {value}}}")


@pytest.mark.parametrize(
    "text",
    ["http:\n  port: 1\nhttp:\n  host: x\n", "http:\n  port: 1\n  port: 2\n", "inputs:\n  1: a\n  '1': b\n"],
)
def test_keys_that_stand_twice(text: str, tmp_path: Path) -> None:
    """A key or section given twice is refused with its line: one of the two would be lost."""
    assert re.search(r"settings\.yaml, line 3: \w+ is given a second time$", refusal(file=written(tmp_path, text)))
    assert "a mapping gives a a second time" in refusal({}, "inputs={a: x, a: y}")


@pytest.mark.parametrize("option", ["error_cb", "throttle_cb", "logger", "on_commit"])
def test_options_that_are_functions(option: str) -> None:
    """An option of the client that is no plain value is refused in a sentence."""
    settings = load(None, {}, [f"kafka.options={{{option}: {SECRET}}}"])[0]
    with pytest.raises(SettingsError, match=option) as caught:
        admin(settings.kafka)
    assert SECRET not in str(caught.value)


def test_flag_without_a_value() -> None:
    """A flag that is not key=value is refused."""
    assert "expected key=value" in refusal({}, "http.port")


@pytest.mark.parametrize("text", ["- a\n- b\n", "just text", "a: [", "\x00"])
def test_bad_files(text: str, tmp_path: Path) -> None:
    """A file that is not a mapping in YAML is refused by its name."""
    assert str(tmp_path) in refusal(file=written(tmp_path, text))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing file, a folder and bytes that are not text are refused in a sentence."""
    assert "No such file" in refusal(file=tmp_path / "none.yaml")
    assert "Is a directory" in refusal(file=tmp_path)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    assert "is not YAML" in refusal(file=tmp_path / "binary")


def test_yaml_builds_no_objects(tmp_path: Path) -> None:
    """A file cannot make the worker run something."""
    victim = tmp_path / "made"
    text = f"drain_seconds: !!python/object/apply:pathlib.Path.mkdir [!!python/object/apply:pathlib.Path ['{victim}']]"
    assert "is not YAML" in refusal(file=written(tmp_path, text))
    assert not victim.exists()


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    """An empty file leaves all defaults."""
    assert load(written(tmp_path, "# nothing\n"), {})[0] == Settings()


def test_secrets_are_masked() -> None:
    """What is shown never holds a password, token, key or JAAS line; the rest is shown as it is."""
    options = ["sasl.password", "sasl.oauthbearer.client.secret", "ssl.key.pem", "ssl.keystore.password"]
    options += ["sasl.jaas.config", "sasl.oauthbearer.config"]
    flags = [f"kafka.options.{option}={SECRET}" for option in options]
    rows = list(shown(*load(None, {}, [*flags, "kafka.options.sasl.username=alice"])))
    assert SECRET not in str(rows)
    assert [row.value for row in rows if row.key == "kafka.options.sasl.username"] == ["alice"]
    assert {row.value for row in rows if row.key.removeprefix("kafka.options.") in options} == {"********"}


def test_the_key_of_pseudonyms_is_a_secret(tmp_path: Path) -> None:
    """Neither shown nor printed, and too short it is refused without being quoted."""
    key = f"{SECRET}-and-more"
    settings, origins = load(None, {"STREAMSCORE_PSEUDONYMS__KEY": key})
    assert settings.pseudonyms.key is not None
    assert settings.pseudonyms.key.get_secret_value() == key
    assert SECRET not in f"{settings!r} {settings} {list(shown(settings, origins))}"
    assert [row.value for row in shown(*load(None, {})) if row.key == "pseudonyms.key"] == ["None"]
    for short in (SECRET, ""):
        said = refusal({"STREAMSCORE_PSEUDONYMS__KEY": short})
        assert "pseudonyms.key: must have 16 bytes at least" in said
        assert SECRET not in said
    assert "pseudonyms.key: " in refusal(file=written(tmp_path, "pseudonyms: {key: 12345678901234567890}"))


def test_shown_tells_the_origin() -> None:
    """Each effective value is shown with where it came from."""
    rows = {row.key: row for row in shown(*load(None, {"STREAMSCORE_HTTP__PORT": "0"}))}
    assert (rows["http.port"].value, rows["http.port"].origin) == ("0", "STREAMSCORE_HTTP__PORT")
    assert rows["http.host"].origin == "default"


@pytest.mark.parametrize("key", ["http.port", "kafka.start_from", "models.device", "kafka.options.acks", "nothing.x"])
def test_errors_never_quote_values(key: str, tmp_path: Path) -> None:
    """A refused value is not in the error: it may be a secret in the wrong place."""
    assert SECRET not in refusal({}, f"{key}={SECRET}")
    assert SECRET not in refusal({"STREAMSCORE_HTTP__PORT": SECRET})
    outer, _, inner = key.partition(".")
    assert SECRET not in refusal(file=written(tmp_path, f"{outer}: {{{inner}: {SECRET}}}"))


def test_settings_are_frozen() -> None:
    """Settings cannot be changed once they are read."""
    with pytest.raises(ValidationError, match="frozen"):
        Settings().drain_seconds = 1.0  # type: ignore[misc]


def test_every_setting_is_described() -> None:
    """Each setting has a key that can be set, and a sentence of its own."""
    rows = list(described())
    assert all(meaning for _, _, meaning in rows)
    assert {row.key for row in shown(Settings(), {}) if not row.key.startswith("inputs.")} <= {key for key, *_ in rows}


@pytest.mark.parametrize("output", ["scores", "alerts", "dead_letters", "shadow"])
def test_an_output_is_no_input(output: str) -> None:
    """What would be scored again and again for ever is refused, of events and of labels."""
    for key in ("inputs", "labels"):
        with pytest.raises(SettingsError, match="payments is an input and an output"):
            load(None, {}, [f"{key}={{payments: transaction}}", f"outputs.{output}=payments"])


@pytest.mark.parametrize("topic", ["scores", "alerts", "dead-letters"])
def test_challengers_have_a_topic_of_their_own(topic: str) -> None:
    """What a challenger says must not pass for a score."""
    with pytest.raises(SettingsError, match="shadow is another output's topic"):
        load(None, {}, [f"outputs.shadow={topic}"])
    assert load(None, {}, ["outputs.shadow=shadow"])[0].outputs.topics[-1] == "shadow"
    assert len(Settings().outputs.topics) == 3


def test_labels_of_events_without_a_history_are_the_archivers(caplog: pytest.LogCaptureFixture) -> None:
    """One file of settings serves both: the worker reads no such topic, and says so."""
    settings = Settings(inputs={"t": "transaction", "w": "examples.handbook:TRANSACTION"},
                        labels={"answers": "transaction", "frauds": "examples.handbook:TRANSACTION"})  # fmt: skip
    with caplog.at_level("INFO"):
        assert label_topics(settings, event_types(settings)) == {"frauds": "handbook"}
    assert "labels of answers are left to the archiver: no input has transaction events with a history" in caplog.text
