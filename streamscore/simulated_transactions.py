"""A small world of card holders and terminals, and the payments, honest and not, made in it.

The world follows from the seed alone and its events from the calendar: which cards are stolen,
which accounts are taken over and which terminals are compromised on a day does not depend on how
a stream is cut into chunks. All amounts are in euros until the last step.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, get_args

import numpy as np

from streamscore.core.feature import DAY, is_night
from streamscore.core.transaction import Authentication, Channel

CUSTOMERS = 50_000
TERMINALS = 5_000
KINDS = ("genuine", "stolen_card", "compromised_terminal", "card_testing", "account_takeover")
GENUINE, STOLEN_CARD, COMPROMISED_TERMINAL, CARD_TESTING, ACCOUNT_TAKEOVER = range(5)

CHANNELS: tuple[str, ...] = get_args(Channel)
CHIP, CONTACTLESS, SWIPE, ONLINE, ATM = (
    CHANNELS.index(channel) for channel in ("chip", "contactless", "swipe", "online", "atm")
)


class Country(NamedTuple):
    """`share` in percent of the customers and of the terminals, `per_euro` its currency's rate."""

    code: str
    share: float
    currency: str
    per_euro: float


# Turkey, Brazil and three of the currencies are not declared by the event: open fields meet such values.
COUNTRIES = (
    Country("DE", 18, "EUR", 1), Country("FR", 13, "EUR", 1), Country("ES", 9, "EUR", 1), Country("IT", 10, "EUR", 1),
    Country("NL", 6, "EUR", 1), Country("BE", 4, "EUR", 1), Country("AT", 4, "EUR", 1), Country("PL", 6, "PLN", 4.3),
    Country("SE", 3, "SEK", 11.3), Country("NO", 2, "NOK", 11.6), Country("DK", 2, "DKK", 7.46),
    Country("CZ", 3, "CZK", 25), Country("HU", 2, "HUF", 395), Country("CH", 3, "CHF", 0.95),
    Country("GB", 7, "GBP", 0.85), Country("IE", 1.5, "EUR", 1), Country("PT", 2, "EUR", 1),
    Country("US", 3, "USD", 1.1), Country("RO", 0.3, "RON", 5), Country("LT", 1, "EUR", 1),
    Country("TR", 0.1, "TRY", 38), Country("BR", 0.1, "BRL", 6),
)  # fmt: skip


class Merchant(NamedTuple):
    """A merchant category: `share` in percent of the terminals, `online` the share of those on the web.

    `multiple` is the usual amount as a multiple of what a customer habitually spends.
    """

    category: str
    share: float
    multiple: float
    online: float


# The last one is not a declared category.
MERCHANTS = (
    Merchant("5411", 25, 1.0, 0.05), Merchant("5812", 12, 1.3, 0.0), Merchant("5814", 12, 0.4, 0.1),
    Merchant("5541", 8, 1.6, 0.0), Merchant("5651", 8, 2.0, 0.4), Merchant("5732", 4, 5.0, 0.5),
    Merchant("5912", 5, 0.6, 0.1), Merchant("4121", 3, 0.6, 0.3), Merchant("4511", 1, 10.0, 0.9),
    Merchant("7011", 2, 6.0, 0.5), Merchant("4814", 3, 0.8, 0.9), Merchant("5816", 5, 0.3, 1.0),
    Merchant("5944", 0.8, 7.0, 0.3), Merchant("6011", 5, 3.0, 0.0), Merchant("7995", 1, 1.0, 1.0),
    Merchant("4829", 2, 4.0, 1.0), Merchant("4900", 3, 2.5, 1.0), Merchant("8999", 0.2, 2.0, 0.5),
)  # fmt: skip


def _share_urn(percent: Sequence[int]) -> np.ndarray:
    """100 codes in the given proportions: indexing with a uniform 0..99 draws one of them."""
    return np.repeat(np.arange(len(percent)), percent)


def _allotted(shares: Sequence[float], count: int) -> np.ndarray:
    """`count` codes in ascending order and in proportion to `shares`."""
    limits = np.cumsum(shares)
    return np.searchsorted(limits, (np.arange(count) + 0.5) / count * limits[-1])


@lru_cache(maxsize=8)
def _names(prefix: str, digits: int, count: int) -> np.ndarray:
    """The ids of a population: an object array of `prefix` and a number with `digits` digits."""
    return np.array([f"{prefix}{number:0{digits}d}" for number in range(count)], object)


