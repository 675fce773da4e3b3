# SPDX-License-Identifier: Apache-2.0
"""The bus: the only module that speaks Kafka.

Owns producers and consumers of aiokafka, the bound of every await, and the rebuild
of a client that is stuck. The broker's address is asked again at each rebuild: the
embedded broker comes back on a new port. Decisions 0001 and 0004.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError
from aiokafka.partitioner import murmur2
from aiokafka.producer.message_accumulator import BatchBuilder

from contracts.events.topics import PARTITIONS
from services.chassis.transport import PLAIN

STOP_SECONDS: Final = 2.0  # for a client to end in good order
BOUND_SECONDS: Final = 10.0  # no await on the broker lasts longer
FETCH_WAIT_MS: Final = 5  # the embedded broker does not wake a waiting fetch
MAX_REQUEST: Final = 1_048_576
BATCH_BYTES: Final = 256 * 1024  # a partition has one batch on its way at a time


class BusUnavailable(Exception):  # noqa: N818 - a state, not a mistake
    """The broker did not answer in its bound; rebuild the client and try again."""


class OffsetLost(Exception):  # noqa: N818
    """A stored offset is not on the broker any more: it lost data or was replaced."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message on its way out; `key` is the lane."""

    key: bytes
    value: bytes
    headers: Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Received:
    """One message as fetched."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes
    headers: Mapping[str, bytes]


Address = Callable[[], str]


class Publisher:
    """Publishes in order per key, acks=all, not idempotent: duplicates may happen.

    With idempotence on and the broker gone, aiokafka's `send` and `stop` hang
    (issue 1101); deduplication is ours, by (lane, seq).
    """

    def __init__(self, address: Address, security: Mapping[str, Any] = PLAIN) -> None:
        self._address = address
        self._security = security
        self._producer: AIOKafkaProducer | None = None
        self._connected_to = ""

    async def connect(self) -> None:
        """Connect, unless this is done already.

        Raises:
            BusUnavailable: The broker does not answer.
        """
        async with self._bounded():
            pass

    async def publish(self, topic: str, messages: Sequence[Message]) -> None:
        """Return when the broker has acknowledged every message.

        Raises:
            BusUnavailable: Some may have been published, in order; send again.
        """
        async with self._bounded() as producer:
            partitions = sorted(await producer.partitions_for(topic))
            lots: dict[int, list[Message]] = {}
            for message in messages:
                number = partitions[_place(message.key, len(partitions))]
                lots.setdefault(number, []).append(message)
            places = [TopicPartition(topic, number) for number in lots]
            sent = map(partial(_send, producer), places, lots.values())
            await asyncio.gather(*sent)

    async def abandon(self) -> None:
        """Give the producer up; the next publish makes a new one."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await _stop(producer)

    @contextlib.asynccontextmanager
    async def _bounded(self) -> AsyncIterator[AIOKafkaProducer]:
        """Give a connected producer; give it up when the broker does not answer."""
        try:
            async with asyncio.timeout(BOUND_SECONDS):
                yield await self._connected()
        except (KafkaError, TimeoutError, OSError) as exc:
            await self.abandon()
            raise BusUnavailable("the broker does not answer in time") from exc

    async def _connected(self) -> AIOKafkaProducer:
        address = self._address()
        if self._producer is not None and address != self._connected_to:
            await self.abandon()  # the embedded broker came back elsewhere
        if self._producer is None:
            producer = AIOKafkaProducer(
                bootstrap_servers=address,
                acks="all",
                enable_idempotence=False,
                max_request_size=MAX_REQUEST,
                request_timeout_ms=int(BOUND_SECONDS * 1000),
                max_batch_size=BATCH_BYTES,
                linger_ms=0,
                **self._security,
            )
            try:
                await producer.start()
            except BaseException:
                await _stop(producer)
                raise
            self._producer, self._connected_to = producer, address
        return self._producer


async def _send(
    producer: AIOKafkaProducer, place: TopicPartition, messages: Sequence[Message]
) -> None:
    """Send messages to one partition in whole batches; return at the last answer."""
    answers = []
    batch = producer.create_batch()
    for message in messages:
        if not _append(batch, message):
            answers.append(await _hand_over(producer, place, batch))
            batch = producer.create_batch()
            if not _append(batch, message):
                raise BusUnavailable("a message is larger than a batch")
    answers.append(await _hand_over(producer, place, batch))
    await asyncio.gather(*answers)


def _append(batch: BatchBuilder, message: Message) -> bool:
    """Add a message, unless the batch is full: aiokafka says so by None alone."""
    added = batch.append(
        timestamp=None,
        key=message.key,
        value=message.value,
        headers=message.headers,
    )
    return added is not None


async def _hand_over(
    producer: AIOKafkaProducer, place: TopicPartition, batch: BatchBuilder
) -> asyncio.Future[Any]:
    batch.close()
    answer: asyncio.Future[Any] = await producer.send_batch(
        batch, place.topic, partition=place.partition
    )
    return answer


@lru_cache(maxsize=1024)
def _place(key: bytes, partitions: int) -> int:
    """Return where Kafka's own partitioner puts a key; a lane asks once."""
    return int(murmur2(key) & 0x7FFFFFFF) % partitions


