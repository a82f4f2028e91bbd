"""Distillation: a network learns from another model's risks beside the labels; risks carry less noise than labels.

Boosted trees are the teacher of the network of the settings. That network is the teacher of a small student, if the
settings name one, and the student replaces it.
Hinton, Vinyals, Dean, Distilling the Knowledge in a Neural Network, 2015.
"""

from typing import Any

import numpy as np

from trainer.data.part import Part
from trainer.fitting.boosting import forests, grown
from trainer.fitting.fit import OnEpoch, calibrate, fit, fit_all, logits
from trainer.settings import TrainingSettings

# Weight of the teacher's risk; the label has the rest. On the weeks of trainer/backtest/models.py the weights 0.7, 0.8
# and 0.9 brought the network to an average precision of 0.755, 0.756 and 0.756 with this project's history features,
# and to 0.721, 0.721 and 0.719 with the published columns.
TEACHER = 0.8
# The forests draw different rows and features. On the same weeks four gained 0.0005 of average precision over one.
FORESTS = 4
# Most rows that the trees learn from: they are in memory twice, and sorted by each feature.
GROWN_ON = 1 << 20


def fitted(train: Part, validation: Part, settings: TrainingSettings, on_epoch: OnEpoch) -> Any:
    """The network of the settings with the weights of its best epoch, or the student if the settings name one."""
    network = fit(taught_by_trees(train, settings), validation, settings, on_epoch)
    if not settings.student:
        return network
    return fit(taught(network, train, validation), validation, student_of(settings), on_epoch)


def fitted_to_all(train: Part, settings: TrainingSettings) -> Any:
    """The network or student with the weights of the last epoch."""
    network = fit_all(taught_by_trees(train, settings), settings)
    return fit_all(taught(network, train, train), student_of(settings)) if settings.student else network


def taught(teacher: Any, train: Part, calibrating: Part) -> Part:
    """The training part with float targets (rows,): a weighted mean of each label and the teacher's risk."""
    found = calibrate(logits(teacher, calibrating), calibrating.labels)
    return _between(train, 1 / (1 + np.exp(-(found.slope * logits(teacher, train) + found.intercept))))


def taught_by_trees(train: Part, settings: TrainingSettings) -> Part:
    """The training part with float targets (rows,): a weighted mean of label and forests' mean risk.

    Without trees in the settings the part is unchanged.
    """
    if not (trees := settings.teacher.trees):
        return train
    some = train.subsample(GROWN_ON)
    learnt = (some.features(), some.labels)
    teachers = [grown("xgboost", learnt, values, trees) for values in forests(settings, FORESTS)]
    risks = [np.mean([teacher(rows.features(), trees) for teacher in teachers], axis=0) for rows in train.chunks()]
    return _between(train, np.concatenate(risks))


def _between(train: Part, risks: np.ndarray) -> Part:
    targets = TEACHER * risks + (1 - TEACHER) * train.labels
    return train._replace(labels=targets.astype(np.float32))


def student_of(settings: TrainingSettings) -> TrainingSettings:
    """The settings that a student is fitted by."""
    return settings.model_copy(update={"preset": settings.student or settings.preset, "members": 1, "student": None})
