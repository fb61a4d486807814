"""The logger of this library, named `segment`.

A handler of the application that raises must not cost a message: what it raises is suppressed.
What a signal handler raises meanwhile is not. Whatever a line holds is made printable. Must not
know messages.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from segment_librato.foreign.interruption import is_interruption
from segment_librato.foreign.printable import printable

__all__ = ["log"]

if TYPE_CHECKING:
    Adapter = logging.LoggerAdapter[logging.Logger]
else:  # no subscripts before Python 3.11
    Adapter = logging.LoggerAdapter


class _SafeLog(Adapter):
    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:  # noqa: ANN401  as in logging
        """Log, whatever the handlers do."""
        if not self.isEnabledFor(level):
            return
        texts = (printable(one) if isinstance(one, str) else one for one in args)
        try:
            super().log(level, msg, *texts, **kwargs)
        except Exception as error:
            if is_interruption(error):
                raise


log: _SafeLog = _SafeLog(logging.getLogger("segment"), {})
