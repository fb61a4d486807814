# flask has types, but is not in the environment.
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

_Function = TypeVar("_Function", bound=Callable[..., Any])

class Flask:
    config: Any
    wsgi_app: Any

    def __init__(self, import_name: str) -> None: ...
    def post(self, rule: str) -> Callable[[_Function], _Function]: ...

request: Any
session: Any

def abort(code: int) -> NoReturn: ...
