"""The parts of a response that a coroutine makes while it is sent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

import segment_librato as analytics
from segment_librato.integrations.parts import async_parts
from segment_librato.message.scope import current_scope
from segment_librato.scopes import scope_to_carry

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


async def parts(count: int) -> AsyncGenerator[bytes]:
    for _ in range(count):
        await asyncio.sleep(0)
        yield str(scope_to_carry()).encode()
    raise LookupError("no such part")


def test_each_part_is_made_in_the_scope_and_sent_outside_of_it() -> None:
    sent: list[bytes] = []

    async def send(user: str) -> None:
        async for part in async_parts(parts(3), analytics.scope(user)):
            assert current_scope.get() is None
            sent.append(part)

    async def main() -> None:
        for user in ("user-1", "user-2"):
            with pytest.raises(LookupError, match="no such part"):
                await send(user)
        assert current_scope.get() is None

    asyncio.run(main())
    assert sent == [b"{'user_id': 'user-1'}"] * 3 + [b"{'user_id': 'user-2'}"] * 3


def test_there_may_be_no_part() -> None:
    async def none() -> AsyncGenerator[bytes]:
        return
        yield b""

    async def main() -> list[bytes]:
        return [part async for part in async_parts(none(), analytics.scope("user-1"))]

    assert asyncio.run(main()) == []
