"""How much of a body is read and kept: nothing of one that is too long, and of one without an end not all."""

from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import pytest
from starlette.datastructures import Headers

from restpoint.http.json_bodies import MAX_BODY_BYTES
from restpoint.http.problems import Problem
from restpoint.http.requests import read_body

MEBIBYTE = 1 << 20


class Chunk(bytes):
    """Bytes that say when nobody keeps them any more."""

    gone: Callable[[], None]

    def __del__(self) -> None:
        self.gone()


class Sent:
    """A request whose body is chunks of a mebibyte, as far as ``read_body`` looks at one."""

    def __init__(self, chunks: int, **headers: str) -> None:
        self.headers = Headers(headers)
        self.kept = 0
        """The most chunks that were kept when the next one came."""
        self.read = 0
        self._there = 0
        self._chunks = chunks

    def _gone(self) -> None:
        self._there -= 1

    async def stream(self) -> AsyncIterator[bytes]:
        for _ in range(self._chunks):
            chunk = Chunk(MEBIBYTE)
            chunk.gone = self._gone
            self._there += 1
            yield chunk
            del chunk
            self.read += 1
            self.kept = max(self.kept, self._there - 1)  # the newest is still in the hands of who reads


async def refused(sent: Sent) -> None:
    with pytest.raises(Problem) as caught:
        await read_body(cast("Any", sent), MAX_BODY_BYTES)
    assert caught.value.status == 413


async def test_nothing_is_kept_of_a_body_whose_length_says_that_it_is_too_long() -> None:
    sent = Sent(4, **{"content-length": str(MAX_BODY_BYTES + 1)})
    await refused(sent)
    assert (sent.read, sent.kept) == (4, 0)


async def test_what_was_kept_of_a_body_goes_once_it_is_too_long() -> None:
    sent = Sent(6)
    await refused(sent)
    assert (sent.read, sent.kept) == (6, 3)


async def test_a_body_without_an_end_is_not_read_for_ever() -> None:
    sent = Sent(1000)
    await refused(sent)
    assert 4 < sent.read < 30


async def test_a_body_of_the_largest_size_is_read() -> None:
    assert len(await read_body(cast("Any", Sent(4)), MAX_BODY_BYTES)) == MAX_BODY_BYTES
