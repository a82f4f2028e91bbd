"""One small network in the place of a large one or of several: it learns from their risks as well as from the labels.

Hinton, Vinyals, Dean, Distilling the Knowledge in a Neural Network, 2015.
"""

from typing import Any

import numpy as np

from trainer.fit import OnEpoch, calibrate, fit, fit_all, logits
from trainer.part import Part
from trainer.settings import TrainingSettings

# How much the teacher's risk counts beside the label.
TEACHER = 0.7


def fitted(train: Part, validation: Part, settings: TrainingSettings, on_epoch: OnEpoch) -> Any:
    """The network of the settings with the weights of its best epoch; if they name a student, that."""
    network = fit(train, validation, settings, on_epoch)
    if not settings.student:
        return network
    return fit(taught(network, train, validation), validation, student_of(settings), on_epoch)


def fitted_to_all(train: Part, settings: TrainingSettings) -> Any:
    """The network or student with the weights of the last epoch."""
    network = fit_all(train, settings)
    return fit_all(taught(network, train, train), student_of(settings)) if settings.student else network


def taught(teacher: Any, train: Part, calibrating: Part) -> Part:
    """The training part with float targets (rows,): between each label and the risk that the teacher gives."""
    found = calibrate(logits(teacher, calibrating), calibrating.labels)
    risks = 1 / (1 + np.exp(-(found.slope * logits(teacher, train) + found.intercept)))
    return train._replace(labels=TEACHER * risks + (1 - TEACHER) * train.labels)


def student_of(settings: TrainingSettings) -> TrainingSettings:
    """The settings that a student is fitted by."""
    return settings.model_copy(update={"preset": settings.student or settings.preset, "members": 1, "student": None})
