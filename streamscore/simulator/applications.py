"""Simulated applicants and what becomes of the credit they ask for.

An applicant's circumstances follow from the seed alone. Whether a credit defaults follows from
circumstances, from what is asked for and from `prudence`, which nobody sees but which leaves its
traces in missed payments and in requests for credit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import get_args

import numpy as np

from streamscore.core.events.application import PURPOSES, Channel, Employment, Housing

APPLICANTS = 100_000
EMPLOYMENTS: tuple[str, ...] = get_args(Employment)
UNEMPLOYED, RETIRED, STUDENT = (EMPLOYMENTS.index(value) for value in ("unemployed", "retired", "student"))
HOUSINGS: tuple[str, ...] = get_args(Housing)
CHANNELS: tuple[str, ...] = get_args(Channel)
CHANNEL_SHARES = (0.25, 0.5, 0.17, 0.08)
# "wedding" is not a declared purpose: the field is open and meets such values.
PURPOSE_NAMES = np.array([*PURPOSES, "wedding"], object)
PURPOSE_SHARES = (0.24, 0.17, 0.13, 0.06, 0.05, 0.24, 0.05, 0.059, 0.001)
PURPOSE_AMOUNTS = np.array([12_000, 10_000, 3_500, 6_000, 4_000, 11_000, 3_000, 15_000, 8_000])
# By employment: employed, self-employed, unemployed, retired, student. Incomes are yearly medians.
IN_WORK = np.array([True, True, False, False, False])
INCOMES = np.array([36_000, 34_000, 9_500, 20_000, 8_500])
EMPLOYMENT_RISK = np.array([0.0, 0.35, 1.0, -0.2, 0.45])
TERMS = np.array([12, 24, 36, 48, 60, 72, 84, 120])
TERM_SHARES = (0.12, 0.18, 0.22, 0.17, 0.16, 0.08, 0.05, 0.02)
# In the order of the declared values, and of PURPOSE_NAMES.
HOUSING_RISK = np.array([-0.35, -0.2, 0.25, 0.1])
PURPOSE_RISK = np.array([-0.2, -0.2, 0.0, 0.1, 0.25, 0.25, 0.2, 0.5, 0.0])
CHANNEL_RISK = np.array([-0.15, 0.05, 0.25, 0.0])


@dataclass(frozen=True)
class Applicants:
    """One array element each. Money a year or in all, ages and jobs in years, the rest in months or counts."""

    name: np.ndarray
    prudence: np.ndarray
    age: np.ndarray
    employment: np.ndarray
    housing: np.ndarray
    income: np.ndarray
    existing_debt: np.ndarray
    years_employed: np.ndarray
    months_at_address: np.ndarray
    credit_history_months: np.ndarray
    missed_payments: np.ndarray

    def take(self, who: np.ndarray) -> "Applicants":
        """The applicants with these numbers, in their order."""
        return Applicants(**{name: values[who] for name, values in vars(self).items()})


@dataclass(frozen=True)
class Request:
    """What is asked for, one array element per row; places in the vocabularies for categories."""

    amount: np.ndarray
    term: np.ndarray
    purpose: np.ndarray
    channel: np.ndarray
    recent_enquiries: np.ndarray


def draw(occurred_at: np.ndarray, seed: int, random: np.random.Generator) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Applications at the given times (int64 microseconds since 1970 UTC) by the applicants of `seed`.

    Returns the columns of all fields but the event's own id and time, and whether each row defaults.
    """
    rows = len(occurred_at)
    by = _applicants(seed).take(random.integers(0, APPLICANTS, rows))
    request = _request(by, random)
    default = random.random(rows) < 1 / (1 + np.exp(-_log_odds(by, request)))
    return _columns(by, request, random), default


@lru_cache(maxsize=4)
def _applicants(seed: int) -> Applicants:
    random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0, 1)))
    prudence = random.standard_normal(APPLICANTS)
    age = np.rint(40 * np.exp(0.33 * random.standard_normal(APPLICANTS))).clip(18, 90)
    employment = _employment(age, random)
    income = INCOMES[employment] * np.exp(0.42 * random.standard_normal(APPLICANTS) + 0.08 * prudence)
    burden = np.exp(-1.5 - 0.25 * prudence + random.standard_normal(APPLICANTS))
    history = (12 * (age - 18) * random.random(APPLICANTS) ** 0.7).clip(max=480)
    return Applicants(
        name=np.array([f"a{number:06d}" for number in range(APPLICANTS)], object),
        prudence=prudence,
        age=age,
        employment=employment,
        housing=_housing(age, random),
        income=np.round(income, 2),
        existing_debt=np.round(np.where(random.random(APPLICANTS) < 0.2, 0, income * burden), 2),
        years_employed=np.round(np.minimum(random.exponential(7, APPLICANTS), age - 18), 1),
        months_at_address=np.floor(np.minimum(random.exponential(70, APPLICANTS), 12 * age)),
        credit_history_months=np.floor(history),
        missed_payments=random.poisson(np.exp(-0.9 - 0.9 * prudence)).clip(max=40).astype(np.float64),
    )


