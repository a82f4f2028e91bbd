"""What one training run may be told; everything has a default that suits an unattended run."""

from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Preset = Literal["default", "dense", "periodic", "piecewise", "logistic", "linear"]


class GateSettings(BaseModel):
    """What a new model must show before it takes the champion's place."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    positives: int = Field(100, ge=2, description="least positives to choose by, and to judge by; fewer: shadow")
    lift: float = Field(2.0, ge=1, description="least odds of average precision, in those of chance; less: reject")
    margin: float = Field(0.02, ge=0, lt=1, description="average precision that counts as no worse than the champion's")
    calibration: float = Field(
        0.02,
        gt=0,
        lt=1,
        description="largest expected calibration error, or three times what chance makes of so few; more: reject",
    )
    most_jump: float = Field(
        0.3, gt=0, le=1, description="largest share of events whose value of a feature moved to one bin; more: reject"
    )
    promise: float = Field(
        0.5, ge=0, le=1, description="least average precision, in shares of what the champion had at its training"
    )
    most_rate_change: float = Field(2.0, ge=1, description="largest factor by which the share of positives changes")
    most_alert_change: float = Field(
        2.0, ge=1, description="largest factor between alerts and their budget; more: shadow"
    )
    parity: float = Field(2e-5, gt=0, lt=1, description="largest difference between risks before saving and after")
    microseconds: float = Field(500.0, gt=0, description="longest time of an event in a batch of 64 or 1,024, µs")
    megabytes: float = Field(100.0, gt=0, description="largest bundle, MB")


class ThresholdSettings(BaseModel):
    """What decides from which risks on events are reviewed and declined; costs are in any one unit."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    by: Literal["budget", "cost", "false_positives"] = Field(
        "budget", description="budget (review_rate, decline_rate), cost, or false_positives"
    )
    cost_missed: float | None = Field(None, gt=0, description="by cost: of a positive that is approved")
    cost_review: float | None = Field(None, gt=0, description="by cost: of reviewing an event, which finds out")
    cost_declined: float | None = Field(None, gt=0, description="by cost: of a negative that is declined")
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


# XGBoost holds its parameters in float32, and says so of a larger one only when it grows trees.
MOST = 1e9


class TeacherSettings(BaseModel):
    """Boosted trees whose risks a network learns from beside the labels, by XGBoost's names."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    trees: int | None = Field(None, ge=1, le=10_000, description="how many trees teach the network; none if unset")
    learning_rate: float = Field(0.1, ge=1e-6, le=1, description="how much of what is left each tree takes")
    max_depth: int = Field(5, ge=1, le=20, description="questions from a tree's root to a leaf")
    min_child_weight: float = Field(1.0, ge=0, le=MOST, description="least weight of the events in a leaf")
    subsample: float = Field(0.8, ge=1e-3, le=1, description="share of events that each tree sees")
    colsample_bytree: float = Field(0.8, ge=1e-3, le=1, description="share of features that each tree sees")
    reg_lambda: float = Field(1.0, ge=0, le=MOST, description="penalty on the square of a leaf's value")
    reg_alpha: float = Field(0.0, ge=0, le=MOST, description="penalty on its size")
    gamma: float = Field(0.0, ge=0, le=MOST, description="least gain of a split")

    @model_validator(mode="after")
    def _any_trees(self) -> "TeacherSettings":
        if self.trees is None and (foreign := self.model_fields_set - {"trees"}):
            raise ValueError(f"{min(foreign)} is of trees, and teacher.trees says of none")
        return self


class TrainingSettings(BaseModel):
    """Recorded in the bundle: the same settings, data and package versions give the same weights."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    preset: str = Field(
        "default",
        description="network: default (256-128-64), dense (64-32), periodic (default on waves of each column), "
        "piecewise (on pieces that trees split), logistic, linear (least squares), or your own as module:function",
    )
    window_days: float | None = Field(
        None, gt=0, lt=100_000, description="days of events to learn from, the newest; all if unset"
    )
    split: Literal["time", "stratified"] = Field("time", description="how validation and test are set apart")
    validation_share: float = Field(0.15, gt=0, lt=0.5, description="share of events that choose epoch and thresholds")
    test_share: float = Field(0.15, gt=0, lt=0.5, description="share of events that only judge")
    gap_days: float | None = Field(
        None, ge=0, lt=10_000, description="days between parts split by time; the type's maturity if unset"
    )
    seed: int = Field(0, ge=0, lt=2**32, description="of weights, shuffling and the stratified split")
    epochs: int = Field(12, ge=1, le=100_000, description="passes over the training part; the best one is kept")
    batch: int | None = Field(
        None,
        ge=1,
        le=1 << 24,
        description="events in a training step; if unset 32 below 5,000 events, 256 below 100,000, else 1,024",
    )
    learning_rate: float = Field(2e-3, gt=0, description="peak of the warmed-up cosine schedule")
    weight_decay: float = Field(0.01, ge=0, description="of AdamW")
    members: int = Field(1, ge=1, le=64, description="networks trained side by side; their mean is the model")
    student: str | None = Field(
        None, description="network, such as dense, that learns from what was fitted and takes its place; none if unset"
    )
    dropout: float = Field(0.2, ge=0, lt=1, description="share of activations dropped while training")
    positive_weight: Annotated[float, Field(gt=0, le=1e6)] | Literal["balanced"] = Field(
        1.0, description="weight of a positive in the loss; balanced: as many as there are negatives to one"
    )
    focal_gamma: float = Field(
        0.0, ge=0, le=10, description="of the focal loss: how much less events count that are already right"
    )
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = Field(
        "float32", description="of computing while training; the model is float32. The others are for a GPU"
    )
    l1: float = Field(0.0, ge=0, description="of the penalty on the size of weights, which makes many of them 0")
    l2: float = Field(0.0, ge=0, description="of the penalty on the square of weights")
    patience: int | None = Field(
        None, ge=1, description="epochs without a better one after which training ends; never before the last if unset"
    )
    review_rate: float | None = Field(None, gt=0, lt=1, description="share of events above review; the type's if unset")
    decline_rate: float | None = Field(None, gt=0, lt=1, description="share of events declined; the type's if unset")

    scaler: Literal["robust", "standard", "quantile", "auto"] = Field(
        "robust",
        description="of numbers: by median and quartiles, mean and deviation, or place among quantiles; auto: of each "
        "the one by which a logistic regression does best on validation",
    )
    segments: str = Field("", description="fields whose values are judged apart too: channel,country")
    fairness: str = Field("", description="fields between whose values alerts are compared, protected ones too: age")
    teacher: TeacherSettings = TeacherSettings()
    thresholds: ThresholdSettings = ThresholdSettings()
    gates: GateSettings = GateSettings()

    @field_validator("preset", "student")
    @classmethod
    def _known(cls, preset: str | None) -> str | None:
        if preset and preset not in get_args(Preset) and ":" not in preset:
            raise ValueError(f"{preset} is none of {', '.join(get_args(Preset))}, nor module:function of your own")
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
