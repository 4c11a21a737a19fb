"""One thread for JSON that takes long to read or to check, so that the event loop can go on meanwhile.

One thread is enough: parsing holds the interpreter's lock, so a second one would only take turns with the first. It is the
process's own, because the default pool of asyncio may be full of somebody's slow functions.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

T = TypeVar("T")

LONG: Final = 8 * 1024
"""Bytes of JSON from which on reading them is worth a change of threads (about 0.1 ms)."""

_thread: Final = ThreadPoolExecutor(1, thread_name_prefix="restpoint-json")


async def run(function: Callable[..., T], *arguments: Any) -> T:
    """Call a function with these arguments in the thread. Returns and raises what it does; a cancelled caller stops waiting."""
    return await asyncio.get_running_loop().run_in_executor(_thread, function, *arguments)
