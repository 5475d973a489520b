"""The store of a few dicts answers as a real one does, and holds the same afterwards."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dedup.errors import StoreUnavailable
from dedup.store import keys
from dedup.store.connection import Store
from tests.simulation.store import Fate, View, World

_number = itertools.count()
_INCARNATIONS = st.sampled_from(("11", "22", "33"))
_LINES = st.sampled_from(
    ("e" * 16 + ":f\n", "e" * 16 + ":f\n", "e" * 16 + ":f\n", "e" * 16 + ":g\n", "d" * 16 + ":f\n")
)
_COUNTERS = st.integers(1, 6)
_FORMS = st.sampled_from(("append", "append+oom"))
_BYTES = st.binary(max_size=40)


@st.composite
def _calls(draw: st.DrawFn) -> tuple[str, tuple[Any, ...]]:
    """A call of the script, or a command; keys are named by a letter."""
    verb = draw(
        st.sampled_from(
            [*["append"] * 8, *["retire"] * 2, "reserve", "erased", "delete", "erase", *["command"] * 6]
        )
    )
    line, me, form = draw(_LINES), draw(_INCARNATIONS), draw(_FORMS)
    if verb in ("append", "retire"):
        counter = draw(_COUNTERS)
        entry = (counter, keys.NONCE.pack(int(me), counter), draw(_BYTES))
        retired = (draw(_INCARNATIONS),) if verb == "retire" else ()
        return "script", (form, "cl", line, me, "append", *entry, *retired)
    if verb == "reserve":
        release = draw(st.lists(st.sampled_from((1, 4, 7)), max_size=2))
        return "script", (form, "cl", line, me, "reserve", draw(st.integers(1, 4)), *release)
    if verb == "erased":
        return "script", (form, "cl", line, me, "erased", draw(st.integers(0, 5)))
    if verb == "delete":
        return "script", (form, "cgs", line, "0", "delete", "name")
    if verb == "erase":
        parts = draw(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 3)), min_size=1, max_size=2))
        return "script", (form, "p", "", "", "erase", *(16 * n for part in parts for n in part))
    return "command", draw(
        st.sampled_from(
            (
                ("HSETNX", "c", "d", "e" * 16 + ":f\n{}"),
                ("HSETNX", "c", "d", "e" * 16 + ":f\n{}"),
                ("HGET", "c", "p"),
                ("HMGET", "c", "d", "p", "n"),
                ("HGETALL", "c"),
                ("XRANGE", "l", "2-0", "+", "COUNT", 2),
                ("SET", "p", b"x" * 50, "NX", "GET"),
                ("SET", "p", b"y" * 64, "NX", "GET"),
                ("GET", "p"),
                ("GETRANGE", "p", 16, 40),
                ("EXISTS", "p"),
                ("UNLINK", "p"),
                ("UNLINK", "c"),
                ("SADD", "s", "name"),
                ("SREM", "s", "name"),
                ("SISMEMBER", "s", "name"),
                ("SMEMBERS", "s"),
            )
        )
    )


async def _answers(store: Store | View, calls: list[tuple[str, tuple[Any, ...]]], prefix: str) -> list[Any]:
    def key(letter: str) -> str:
        return f"{{{prefix}}}:{letter}"

    out = []
    for kind, call in calls:
        try:
            if kind == "script":
                form, names, *arguments = call
                answer = await store.run(form, [key(letter) for letter in names], *arguments)
            else:
                name, letter, *arguments = call
                answer = await store.call(name, key(letter), *arguments)
                if name == "HGETALL":
                    answer = dict(zip(answer[::2], answer[1::2], strict=True))
        except StoreUnavailable as error:
            answer = (type(error), error.reason)
        out.append(answer)
    streams = await store.read_streams({key("l"): "1-0"}, 0, 3)
    return [*out, [entry for entries in streams.values() for entry in entries]]


def test_it_is_like_a_real_store(store_url: str) -> None:
    """Drawn sequences of calls on both."""

    @settings(max_examples=150, suppress_health_check=list(HealthCheck))
    @given(st.lists(_calls(), min_size=5, max_size=40))
    def compare(calls: list[tuple[str, tuple[Any, ...]]]) -> None:
        first = ("command", ("HSETNX", "c", "d", "e" * 16 + ":f\n{}"))
        last = [("command", ("HGETALL", "c")), ("command", ("XRANGE", "l", "0-0", "+", "COUNT", 100))]
        every = [first, *calls, *last, ("command", ("GET", "p")), ("command", ("SMEMBERS", "s"))]

        async def both() -> None:
            real = Store(store_url)
            try:
                expected = await _answers(real, every, f"simulated-{next(_number)}")
            finally:
                await real.close()
            view = View(World(asyncio.get_running_loop().time), lambda _: Fate())
            assert await _answers(view, every, "x") == expected

        asyncio.run(both())

    compare()


async def test_times() -> None:
    """A sign of life expires, a bell keeps one entry."""
    now = [0.0]
    world = World(lambda: now[0])
    view = View(world, lambda _: Fate())
    await view.run("append+oom", ["h"], "", "", "beat", 500)
    assert await view.call("EXISTS", "h") == 1
    now[0] = 0.6
    assert await view.call("EXISTS", "h") == 0
    for _ in range(3):
        await view.run("append+oom", ["b"], "", "", "ring", 500)
    assert [len(found) for found in (await view.read_streams({"b": "0-0"}, 0, 9)).values()] == [1]


async def test_earlier_contents() -> None:
    """The last writes are lost; a read that waits ends as its connection breaks."""
    world = World(asyncio.get_running_loop().time)
    view = View(world, lambda _: Fate())
    for number in range(4):
        await view.call("SADD", "s", str(number))
    reading = asyncio.create_task(view.read_streams({"l": "0-0"}, 5000, 1))
    await asyncio.sleep(0)
    world.lose(3)
    assert await view.call("SMEMBERS", "s") == [b"0"]
    assert isinstance((await asyncio.gather(reading, return_exceptions=True))[0], StoreUnavailable)
