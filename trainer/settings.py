"""The settings of a training run. Every default suits an unattended run."""

from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Preset = Literal["default", "dense", "periodic", "piecewise", "logistic", "linear"]


class GateSettings(BaseModel):
    """The limits that a candidate must keep before it becomes the champion."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    positives: int = Field(
        100,
        ge=2,
        description="least positives in the validation part and in the test part; with fewer the verdict is shadow",
    )
    lift: float = Field(
        2.0,
        ge=1,
        description="least odds of the average precision, as a multiple of the odds of chance; below it: reject",
    )
    margin: float = Field(
        0.02,
        ge=0,
        lt=1,
        description="how far the interval of the difference in average precision may reach below 0",
    )
    calibration: float = Field(
        0.02,
        gt=0,
        lt=1,
        description="largest expected calibration error; or three times what chance gives, if larger; above it: reject",
    )
    most_jump: float = Field(
        0.3,
        gt=0,
        le=1,
        description="largest share of events that one bin of a feature may gain since training; above it: reject",
    )
    promise: float = Field(
        0.5, ge=0, le=1, description="least average precision, as a share of the champion's when it was trained"
    )
    most_rate_change: float = Field(
        2.0, ge=1, description="largest factor between the positive rate now and at the champion's training"
    )
    most_alert_change: float = Field(
        2.0, ge=1, description="largest factor between the alert rate and its budget; above it: shadow"
    )
    parity: float = Field(
        2e-5, gt=0, lt=1, description="largest difference between the risks of the fitted and the reloaded model"
    )
    microseconds: float = Field(
        500.0, gt=0, description="longest scoring time per event in batches of 64 and 1,024, µs"
    )
    megabytes: float = Field(100.0, gt=0, description="largest size of the bundle, MB")


class ThresholdSettings(BaseModel):
    """How the risks from which events are reviewed and declined are chosen. All costs share one unit, any unit."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    by: Literal["budget", "cost", "false_positives"] = Field(
        "budget",
        description="how thresholds are chosen: by budget (review_rate, decline_rate), cost or false_positives",
    )
    cost_missed: float | None = Field(None, gt=0, description="by cost: the cost of a positive that is approved")
    cost_review: float | None = Field(
        None, gt=0, description="by cost: the cost of a review, which always finds the truth"
    )
    cost_declined: float | None = Field(None, gt=0, description="by cost: the cost of a negative that is declined")
    false_positives: float | None = Field(
        None, gt=0, lt=1, description="by false_positives: share of negatives that may be reviewed or declined"
    )
    false_declines: float | None = Field(
        None, gt=0, lt=1, description="by false_positives: share of negatives that may be declined"
    )

    @model_validator(mode="after")
    def _complete(self) -> "ThresholdSettings":
        given = {name for name in type(self).model_fields if name != "by" and getattr(self, name) is not None}
        needed = _NEEDED[self.by]
        if foreign := given - needed:
            name = min(foreign)
            theirs = next(by for by, names in _NEEDED.items() if name in names)
            raise ValueError(f"{name} belongs to by={theirs}, and by is {self.by}")
        if missing := needed - given:
            raise ValueError(f"by={self.by} needs {', '.join(sorted(missing))} too")
        if self.by == "false_positives" and (self.false_declines or 0) > (self.false_positives or 0):
            raise ValueError("false_declines above false_positives: more would be declined than alerted")
        if self.cost_missed and self.cost_review and self.cost_declined:
            dearest = self.cost_missed * self.cost_declined / (self.cost_missed + self.cost_declined)
            if self.cost_review >= dearest:
                raise ValueError(
                    f"a review that costs {dearest:g} or more is never cheaper than a decision without one"
                )
        return self


_NEEDED: dict[str, set[str]] = {
    "budget": set(),
    "cost": {"cost_missed", "cost_review", "cost_declined"},
    "false_positives": {"false_positives", "false_declines"},
}


# XGBoost holds its parameters in float32, and refuses a larger one only when it grows the trees.
MOST = 1e9


