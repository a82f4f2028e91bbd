"""Finding an entity's id in the bytes of a record that could not be read. In doubt the answer is yes.

bytes → as text, in every encoding that may be meant → its escapes undone, also those within texts
      → the id as a word of its own, in any field; a whole number also as a number of the same value
"""

import re
from collections.abc import Callable, Iterator
from decimal import Decimal, DecimalException

# JSON in a text of JSON, and once more in that.
DEPTH = 3
WIDE = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
MARKS = (b"\xff\xfe", b"\xfe\xff")
CONTROLS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}

_whole = re.compile(r"[+-]?[0-9]+")
# Letters and digits make a word longer, other signs end it; an exponent may be cut off.
_number = re.compile(r"(?<![^\W_])(?:(?<!\w)[+-])?[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]*)?(?![^\W_])")
# Their digits are no ids.
_time = re.compile(
    r"(?<!\w)[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)
_escape = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)
# What texts do not have: beside these, a letter may be a length or half a number.
_binary = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


def mentions(identity: str | int) -> Callable[[bytes], bool]:
    """The function that tells whether bytes, the key or value of a record, may name this entity.

    Not found is an id that is cut off itself, compressed, encrypted or in base64, or a number of a binary format.
    """
    text = str(identity)
    named = _number_of(Decimal(text)) if _whole.fullmatch(text) else _word(text)
    return lambda value: any(
        named(found) or (text in found and _binary.search(found) is not None) for found in _texts(value)
    )


def _word(text: str) -> Callable[[str], bool]:
    alone = re.compile(rf"(?<![^\W_]){re.escape(text)}(?![^\W_])")
    return lambda found: alone.search(found) is not None


def _number_of(value: Decimal) -> Callable[[str], bool]:
    return lambda found: any(_same_number(number, value) for number in _number.findall(_time.sub(" ", found)))


def _same_number(number: str, value: Decimal) -> bool:
    try:
        return Decimal(number.rstrip("eE+-")) == value
    except DecimalException:  # an exponent that no number has
        return False


def _texts(value: bytes) -> Iterator[str]:
    for encoding in _encodings(value):
        text = value.decode(encoding, "replace")
        yield text
        for _ in range(DEPTH):
            if "\\" not in text:
                break
            text = _unescaped(text)
            yield text


def _encodings(value: bytes) -> Iterator[str]:
    yield "utf-8"
    try:
        value.decode()
    except UnicodeDecodeError:
        yield "cp1252"  # and Latin-1, whose letters it has
    if b"\0" in value or value.startswith(MARKS):
        yield from WIDE


def _unescaped(text: str) -> str:
    """Of two escapes that are one sign beyond the first 65,536, that sign."""
    plain = _escape.sub(_sign, text)
    return plain.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _sign(escape: re.Match[str]) -> str:
    four, two, one = escape.groups()
    return CONTROLS.get(one, one) if one else chr(int(four or two, 16))