# Object arrays: a column drawn from one shares its few strings.
COUNTRY_CODES = np.array([country.code for country in COUNTRIES], object)
CURRENCY_CODES = np.array([country.currency for country in COUNTRIES], object)
PER_EURO = np.array([country.per_euro for country in COUNTRIES])
# Cash and top-ups come in tens of a currency like the euro, in thousands of one like the forint.
ROUND_SUM = 10.0 ** (1 + np.maximum(0, np.floor(np.log10(PER_EURO))))
CATEGORY_CODES = np.array([merchant.category for merchant in MERCHANTS], object)
MULTIPLES = np.array([merchant.multiple for merchant in MERCHANTS])
CASH = CATEGORY_CODES == "6011"
BILLS = np.isin(CATEGORY_CODES, ("4900", "4814", "5816"))
ROUND_PRICES = np.isin(CATEGORY_CODES, ("4814", "7995", "4829", "6011"))
CHANNEL_NAMES = np.array(CHANNELS, object)
AUTHENTICATION_NAMES = np.array(get_args(Authentication), object)
# By channel, in percent: none, pin, signature, 3ds, biometric.
HONEST_AUTHENTICATION = np.stack(
    [
        _share_urn([1, 94, 5, 0, 0]),
        _share_urn([58, 10, 0, 0, 32]),
        _share_urn([12, 23, 65, 0, 0]),
        _share_urn([27, 0, 0, 55, 18]),
        _share_urn([0, 100, 0, 0, 0]),
    ]
)
THIEF_AUTHENTICATION = np.stack(
    [
        _share_urn([10, 35, 55, 0, 0]),
        _share_urn([95, 5, 0, 0, 0]),
        _share_urn([25, 5, 70, 0, 0]),
        _share_urn([72, 0, 0, 25, 3]),
        _share_urn([0, 100, 0, 0, 0]),
    ]
)
HONEST_CARD = _share_urn([40, 54, 6])
THIEF_CARD = _share_urn([25, 40, 35])
DEVICE_NAMES = np.array([*_names("d", 6, 2 * CUSTOMERS), None], object)
NO_DEVICE = -1  # the place of None in DEVICE_NAMES
BURST = DAY // 288  # five minutes
BURST_CYCLE = 288 * 28


@dataclass(frozen=True)
class World:
    """Customers and terminals, one array element each.

    A `..._phase` shifts, in days, the cycle of what befalls a customer or a terminal. Terminals
    are sorted by country; `first_terminal` and `terminals` say where each country's begin and how
    many there are. `burst_terminal` is where stolen card numbers are tried out in each five
    minutes of four weeks, or -1.
    """

    home: np.ndarray
    habit: np.ndarray
    account_life: np.ndarray
    account_phase: np.ndarray
    trip_country: np.ndarray
    trip_phase: np.ndarray
    theft_phase: np.ndarray
    takeover_phase: np.ndarray
    terminal_country: np.ndarray
    category: np.ndarray
    online: np.ndarray
    compromise_phase: np.ndarray
    first_terminal: np.ndarray
    terminals: np.ndarray
    burst_terminal: np.ndarray

    def terminals_of(self, *categories: str) -> np.ndarray:
        """Numbers of the terminals of these merchant categories."""
        return np.flatnonzero(np.isin(CATEGORY_CODES, categories)[self.category])


@lru_cache(maxsize=4)
def _world(seed: int) -> World:
    """The world of a seed."""
    random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0, 0)))
    shares = [country.share for country in COUNTRIES]
    terminal_country = _allotted(shares, TERMINALS)
    category = random.permutation(_allotted([merchant.share for merchant in MERCHANTS], TERMINALS))
    return World(
        home=random.permutation(_allotted(shares, CUSTOMERS)),
        habit=22.0 * np.exp(0.55 * random.standard_normal(CUSTOMERS)),
        account_life=(200 + random.exponential(2500, CUSTOMERS)).astype(np.int64).clip(max=15_000),
        account_phase=random.integers(0, 15_000, CUSTOMERS),
        trip_country=random.permutation(_allotted(shares, CUSTOMERS)),
        trip_phase=random.integers(0, 180, CUSTOMERS),
        theft_phase=random.integers(0, 700, CUSTOMERS),
        takeover_phase=random.integers(0, 1500, CUSTOMERS),
        terminal_country=terminal_country,
        category=category,
        online=random.random(TERMINALS) < np.array([merchant.online for merchant in MERCHANTS])[category],
        compromise_phase=random.integers(0, 200, TERMINALS),
        first_terminal=np.searchsorted(terminal_country, np.arange(len(COUNTRIES))),
        terminals=np.bincount(terminal_country, minlength=len(COUNTRIES)),
        burst_terminal=_bursts(category, random),
    )


def _bursts(category: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A digital goods terminal for one in forty of the five minutes of four weeks, -1 for the others."""
    targets = np.flatnonzero(CATEGORY_CODES[category] == "5816")
    return np.where(random.random(BURST_CYCLE) < 0.025, random.choice(targets, BURST_CYCLE), -1)


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
    here = _world(seed)
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
    terminal = np.choose(_share_urn([45, 30, 25])[random.integers(0, 100, len(rows))], [resale, anywhere, usual])
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
    payments.authentication[rows] = _share_urn([45, 0, 0, 45, 10])[random.integers(0, 100, len(rows))]
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
        "customer_id": _names("c", 6, CUSTOMERS)[customer],
        "terminal_id": _names("t", 5, TERMINALS)[terminal],
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
