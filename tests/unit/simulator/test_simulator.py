"""The simulator: repeatable streams of both event types that decode, continue and can be learned from."""

from collections.abc import Callable

import msgspec
import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import average_precision_score, roc_auc_score

from streamscore.core.events.application import APPLICATION
from streamscore.core.events.event_type import EventType
from streamscore.core.events.feature import DAY
from streamscore.core.events.field import UNKNOWN, column
from streamscore.core.events.transaction import TRANSACTION, Transaction
from streamscore.simulator import streams as simulator
from streamscore.simulator.streams import Simulated

START = 1_735_689_600_000_000  # 2025-01-01T00:00:00Z
ROWS = 60_000
SEED = 7
A_MONTH = ROWS / (30 * 86_400)  # the rate that spreads ROWS over thirty days

Simulate = Callable[..., Simulated]
BOTH = pytest.mark.parametrize(
    ("event_type", "simulate"), [(TRANSACTION, simulator.transactions), (APPLICATION, simulator.applications)]
)


@pytest.fixture(scope="module")
def payments() -> Simulated:
    return simulator.transactions(ROWS, START, A_MONTH, SEED)


@pytest.fixture(scope="module")
def credits_asked() -> Simulated:
    return simulator.applications(ROWS, START, A_MONTH, SEED)


def features(event_type: EventType, simulated: Simulated) -> np.ndarray:
    columns = {
        field.name: column(field, simulated.columns[field.name].tolist())
        if field.kind == "category"
        else simulated.columns[field.name]
        for field in event_type.fields
    }
    return event_type.features.matrix(columns, len(simulated.label))


def judged(event_type: EventType, simulated: Simulated) -> tuple[np.ndarray, np.ndarray]:
    """Labels of the last third and the risks a model gives them that saw only the rest."""
    matrix, label, split = features(event_type, simulated), simulated.label, 2 * len(simulated.label) // 3
    model = HistGradientBoostingClassifier(max_iter=40, max_leaf_nodes=15, random_state=0)
    model.fit(matrix[:split], label[:split])
    return label[split:], model.predict_proba(matrix[split:])[:, 1]


@BOTH
def test_same_arguments_same_bytes(event_type: EventType, simulate: Simulate) -> None:
    """The same arguments give the same lines, kinds and label times."""
    once, again = (simulate(2000, START, 5.0, SEED, 100) for _ in range(2))
    assert simulator.json_lines(event_type, once) == simulator.json_lines(event_type, again)
    assert np.array_equal(once.kind, again.kind)
    assert np.array_equal(once.labelled_at, again.labelled_at)


@BOTH
def test_other_seed_other_rows(event_type: EventType, simulate: Simulate) -> None:
    """Another seed gives other events with other ids."""
    one, other = simulate(500, START, 5.0, 1), simulate(500, START, 5.0, 2)
    assert not set(one.columns["event_id"]) & set(other.columns["event_id"])
    assert not set(simulator.json_lines(event_type, one)) & set(simulator.json_lines(event_type, other))


@BOTH
def test_global_random_state_is_left_alone(event_type: EventType, simulate: Simulate) -> None:
    """A call neither uses nor moves NumPy's global random state."""
    before = np.random.get_state(legacy=False)["state"]["key"].copy()
    simulate(100, START, 5.0, SEED)
    assert np.array_equal(before, np.random.get_state(legacy=False)["state"]["key"])


@BOTH
def test_chunks_continue_a_stream(event_type: EventType, simulate: Simulate) -> None:
    """A chunk that starts where the one before ended goes on in time and repeats no event id."""
    one = simulate(3000, START, 50.0, SEED)
    end = int(one.columns["occurred_at"][-1])
    two = simulate(3000, end, 50.0, SEED, 3000)
    ids = [*one.columns["event_id"], *two.columns["event_id"]]
    assert len(set(ids)) == 6000
    assert two.columns["occurred_at"][0] >= end
    assert not np.array_equal(one.columns["amount"], two.columns["amount"])


def test_chunks_share_one_world() -> None:
    """A customer keeps home, currency and account, and a terminal its place and trade, from chunk to chunk."""
    one, two = (simulator.transactions(20_000, START, 1e6, SEED, first) for first in (0, 20_000))
    for entity, traits in (
        ("customer_id", ("home_country", "currency", "account_age")),
        ("terminal_id", ("country", "merchant_category")),
    ):
        for trait in traits:
            known = dict(zip(one.columns[entity], one.columns[trait], strict=True))
            later = zip(two.columns[entity], two.columns[trait], strict=True)
            met = [(known[who], value) for who, value in later if who in known]
            assert len(met) > 1000
            assert all(before == after for before, after in met)