class Subscriber:
    """Fetches assigned partitions from given offsets; commits nothing to Kafka."""

    def __init__(
        self,
        address: Address,
        topics: Sequence[str],
        security: Mapping[str, Any] = PLAIN,
    ) -> None:
        self._address = address
        self._security = security
        self._topics = tuple(topics)
        self._consumer: AIOKafkaConsumer | None = None
        self._connected_to = ""
        self._next: dict[TopicPartition, int] = {}

    def behind(self) -> dict[str, int]:
        """Return by topic how many messages were not fetched, as last answered."""
        found = dict.fromkeys(self._topics, 0)
        for place, following in self._next.items():
            end = self._consumer.highwater(place) if self._consumer else None
            found[place.topic] += max(0, (end or 0) - following)
        return found

    async def seek(self, offsets: Mapping[tuple[str, int], int]) -> None:
        """Connect and position every partition: at its offset, or at the beginning.

        Raises:
            BusUnavailable: The broker does not answer.
            OffsetLost: An offset lies beyond the partition's end.
        """
        await self.abandon()
        try:
            async with asyncio.timeout(BOUND_SECONDS):
                self._connected_to = self._address()
                consumer = AIOKafkaConsumer(
                    bootstrap_servers=self._connected_to,
                    enable_auto_commit=False,
                    auto_offset_reset="none",
                    fetch_max_wait_ms=FETCH_WAIT_MS,
                    **self._security,
                )
                self._consumer = consumer
                await consumer.start()
                await self._position(consumer, offsets)
        except (KafkaError, TimeoutError, OSError) as exc:
            await self.abandon()
            raise BusUnavailable("the broker does not answer") from exc

    async def _position(
        self, consumer: AIOKafkaConsumer, offsets: Mapping[tuple[str, int], int]
    ) -> None:
        partitions = [
            TopicPartition(topic, number)
            for topic in self._topics
            for number in range(PARTITIONS)
        ]
        consumer.assign(partitions)
        first = await consumer.beginning_offsets(partitions)
        last = await consumer.end_offsets(partitions)
        for partition in partitions:
            key = (partition.topic, partition.partition)
            wanted = offsets.get(key, first[partition])
            if wanted > last[partition]:
                raise OffsetLost("a stored offset lies beyond the partition's end")
            self._next[partition] = max(wanted, first[partition])
            consumer.seek(partition, self._next[partition])

    async def fetch(self, wait_seconds: float, limit: int) -> list[Received]:
        """Return what has arrived, at most `limit` messages, in partition order.

        Raises:
            BusUnavailable: The broker does not answer, or `seek` was not called.
            OffsetLost: The broker lost what was at a position, or was replaced.
        """
        consumer = self._consumer
        if consumer is None:
            raise BusUnavailable("not connected")
        if self._address() != self._connected_to:
            # A dead broker is only silence to the consumer: it would wait for ever.
            await self.abandon()
            raise OffsetLost("the broker was replaced")
        try:
            async with asyncio.timeout(BOUND_SECONDS + wait_seconds):
                batches = await consumer.getmany(
                    timeout_ms=int(wait_seconds * 1000), max_records=limit
                )
        except KafkaError as exc:
            await self.abandon()
            if "OffsetOutOfRange" in type(exc).__name__:
                raise OffsetLost("an offset is out of range") from exc
            raise BusUnavailable("the broker does not answer") from exc
        except (TimeoutError, OSError) as exc:
            await self.abandon()
            raise BusUnavailable("the broker does not answer") from exc
        for partition, batch in batches.items():
            self._next[partition] = batch[-1].offset + 1
        return [_received(record) for batch in batches.values() for record in batch]

    async def abandon(self) -> None:
        """Give the consumer up; `seek` makes a new one."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await _stop(consumer)


async def ensure_topics(
    address: Address,
    topics: Sequence[str],
    copies: int,
    security: Mapping[str, Any] = PLAIN,
) -> None:
    """Create the topics that do not exist, on a real Kafka.

    The embedded broker makes a topic when it is first named, and answers no
    CreateTopics.

    Args:
        address: The broker's address.
        topics: Names.
        copies: Replication factor.
        security: How the broker is spoken to (`transport.kafka_security`).

    Raises:
        BusUnavailable: The broker does not answer.
    """
    admin = AIOKafkaAdminClient(
        bootstrap_servers=address(),
        request_timeout_ms=int(BOUND_SECONDS * 1000),
        **security,
    )
    try:
        async with asyncio.timeout(BOUND_SECONDS):
            await admin.start()
            missing = set(topics) - set(await admin.list_topics())
            for topic in sorted(missing):
                made = await admin.create_topics([NewTopic(topic, PARTITIONS, copies)])
                # aiokafka raises nothing here: the codes stand in the answer.
                code = made.topic_errors[0][1]
                if code not in (0, TopicAlreadyExistsError.errno):
                    raise BusUnavailable(f"the broker refused a topic: error {code}")
    except (KafkaError, TimeoutError, OSError, AttributeError) as exc:
        # AttributeError: a broker without a controller, such as the embedded one.
        raise BusUnavailable("the broker does not answer") from exc
    finally:
        with contextlib.suppress(KafkaError, OSError, TimeoutError):
            await asyncio.wait_for(admin.close(), BOUND_SECONDS)


def _received(record: Any) -> Received:
    return Received(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        key=record.key,
        value=record.value or b"",
        headers={name: value or b"" for name, value in record.headers},
    )


async def _stop(client: AIOKafkaProducer | AIOKafkaConsumer) -> None:
    """Stop a client in a bounded time.

    A client whose broker is gone may hang in `stop`, or raise CancelledError from
    its own tasks; a real cancellation of ours is passed on.
    """
    task = asyncio.create_task(client.stop())
    try:
        await asyncio.wait({task}, timeout=STOP_SECONDS)
    finally:
        # Not awaited again: a cancellation of ours that came in there would be lost,
        # and whoever cancelled would wait for ever.
        task.cancel()
        task.add_done_callback(_look_at)


def _look_at(task: asyncio.Task[None]) -> None:
    """Take a dead client's error, so that nobody is told of it later."""
    if not task.cancelled():
        task.exception()
