"""The real store for every test: one embedded Valkey a session, a collection of its own for each test."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import settings

from dedup.live import Pipeline
from dedup.store.embedded import EmbeddedValkey
from tests import flow

# How long an example takes depends on the machine, and on whether a kernel is compiled in it.
# What CI says of a change depends on the change alone; every other run goes on looking for new examples.
settings.register_profile("dedup", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("dedup")


@pytest.fixture(scope="session")
def store_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of an embedded store that lives as long as the test session."""
    data_dir: Path = tmp_path_factory.mktemp("store")
    with EmbeddedValkey(data_dir, fsync="everysec") as store:
        assert store.url is not None
        yield store.url


@pytest.fixture
def collection() -> str:
    """A collection name that no other test has."""
    return f"t-{uuid.uuid4().hex[:12]}"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def pipeline(store_url: str) -> AsyncIterator[Pipeline]:
    """A pipeline that waits for clusters as long as it takes."""
    opened = await flow.open_pipeline(store_url, settle_wait_milliseconds=30_000)
    yield opened
    await opened.close()