class TeacherSettings(BaseModel):
    """Boosted trees whose risks the network learns from beside the labels (distillation); names are XGBoost's."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    trees: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="number of boosted trees that the network learns from; no distillation if unset",
    )
    learning_rate: float = Field(0.1, ge=1e-6, le=1, description="share of the remaining error that each tree corrects")
    max_depth: int = Field(5, ge=1, le=20, description="largest depth of a tree")
    min_child_weight: float = Field(1.0, ge=0, le=MOST, description="least weight of the events in a leaf")
    subsample: float = Field(0.8, ge=1e-3, le=1, description="share of events that each tree sees")
    colsample_bytree: float = Field(0.8, ge=1e-3, le=1, description="share of features that each tree sees")
    reg_lambda: float = Field(1.0, ge=0, le=MOST, description="penalty on the square of a leaf's value")
    reg_alpha: float = Field(0.0, ge=0, le=MOST, description="penalty on the absolute value of a leaf")
    gamma: float = Field(0.0, ge=0, le=MOST, description="least gain in the loss for a split")

    @model_validator(mode="after")
    def _any_trees(self) -> "TeacherSettings":
        if self.trees is None and (foreign := self.model_fields_set - {"trees"}):
            raise ValueError(f"{min(foreign)} is a setting of the teacher's trees, and teacher.trees is unset")
        return self


class TrainingSettings(BaseModel):
    """The settings of one training, recorded in the bundle.

    The same settings, data and package versions give the same weights.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    preset: str = Field(
        "default",
        description="network: default (256-128-64), dense (64-32), periodic (default with periodic embeddings), "
        "piecewise (default with piecewise linear embeddings), logistic, linear (least squares), or module:function",
    )
    window_days: float | None = Field(
        None, gt=0, lt=100_000, description="newest days of events to learn from; all if unset"
    )
    split: Literal["time", "stratified"] = Field("time", description="how validation and test are split off")
    validation_share: float = Field(
        0.15, gt=0, lt=0.5, description="share of events that the epoch and the thresholds are chosen on"
    )
    test_share: float = Field(0.15, gt=0, lt=0.5, description="share of events that the model is only judged on")
    gap_days: float | None = Field(
        None,
        ge=0,
        lt=10_000,
        description="days between parts split by time; if unset the type's maturity, at most a tenth of the whole time",
    )
    seed: int = Field(0, ge=0, lt=2**32, description="seed of the weights, the shuffling and the stratified split")
    epochs: int = Field(
        12, ge=1, le=100_000, description="passes over the training part; the weights of the best epoch are kept"
    )
    batch: int | None = Field(
        None,
        ge=1,
        le=1 << 24,
        description="events in a training step; if unset 32 below 5,000 training events, 256 below 100,000, else 1,024",
    )
    learning_rate: float = Field(2e-3, gt=0, description="peak learning rate of the cosine schedule with warm-up")
    weight_decay: float = Field(0.01, ge=0, description="weight decay of AdamW")
    members: int = Field(1, ge=1, le=64, description="networks trained side by side; their mean is the model")
    student: str | None = Field(
        None,
        description="network, such as dense, that the fitted one is distilled into and that replaces it; none if unset",
    )
    dropout: float = Field(0.2, ge=0, lt=1, description="share of activations dropped while training")
    positive_weight: Annotated[float, Field(gt=0, le=1e6)] | Literal["balanced"] = Field(
        1.0, description="weight of a positive in the loss; balanced: the number of negatives per positive"
    )
    focal_gamma: float = Field(
        0.0,
        ge=0,
        le=10,
        description="gamma of the focal loss: larger values give less weight to events that are already right",
    )
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = Field(
        "float32",
        description="numeric precision while training; the model is float32 in any case. The mixed ones are for a GPU",
    )
    l1: float = Field(0.0, ge=0, description="strength of the penalty on absolute weights, which makes many of them 0")
    l2: float = Field(0.0, ge=0, description="strength of the penalty on squared weights")
    patience: int | None = Field(
        None, ge=1, description="epochs without improvement after which training ends; if unset every epoch runs"
    )
    review_rate: float | None = Field(None, gt=0, lt=1, description="share of events above review; the type's if unset")
    decline_rate: float | None = Field(None, gt=0, lt=1, description="share of events declined; the type's if unset")

    scaler: Literal["robust", "standard", "quantile", "auto"] = Field(
        "robust",
        description="scaling of numbers: by median and quartiles (robust), mean and deviation (standard) or quantile; "
        "auto: for each number the one with which a logistic regression does best on validation",
    )
    segments: str = Field(
        "", description="fields by whose values the model is also judged separately, e.g. channel,country"
    )
    fairness: str = Field(
        "", description="fields between whose values alert rates are compared, e.g. age; protected ones are allowed"
    )
    teacher: TeacherSettings = TeacherSettings()
    thresholds: ThresholdSettings = ThresholdSettings()
    gates: GateSettings = GateSettings()

    @field_validator("preset", "student")
    @classmethod
    def _known(cls, preset: str | None) -> str | None:
        if preset and preset not in get_args(Preset) and ":" not in preset:
            raise ValueError(f"{preset} is none of {', '.join(get_args(Preset))}, nor a module:function")
        return preset

    @model_validator(mode="after")
    def _together(self) -> "TrainingSettings":
        if "linear" in (self.preset, self.student) and self.focal_gamma:
            raise ValueError("focal_gamma focuses cross-entropy, and linear is fitted by least squares")
        if self.validation_share + self.test_share > 0.8:
            raise ValueError("validation_share and test_share leave less than 20 % to train on")
        if self.review_rate and self.decline_rate and self.decline_rate > self.review_rate:
            raise ValueError("decline_rate above review_rate: more would be declined than alerted")
        return self
