"""What every class of options has in common: immutable, comparable, valid once it exists.

Owns construction, equality, the `repr` without secrets, and immutability. `dataclasses` offers
the same, but importing it would cost a fifth of our import. Must not know a single option.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from segment_librato.errors import ConfigError, without_frames
from segment_librato.foreign.interruption import is_interruption
from segment_librato.foreign.narrowing import is_dict, is_mapping
from segment_librato.foreign.stand_ins import resolved

if TYPE_CHECKING:
    from collections.abc import Mapping
    from dataclasses import KW_ONLY
    from inspect import Signature

    from typing_extensions import Self, dataclass_transform
else:
    KW_ONLY = object
    Self = "Options"  # for `typing.get_type_hints`; `typing` has it from Python 3.11 on

    def dataclass_transform(**_: object) -> Any:  # noqa: ANN401  a decorator of any class
        """Do nothing: only type checkers need it."""
        return lambda kind: kind


__all__ = ["KW_ONLY", "Options"]


class _SignatureOnDemand:
    """`__signature__` for `inspect.signature`, made when asked for: importing `inspect` is slow."""

    def __get__(self, options: Options | None, kind: type[Options]) -> Signature:
        from inspect import Parameter, Signature

        annotations: dict[str, Any] = {}
        for one in reversed(kind.__mro__):
            annotations.update(getattr(one, "__annotations__", {}))
        return Signature(
            [
                Parameter(
                    name,
                    Parameter.KEYWORD_ONLY
                    if name in kind._keyword_only  # noqa: SLF001  the class that this serves
                    else Parameter.POSITIONAL_OR_KEYWORD,
                    default=getattr(kind, name),
                    annotation=annotations[name],
                )
                for name in kind.names()
            ]
        )


@dataclass_transform(frozen_default=True)
class Options:
    """Base class of options: each annotation of a subclass, with its default, is one.

    Options after a line `_: KW_ONLY` can be given by name only. `secrets`, an argument of the
    class statement, names those that the `repr` leaves out. Mappings are copied, so that later
    changes have no effect. Behaves like a frozen dataclass, to type checkers too.
    """

    _positional: ClassVar[tuple[str, ...]] = ()
    _keyword_only: ClassVar[tuple[str, ...]] = ()
    _secrets: ClassVar[frozenset[str]] = frozenset()

    __signature__: ClassVar[_SignatureOnDemand] = _SignatureOnDemand()

    def __init_subclass__(cls, *, secrets: tuple[str, ...] = ()) -> None:
        """Collect the options that this class declares."""
        declared = [
            name
            for name, hint in cls.__annotations__.items()
            if name not in cls.names() and not str(hint).startswith(("ClassVar", "typing.ClassVar"))
        ]
        keywords = declared.index("_") if "_" in declared else len(declared)
        cls._positional += tuple(declared[:keywords])
        cls._keyword_only += tuple(declared[keywords + 1 :])
        cls._secrets |= set(secrets)

    def __init__(self, *values: object, **options: object) -> None:
        given = dict(zip(self._positional, values, strict=False))
        if problem := self._problem_of_names(len(values), given, options):
            del values, options, given  # an error tracker would upload them
            raise TypeError(f"{type(self).__name__}: {problem}")
        given |= options
        names = self.names()
        values_of = vars(self)
        values_of.update({name: given.get(name, getattr(type(self), name)) for name in names})
        try:
            for name in names:
                values_of[name] = _plain(name, values_of[name])
            self._check()
        except ConfigError as error:
            values_of.clear()  # an error tracker would upload them
            del values, options, given
            raise without_frames(error)  # noqa: B904  it is the same one
        for name, value in values_of.items():
            if is_mapping(value):
                values_of[name] = dict(value)

    @classmethod
    def _problem_of_names(
        cls, count: int, given: Mapping[str, object], options: Mapping[str, object]
    ) -> str:
        """Return what is wrong with the names of options, or their number; empty if nothing is.

        Args:
            count: how many were given by position.
            given: these, as far as there are so many.
            options: those that were given by name.
        """
        if count > len(cls._positional):
            return f"expected at most {len(cls._positional)} positional arguments, got {count}"
        if twice := given.keys() & options.keys():
            return f"got options twice: {', '.join(sorted(twice))}"
        if unknown := options.keys() - set(cls.names()):
            return f"got unexpected options: {', '.join(sorted(unknown))}"
        return ""

    def _check(self) -> None:
        """Raise a ConfigError that names the first option with a wrong type or value."""

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names of all options, those that may be given by position first."""
        return cls._positional + cls._keyword_only

    def with_options(self, **options: object) -> Self:
        """Return a copy with these options changed."""
        return type(self)(**vars(self) | options)

    def __setattr__(self, name: str, value: object) -> None:
        """Raise FrozenInstanceError."""
        from dataclasses import FrozenInstanceError

        raise FrozenInstanceError(f"{name}: an option cannot be changed")

    def __delattr__(self, name: str) -> None:
        """Raise FrozenInstanceError."""
        setattr(self, name, None)

    def __eq__(self, other: object) -> bool:
        """Return whether all options are equal."""
        return vars(self) == vars(other) if type(self) is type(other) else NotImplemented

    def __hash__(self) -> int:
        """Return the same number for equal options."""
        values = vars(self).values()
        return hash(tuple(frozenset(one) if is_dict(one) else one for one in values))

    def __repr__(self) -> str:
        """Show the options except those that may hold secrets."""
        shown = vars(self).items()
        texts = (f"{name}={value!r}" for name, value in shown if name not in self._secrets)
        return f"{type(self).__name__}({', '.join(texts)})"


def _plain(name: str, value: object) -> object:
    """Return the str or None that a proxy or a lazy text stands for; any other value as it is."""
    if value is None or type(value) is str:
        return value
    try:
        target = resolved(value)
        return target if target is None or type(target) is str else value
    except Exception as error:
        if is_interruption(error):
            raise
        raise ConfigError(f"{name}: reading it raised {type(error).__name__}") from None
