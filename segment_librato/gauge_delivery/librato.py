"""One POST of measurements to the Librato Metrics API, and the settings of a gauge there.

Owns the choice between the two forms of the API (`wire` writes them), authentication, and what a
response means. Facts: librato/api-docs, "Submit Metrics", "Create a Measurement", "Update Metric
by Name" and "Response Codes & Errors". Must not know queues or retries.
"""

from __future__ import annotations

import base64
import json
import re
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from segment_librato._version import USER_AGENT
from segment_librato.config.gauges import DEFAULT_TIMEOUT
from segment_librato.config.validators import host_of
from segment_librato.errors import APIError, DeliveryError, raised_anew
from segment_librato.foreign.interruption import clear_locals
from segment_librato.foreign.narrowing import is_dict, is_list
from segment_librato.gauge_delivery.wire import gauges_body, measurements_body, read_time
from segment_librato.http.pool import Sessions
from segment_librato.http.response import NOT_FOUND, REDIRECT, SUCCESS, UNAUTHORIZED, redact
from segment_librato.http.session import Session
from segment_librato.transport.base import Receipt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from segment_librato.config.gauges import LibratoConfig
    from segment_librato.http.response import Response
    from segment_librato.queue.batch import Batch

__all__ = ["LibratoTransport", "put_gauge"]

BAD_REQUEST = 400
FORBIDDEN = 403
RATE_LIMIT = re.compile(r"\blimit", re.IGNORECASE)


class LibratoTransport:
    """Posts measurements to `{host}/v1/metrics` or `/v1/measurements`. Thread-safe."""

    def __init__(self, account: LibratoConfig) -> None:
        self._account = account
        self._properties = _encode({"period": account.period, "attributes": account.attributes})
        self._build_body = gauges_body if account.api == "metrics" else measurements_body
        self._sessions = Sessions(
            f"{account.host.rstrip('/')}/v1/{account.api}",
            account.proxies,
            account.timeout or DEFAULT_TIMEOUT,
        )

    def reset_after_fork(self) -> None:
        """Leave the connections to the parent, untouched, and start with none."""
        self._sessions.reset_after_fork()

    def send(self, batch: Batch, timeout: float | None = None) -> Receipt:
        """Post a batch of measurements, without those outside the time window.

        Raises:
            APIError: the server answered without success.
            NetworkError: no response came.
        """
        failed = self._outside_window(batch.messages)
        wanted = [one for at, one in enumerate(batch.messages) if at not in failed]
        if not wanted:
            return Receipt(0, failed)
        body = self._build_body(wanted, self._properties)
        response = self._sessions.post(body, _headers(self._account), timeout)
        if response.status not in SUCCESS:
            error = _error(self._account, response, "POST", f"/v1/{self._account.api}")
            error.bytes_sent = len(body)
            raise error
        if doubt := self._doubts(response, len(wanted)):
            failed = {at: failed.get(at, doubt) for at in range(len(batch))}
        return Receipt(len(body), failed)

    def close(self) -> None:
        """Close the connections."""
        self._sessions.close()

    def _outside_window(self, measurements: Sequence[bytes]) -> dict[int, DeliveryError]:
        """Return an error for the position of each measurement that is too far from now."""
        now = time.time()
        window = self._account.time_window
        error = DeliveryError(
            f"measure_time is more than {window:.0f} s from now, which Librato rejects"
        )
        return {
            at: error
            for at, one in enumerate(measurements)
            if (measured_at := read_time(one)) is not None and abs(measured_at - now) > window
        }

    def _doubts(self, response: Response, count: int) -> DeliveryError | None:
        """Return an error if a success says that some measurements were not taken.

        It does not say which, and sending all of them again would count the others twice.
        """
        content = response.json_object()
        if not content.get("errors"):
            return None
        error = DeliveryError(
            f"{self._sessions.host} answered {response.status} with errors: "
            f"up to {count} measurements were not taken"
        )
        error.message = _texts(self._account, content) or error.message
        return error


@raised_anew
def put_gauge(account: LibratoConfig, name: str, properties: dict[str, Any]) -> None:
    """Set the properties of a gauge; create it if there is none.

    Raises:
        APIError: the server answered without success.
        NetworkError: no response came.
    """
    url = f"{account.host.rstrip('/')}/v1/metrics/{name}"
    try:
        with Session(url, account.proxies, account.timeout or DEFAULT_TIMEOUT) as session:
            body = _encode({"type": "gauge", **properties})
            response = session.send("PUT", body, _headers(account))
    except BaseException as error:  # Ctrl-C, or what a signal handler raises
        clear_locals(error)
        raise
    if response.status not in SUCCESS:
        raise _error(account, response, "PUT", "/v1/metrics/{name}")


def _encode(content: dict[str, Any]) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()


def _credentials(account: LibratoConfig) -> str:
    """Return user and password in base64; for AppOptics, the token and an empty password."""
    user, password = (account.email, account.token) if account.email else (account.token, "")
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def _headers(account: LibratoConfig) -> dict[str, str]:
    return {
        "Authorization": f"Basic {_credentials(account)}",
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
    }


def _error(account: LibratoConfig, response: Response, method: str, path: str) -> APIError:
    """Return the response to a request as an error; its path is below the account's host."""
    status = response.status
    content = response.json_object()
    errors = content.get("errors")
    text = f"{host_of(account.host)} answered {status}"
    message = _texts(account, content)
    code = "unknown"
    if status in REDIRECT:
        code = "redirect"
        target = redact(response.redirect_target(account.host), _secrets(account))
        text = f"{text}, a redirect to {target}; set `host` to where the API is"
    elif status == UNAUTHORIZED:
        code = "unauthorized"
        text = f"{text}; check {'email and token' if account.email else 'token'}"
    elif status == NOT_FOUND:
        base = redact(urlsplit(account.host).path.rstrip("/"), _secrets(account))
        text = f"{text} to a {method} to {base}{path}; check `host`"
    elif status == FORBIDDEN and RATE_LIMIT.search(message):
        code = "rate_limited"
        text = f"{text}, a rate limit"
    error = APIError(status, code, message or text, response.retry_after(), text)
    if status == BAD_REQUEST and isinstance(errors, dict):
        error.is_splittable = "params" in errors
    return error


def _texts(account: LibratoConfig, content: dict[str, Any]) -> str:
    """Return the sentences in the errors of a response, shortened and without secrets."""
    sentences: list[str] = []
    pending: list[tuple[str, object]] = [("", content.get("errors") or content.get("error"))]
    while pending:
        name, errors = pending.pop()
        if is_dict(errors):
            pending += reversed(errors.items())
        elif is_list(errors):
            pending += [(name, error) for error in reversed(errors)]
        elif isinstance(errors, str):
            sentences.append(f"{name}: {errors}" if name else errors)
    return redact("; ".join(sentences), _secrets(account))


def _secrets(account: LibratoConfig) -> tuple[str, str]:
    return str(account.token), _credentials(account)
