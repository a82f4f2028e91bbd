"""The *owner*: the consumer that is a member of the group. Its partitions stay paused; it never reads a record.

It brings rebalances, commits offsets, and says where the group stands.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from streamscore.core.events.record import Partition
from streamscore.errors import BrokerError
from streamscore.kafka.clients import as_partition, consumer
from streamscore.kafka.health import Health
from streamscore.kafka.listener import RebalanceListener
from streamscore.kafka.start_offsets import Kept, Start, kept
from streamscore.settings.schema import Kafka

log = logging.getLogger("streamscore.kafka")

# How long the loop may wait for the group's offsets.
ASK_SECONDS = 0.5

OnLeaving = Callable[[list[Partition]], None]


class GroupMember:
    """Membership of a consumer group. Used from one thread, in whose `poll` all rebalances happen."""

    def __init__(self, kafka: Kafka, topics: Sequence[str], health: Health) -> None:
        self._kafka, self._topics, self._health = kafka, list(topics), health
        self._owner: Consumer = consumer(kafka, health.on_error, self._on_commit)
        self._started: dict[Partition, int] = {}  # the group's offset when an owned partition was taken over
        self.assigned: list[Partition] = []  # by the group; where they start is not known yet
        self.commit_failed = False
        self.rebalances = 0

    def join(self, revoked: OnLeaving, lost: OnLeaving) -> None:
        """Join the group. `revoked` and `lost` hear of partitions before they are given up."""

        def assign(owner: Consumer, partitions: list[TopicPartition]) -> None:
            owner.incremental_assign(partitions)
            owner.pause(partitions)
            self.assigned += [as_partition(p) for p in partitions]
            self.rebalances += 1

        def leave(owner: Consumer, partitions: list[TopicPartition], told: OnLeaving) -> None:
            told([as_partition(p) for p in partitions])
            owner.incremental_unassign(partitions)
            self.rebalances += 1

        self._owner.subscribe(
            self._topics,
            on_assign=assign,
            on_revoke=lambda owner, partitions: leave(owner, partitions, revoked),
            on_lost=lambda owner, partitions: leave(owner, partitions, lost),
        )

    def poll(self) -> None:
        """Take part in the group: its callbacks run in here. BrokerError when Kafka refuses this member for good."""
        message = self._owner.poll(0)
        if message is not None and (error := message.error()):
            self._health.raise_if_fatal(error)
        self._health.raise_failure()

    def probe(self) -> None:
        """Ask whether a broker is back, while none answers."""
        self._health.probe(self._owner, self._topics[0])

    def starts(self, partitions: Sequence[Partition], listener: RebalanceListener) -> Mapping[Partition, Start]:
        """Where to start reading partitions; without those for which no broker says so yet."""
        try:
            return listener.starts(self._owner, self._kafka, partitions)
        except KafkaException as error:
            self._health.raise_if_fatal(error.args[0])
            log.warning("committed offsets are not known yet: %s", error.args[0].str())
            return {}

    def begin(self, starts: Mapping[Partition, Start]) -> None:
        """Note that assigned partitions are read from now on."""
        self.assigned = [partition for partition in self.assigned if partition not in starts]
        self._started |= {partition: start.offset for partition, start in starts.items()}

    def forget(self, leaving: Collection[Partition]) -> None:
        """Forget partitions that go to another member."""
        self.assigned = [partition for partition in self.assigned if partition not in leaving]
        for partition in leaving:
            self._started.pop(partition, None)

    def commit(self, offsets: Mapping[Partition, int], wait: bool) -> None:
        """Commit the next offsets of owned partitions; `commit_failed` says when Kafka did not take them.

        Without `wait` it returns at once, and a failure is heard of in a later `poll`.
        """
        self.commit_failed = False
        # An offset from before a partition was lost and regained would set the group back.
        owned = [TopicPartition(*p, o) for p, o in offsets.items() if p in self._started and o > self._started[p]]
        if not owned:
            return
        try:
            if wait:
                self._owner.commit(offsets=owned, asynchronous=False)
            else:
                self._owner.commit(offsets=owned, asynchronous=True)
        except KafkaException as error:
            self._health.raise_if_fatal(error.args[0])
            self._on_commit(error.args[0], owned)

    def committed(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """The group's offset of each partition; empty while no broker says."""
        if not self._health.connected:
            return {}
        try:
            found = self._owner.committed([TopicPartition(*p) for p in partitions], timeout=ASK_SECONDS)
        except KafkaException:
            return {}
        return {as_partition(p): p.offset for p in found}

    def kept(self, topics: Sequence[str]) -> dict[Partition, Kept]:
        """What every partition of some topics keeps. BrokerError when no broker says."""
        try:
            return kept(self._owner, topics)
        except KafkaException as error:
            raise BrokerError(f"the beginnings of topics cannot be asked: {error.args[0].str()}") from None

    def partitions_of(self, topics: Sequence[str]) -> set[Partition]:
        """The partitions that topics have now; empty while no broker says."""
        try:
            known = self._owner.list_topics(timeout=ASK_SECONDS).topics
        except KafkaException:
            return set()
        return {(topic, number) for topic in topics if topic in known for number in known[topic].partitions}

    def close(self) -> None:
        """Leave the group at once, so that the others take over without waiting for a time-out."""
        self._owner.close()

    def _on_commit(self, error: KafkaError | None, _offsets: list[TopicPartition]) -> None:
        if error is not None:
            self.commit_failed = True
            log.warning("offsets not committed: %s", error.str())
