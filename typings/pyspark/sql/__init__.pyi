from typing import Any, TypeAlias

Column: TypeAlias = Any
DataFrame: TypeAlias = Any
functions: Any
