"""Ids as numbers: their order is that of numbers and of code points, and hashes tell keys apart."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from streamscore.core.history.identity import MISSING, hashes, key_hashes, widened, words

TEXTS = st.text(st.sampled_from(["\0", "\1", "a", "b", "é", "￿", "\U0001f600"]), max_size=20)


@settings(deadline=None)
@given(st.lists(TEXTS, min_size=2, max_size=30, unique=True))
def test_words_sort_as_texts(texts: list[str]) -> None:
    """Texts up to 64 bytes have words of their own, in the order of code points, those with a zero in them too."""
    texts = [text for text in texts if len(text.encode().replace(b"\0", b"\0\1")) <= 64]
    found = dict(zip(texts, map(tuple, words(texts).tolist()), strict=True))
    assert sorted(texts) == sorted(texts, key=lambda text: found[text])
    assert len(set(found.values())) == len(texts)


@settings(deadline=None)
@given(TEXTS, st.integers(1, 12))
def test_words_do_not_depend_on_their_number(text: str, least: int) -> None:
    """An id packed into more words than it needs is the same as one widened later."""
    few = words([text])
    assert np.array_equal(words([text], least), widened(few, least - few.shape[1], few.shape[1]))


@settings(deadline=None)
@given(st.lists(st.one_of(TEXTS, st.sampled_from(["plain", "a" * 64, "a" * 65, "\0"])), max_size=12))
def test_an_id_does_not_depend_on_those_beside_it(texts: list[str]) -> None:
    """Plain ids are packed and hashed all at once, others one by one: each is the same alone as among them."""
    together = words(texts, 9).tolist()
    assert together == [words([text], 9).tolist()[0] for text in texts]
    assert hashes([*texts, None]).tolist() == [*(hashes([text]).item() for text in texts), MISSING]


def test_long_texts_are_bounded() -> None:
    """Ids longer than 64 bytes take no more than 8 words, and still differ."""
    found = words(["x" * 5000, "x" * 4999, "x" * 64, "x" * 65])
    assert found.shape == (4, 8)
    assert len(set(map(tuple, found.tolist()))) == 4


def test_integers_are_their_own_words() -> None:
    """Integers are compared as they are, up to the ends of 64 bits."""
    values = np.array([-(2**63), -1, 0, 2**63 - 1])
    assert words(values).tolist() == [[value] for value in values.tolist()]


def test_hashes_tell_values_apart() -> None:
    """A hundred thousand integers, and as many texts, have as many hashes; None has its own."""
    numbers = np.arange(-50_000, 50_000)
    assert len(np.unique(hashes(numbers))) == 100_000
    assert len(np.unique(hashes([f"c{n}" for n in range(100_000)]))) == 100_000
    found = hashes(["a", None, "", "a"]).tolist()
    assert found[1] == MISSING
    assert found[0] == found[3] != found[2] != MISSING


def test_keys_of_several_fields() -> None:
    """A compound key differs when any part does, or when its parts change places."""
    parts = np.array([(a, b) for a in range(300) for b in range(300)])
    found = key_hashes([parts[:, 0], parts[:, 1]])
    assert len(np.unique(found)) == 90_000
    swapped = key_hashes([parts[:, 1], parts[:, 0]])
    assert np.array_equal(found == swapped, parts[:, 0] == parts[:, 1])


def test_hashes_use_all_bits() -> None:
    """Hashes of neighbouring numbers differ in about half of their bits: no slot of a table is more likely."""
    found = hashes(np.arange(10_000)).tolist()
    differing = [(one ^ other).bit_count() for one, other in pairwise(found)]
    assert 31 < np.mean(differing) < 33
