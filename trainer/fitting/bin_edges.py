"""Where the pieces of columns end: where boosted trees split them.

The authors of the encoding (trainer/embedding.py) take the splits of a tree of each column alone. Trees of all columns
also split where a column counts only beside another: on the weeks named there they brought 0.753 of average precision
where a tree per column brought 0.745, and pieces of equally many rows 0.741.
"""

import numpy as np

from trainer.data.part import Part
from trainer.fitting.boosting import forests, splits
from trainer.fitting.embedding import PIECES
from trainer.settings import TrainingSettings

# Trees that split, if the settings name no teacher, and forests of them, which differ by what they draw.
TREES, FORESTS = 75, 2
# Rows that trees split, at most: a split is as sure as need be, and 100 columns of so many take a minute.
SPLIT = 1 << 17
# Ends that are nearer to each other, in units of a scaled column, are one.
DECIMALS = 4


def ends(train: Part, settings: TrainingSettings) -> list[np.ndarray]:
    """Of each scaled column the ends of its pieces, ascending: the least value, splits, the greatest value.

    SettingsError where XGBoost is not installed.
    """
    some = train.subsample(SPLIT)
    columns = np.concatenate([np.asarray(chunk.scaled()) for chunk in some.chunks()])
    learnt, trees = (columns, some.labels), settings.teacher.trees or TREES
    split = [splits(learnt, values, trees) for values in forests(settings, FORESTS)]
    return [_ends(columns[:, j], np.concatenate(found)) for j, found in enumerate(zip(*split, strict=True))]


def _ends(values: np.ndarray, found: np.ndarray) -> np.ndarray:
    inner = np.unique(found.round(DECIMALS))
    if len(inner) >= PIECES:
        # Most of them where trees split most often.
        inner = np.quantile(found, np.linspace(0, 1, PIECES - 1))
    return np.unique(np.array([values.min(), *inner, values.max()]).round(DECIMALS))
