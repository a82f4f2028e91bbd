"""Settings for a program of one's own."""

from pathlib import Path

import pytest

import streamscore


def test_later_sources_win(tmp_path: Path) -> None:
    """An override wins over a variable, and that over the file; what none of them names keeps its default."""
    file = tmp_path / "streamscore.yaml"
    file.write_text("kafka: {group: from-file}\nbatch: {max_events: 64, max_age_ms: 7}\ndrain_seconds: 3\n")
    env = {"STREAMSCORE_KAFKA__GROUP": "from-env", "STREAMSCORE_DRAIN_SECONDS": "4"}
    settings = streamscore.load_settings(file, env, batch={"max_events": 128}, drain_seconds=5)
    assert (settings.kafka.group, settings.drain_seconds) == ("from-env", 5)
    assert (settings.batch.max_events, settings.batch.max_age_ms) == (128, 7)
    assert settings.publish_features == "off"


def test_texts_and_mappings_of_free_names_are_taken_as_they_are() -> None:
    """A text override needs no quotes, and a mapping of topics replaces the one before."""
    settings = streamscore.load_settings(env={}, inputs={"a.b": "transaction"}, publish_features="all")
    assert settings.inputs == {"a.b": "transaction"}
    assert settings.publish_features == "all"


def test_a_wrong_override_is_named() -> None:
    """An unknown key and a wrong value are SettingsErrors that name the override."""
    with pytest.raises(streamscore.SettingsError, match="did you mean"):
        streamscore.load_settings(env={}, bacth={"max_events": 1})
    with pytest.raises(streamscore.SettingsError, match="from override drain_seconds"):
        streamscore.load_settings(env={}, drain_seconds=-1)
