"""Numbers of entities: given once, found again, taken back, and no more than allowed."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from streamscore.core.history.entity_index import EntityIndex

# Few values, of which many share the lowest bits: long runs of taken slots, and runs around the table's end.
KEYS = st.integers(0, 40).map(lambda n: (n // 4) << 60 | (63 - n % 4))


def hashes(keys: list[int]) -> np.ndarray:
    return np.array(keys, np.uint64)


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.lists(KEYS, max_size=12)), max_size=12))
def test_it_is_a_mapping(steps: list[tuple[bool, list[int]]]) -> None:
    """Numbers are one to one with keys, whatever came and was forgotten before."""
    index, numbers = EntityIndex(1000), dict[int, int]()
    for forget, keys in steps:
        if forget:
            gone = [numbers.pop(key) for key in set(keys) & numbers.keys()]
            index.forget(np.array(gone, np.int64))
            continue
        numbers |= dict(zip(keys, index.number(hashes(keys)).tolist(), strict=True))
        assert len(set(numbers.values())) == len(numbers) == len(index)
    every = [(n // 4) << 60 | (63 - n % 4) for n in range(41)]
    assert index.known(hashes(every)).tolist() == [numbers.get(key, -1) for key in every]


def test_it_grows() -> None:
    """Many keys have numbers of their own, in one call or in several, and these stay."""
    keys = np.random.default_rng(0).integers(0, 2**63, 20_000).astype(np.uint64)
    index = EntityIndex(10**6)
    first = index.number(keys[:100])
    found = index.number(keys)
    assert len(np.unique(found)) == len(index) == index.numbers == 20_000
    assert np.array_equal(found[:100], first)
    assert np.array_equal(index.known(keys), found)


def test_forgotten_numbers_are_given_again() -> None:
    """A number taken back goes to the next new key, so numbers stay as few as the entities held at a time."""
    index = EntityIndex(1000)
    for start in range(0, 4000, 40):
        found = index.number(hashes(list(range(start, start + 40))))
        assert found.max() < 40
        index.forget(found)
    assert len(index) == 0


def test_the_most_is_kept() -> None:
    """Above the most, known keys keep their numbers and new ones get none, in the same call too."""
    index = EntityIndex(50)
    found = index.number(hashes([*range(60), 3]))
    assert found.tolist() == [*range(50), *[-1] * 10, 3]
    assert index.number(hashes([70, 49])).tolist() == [-1, 49]
    index.forget(np.array([7]))
    assert index.number(hashes([70, 71])).tolist() == [7, -1]
