from collections.abc import Callable
from typing import Any, TypeVar

_View = TypeVar("_View", bound=Callable[..., Any])

def require_GET(view: _View) -> _View: ...
def require_POST(view: _View) -> _View: ...
