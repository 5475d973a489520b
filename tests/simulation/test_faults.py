"""Servers on a store that fails them in every way, as Hypothesis draws it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.oracle import families
from bench.oracle.families import VARIANTS, Operation, Remove
from tests.simulation import checks, virtual_time
from tests.simulation.servers import Simulation

_NUMBER = st.integers(0, 3)
_AT = st.integers(0, 400)
_SAFE = (
    st.tuples(_AT, st.just("crash"), st.tuples(_NUMBER, st.sampled_from((0.1, 3.0)))),
    st.tuples(_AT, st.just("crash"), st.tuples(_NUMBER, st.sampled_from((0.1, 3.0)))),
    st.tuples(_AT, st.just("pause"), st.tuples(_NUMBER, st.sampled_from((0.5, 3.0, 8.0)))),
    st.tuples(_AT, st.just("pause"), st.tuples(_NUMBER, st.sampled_from((0.5, 3.0, 8.0)))),
    st.tuples(_AT, st.just("cut"), st.tuples(_NUMBER, st.sampled_from((0.1, 3.0)))),
    st.tuples(_AT, st.just("slow"), st.tuples(_NUMBER, st.sampled_from((0.1, 3.0)))),
    st.tuples(_AT, st.just("full"), st.tuples(st.sampled_from((0.01, 2.0)))),
)
_LOSSY = (
    st.tuples(_AT, st.just("lose"), st.tuples(st.sampled_from((1, 2, 3, 5, 10, 30, 100)))),
    st.tuples(_AT, st.just("lose"), st.tuples(st.sampled_from((1, 2, 3, 5, 10, 30, 100)))),
    st.tuples(_AT, st.just("backup"), st.just(())),
    st.tuples(_AT, st.just("restore"), st.just(())),
    st.tuples(_AT, st.just("flush"), st.just(())),
)


@st.composite
def _simulations(draw: st.DrawFn, kinds: tuple[Any, ...]) -> dict[str, Any]:
    return {
        "seed": draw(st.integers(0, 1 << 20)),
        "parameters": VARIANTS[
            draw(st.sampled_from(("small", "small", "two landmarks", "window", "without text")))
        ],
        "trouble": draw(st.sampled_from((0.0, 0.02, 0.1))),
        "plan": draw(st.lists(st.one_of(kinds), max_size=5)),
        "slices": draw(st.booleans()),
    }


def simulate(
    history: list[Operation], drawn: dict[str, Any], servers: int, clients: int, *, lossy: bool
) -> Simulation:
    """Run a simulation and check all that must hold."""
    simulation = Simulation(**drawn)
    sent = [a for operation in history if not isinstance(operation, Remove) for a in operation.articles]

    async def work() -> None:
        await simulation.start(servers)
        simulation.is_calm = False
        await simulation.work(history, clients)
        opened = await simulation.settle()
        checks.check(simulation, opened, sent, lossy=lossy)

    with simulation.patched():
        virtual_time.run(work())
    return simulation


#: Some examples take minutes: `make test-faults` runs these.
pytestmark = pytest.mark.faults
_QUICK = settings(max_examples=60, suppress_health_check=list(HealthCheck))


@_QUICK
@given(
    history=families.histories(10, 25),
    drawn=_simulations(_SAFE),
    servers=st.integers(2, 4),
    clients=st.integers(1, 4),
)
def test_nothing_acknowledged_is_lost(
    history: list[Operation], drawn: dict[str, Any], servers: int, clients: int
) -> None:
    """Servers crash, stand still, are cut off, and the store is full for a while."""
    simulate(history, drawn, servers, clients, lossy=False)


@_QUICK
@given(
    history=families.histories(10, 25),
    drawn=_simulations((*_SAFE, *_LOSSY)),
    servers=st.integers(2, 4),
    clients=st.integers(1, 4),
)
def test_a_store_that_goes_back(
    history: list[Operation], drawn: dict[str, Any], servers: int, clients: int
) -> None:
    """The same, and the store loses the last writes, is put back to a backup or emptied."""
    simulate(history, drawn, servers, clients, lossy=True)


_ = pytest
