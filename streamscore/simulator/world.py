"""The world in which payments are simulated: countries, merchants, card holders, terminals.

It follows from the seed alone. Amounts are in euros.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, get_args

import numpy as np

from streamscore.core.events.feature import DAY
from streamscore.core.events.transaction import Authentication, Channel

CUSTOMERS = 50_000
TERMINALS = 5_000

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


def share_urn(percent: Sequence[int]) -> np.ndarray:
    """100 codes in the given proportions: indexing with a uniform 0..99 draws one of them."""
    return np.repeat(np.arange(len(percent)), percent)


def _allotted(shares: Sequence[float], count: int) -> np.ndarray:
    """`count` codes in ascending order and in proportion to `shares`."""
    limits = np.cumsum(shares)
    return np.searchsorted(limits, (np.arange(count) + 0.5) / count * limits[-1])


@lru_cache(maxsize=8)
def names(prefix: str, digits: int, count: int) -> np.ndarray:
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
        share_urn([1, 94, 5, 0, 0]),
        share_urn([58, 10, 0, 0, 32]),
        share_urn([12, 23, 65, 0, 0]),
        share_urn([27, 0, 0, 55, 18]),
        share_urn([0, 100, 0, 0, 0]),
    ]
)
THIEF_AUTHENTICATION = np.stack(
    [
        share_urn([10, 35, 55, 0, 0]),
        share_urn([95, 5, 0, 0, 0]),
        share_urn([25, 5, 70, 0, 0]),
        share_urn([72, 0, 0, 25, 3]),
        share_urn([0, 100, 0, 0, 0]),
    ]
)
HONEST_CARD = share_urn([40, 54, 6])
THIEF_CARD = share_urn([25, 40, 35])
DEVICE_NAMES = np.array([*names("d", 6, 2 * CUSTOMERS), None], object)
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
def world(seed: int) -> World:
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