def _employment(age: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Students are young and the retired old; in between, four in five are employed."""
    usual = _chosen((0.79, 0.12, 0.09), len(age), random)
    chance = random.random(len(age))
    return np.select([(age < 25) & (chance < 0.4), (age > 64) & (chance < 0.85)], [STUDENT, RETIRED], usual)


def _housing(age: np.ndarray, random: np.random.Generator) -> np.ndarray:
    young = _chosen((0.03, 0.12, 0.5, 0.35), len(age), random)
    old = _chosen((0.3, 0.3, 0.36, 0.04), len(age), random)
    return np.where(age < 30, young, old)


def _chosen(shares: Sequence[float], rows: int, random: np.random.Generator) -> np.ndarray:
    """Codes 0, 1, … drawn with these shares, which add up to 1."""
    return np.searchsorted(np.cumsum(shares)[:-1], random.random(rows), side="right")


def _request(by: Applicants, random: np.random.Generator) -> Request:
    """People ask for round sums that depend on the purpose and, less, on what they earn."""
    rows = len(by.income)
    purpose = _chosen(PURPOSE_SHARES, rows, random)
    wanted = PURPOSE_AMOUNTS[purpose] * (by.income / 30_000) ** 0.5 * np.exp(0.6 * random.standard_normal(rows))
    return Request(
        amount=50 * np.rint(wanted / 50).clip(10, 2_000),
        term=TERMS[_chosen(TERM_SHARES, rows, random)],
        purpose=purpose,
        channel=_chosen(CHANNEL_SHARES, rows, random),
        recent_enquiries=random.poisson(np.exp(0.1 - 0.45 * by.prudence)).clip(max=40).astype(np.float64),
    )


def _log_odds(by: Applicants, request: Request) -> np.ndarray:
    """Log odds of default: burdens and records add up, and three pairs are worse than their sum."""
    debt_to_income = (by.existing_debt / by.income).clip(max=3)
    instalment_to_income = (12 * request.amount / request.term / by.income).clip(max=1)
    missed = by.missed_payments.clip(max=6)
    short_history = np.exp(-by.credit_history_months / 30)
    out_of_work = by.employment == UNEMPLOYED
    new_in_job = (IN_WORK[by.employment]) * np.exp(-by.years_employed / 1.5)
    burdens = 1.1 * np.sqrt(debt_to_income) + 2.6 * np.sqrt(instalment_to_income)
    record = 0.5 * missed + 0.16 * request.recent_enquiries + 0.9 * short_history + 0.6 * new_in_job
    pairs = 0.25 * missed * debt_to_income + 1.8 * out_of_work * instalment_to_income
    pairs += 0.3 * short_history * request.recent_enquiries
    kinds = EMPLOYMENT_RISK[by.employment] + HOUSING_RISK[by.housing]
    kinds += PURPOSE_RISK[request.purpose] + CHANNEL_RISK[request.channel]
    return np.asarray(-4.0 + burdens + record + pairs + kinds - 0.35 * by.prudence)


def _columns(by: Applicants, request: Request, random: np.random.Generator) -> dict[str, np.ndarray]:
    """What the application says: people leave things out, low incomes more often than high ones."""
    chance = random.random((7, len(by.income)))
    unstated = chance[0] < np.where(by.income < 15_000, 0.12, 0.04)
    thin_file = (by.credit_history_months < 6) | (chance[4] < 0.03)
    return {
        "applicant_id": by.name,
        "amount": request.amount,
        "term": request.term,
        "channel": np.array(CHANNELS, object)[request.channel],
        "employment": np.array(EMPLOYMENTS, object)[by.employment],
        "housing": np.array(HOUSINGS, object)[by.housing],
        "purpose": PURPOSE_NAMES[request.purpose],
        "age": np.where(chance[1] < 0.02, np.nan, by.age),
        "income": np.where(unstated, np.nan, by.income),
        "existing_debt": np.where(unstated | (chance[2] < 0.05), np.nan, by.existing_debt),
        "years_employed": np.where(IN_WORK[by.employment] & (chance[3] < 0.95), by.years_employed, np.nan),
        "months_at_address": np.where(chance[5] < 0.04, np.nan, by.months_at_address),
        "credit_history_months": np.where(thin_file, np.nan, by.credit_history_months),
        "missed_payments": np.where(thin_file, np.nan, by.missed_payments),
        "recent_enquiries": np.where(chance[6] < 0.08, np.nan, request.recent_enquiries),
    }