def test_applicants_keep_their_circumstances() -> None:
    """An applicant who applies again states the same income, or none."""
    one, two = (simulator.applications(20_000, START, 1.0, SEED, first) for first in (0, 20_000))
    known = dict(zip(one.columns["applicant_id"], one.columns["income"], strict=True))
    again = zip(two.columns["applicant_id"], two.columns["income"], strict=True)
    met = [(known[who], income) for who, income in again if who in known]
    assert len(met) > 1000
    assert all(before == after for before, after in met if not np.isnan(before + after))


@BOTH
def test_every_line_decodes_to_its_row(event_type: EventType, simulate: Simulate) -> None:
    """Every line is accepted by the event's own struct and says what the columns say."""
    simulated = simulate(20_000, START, A_MONTH, SEED)
    decoder = msgspec.json.Decoder(event_type.struct)
    events = [decoder.decode(line) for line in simulator.json_lines(event_type, simulated)]
    for field in event_type.fields:
        decoded = [getattr(event, field.name) for event in events]
        expected = simulated.columns[field.name]
        if field.kind == "time" or expected.dtype == np.float64:
            np.testing.assert_array_equal(column(field, decoded), expected)
        else:
            assert decoded == expected.tolist()


@BOTH
def test_lines_are_plain_wire_json(event_type: EventType, simulate: Simulate) -> None:
    """Lines hold wire names, times with microseconds and Z, no nulls, and integers without a fraction."""
    rows = [msgspec.json.decode(line) for line in simulator.json_lines(event_type, simulate(5000, START, 1.0, SEED))]
    names = {field.wire_name for field in event_type.fields}
    required = {field.wire_name for field in event_type.fields if not field.optional}
    assert all(required <= row.keys() <= names for row in rows)
    assert all(None not in row.values() for row in rows)
    assert all(len(row["occurred_at"]) == len("2025-01-01T00:00:00.000000Z") for row in rows)
    assert all(row["occurred_at"].endswith("Z") for row in rows)
    integers = {"account_age", "term", "age", "months_at_address", "missed_payments", "recent_enquiries"}
    assert all(type(row[name]) is int for row in rows for name in integers & row.keys())


def test_lines_follow_the_wire_names_of_the_struct() -> None:
    """A field that has another name on the wire is written under that name."""

    class Renamed(Transaction, frozen=True, gc=False, kw_only=True):
        customer_id: str = msgspec.field(name="customerId")

    renamed = EventType("renamed", Renamed, TRANSACTION.entities, TRANSACTION.features, "is_fraud")
    simulated = simulator.transactions(10, START, 1.0, SEED)
    line = simulator.json_lines(renamed, simulated)[0]
    assert msgspec.json.decode(line)["customerId"] == simulated.columns["customer_id"][0]
    assert msgspec.json.decode(line, type=Renamed).customer_id == simulated.columns["customer_id"][0]


@BOTH
def test_key_is_the_first_entity(event_type: EventType, simulate: Simulate) -> None:
    """A row's Kafka key is its customer's or applicant's id."""
    simulated = simulate(50, START, 1.0, SEED)
    assert [key.decode() for key in simulator.keys(event_type, simulated)] == list(
        simulated.columns[event_type.entities[0]]
    )


@BOTH
def test_no_rows(event_type: EventType, simulate: Simulate) -> None:
    """No rows asked for, none given."""
    nothing = simulate(0, START, 1.0, SEED)
    assert simulator.json_lines(event_type, nothing) == []
    assert all(len(values) == 0 for values in nothing.columns.values())


@BOTH
@pytest.mark.parametrize("rate", [0.01, 1.0, 1e5])
def test_times_never_go_back(event_type: EventType, simulate: Simulate, rate: float) -> None:
    """Events occur after the start, in order, at any rate."""
    occurred_at = simulate(5000, START + 12_345, rate, SEED).columns["occurred_at"]
    assert occurred_at[0] >= START + 12_345
    assert np.diff(occurred_at).min() >= 0


