"""The tables of records: every field of each published struct, with one line on what it means."""

import msgspec

from streamscore.core.scoring.decision import Alert, Reason, Score
from streamscore.core.scoring.shadow import ShadowScore

# By the name of the field; "Struct.field" where the same name means something else in one record.
MEANINGS = {
    "score_id": "`topic-partition-offset` of the input. "
    "It stays the same when an event is scored again, whatever the model",
    "alert_id": "the `score_id` of the event's score",
    "event_id": "the event's own id",
    "event_type": "the name of the event type",
    "entities": "the ids of those whom the event is about, by field",
    "severity": "`medium` for the middle decision (review or refer), `high` for decline",
    "risk": "the calibrated probability, 0 to 1",
    "decision": "one of the three that the event type names, from low risk to high: `approve`, `review`, `decline`; "
    "for applications `approve`, `refer`, `decline`",
    "model": "the version of the one model that gave this score",
    "topic": "the topic of the input",
    "partition": "the partition of the input",
    "offset": "the offset of the input",
    "occurred_at": "when the event happened",
    "scored_at": "when it was scored",
    "reasons": "up to four [reasons](#reasons), the strongest first",
    "Score.reasons": "up to four [reasons](#reasons), the strongest first. Present when the decision is not the lowest",
    "duplicate": "`true` when the same event came before at another offset. Only for event types with a history",
    "features": "the numbers behind the risk, when `publish_features` asks for them; "
    "`null` where the event has no value",
    "history_complete_since": "no event of any window is missing from then on; 1970 when nothing was ever deleted. "
    "Only for event types with a history",
    "ShadowScore.score_id": "the `score_id` of the champion's score",
    "ShadowScore.risk": "the challenger's calibrated probability",
    "champion_risk": "the risk that was published for the event",
    "ShadowScore.model": "the version of the challenger",
    "champion": "the version of the champion that gave `champion_risk`",
    "ShadowScore.scored_at": "when the challenger scored it",
    "code": "the feature's name, which is stable",
    "text": "the event type's words for the feature, with the event's value",
    "contribution": "how much the feature lifts the risk above that of a typical event, in logits",
}
RECORDS: dict[str, type[msgspec.Struct]] = {
    "score": Score,
    "alert": Alert,
    "shadow score": ShadowScore,
    "reason": Reason,
}
_OPTIONAL = {True: "", False: ", optional"}
_TYPES = {"StrType": "text", "IntType": "integer", "FloatType": "number", "BoolType": "true or false"}
_TYPES |= {"DateTimeType": "time", "LiteralType": "text", "AnyType": "object", "DictType": "object"}


def records_tables() -> dict[str, str]:
    """The table of each record, by the record's name. KeyError names a field without a meaning."""
    return {name: record_table(struct) for name, struct in RECORDS.items()}


def record_table(struct: type[msgspec.Struct]) -> str:
    """Every field of a published struct: name, type in JSON, whether it can be absent, and meaning."""
    rows = [
        f"| `{field.encode_name}` | {_type(msgspec.inspect.type_info(field.type))}{_OPTIONAL[field.required]} "
        f"| {MEANINGS.get(f'{struct.__name__}.{field.name}') or MEANINGS[field.name]} |"
        for field in msgspec.structs.fields(struct)
    ]
    return "\n".join(["| field | type | meaning |", "|---|---|---|", *rows])


def _type(kind: msgspec.inspect.Type) -> str:
    """What a field's type is in JSON."""
    if isinstance(kind, msgspec.inspect.UnionType):
        names = [_type(part) for part in kind.types if not isinstance(part, msgspec.inspect.NoneType)]
        return " or ".join(sorted(names, reverse=True))
    if isinstance(kind, msgspec.inspect.VarTupleType):
        return "list of objects"
    return _TYPES[type(kind).__name__]
