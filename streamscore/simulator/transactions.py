"""Payments, honest and not, made in the simulated world.

Events follow from the calendar: which cards are stolen, which accounts are taken over and which
terminals are compromised on a day does not depend on how a stream is cut into chunks. All amounts
are in euros until the last step.
"""

from dataclasses import dataclass

import numpy as np

from streamscore.core.events.feature import DAY, is_night
from streamscore.simulator.world import (
    ATM,
    AUTHENTICATION_NAMES,
    BILLS,
    BURST,
    BURST_CYCLE,
    CASH,
    CATEGORY_CODES,
    CHANNEL_NAMES,
    COUNTRY_CODES,
    CURRENCY_CODES,
    CUSTOMERS,
    DEVICE_NAMES,
    HONEST_AUTHENTICATION,
    HONEST_CARD,
    MULTIPLES,
    NO_DEVICE,
    ONLINE,
    PER_EURO,
    ROUND_PRICES,
    ROUND_SUM,
    SWIPE,
    TERMINALS,
    THIEF_AUTHENTICATION,
    THIEF_CARD,
    World,
    names,
    share_urn,
    world,
)

KINDS = ("genuine", "stolen_card", "compromised_terminal", "card_testing", "account_takeover")
GENUINE, STOLEN_CARD, COMPROMISED_TERMINAL, CARD_TESTING, ACCOUNT_TAKEOVER = range(5)


@dataclass(frozen=True)
class Payments:
    """Rows in the making, one array element each; a fraud overwrites its rows in place.

    `amount` is in euros, `step` the unit of the card's currency that the price is a multiple of.
    """

    customer: np.ndarray
    terminal: np.ndarray
    channel: np.ndarray
    authentication: np.ndarray
    amount: np.ndarray
    step: np.ndarray
    recurring: np.ndarray
    device: np.ndarray