def test_rate_and_rhythm(payments: Simulated) -> None:
    """Rows spread over the days that the rate says, with quiet nights."""
    occurred_at = payments.columns["occurred_at"]
    assert (occurred_at[-1] - START) / DAY == pytest.approx(30, rel=0.03)
    at_night = np.mean(occurred_at % DAY < DAY // 4)
    assert 0.01 < at_night < 0.1


@BOTH
def test_values_are_declared_but_for_a_few(event_type: EventType, simulate: Simulate) -> None:
    """Closed categories hold declared values only; open ones now and then another."""
    simulated = simulate(ROWS, START, A_MONTH, SEED)
    for field in event_type.fields:
        if field.kind != "category":
            continue
        unknown = np.mean(column(field, simulated.columns[field.name].tolist()) == UNKNOWN)
        assert unknown == 0 if field.closed else 0 < unknown < 0.01


def test_amounts_are_in_cents(payments: Simulated) -> None:
    """An amount is a positive whole number of cents."""
    amount = payments.columns["amount"]
    assert amount.min() > 0
    assert np.array_equal(amount, np.round(amount, 2))


def test_fraud_is_rare_and_of_every_kind(payments: Simulated) -> None:
    """About one payment in a hundred is a fraud, and each kind of fraud occurs."""
    assert 0.006 < payments.label.mean() < 0.014
    for kind in ("stolen_card", "compromised_terminal", "card_testing", "account_takeover"):
        assert 0.0004 < np.mean(payments.kind == kind) < 0.006
    assert np.array_equal(payments.label, payments.kind != "genuine")


def test_stolen_cards_pay_more(payments: Simulated) -> None:
    """In euros, a stolen card's payments are mostly far above the usual."""
    amount, euros = payments.columns["amount"], payments.columns["currency"] == "EUR"
    stolen = np.median(amount[euros & (payments.kind == "stolen_card")])
    assert stolen > 4 * np.median(amount[euros & (payments.kind == "genuine")])


def test_compromised_terminals_are_swiped_for_days(payments: Simulated) -> None:
    """Frauds at a compromised terminal are swipes there within a few days."""
    cloned = payments.kind == "compromised_terminal"
    assert set(payments.columns["channel"][cloned]) == {"swipe"}
    days = payments.columns["occurred_at"][cloned] // DAY
    for terminal in set(payments.columns["terminal_id"][cloned]):
        assert np.ptp(days[payments.columns["terminal_id"][cloned] == terminal]) < 10


def test_card_tests_are_tiny_bursts(payments: Simulated) -> None:
    """Card tests are small online payments for digital goods, many cards in minutes at one terminal."""
    tested = payments.kind == "card_testing"
    euros = tested & (payments.columns["currency"] == "EUR")
    assert payments.columns["amount"][euros].max() <= 10
    assert set(payments.columns["merchant_category"][tested]) == {"5816"}
    assert set(payments.columns["channel"][tested]) == {"online"}

    busy = simulator.transactions(ROWS, START, ROWS / 86_400, SEED)
    times = busy.columns["occurred_at"][busy.kind == "card_testing"] // (DAY // 288)
    terminals = busy.columns["terminal_id"][busy.kind == "card_testing"]
    assert len(set(zip(times, terminals, strict=True))) == len(set(times)) < len(times) / 4


def test_takeovers_come_from_other_devices(payments: Simulated) -> None:
    """A taken over account pays online from a device that is not the customer's."""
    taken = payments.kind == "account_takeover"
    assert set(payments.columns["channel"][taken]) == {"online"}
    owners = [customer.replace("c", "d") for customer in payments.columns["customer_id"][taken]]
    assert not np.any(payments.columns["device_id"][taken] == np.array(owners, object))


def test_fraud_is_reported_within_a_month(payments: Simulated) -> None:
    """A fraud is known 1 to 30 days after it, and that a payment was genuine later than that."""
    days = (payments.labelled_at - payments.columns["occurred_at"]) / DAY
    assert days[payments.label].min() >= 1
    assert days[payments.label].max() <= 30
    assert days[~payments.label].min() > 30


def test_defaults(credits_asked: Simulated) -> None:
    """One application in four or five defaults, and it is known 60 to 365 days later which."""
    assert 0.19 < credits_asked.label.mean() < 0.26
    days = (credits_asked.labelled_at - credits_asked.columns["occurred_at"]) / DAY
    assert days.min() >= 60
    assert days.max() <= 365


def test_optional_values_are_missing_now_and_then(credits_asked: Simulated) -> None:
    """Each optional field of an application is missing in some rows and given in most."""
    for field in APPLICATION.fields:
        if field.optional:
            assert 0.005 < np.mean(np.isnan(credits_asked.columns[field.name])) < 0.4


def test_fraud_can_be_learned_but_not_perfectly(payments: Simulated) -> None:
    """A model on a payment's own features ranks frauds far better than chance, and not perfectly."""
    label, risk = judged(TRANSACTION, payments)
    assert 10 * label.mean() < average_precision_score(label, risk) < 0.9
    assert 0.85 < roc_auc_score(label, risk) < 0.995


def test_default_can_be_learned_but_not_perfectly(credits_asked: Simulated) -> None:
    """A model on an application's own features ranks defaults as well as scorecards do."""
    label, risk = judged(APPLICATION, credits_asked)
    assert average_precision_score(label, risk) > 2 * label.mean()
    assert 0.75 < roc_auc_score(label, risk) < 0.87
