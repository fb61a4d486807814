from typing import Any

SimpleLazyObject: Any
