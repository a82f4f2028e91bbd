"""From a bundle in the store to a model that may score: its features, network and golden rows must agree."""

from streamscore.core.events.event_type import EventType
from streamscore.core.scoring.bundle import Bundle, disagreement
from streamscore.errors import BundleError
from streamscore.models.bundle_files import BundleFiles, BundleReader


def load(store: BundleReader, version: str, event_type: EventType, device: str) -> Bundle:
    """A verified, warmed bundle. BundleError says what cannot be trusted. Imports the Keras backend."""
    return loaded(store.read(version), event_type, device)


def loaded(files: BundleFiles, event_type: EventType, device: str) -> Bundle:
    """The bundle of files whose digests are right, once its golden rows come out as promised."""
    from streamscore.models.keras_scorer import scorer_of  # noqa: PLC0415  the backend takes seconds to import

    manifest, version = files.manifest, files.manifest.version
    if manifest.event_type != event_type.name:
        raise BundleError(f"{version} scores {manifest.event_type} events, not {event_type.name}")
    try:
        features = event_type.features.select(manifest.features)
    except KeyError as error:
        raise BundleError(f"{version} needs the feature {error}, which {event_type.name} does not have") from None
    bundle = Bundle(manifest, event_type, features, scorer_of(files, device))
    problem = disagreement(bundle, files.golden)
    if problem:
        raise BundleError(f"{version}: {problem}")
    return bundle


def first_champion(store: BundleReader, event_type: EventType, device: str) -> Bundle:
    """The champion to start with; BundleError when there is none, or it cannot be trusted."""
    version = store.alias("champion")
    if version is None:
        raise BundleError(f"no champion for {event_type.name}: train a first model with `trainer once`")
    return load(store, version, event_type, device)
