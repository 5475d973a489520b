"""Sending commands until each is answered: again where that is safe, to another node where the store says so.

What a lost connection left in doubt is sent once more, and in a cluster or under Sentinel until the time is up, as
another node may take over. All commands of this layer may run twice: entries are told apart by their counter
(``append.lua``), pages by their bytes, collections by their epoch. Order is kept where it matters: of scripts sent in
one go, all behind one that has to be sent again are sent again with it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import redis.exceptions

from dedup.store.failures import TooFewReplicas, translate, word_of
from dedup.store.nodes import Argument, exchange

if TYPE_CHECKING:
    from dedup.store.nodes import Node, Nodes

Command = Sequence[Argument]

#: Seconds before what the store could not do is tried again, at first and at most.
_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 0.5
#: Commands that name no key.
_KEYLESS: Final = frozenset({"PING", "INFO", "CONFIG GET", "ROLE"})
#: What a cluster answers about a command that it did not run; what any store says of a script that it does not have.
_NOT_RUN: Final = frozenset({"MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN"})
_PLACE: Final = re.compile(r"(?:MOVED |ASK )?(\d+) (.*):(\d+)$")
_UNANSWERED: Final = object()
#: What it is no use to try again after.
_FINAL: Final = frozenset({"NOAUTH", "WRONGPASS", "NOPERM"})


def key_of(command: Command) -> bytes | str | None:
    """The first key that a command names, None where it names none."""
    name = command[0]
    if name in _KEYLESS:
        return None
    at = 3 if name == "EVALSHA" else command.index("STREAMS") + 1 if name == "XREAD" else 1
    key = command[at]
    return key if isinstance(key, bytes | str) else str(key)


class Sending:
    """Commands on their way to a store, their answers, and when time is up.

    Args:
        nodes: of the store.
        commands: of one key each.
        seconds: the time for all of them.
        ordered: all are of one slot, and none may run before one that stands before it.
        load: gives a node the scripts, where it says that it has not got them.
        acknowledge: what is sent behind them to a node, where replicas must have what was written: None, nothing.
        on_doubt: called where a connection was lost with commands under way, which may yet run.
        reads_on: it goes on from what was read before; a lost connection ends it, as the store may have gone back.
    """

    def __init__(
        self,
        nodes: Nodes,
        commands: Sequence[Command],
        seconds: float,
        *,
        ordered: bool = False,
        reads_on: bool = False,
        load: Callable[[Node], Awaitable[None]] | None = None,
        acknowledge: Callable[[Node], Awaitable[Acknowledgement | None]] | None = None,
        on_doubt: Callable[[], None] | None = None,
    ) -> None:
        self._nodes = nodes
        self._commands = commands
        self._seconds = seconds
        self._ordered = ordered
        self._load = load
        self._acknowledge = acknowledge
        self._on_doubt = on_doubt
        self._reads_on = reads_on
        # half of the time is left to ask another node, should there be one
        self._attempt_seconds = seconds / 2 if nodes.is_patient and not reads_on else None
        self._deadline = asyncio.get_running_loop().time() + seconds
        self._answers: list[Any] = [_UNANSWERED] * len(commands)
        self._left = list(range(len(commands)))
        self._asking: dict[int, tuple[str, int]] = {}
        self._asked: set[Node] = set()
        self._lost = 0
        self._pauses = 0
        self._said: Exception | None = None

    async def run(self) -> list[Any]:
        """The answers in order, errors that the store answered among them.

        Raises:
            StoreUnavailable: the store does not answer, or too few replicas do.
        """
        while self._left:
            try:
                async with asyncio.timeout_at(self._deadline):
                    await self._attempt()
            except TimeoutError as error:
                self._nodes.lost()
                raise translate(self._said or error, self._name, self._seconds) from error
            except (redis.exceptions.RedisError, OSError) as error:
                self._said = error
                self._lost += 1
                if not self._is_worth_another(error):
                    raise translate(error, self._name) from error
        return self._answers

    @property
    def _name(self) -> str:
        return str(self._commands[self._left[0]][0])

    def _is_worth_another(self, error: Exception) -> bool:
        word = word_of(error)
        if self._reads_on or word in _FINAL:
            return False
        if isinstance(error, redis.exceptions.ResponseError) and word not in _NOT_RUN:
            return False
        if self._nodes.is_patient:
            return True
        # a connection that lay idle may have been closed at the other end
        return self._lost == 1 and word != "LOADING" and not isinstance(error, TooFewReplicas)

    # -- one attempt -------------------------------------------------------------------------------------

    async def _attempt(self) -> None:
        if self._lost > 1 or self._pauses:
            await asyncio.sleep(min(_LONGEST_PAUSE, _PAUSE * 2 ** min(10, self._lost + self._pauses)))
        for index in self._left:
            self._answers[index] = _UNANSWERED
        results: list[BaseException | None] = []
        try:
            first, *others = await self._parts()
            self._asked = {part[0] for part in (first, *others)}
            if others:
                sent = [self._send(*part) for part in (first, *others)]
                results = await asyncio.gather(*sent, return_exceptions=True)
            else:
                await self._send(*first)
        except redis.exceptions.ClusterDownError as error:  # no node has the slot
            results.append(error)
        failure = next((each for each in results if each is not None), None)
        self._look_through()
        if failure is not None:
            raise failure
        if self._left:
            await self._prepare()

    async def _parts(self) -> list[tuple[Node, list[int], bool]]:
        """What is left: nodes, what each is sent, and whether it has to be told that another node sent us."""
        if not self._nodes.is_cluster:
            return [(await self._nodes.of(None), self._left, False)]
        parts: dict[tuple[int, bool], tuple[Node, list[int], bool]] = {}
        for index in self._left:
            place = self._asking.get(index)
            node = await (self._nodes.at(*place) if place else self._nodes.of(key_of(self._commands[index])))
            asking = place is not None
            parts.setdefault((id(node), asking), (node, [], asking))[1].append(index)
        return list(parts.values())

    async def _send(self, node: Node, indices: list[int], asking: bool) -> None:
        """Send commands to one node, and wait for its replicas."""
        before: list[Command] = [("ASKING",)] if asking else []
        sent = [each for index in indices for each in (*before, self._commands[index])]
        under_way = False
        try:
            async with asyncio.timeout(self._attempt_seconds):
                wanted = await self._acknowledge(node) if self._acknowledge is not None else None
                if wanted is not None:
                    sent.append(wanted.command)
                async with node.connected() as connection:
                    under_way = True
                    answers = await exchange(connection, sent)
        except BaseException as error:
            self._nodes.lost(node)
            if under_way and self._on_doubt is not None:
                self._on_doubt()
            if isinstance(error, TimeoutError):  # of this attempt, not of all
                raise redis.exceptions.TimeoutError from error
            raise
        acknowledged = answers.pop() if wanted is not None else None
        for index, answer in zip(indices, answers[len(before) :: 1 + len(before)], strict=True):
            self._answers[index] = answer
        if wanted is not None and any(not isinstance(self._answers[i], Exception) for i in indices):
            try:
                await wanted.check(acknowledged)
            except TooFewReplicas:
                self._nodes.lost(node)
                raise

    # -- after it ----------------------------------------------------------------------------------------

    def _look_through(self) -> None:
        """Keep those that have to be sent again; in order, with all behind them."""
        again = [index for index in self._left if self._has_to_be_sent_again(self._answers[index])]
        if self._ordered and again:
            again = self._left[self._left.index(again[0]) :]
        self._left = again

    def _has_to_be_sent_again(self, answer: Any) -> bool:
        if answer is _UNANSWERED:
            return True
        if not isinstance(answer, Exception):
            return False
        word = word_of(answer)
        return (word == "NOSCRIPT" and self._load is not None) or (
            self._nodes.is_cluster and word in _NOT_RUN
        )

    async def _prepare(self) -> None:
        """Do what the store's answers ask for, before what is left is sent again."""
        self._asking.clear()
        words = []
        for index in self._left:
            answer = self._answers[index]
            word = word_of(answer) if isinstance(answer, Exception) else ""
            words.append(word)
            if self._ordered and index != self._left[0]:
                if self._left[0] in self._asking:
                    self._asking[index] = self._asking[self._left[0]]
                continue
            self._said = answer
            if word in ("MOVED", "ASK") and (found := _PLACE.match(str(answer))) and found[2]:
                slot, host, port = int(found[1]), found[2], int(found[3])
                if word == "ASK":
                    self._asking[index] = (host, port)
                else:
                    self._nodes.moved(slot, host, port)
            elif word != "NOSCRIPT":
                self._pauses += 1
                self._nodes.lost()
        if self._load is not None and any(word == "NOSCRIPT" for word in words):
            for node in self._asked:  # also one that another node sent us to
                await self._load(node)


class Acknowledgement:
    """That replicas have what was written: so many, within so many seconds."""

    def __init__(self, node: Node, wanted: int, seconds: float) -> None:
        self._node = node
        self._wanted = wanted
        self._seconds = seconds
        self.command: Command = ("WAIT", wanted, int(1000 * seconds))

    async def check(self, answer: Any) -> None:
        """Raise TooFewReplicas where they have it not."""
        if isinstance(answer, Exception):
            if word_of(answer) != "UNBLOCKED" and "replica instances" not in str(answer):
                raise translate(answer, "WAIT") from answer
            said = "the store became a replica before others acknowledged what was written"
        elif int(answer) < self._wanted:
            said = f"{int(answer)} of {self._wanted} replicas acknowledged what was written within {self._seconds:g} s"
        else:
            return
        # a master cut off from its replicas may be none any more: the next connection asks Sentinel
        await self._node.pool.disconnect(inuse_connections=False)
        raise TooFewReplicas(said)
