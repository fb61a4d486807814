# celery has no types.
from collections.abc import Callable
from typing import Any

class Celery:
    def __init__(self, main: str, *, config_source: str) -> None: ...
    def task(self, function: Callable[..., Any]) -> Any: ...
