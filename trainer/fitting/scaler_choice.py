"""Which scaler suits which column, by what a logistic regression of that column alone makes of the validation part."""

from typing import get_args

import numpy as np
from sklearn.linear_model import LogisticRegression

from streamscore.core.events.feature import Feature, FeatureSet
from streamscore.core.scoring.scaler import Scaler, scaled_width
from trainer.data.part import evenly_spaced
from trainer.fitting.scaling import Kind, fit_scale, fit_scaler, scaled
from trainer.settings import TrainingSettings

Table = tuple[np.ndarray, np.ndarray]  # features, labels

# Rows of a part that are enough to tell.
LOOKED_AT = 50_000


def scaler_for(features: FeatureSet, train: Table, validation: Table, settings: TrainingSettings) -> Scaler:
    """The scaler fitted on the training part; the validation part only chooses its kinds, where they are to be chosen.

    Of each as many rows as fit into memory: float32 (rows, features) and bool (rows,).
    """
    if settings.scaler == "auto":
        some = [
            (evenly_spaced(matrix, LOOKED_AT), evenly_spaced(labels, LOOKED_AT))
            for matrix, labels in (train, validation)
        ]
        kinds = {f.name: _chosen(f, *((m[:, j], y) for m, y in some)) for j, f in enumerate(features.features)}
        return fit_scaler(features, train[0], kinds)
    return fit_scaler(features, train[0], dict.fromkeys(features.names, settings.scaler))


def _chosen(feature: Feature, train: Table, validation: Table) -> Kind:
    """The kind of least log loss; robust unless another is better by more than a standard error of the difference."""
    if feature.categories:
        return "robust"
    losses = {kind: _losses(feature, kind, train, validation) for kind in get_args(Kind)}
    best: Kind = min(losses, key=lambda kind: float(losses[kind].mean()))
    gain = losses["robust"] - losses[best]
    return best if gain.mean() > gain.std() / len(gain) ** 0.5 else "robust"


def _losses(feature: Feature, kind: Kind, train: Table, validation: Table) -> np.ndarray:
    """float64 (rows,): the log loss of each validation row."""
    column = fit_scale(feature, train[0], kind)
    scaler = Scaler(columns=(column,), baseline=(0.0,) * scaled_width(column))
    model = LogisticRegression().fit(scaled(scaler, train[0][:, None]), train[1])
    found = model.predict_proba(scaled(scaler, validation[0][:, None]))
    return -np.log(np.maximum(found[np.arange(len(found)), validation[1].astype(int)], 1e-12))
