"""The Transaction event: a card payment, its features and what they mean in words."""

from datetime import datetime
from typing import Annotated, Literal

import numpy as np
from msgspec import Meta, Struct

from streamscore.core.events.event_type import EventType
from streamscore.core.events.feature import Feature, FeatureSet, as_is, hour_of_day, is_night, is_weekend
from streamscore.core.events.field import UNKNOWN, known

CURRENCIES = ("EUR", "USD", "GBP", "CHF", "PLN", "SEK", "NOK", "DKK", "CZK", "HUF")
COUNTRIES = (
    "DE", "FR", "ES", "IT", "NL", "BE", "AT", "PL", "SE", "NO",
    "DK", "CZ", "HU", "CH", "GB", "IE", "PT", "US", "RO", "LT",
)  # fmt: skip
# ISO 18245 codes: groceries, restaurants, fast food, fuel, clothing, electronics, pharmacy, taxi, airline, lodging,
# telephone, digital goods, jewellery, cash machine, gambling, money transfer, utilities.
MERCHANT_CATEGORIES = (
    "5411", "5812", "5814", "5541", "5651", "5732", "5912", "4121", "4511",
    "7011", "4814", "5816", "5944", "6011", "7995", "4829", "4900",
)  # fmt: skip

Channel = Literal["chip", "contactless", "swipe", "online", "atm"]
Authentication = Literal["none", "pin", "signature", "3ds", "biometric"]
Id = Annotated[str, Meta(min_length=1, max_length=64)]
Country = Annotated[str, Meta(min_length=2, max_length=2, extra=known(*COUNTRIES))]


class Transaction(Struct, frozen=True, gc=False):
    """One card payment. `amount` is in units of the card's currency, `account_age` in days."""

    event_id: Id
    occurred_at: Annotated[datetime, Meta(tz=True)]
    customer_id: Id
    terminal_id: Id
    amount: Annotated[float, Meta(ge=0, le=1e9)]
    currency: Annotated[str, Meta(min_length=3, max_length=3, extra=known(*CURRENCIES))]
    country: Country
    home_country: Country
    channel: Channel
    authentication: Authentication
    merchant_category: Annotated[str, Meta(min_length=4, max_length=4, extra=known(*MERCHANT_CATEGORIES))]
    account_age: Annotated[int, Meta(ge=0, le=50_000)]
    recurring: bool
    device_id: Id | None = None


def crosses_border(country: np.ndarray, home_country: np.ndarray) -> np.ndarray:
    """1.0 where the payment is made outside the card's home country; NaN where one is not a known country."""
    return np.where((country == UNKNOWN) | (home_country == UNKNOWN), np.nan, country != home_country)


def is_round_amount(amount: np.ndarray) -> np.ndarray:
    """1.0 for whole multiples of ten: cash-outs and card tests like round sums."""
    return (np.mod(amount, 10.0) == 0).astype(np.float64)


TRANSACTION = EventType(
    name="transaction",
    struct=Transaction,
    entities=("customer_id", "terminal_id"),
    label="is_fraud",
    features=FeatureSet(
        (
            Feature("amount", ("amount",), as_is, "amount of {value:,.2f}"),
            Feature("round_amount", ("amount",), is_round_amount, "round amount", otherwise="amount is not round"),
            Feature("hour_of_day", ("occurred_at",), hour_of_day, "time of day"),
            Feature("night", ("occurred_at",), is_night, "made at night", otherwise="made by day"),
            Feature("weekend", ("occurred_at",), is_weekend, "made at the weekend", otherwise="made on a working day"),
            Feature(
                "crosses_border",
                ("country", "home_country"),
                crosses_border,
                "outside the home country",
                otherwise="inside the home country",
            ),
            Feature("account_age", ("account_age",), as_is, "account is {value:.0f} days old"),
            Feature("recurring", ("recurring",), as_is, "recurring payment", otherwise="not a recurring payment"),
            Feature("currency", ("currency",), as_is, "currency", len(CURRENCIES) + 1),
            Feature("country", ("country",), as_is, "country of the terminal", len(COUNTRIES) + 1),
            Feature("channel", ("channel",), as_is, "way the card was presented", 6),
            Feature("authentication", ("authentication",), as_is, "how the holder was authenticated", 6),
            Feature(
                "merchant_category", ("merchant_category",), as_is, "kind of merchant", len(MERCHANT_CATEGORIES) + 1
            ),
        )
    ),
)
