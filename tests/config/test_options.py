"""The base of all options: construction, equality, immutability, and what it shows."""

from __future__ import annotations

import copy
import inspect
import pickle
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from segment_librato.config.options import KW_ONLY, Options

if TYPE_CHECKING:
    from collections.abc import Mapping


class Basic(Options, secrets=("password",)):
    """Options of anything."""

    _: KW_ONLY
    password: str = ""
    retries: int = 3


class Extended(Basic, secrets=("token",)):
    """Options of something in particular."""

    name: str = "nobody"
    token: str | None = None
    labels: Mapping[str, str] = MappingProxyType({"a": "b"})
    _: KW_ONLY
    late: float = 0.5

    def _check(self) -> None:
        if self.retries < 0:
            raise ValueError("retries")


def test_names_are_those_of_the_class_and_its_bases() -> None:
    assert Basic.names() == ("password", "retries")
    assert Extended.names() == ("name", "token", "labels", "password", "retries", "late")


def test_what_is_left_out_has_its_default() -> None:
    made = Extended("ada", retries=5)
    assert [getattr(made, name) for name in Extended.names()] == [
        *("ada", None, {"a": "b"}, "", 5, 0.5)
    ]


def test_the_signature_shows_the_options() -> None:
    assert str(inspect.signature(Extended)).replace("'", "") == (
        "(name: str = nobody, token: str | None = None, "
        "labels: Mapping[str, str] = mappingproxy({a: b}), *, "
        "password: str = , retries: int = 3, late: float = 0.5)"
    )


@pytest.mark.parametrize(
    "make, problem",
    [
        (lambda: Extended(1, 2, 3, 4), "Extended: expected at most 3 positional arguments, got 4"),  # type: ignore[arg-type, call-arg]
        (lambda: Extended("ada", name="bob"), "Extended: got options twice: name"),  # type: ignore[misc]
        (lambda: Extended(b=1, a=2), "Extended: got unexpected options: a, b"),  # type: ignore[call-arg]
    ],
)
def test_arguments_that_do_not_fit_are_named(make: Any, problem: str) -> None:
    with pytest.raises(TypeError) as caught:
        make()
    assert str(caught.value) == problem


def test_options_are_checked_when_they_are_made_or_changed() -> None:
    with pytest.raises(ValueError, match="retries"):
        Extended(retries=-1)
    with pytest.raises(ValueError, match="retries"):
        Extended().with_options(retries=-1)


def test_a_changed_copy_leaves_the_original_alone() -> None:
    original = Extended("ada")
    assert original.with_options(retries=7) == Extended("ada", retries=7)
    assert original.retries == 3


def test_nothing_can_be_assigned_or_deleted() -> None:
    made = Extended()
    with pytest.raises(AttributeError, match=r"^name: an option cannot be changed$"):
        made.name = "bob"  # type: ignore[misc]
    with pytest.raises(AttributeError, match=r"^name: an option cannot be changed$"):
        del made.name
    with pytest.raises(AttributeError, match=r"^other: an option cannot be changed$"):
        made.other = 1
    assert made == Extended()


def test_mappings_are_copied() -> None:
    labels = {"a": "b"}
    made = Extended(labels=labels)
    labels["a"] = "c"
    assert made.labels == {"a": "b"}


def test_equal_options_are_equal_and_hash_alike() -> None:
    assert Extended(labels={"x": "1", "y": "2"}) == Extended(labels={"y": "2", "x": "1"})
    assert len({Extended(labels={"x": "1", "y": "2"}), Extended(labels={"y": "2", "x": "1"})}) == 1
    assert Extended(late=1) != Extended(late=2)
    assert Basic() != Extended()


def pickled(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))  # noqa: S301  our own pickle


@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy, pickled])
def test_copies_are_equal(clone: Any) -> None:
    made = Extended("ada", labels={"x": "y"}, late=1)
    assert clone(made) == made


def test_the_repr_leaves_out_the_secrets_of_the_class_and_its_bases() -> None:
    shown = repr(Extended("ada", "s3cr3t", password="s3cr3t"))  # noqa: S106  not a real one
    assert shown == "Extended(name='ada', labels={'a': 'b'}, retries=3, late=0.5)"


def test_a_subclass_may_have_another_default_and_variables_of_its_own() -> None:
    class Patient(Extended):
        """Options with another default."""

        limit: ClassVar[int] = 7
        retries: int = 10

    assert Patient.names() == Extended.names()
    assert (Patient().retries, Patient(retries=1).retries) == (10, 1)
    assert inspect.signature(Patient).parameters["retries"].default == 10
