"""pyfakefs, in the middle of whose fake file system an application's test tracks first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.raw_server import RawServer
from support.script import run, sequence_numbers

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

    from segment_librato.devserver import LocalSegment

SUCCESS = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@pytest.mark.parametrize("options", ["", "sync_mode=True"])
def test_a_first_event_in_a_fake_file_system_leaves_later_clients_usable(
    server: LocalSegment, tls: ssl.SSLContext, certificate: Path, options: str
) -> None:
    """What was imported in it would go on to look there for certificates."""
    with RawServer(lambda: [SUCCESS], tls=tls) as raw:
        run(
            server,
            f"""
            from pyfakefs.fake_filesystem_unittest import Patcher
            os.environ["REQUESTS_CA_BUNDLE"] = {str(certificate)!r}
            with Patcher():
                first = make({options})
                track(first, [0])
                assert first.flush(timeout=20)
            later = make(host={raw.host!r}, max_retries=0, {options})
            track(later, [1])
            assert later.flush(timeout=20)
            assert later.stats.delivered == 1
            track(first, [2])
            assert first.flush(timeout=20)
            """,
        )
    assert sequence_numbers(server) == [0, 2]


def test_a_first_event_in_a_fake_file_system_is_delivered_by_the_default_client(
    server: LocalSegment,
) -> None:
    run(
        server,
        """
        from pyfakefs.fake_filesystem_unittest import Patcher
        segment_librato.write_key, segment_librato.host = "test-key", sys.argv[1]
        with Patcher():
            segment_librato.track("user", "event", {"n": 0})
        segment_librato.track("user", "event", {"n": 1})
        assert segment_librato.flush(timeout=20)
        """,
    )
    assert sequence_numbers(server) == [0, 1]
