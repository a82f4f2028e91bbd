"""Answers that come late: which events were known to be positive at a time.

A label stands on its entity's timeline at the time and id of its event, then in the order in which
answers came. Of several labels the latest known counts, of two at the same moment the positive. A
label counts only while its event is there: it may come first, or judge an event that never comes.
"""

import numpy as np

from streamscore.core.history.arena import NEW, Arena
from streamscore.core.history.compiled import compiled
from streamscore.core.history.identity import widened
from streamscore.core.history.timeline import Part, Swept, Timeline

# After the words of the event's id: when the label was known (µs), and what it says.
OWN_WORDS = 2
# What a label adds to the positives, the latest time of any label before it, and 1 while its event is not there.
CHANGE, LATEST, UNMATCHED = 0, 1, 2
COLUMNS = 3
# In place of a label where there is none.
NONE = -1
_NONE = np.empty(0, np.int64)


class LabelTimeline:
    """The labels of the events of a timeline."""

    def __init__(self, events: Timeline) -> None:
        self._events = events
        self.timeline = Timeline(events.words + OWN_WORDS, COLUMNS, events.index.most)
        # Labels whose event is not there: it did not come yet, or never does.
        self.unmatched = 0
        # Times that a label said otherwise than the one before it of the same event, in whichever order they came.
        self.contradictory = 0

    def insert(self, hashes: np.ndarray, at: np.ndarray, ids: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Insert labels of events; `labels` (rows, 2) is when each was known and what it says. As `Timeline.insert`."""
        nothing = np.zeros((len(at), COLUMNS), np.int64)
        told = np.concatenate([ids, labels], axis=1)
        status = self.timeline.insert(hashes, at, told, nothing)
        new = status == NEW
        slots, _ = self.timeline.find(self.timeline.index.known(hashes[new]), at[new], told[new])
        self._settle(hashes[new], at[new], ids[new], slots)
        return status

    def folded(self, hashes: np.ndarray, at: np.ndarray, ids: np.ndarray) -> None:
        """Let the labels count of events that have just come."""
        if self.timeline.rows:
            self._settle(hashes, at, ids)

    def positives(self, hashes: np.ndarray, at: np.ndarray, ids: np.ndarray, spans: np.ndarray) -> np.ndarray:
        """int64 (spans, rows): the events in each window that were known to be positive at the row's time."""
        low, high = self.timeline.windows(hashes, at, widened(ids, OWN_WORDS, ids.shape[1]), spans)
        found = np.empty(low.shape, np.int64)
        _positives(self.timeline.arena, low, high, at, found)
        return found

    def sweep(self, bound: int, limit: int) -> Swept:
        """As `Timeline.sweep`."""
        swept = self.timeline.sweep(bound, limit)
        self.unmatched -= int(swept.added[UNMATCHED])
        return swept

    def adopt(self, part: Part) -> None:
        """Take over copied labels, after their events."""
        self.timeline.adopt(part._replace(added=np.zeros((len(part.at), COLUMNS), np.int64)))
        ids = np.ascontiguousarray(part.ids[:, :-OWN_WORDS])
        self._settle(np.repeat(part.keys, part.sizes), part.at, ids)

    def _settle(self, hashes: np.ndarray, at: np.ndarray, ids: np.ndarray, new: np.ndarray = _NONE) -> None:
        """Sum up again, from the first label of any of these events on, in each entity that has one.

        `new` are the slots of labels that have just come.
        """
        entities = self.timeline.index.known(hashes)
        labelled = np.flatnonzero(entities >= 0)
        if not len(labelled):
            return
        entities, at, ids = entities[labelled], at[labelled], ids[labelled]
        slots, _ = self.timeline.find(entities, at, widened(ids, OWN_WORDS, ids.shape[1]))
        order = np.lexsort((slots, entities))
        entities, first = np.unique(entities[order], return_index=True)
        arena, slices = self.timeline.arena, self.timeline.slices
        begins, ends = slots[order][first], slices.start[entities] + slices.size[entities]
        numbers = self._events.index.known(self.timeline.index.keys[entities])
        sizes = ends - begins
        slots = np.repeat(begins - np.cumsum(sizes) + sizes, sizes) + np.arange(sizes.sum())
        ids = np.ascontiguousarray(arena.ids[slots, :-OWN_WORDS])
        _, present = self._events.find(np.repeat(numbers, sizes), arena.at[slots], ids)
        before = arena.sums[ends, UNMATCHED].sum()
        starts = np.repeat(slices.start[entities], sizes)
        self.contradictory += _sum_up(arena, slots, starts, present, np.isin(slots, new))
        self.unmatched += int(arena.sums[ends, UNMATCHED].sum() - before)


@compiled
def _sum_up(arena: Arena, slots: np.ndarray, starts: np.ndarray, present: np.ndarray, new: np.ndarray) -> int:
    """Running sums of labels, slot after slot; the slot before the first of each entity is summed up already.

    Returns how many contradictions those that are new have added. All labels of an event are in the slots, or none.
    """
    known, label = arena.ids.shape[1] - 2, arena.ids.shape[1] - 1
    contradictions, earlier = 0, NONE
    for k in range(len(slots)):
        slot, says = slots[k], arena.ids[slots[k], label]
        same = slot > starts[k] and arena.at[slot - 1] == arena.at[slot]
        for word in range(known):
            same = same and arena.ids[slot - 1, word] == arena.ids[slot, word]
        before = arena.ids[slot - 1, label] if same else 0
        arena.sums[slot + 1, CHANGE] = arena.sums[slot, CHANGE] + (says - before if present[k] else 0)
        arena.sums[slot + 1, LATEST] = max(arena.sums[slot, LATEST], arena.ids[slot, known])
        arena.sums[slot + 1, UNMATCHED] = arena.sums[slot, UNMATCHED] + (not present[k])
        contradictions += same and says != before
        earlier = earlier if same else NONE
        if not new[k]:
            contradictions -= earlier not in (NONE, says)
            earlier = says
    return contradictions


@compiled
def _positives(arena: Arena, low: np.ndarray, high: np.ndarray, at: np.ndarray, found: np.ndarray) -> None:
    """All changes in a window, less those that were not known yet: these are few, and at its end."""
    known = arena.ids.shape[1] - 2
    for span in range(low.shape[0]):
        for row in range(low.shape[1]):
            slot, start = high[span, row], low[span, row]
            total = arena.sums[slot, CHANGE] - arena.sums[start, CHANGE]
            while slot > start and arena.sums[slot, LATEST] > at[row]:
                slot -= 1
                if arena.ids[slot, known] > at[row]:
                    total -= arena.sums[slot + 1, CHANGE] - arena.sums[slot, CHANGE]
            found[span, row] = total