def draw(occurred_at: np.ndarray, seed: int, random: np.random.Generator) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Payments at the given times (int64 microseconds since 1970 UTC) in the world of `seed`.

    Returns the columns of all fields but the event's own id and time, and each row's place in KINDS.
    """
    here = world(seed)
    payments = _honest(here, occurred_at, random)
    kind = _kinds(here, payments, occurred_at, random)
    _steal(here, payments, np.flatnonzero(kind == STOLEN_CARD), random)
    _clone(payments, np.flatnonzero(kind == COMPROMISED_TERMINAL), random)
    _try_out(here, payments, np.flatnonzero(kind == CARD_TESTING), occurred_at, random)
    _take_over(here, payments, np.flatnonzero(kind == ACCOUNT_TAKEOVER), random)
    return _columns(here, payments, occurred_at), kind


def _befalls(phase: np.ndarray, occurred_at: np.ndarray, cycle: int, days: int) -> np.ndarray:
    """Whether a row's day is one of the first `days` of its cycle of `cycle` days."""
    return np.asarray((occurred_at // DAY + phase) % cycle < days)


def _honest(here: World, occurred_at: np.ndarray, random: np.random.Generator) -> Payments:
    """What customers do: mostly small payments at home, at times a trip or something expensive."""
    rows = len(occurred_at)
    # The power makes the first customers the most active: a tenth of them make a fifth of the payments.
    customer = (CUSTOMERS * random.random(rows) ** 1.5).astype(np.int64)
    terminal = _visited(here, customer, occurred_at, random)
    channel = _channel(here, terminal, HONEST_CARD, random)
    category = here.category[terminal]
    recurring = BILLS[category] & (channel == ONLINE) & (random.random(rows) < 0.4)
    authentication = HONEST_AUTHENTICATION[channel, random.integers(0, 100, rows)]
    authentication[recurring] = 0
    round_sum = (channel == ATM) | (ROUND_PRICES[category] & (random.random(rows) < 0.5))
    # One payment in seventy is a big one.
    spread = 0.6 * random.standard_normal(rows) + np.where(random.random(rows) < 0.014, 1.6, 0.0)
    return Payments(
        customer=customer,
        terminal=terminal,
        channel=channel,
        authentication=authentication,
        amount=here.habit[customer] * MULTIPLES[category] * np.exp(spread),
        step=np.where(round_sum, ROUND_SUM[here.home[customer]], 0.01),
        recurring=recurring,
        device=_honest_device(customer, channel, random),
    )


def _visited(here: World, customer: np.ndarray, occurred_at: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Terminals at home, in the country of a week's trip twice a year, or anywhere on the web."""
    away = _befalls(here.trip_phase[customer], occurred_at, 180, 7)
    country = np.where(away, here.trip_country[customer], here.home[customer])
    place = random.random(len(customer)) * here.terminals[country]
    terminal = here.first_terminal[country] + place.astype(np.int64)
    on_the_web = np.flatnonzero(random.random(len(customer)) < 0.04)
    terminal[on_the_web] = random.choice(np.flatnonzero(here.online), len(on_the_web))
    return terminal


def _channel(here: World, terminal: np.ndarray, card: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """How a card is presented; `card` is the urn of chip, contactless and swipe at a till."""
    channel = card[random.integers(0, 100, len(terminal))]
    channel[here.online[terminal]] = ONLINE
    channel[CASH[here.category[terminal]]] = ATM
    return channel


def _honest_device(customer: np.ndarray, channel: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Known for most online payments: nearly always the customer's own device."""
    chance = random.random(len(customer))
    known = (channel == ONLINE) & (chance < 0.93)
    own = np.where(chance < 0.03, customer + CUSTOMERS, customer)
    return np.where(known, own, NO_DEVICE)


def _kinds(here: World, payments: Payments, occurred_at: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Each row's place in KINDS. Fraud sleeps less than customers do: its share is higher at night.

    A card is stolen for 6 of 700 days, an account taken over for 9 of 1500; a terminal is
    compromised for 10 of 200 days; a burst of card tests takes 8 % of all payments.
    """
    customer, chance = payments.customer, random.random(len(occurred_at))
    night = is_night(occurred_at) > 0
    stolen = _befalls(here.theft_phase[customer], occurred_at, 700, 6) & (chance < np.where(night, 0.85, 0.5))
    taken = _befalls(here.takeover_phase[customer], occurred_at, 1500, 9) & (chance < np.where(night, 0.9, 0.25))
    cloned = _befalls(here.compromise_phase[payments.terminal], occurred_at, 200, 10) & (chance < 0.6)
    tested = (here.burst_terminal[occurred_at // BURST % BURST_CYCLE] >= 0) & (chance < 0.08)
    return np.select(
        [stolen, taken, cloned & (payments.channel == SWIPE), tested],
        [STOLEN_CARD, ACCOUNT_TAKEOVER, COMPROMISED_TERMINAL, CARD_TESTING],
        GENUINE,
    )


def _steal(here: World, payments: Payments, rows: np.ndarray, random: np.random.Generator) -> None:
    """Stolen cards: far above the customer's habit, anywhere, goods that sell, seldom authenticated."""
    resale = random.choice(here.terminals_of("5732", "5944", "5651", "4511"), len(rows))
    anywhere = random.integers(0, TERMINALS, len(rows))
    usual = payments.terminal[rows]
    terminal = np.choose(share_urn([45, 30, 25])[random.integers(0, 100, len(rows))], [resale, anywhere, usual])
    channel = _channel(here, terminal, THIEF_CARD, random)
    payments.terminal[rows] = terminal
    payments.channel[rows] = channel
    payments.authentication[rows] = THIEF_AUTHENTICATION[channel, random.integers(0, 100, len(rows))]
    payments.amount[rows] = here.habit[payments.customer[rows]] * np.exp(random.normal(2.4, 0.8, len(rows)))
    payments.step[rows] = np.where(random.random(len(rows)) < 0.1, 10.0, 0.01)
    payments.recurring[rows] = False
    payments.device[rows] = np.where(channel == ONLINE, _strange_device(rows, random), NO_DEVICE)


def _clone(payments: Payments, rows: np.ndarray, random: np.random.Generator) -> None:
    """Cards copied at a compromised terminal: an ordinary swipe there, for somewhat more money."""
    payments.amount[rows] *= np.exp(random.normal(1.2, 0.6, len(rows)))


def _try_out(
    here: World, payments: Payments, rows: np.ndarray, occurred_at: np.ndarray, random: np.random.Generator
) -> None:
    """Card testing: tiny, mostly whole sums, one digital goods merchant after many cards in minutes."""
    payments.terminal[rows] = here.burst_terminal[occurred_at[rows] // BURST % BURST_CYCLE]
    payments.channel[rows] = ONLINE
    payments.authentication[rows] = THIEF_AUTHENTICATION[ONLINE, random.integers(0, 100, len(rows))]
    payments.amount[rows] = random.choice([0.5, 1.0, 1.0, 2.0, 5.0, 10.0], len(rows))
    payments.step[rows] = np.where(random.random(len(rows)) < 0.7, 1.0, 0.01)
    payments.recurring[rows] = random.random(len(rows)) < 0.03
    payments.device[rows] = np.where(random.random(len(rows)) < 0.6, NO_DEVICE, _strange_device(rows, random))


def _take_over(here: World, payments: Payments, rows: np.ndarray, random: np.random.Generator) -> None:
    """Account takeover: a new device, online, high sums for transfers, electronics and digital goods."""
    targets = here.terminals_of("4829", "5732", "5816")
    payments.terminal[rows] = random.choice(targets[here.online[targets]], len(rows))
    payments.channel[rows] = ONLINE
    payments.authentication[rows] = share_urn([45, 0, 0, 45, 10])[random.integers(0, 100, len(rows))]
    payments.amount[rows] = here.habit[payments.customer[rows]] * np.exp(random.normal(2.5, 0.8, len(rows)))
    payments.step[rows] = np.where(random.random(len(rows)) < 0.4, 10.0, 0.01)
    payments.recurring[rows] = False
    payments.device[rows] = _strange_device(rows, random)


def _strange_device(rows: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return random.integers(CUSTOMERS, 2 * CUSTOMERS, len(rows))


def _columns(here: World, payments: Payments, occurred_at: np.ndarray) -> dict[str, np.ndarray]:
    customer, terminal = payments.customer, payments.terminal
    home = here.home[customer]
    amount = np.maximum(np.rint(payments.amount * PER_EURO[home] / payments.step), 1) * payments.step
    # An account that ends is followed by a new one of the same number, so the world never grows old.
    account_age = (occurred_at // DAY + here.account_phase[customer]) % here.account_life[customer]
    return {
        "customer_id": names("c", 6, CUSTOMERS)[customer],
        "terminal_id": names("t", 5, TERMINALS)[terminal],
        "amount": np.round(amount, 2),
        "currency": CURRENCY_CODES[home],
        "country": COUNTRY_CODES[here.terminal_country[terminal]],
        "home_country": COUNTRY_CODES[home],
        "channel": CHANNEL_NAMES[payments.channel],
        "authentication": AUTHENTICATION_NAMES[payments.authentication],
        "merchant_category": CATEGORY_CODES[here.category[terminal]],
        "account_age": account_age,
        "recurring": payments.recurring,
        "device_id": DEVICE_NAMES[payments.device],
    }
