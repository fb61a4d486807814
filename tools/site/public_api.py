"""What the source does not show by itself: an extension of Griffe, which reads it for the site.

The functions of the module that `global_client` makes from methods get the signatures and texts of
these methods; settings get the descriptions of the options; TypedDicts a table of their keys. Must
not know HTML.
"""

from __future__ import annotations

import importlib
import inspect

import griffe

from segment_librato.config import gauges
from segment_librato.config.client import Config
from segment_librato.config.spool import SpoolConfig

PACKAGE = "segment_librato"
MADE_FROM_METHOD = "_on_default_client(Client."
DESCRIPTIONS = {
    "stats": "The counters of the default client, as a `Stats`; reading it makes no client.",
    "default_client": "The client that the calls of this module use; None until the first call."
    " Assign None to have the next call make a new one.",
    "__version__": "The version, such as `1.0.0`.",
}


class _FunctionOfModule(griffe.Function):
    """A function with the parameters of a method, whose source is that of the method."""

    def __init__(self, method: griffe.Function) -> None:
        super().__init__(
            method.name,
            lineno=method.lineno,
            endlineno=method.endlineno,
            parameters=griffe.Parameters(*[one for one in method.parameters if one.name != "self"]),
            returns=method.returns,
            docstring=method.docstring,
        )
        self._method = method

    @property
    def filepath(self) -> object:
        """The file of the method."""
        return self._method.filepath


class PublicApi(griffe.Extension):
    """Completes what Griffe has read of the package."""

    def on_package(self, *, pkg: griffe.Module, **_: object) -> None:
        """Complete the package, once all of it is read."""
        if pkg.name != PACKAGE:
            return
        _add_functions(pkg)
        _prefer_functions(pkg)
        _describe_settings(pkg)
        _show_defaults(pkg)
        _show_options(pkg)
        for name in ("ecommerce", "fields", "mobile", "saas", "video"):
            _list_keys(pkg[f"events.{name}"])


def _add_functions(package: griffe.Module) -> None:
    """Replace `track = _on_default_client(Client.track)` and its like by a function."""
    module = package["global_client"]
    for name, member in [*module.members.items()]:
        if member.is_alias or not member.is_attribute:
            continue
        if not str(member.value).startswith(MADE_FROM_METHOD):
            continue
        owner = package["tracking.Tracking" if name == "track" else "client.Client"]
        method = owner.members[name]
        module.set_member(name, _FunctionOfModule(method))


def _prefer_functions(package: griffe.Module) -> None:
    """Let `testing.capture` and `preload` be the functions, as in Python, not their modules."""
    for path in ("preload", "testing.capture"):
        owner, _, name = f".{path}".rpartition(".")
        module = package[owner.strip(".")] if owner.strip(".") else package
        function = module.members[name].members[name]
        module.set_member(name, _FunctionOfModule(function))


def _describe_settings(package: griffe.Module) -> None:
    """Give each setting the description of its option."""
    described = {
        entry.name: entry.description
        for section in package["config.client.Config"].docstring.parse("google")
        if section.kind is griffe.DocstringSectionKind.attributes
        for entry in section.value
    }
    for name in Config.names():
        package.members[name].docstring = _docstring(described[name], package.members[name])
    for name, text in DESCRIPTIONS.items():
        package.members[name].docstring = _docstring(text, package.members[name])


def _show_defaults(package: griffe.Module) -> None:
    """Replace `Config.timeout`, where it is a default or a value, by what it is."""
    for name in Config.names():
        package.members[name].value = repr(getattr(Config, name))
    for path in ("client.Client.__init__", "bulk.entry.import_rows", "spark.frame.deliver"):
        for parameter in package[path].parameters:
            owner, _, name = str(parameter.default).partition(".")
            if owner == "Config":
                parameter.default = repr(getattr(Config, name))
            elif owner == "Task":
                parameter.default = package["spark.task.Task"].members[name].value


def _show_options(package: griffe.Module) -> None:
    """Give the classes of options the signatures that they have when they run."""
    for options in (gauges.LibratoConfig, gauges.OpenTelemetryConfig, SpoolConfig):
        parameters = [
            griffe.Parameter(
                one.name,
                annotation=str(one.annotation),
                kind=griffe.ParameterKind(one.kind.description),
                default=repr(one.default),
            )
            for one in inspect.signature(options).parameters.values()
        ]
        constructor = griffe.Function("__init__", parameters=griffe.Parameters(*parameters))
        package[options.__module__.removeprefix(f"{PACKAGE}.")][options.__name__].set_member(
            "__init__", constructor
        )


def _list_keys(module: griffe.Module) -> None:
    """Add the keys of each TypedDict to its text."""
    runtime = importlib.import_module(module.path)
    for name in runtime.__all__:
        type_ = getattr(runtime, name)
        keys = getattr(type_, "__required_keys__", None)
        if keys is None:
            continue
        rows = [
            f"| `{key}` | `{getattr(annotation, '__forward_arg__', annotation)}` |"
            f" {'yes' if key in keys else ''} |"
            for key, annotation in type_.__annotations__.items()
        ]
        table = "\n".join(["| key | type | required |", "|---|---|---|", *rows])
        member = module.members[name]
        member.docstring = _docstring(f"{type_.__doc__}\n\n{table}", member)
        for key in [*member.members]:
            del member.members[key]


def _docstring(text: str, parent: griffe.Object) -> griffe.Docstring:
    return griffe.Docstring(text, lineno=parent.lineno, parent=parent)
