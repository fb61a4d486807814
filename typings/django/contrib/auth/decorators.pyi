from collections.abc import Callable
from typing import Any, TypeVar

_View = TypeVar("_View", bound=Callable[..., Any])

def login_required(*, login_url: str) -> Callable[[_View], _View]: ...
