"""The models of a backtest, by name: each learns from a fold's training part and gives risks to its test part."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

from streamscore.core.events.event_type import EventType
from streamscore.core.scoring.scaler import Scaler
from trainer.data.part import whole
from trainer.evaluation.evaluate import with_values
from trainer.fitting.boosting import Library, Part, staged, tuned
from trainer.fitting.distil import fitted_to_all
from trainer.fitting.fit import logits
from trainer.fitting.scaling import fit_scaler, scaled
from trainer.settings import TeacherSettings, TrainingSettings

TRIALS = 40
# Chosen by average precision on the earlier weeks that boosting was tuned on too (tools/tune_boosting.py). Another seed
# changes the figure by 0.001. With this project's history features, six weeks from 05-09 to 06-13 gave: piecewise with
# distillation 0.760, periodic with distillation 0.757, piecewise alone 0.757, XGBoost 0.758. The published columns gave
# on three weeks: 0.723 and 0.721 with distillation, periodic alone 0.719. The teacher's share, more members, more
# epochs, and both embeddings together changed less than a seed does.
HANDBOOK_SETTINGS = TrainingSettings(preset="piecewise", epochs=12, weight_decay=0.05, members=3)
# The best of nine on four folds within the first training part of each of the two credit tables in examples/.
SMALL_SETTINGS = TrainingSettings(epochs=8, dropout=0.3, members=4)


class FoldData(NamedTuple):
    """The input of a model for one fold: raw and scaled columns, labels of the training part only, and settings.

    The scaler was fitted on the training part.
    """

    event_type: EventType
    train: Part
    test: np.ndarray
    scaled_train: np.ndarray
    scaled_test: np.ndarray
    scaler: Scaler
    settings: TrainingSettings


def fold_data(event_type: EventType, train: Part, test: np.ndarray, settings: TrainingSettings) -> FoldData:
    """Scale a fold by its training part; `test` holds the features of the test rows, float32 (rows, features)."""
    scaler = fit_scaler(event_type.features, train[0])
    return FoldData(event_type, train, test, scaled(scaler, train[0]), scaled(scaler, test), scaler, settings)


def _network(data: FoldData) -> np.ndarray:
    network = fitted_to_all(whole(*data.train, data.scaler), data.settings)
    test = whole(data.test, np.zeros(len(data.test), bool), data.scaler)
    return 1 / (1 + np.exp(-logits(network, test)))


def _distilled(data: FoldData) -> np.ndarray:
    """Distil the tuned XGBoost into the network; the teacher of the settings replaces it when they name one."""
    if data.settings.teacher.trees:
        return _network(data)
    chosen = tuned(data.event_type.name, "xgboost")
    teacher = TeacherSettings.model_validate({**chosen.values, "trees": chosen.trees})
    return _network(data._replace(settings=data.settings.model_copy(update={"teacher": teacher})))


def _dense(data: FoldData) -> np.ndarray:
    return _network(data._replace(settings=data.settings.model_copy(update={"preset": "dense"})))


def _dense_for_long(data: FoldData) -> np.ndarray:
    """A small network without distillation needs more epochs and decay than a piecewise one, and no dropout."""
    settings = data.settings
    more = {"epochs": 3 * settings.epochs // 2, "weight_decay": 4 * settings.weight_decay, "dropout": 0.0, "members": 1}
    return _dense(data._replace(settings=settings.model_copy(update={**more, "teacher": TeacherSettings()})))


def _logistic(data: FoldData) -> np.ndarray:
    model = LogisticRegression(max_iter=1000).fit(data.scaled_train, data.train[1])
    return model.predict_proba(data.scaled_test)[:, 1]


def _boosted(library: Library) -> Callable[[FoldData], np.ndarray]:
    def learnt(data: FoldData) -> np.ndarray:
        chosen = tuned(data.event_type.name, library)
        return staged(library, data.train, data.test, chosen.values, [chosen.trees])[0]

    return learnt


def _hist_gradient_boosting(data: FoldData) -> np.ndarray:
    """scikit-learn's boosting with the best of 40 random draws, by the AUC of a fifth of the training part."""
    whole_matrix, labels = data.train
    known = with_values(whole_matrix)
    matrix, test = whole_matrix[:, known], data.test[:, known]
    categorical = np.array([feature.categories > 0 for feature in data.event_type.features.features])[known]
    random, seed = np.random.default_rng(data.settings.seed), data.settings.seed
    learn, choose = train_test_split(np.arange(len(labels)), test_size=0.2, stratify=labels, random_state=seed)

    def fitted(values: dict[str, Any], rows: np.ndarray) -> Any:
        model = HistGradientBoostingClassifier(categorical_features=categorical, random_state=seed, **values)
        return model.fit(matrix[rows], labels[rows])

    def reached(values: dict[str, Any]) -> float:
        return float(roc_auc_score(labels[choose], fitted(values, learn).predict_proba(matrix[choose])[:, 1]))

    best = max((_drawn(random) for _ in range(TRIALS)), key=reached)
    return fitted(best, np.arange(len(labels))).predict_proba(test)[:, 1]


def _drawn(random: np.random.Generator) -> dict[str, Any]:
    return {
        "early_stopping": False,
        "learning_rate": float(np.exp(random.uniform(np.log(0.01), np.log(0.2)))),
        "max_iter": int(np.exp(random.uniform(np.log(50), np.log(500)))),
        "max_leaf_nodes": int(np.exp(random.uniform(np.log(3), np.log(64)))),
        "min_samples_leaf": int(np.exp(random.uniform(np.log(5), np.log(200)))),
        "l2_regularization": float(np.exp(random.uniform(np.log(1e-3), np.log(100)))),
        "max_features": float(random.uniform(0.2, 1)),
    }


Model = Callable[[FoldData], np.ndarray]
HANDBOOK: Mapping[str, Model] = {
    "network": _distilled,
    "xgboost": _boosted("xgboost"),
    "lightgbm": _boosted("lightgbm"),
    "logistic": _logistic,
    "dense": _dense_for_long,
}
K_FOLD: Mapping[str, Model] = {
    "network": _network,
    "hist_gradient_boosting": _hist_gradient_boosting,
    "logistic": _logistic,
    "dense": _dense,
}
