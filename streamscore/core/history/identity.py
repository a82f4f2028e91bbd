"""Ids as numbers: the 64-bit hash of an entity's key, and an event id as words that sort as it does.

Two keys of equal hash would be one entity: of a million, one pair in forty million histories. Who may choose
ids must try some billions to find such a pair.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import numpy as np

from streamscore.core.history.compiled import compiled

WORD = 8
LONGEST_TEXT = 64
# The key of SipHash: any will do, but another one makes other hashes of snapshots that are kept.
KEY = (0x0706050403020100, 0x0F0E0D0C0B0A0908)
# A missing value's hash, which no other value has.
MISSING = 0


def hashes(values: Any) -> np.ndarray:
    """uint64 (rows,): an id column's values, hashed; MISSING for None."""
    if isinstance(values, np.ndarray):
        return _mixed(values.astype(np.int64).view(np.uint64))
    gaps = [row for row, value in enumerate(values) if value is None] if None in values else []
    texts = ["" if value is None else value for value in values] if gaps else values
    joined, ends = _ascii(texts) or _joined([_bytes(text) for text in texts])
    found = np.empty(len(texts), np.uint64)
    _hash_texts(joined, ends, found)
    found = _mixed(found)
    found[gaps] = MISSING
    return found


def key_hashes(columns: Sequence[Any]) -> np.ndarray:
    """uint64 (rows,): the hash of a key of one id column or several."""
    found = hashes(columns[0])
    for column in columns[1:]:
        found = _mixed(_mixed(found) ^ hashes(column))
    return found


def words(values: Any, least: int = 1) -> np.ndarray:
    """int64 (rows, words): event ids, in the order of their numbers or of their texts' code points.

    Texts take as many words as the longest needs, `least` at least. Of one longer than 64 bytes, the
    first 48 and a digest of it count: of two that agree so far the digests say which is first.
    """
    if isinstance(values, np.ndarray):
        return values.astype(np.int64).reshape(-1, 1)
    joined, ends = _sortable_at_once(values) or _joined([sortable(value) for value in values])
    longest = int(np.diff(ends, prepend=0).max(initial=0))
    found = np.empty((len(values), max(least, -(-longest // WORD))), np.int64)
    _pack(joined, ends, found)
    return found


def sortable(text: str) -> bytes:
    """The bytes of an event id that its words are made of: they sort as the words do.

    UTF-8 sorts as code points do; a zero byte is marked, to differ from padding.
    """
    value = _bytes(text)
    if b"\0" in value:
        value = value.replace(b"\0", b"\0\1")
    if len(value) > LONGEST_TEXT:
        value = value[:48] + blake2b(value, digest_size=LONGEST_TEXT - 48).digest()
    return value


def widened(ids: np.ndarray, count: int, at: int) -> np.ndarray:
    """Id words with more of them inserted at a place, as if all ids had been packed into that many."""
    if count <= 0:
        return ids
    padding = np.full((len(ids), count), np.iinfo(np.int64).min)
    return np.concatenate([ids[:, :at], padding, ids[:, at:]], axis=1)


def _bytes(value: str) -> bytes:
    return value.encode("utf-8", "surrogatepass")


def _sortable_at_once(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray] | None:
    """What `_joined` gives of their sortable bytes, where these are the texts themselves."""
    found = _ascii(texts)
    if found is None or np.diff(found[1], prepend=0).max(initial=0) > LONGEST_TEXT or (found[0] == 0).any():
        return None
    return found


def _ascii(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray] | None:
    """The same as `_joined`, for ASCII texts, as most ids are: no text is handled on its own."""
    joined = "".join(texts)
    if not joined.isascii():
        return None
    return np.frombuffer(joined.encode(), np.uint8), _ends(texts)


def _joined(texts: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """uint8 bytes of all texts, and the int64 ends of each."""
    return np.frombuffer(b"".join(texts), np.uint8), _ends(texts)


def _ends(texts: Sequence[str] | Sequence[bytes]) -> np.ndarray:
    return np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)))


def _mixed(values: np.ndarray) -> np.ndarray:
    """splitmix64: each bit of the input turns half of the bits; never MISSING."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    values = values ^ (values >> np.uint64(31))
    return np.where(values == MISSING, np.uint64(1), values)


@compiled
def _hash_texts(joined: np.ndarray, ends: np.ndarray, found: np.ndarray) -> None:
    """SipHash-1-3 (Aumasson and Bernstein, 2012): who may choose an id cannot easily find another of its hash."""
    start = 0
    for row in range(len(ends)):
        a, b = np.uint64(KEY[0] ^ 0x736F6D6570736575), np.uint64(KEY[1] ^ 0x646F72616E646F6D)
        c, d = np.uint64(KEY[0] ^ 0x6C7967656E657261), np.uint64(KEY[1] ^ 0x7465646279746573)
        size = ends[row] - start
        whole = ends[row] - size % WORD
        for at in range(start, whole, WORD):
            value = np.uint64(0)
            for k in range(WORD):  # of a known length: the processor loads it at once
                value |= np.uint64(joined[at + k]) << np.uint64(8 * k)
            d ^= value
            a, b, c, d = _sip_round(a, b, c, d)
            a ^= value
        value = np.uint64(size & 0xFF) << np.uint64(56)
        for k in range(ends[row] - whole):
            value |= np.uint64(joined[whole + k]) << np.uint64(8 * k)
        d ^= value
        a, b, c, d = _sip_round(a, b, c, d)
        a ^= value
        c ^= np.uint64(0xFF)
        for _ in range(3):
            a, b, c, d = _sip_round(a, b, c, d)
        found[row] = a ^ b ^ c ^ d
        start = ends[row]


@compiled
def _sip_round(
    a: np.uint64, b: np.uint64, c: np.uint64, d: np.uint64
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    a, c = a + b, c + d
    b, d = _turned(b, 13) ^ a, _turned(d, 16) ^ c
    a = _turned(a, 32)
    c, a = c + b, a + d
    b, d = _turned(b, 17) ^ c, _turned(d, 21) ^ a
    return a, b, _turned(c, 32), d


@compiled
def _turned(value: np.uint64, bits: int) -> np.uint64:
    return (value << np.uint64(bits)) | (value >> np.uint64(64 - bits))


@compiled
def _pack(joined: np.ndarray, ends: np.ndarray, found: np.ndarray) -> None:
    """Big-endian words, the highest bit turned, so that signed comparison is that of bytes."""
    start = 0
    for row in range(len(ends)):
        for word in range(found.shape[1]):
            value = np.uint64(0)
            for k in range(start + word * WORD, start + word * WORD + WORD):
                value = (value << np.uint64(8)) | np.uint64(joined[k] if k < ends[row] else 0)
            found[row, word] = np.int64(value ^ np.uint64(1 << 63))
        start = ends[row]
