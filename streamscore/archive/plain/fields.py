"""What a plainly written event of a type looks like, and of which types that can be said."""

from typing import NamedTuple

import msgspec
import numpy as np

from streamscore.core.events.field import unwrapped

TEXT, NUMBER, WHOLE, FLAG, TIME = range(5)
# So many digits are a float64 exactly, and so is the power of ten of as many: then their quotient is the nearest.
DIGITS, WHOLE_DIGITS = 15, 18
EXACT = 1 << 53  # integers up to here are floats


class Plan(NamedTuple):
    """What a plain event of a type looks like, field by field.

    `keys` are the quoted keys one after the other, each up to its end. `least` and `most` bound numbers, and the
    lengths of texts.
    """

    keys: np.ndarray
    key_ends: np.ndarray
    kinds: np.ndarray
    required: np.ndarray
    least: np.ndarray
    most: np.ndarray


def plan(struct: type[msgspec.Struct]) -> Plan | None:
    """How to read plain events of a struct; None when it asks for something that only its own decoder knows."""
    info = msgspec.inspect.type_info(struct)
    if not isinstance(info, msgspec.inspect.StructType) or info.array_like or info.tag is not None:
        return None
    if hasattr(struct, "__post_init__"):
        return None
    found = [_field(field.type) for field in info.fields]
    kinds = [one for one in found if one is not None]
    if len(kinds) < len(found):
        return None
    keys = [f'"{field.encode_name}"'.encode() for field in info.fields]
    return Plan(
        np.frombuffer(b"".join(keys), np.uint8),
        np.cumsum([len(key) for key in keys]),
        np.array([kind for kind, *_ in kinds]),
        np.array([field.required for field in info.fields]),
        np.array([least for _, least, _ in kinds], np.float64),
        np.array([most for _, _, most in kinds], np.float64),
    )


def _field(kind: msgspec.inspect.Type) -> tuple[int, float, float] | None:
    """A field's kind, least and most; None when there is more to it."""
    kind, _ = unwrapped(kind)
    match kind:
        case msgspec.inspect.StrType(pattern=None, min_length=least, max_length=most):
            return TEXT, least or 0, np.inf if most is None else most
        case msgspec.inspect.FloatType(multiple_of=None) | msgspec.inspect.IntType(multiple_of=None):
            return _number(kind)
        case _:
            return _simple(kind)


def _simple(kind: msgspec.inspect.Type) -> tuple[int, float, float] | None:
    match kind:
        case msgspec.inspect.LiteralType(values=values) if all(isinstance(value, str) for value in values):
            return TEXT, 0, np.inf
        case msgspec.inspect.BoolType():
            return FLAG, 0, 1
        case msgspec.inspect.DateTimeType(tz=None | True):
            return TIME, 0, np.inf
    return None


def _number(kind: msgspec.inspect.FloatType | msgspec.inspect.IntType) -> tuple[int, float, float] | None:
    """As `_field`: open bounds are the next number inside; those of integers must be exact as floats."""
    whole = isinstance(kind, msgspec.inspect.IntType)
    least, most = kind.ge, kind.le
    if kind.gt is not None:
        least = kind.gt + 1 if whole else float(np.nextafter(kind.gt, np.inf))
    if kind.lt is not None:
        most = kind.lt - 1 if whole else float(np.nextafter(kind.lt, -np.inf))
    # What is read has 18 digits at most, so beyond them any bound will do.
    if whole and any(bound is not None and EXACT < abs(bound) < 10**WHOLE_DIGITS for bound in (least, most)):
        return None
    return WHOLE if whole else NUMBER, -np.inf if least is None else least, np.inf if most is None else most
