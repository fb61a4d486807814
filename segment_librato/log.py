"""The logger of this library, named `segment`.

A handler of the application that raises must not cost a message: what it raises is suppressed.
Whatever a line holds is made printable. Must not know anything else of the library.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from segment_librato.printable import printable

__all__ = ["log"]

if TYPE_CHECKING:
    Adapter = logging.LoggerAdapter[logging.Logger]
else:  # no subscripts before Python 3.11
    Adapter = logging.LoggerAdapter


class _SafeLog(Adapter):
    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:  # noqa: ANN401  as in logging
        """Log, whatever the handlers do."""
        if self.isEnabledFor(level):
            texts = (printable(one) if isinstance(one, str) else one for one in args)
            with suppress(Exception):
                super().log(level, msg, *texts, **kwargs)


log: _SafeLog = _SafeLog(logging.getLogger("segment"), {})
