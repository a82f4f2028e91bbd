"""The laws of a scorer, whatever network it holds."""

import numpy as np

from streamscore.core.scoring.bundle import Scorer
from streamscore.testing.laws import require

# float32 sums of a few hundred terms differ by about 1e-6 between batch shapes.
TOLERANCE = 2e-6


def check_scorer(scorer: Scorer, matrix: np.ndarray) -> None:
    """Hold the laws of a scorer on a feature matrix, float32 (rows, features) of at least 20 rows.

    Risks are probabilities, repeat to the bit, and depend on nothing but their row. Contributions repeat, and add up
    with the residual to the logit's difference from the baseline's. AssertionError says which law is broken.

        >>> matrix = model.features_of(streamscore.testing.events_of(model.event_type, 20, seed=1)).to_numpy()
        >>> streamscore.testing.check_scorer(scorer, matrix)
    """
    risks = scorer.risks(matrix)
    require(risks.shape == (len(matrix),), f"risks have shape {risks.shape}, not one for each row")
    require(risks.dtype == np.float32, f"risks are {risks.dtype}, not float32")
    require(bool(((risks >= 0) & (risks <= 1)).all()), "a risk is not between 0 and 1")
    require(np.array_equal(scorer.risks(matrix), risks), "the same rows have other risks the second time")
    for rows in (1, 16, 17):
        distance = np.abs(scorer.risks(matrix[:rows]) - risks[:rows]).max()
        require(distance <= TOLERANCE, f"risks differ by {distance:.2g} in a batch of {rows} rows")
    turned = np.abs(scorer.risks(matrix[::-1])[::-1] - risks).max()
    require(turned <= TOLERANCE, f"risks differ by {turned:.2g} with the order of rows")
    wild = matrix.copy()
    wild[1::2] = np.where(np.arange(matrix.shape[1]) % 2, np.nan, 1e9)
    beside = np.abs(scorer.risks(wild)[::2] - risks[::2]).max()
    require(beside <= TOLERANCE, f"risks differ by {beside:.2g} beside rows of NaN and of huge numbers")
    unknown = scorer.risks(np.full((1, matrix.shape[1]), np.nan, np.float32))
    require(bool(np.isfinite(unknown).all()), "a row of which nothing is known has no risk")
    _check_contributions(scorer, matrix, risks.astype(np.float64))


def _check_contributions(scorer: Scorer, matrix: np.ndarray, risks: np.ndarray) -> None:
    found, again = scorer.contributions(matrix), scorer.contributions(matrix)
    require(found.values.shape == matrix.shape, f"contributions have shape {found.values.shape}")
    require(bool(np.isfinite(found.values).all()), "a contribution is not finite")
    require(np.array_equal(found.values, again.values), "the same rows have other contributions the second time")
    inside = (risks > 1e-3) & (risks < 1 - 1e-3)  # beyond, float32 risks lose the logit's digits
    if inside.any():
        logits = np.log(risks[inside] / (1 - risks[inside]))
        baseline = logits - (found.values.sum(axis=1) + found.residual)[inside]
        require(np.ptp(baseline) < 1e-3, f"contributions miss the logits by {np.ptp(baseline):.2g}")
