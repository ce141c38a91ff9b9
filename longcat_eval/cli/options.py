"""Turns a settings model into command-line options, so that each setting is written down once."""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, Field
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer

from longcat_eval.cli.settings import FIELDS, resolve

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", help="YAML file with any of these settings.", rich_help_panel="Output"),
]


def with_run_settings(body: Callable[..., None]) -> Callable[..., None]:
    """Make a typer command of `body`: every field of `RunSettings` is a flag and LONGCAT_EVAL_<NAME>.

    Parameters of `body` after the settings are options of this command alone.
    """
    own = list(inspect.signature(body).parameters.values())[1:]

    def command(ctx: typer.Context, config: Path | None = None, **values: Any) -> None:
        own_values = {parameter.name: values.pop(parameter.name) for parameter in own}
        given = {}
        for name, value in values.items():
            source = ctx.get_parameter_source(name)
            if source is not None and source.name in ("COMMANDLINE", "ENVIRONMENT"):
                flag = "flag" if source.name == "COMMANDLINE" else f"env LONGCAT_EVAL_{name.upper()}"
                given[name] = (list(value) if isinstance(value, tuple) else value, flag)
        body(resolve(given, config), **own_values)

    parameters = [_parameter("ctx", typer.Context)]
    parameters += [_option(name, f) for name, f in FIELDS.items() if f.metadata["flags"]]
    parameters.append(_parameter("config", ConfigFile, None))
    parameters += [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    command.__doc__ = body.__doc__
    return command


def _option(name: str, field: Field[Any]) -> inspect.Parameter:
    text, default = field.metadata["help"], field.default
    if default is not MISSING and default not in (None, False, "", "auto"):
        text += f" Default: {default:g}." if isinstance(default, float) else f" Default: {default}."
    option = typer.Option(
        *field.metadata["flags"],
        help=text,
        envvar=f"LONGCAT_EVAL_{name.upper()}",
        show_envvar=False,
        show_default=False,
        rich_help_panel=field.metadata["panel"],
    )
    kind = _plain(field.type)
    if get_origin(kind) is list:
        return _parameter(name, Annotated[kind, option], [])
    if kind is bool:
        return _parameter(name, Annotated[bool, option], False)
    return _parameter(name, Annotated[Union[kind, None], option], None)  # noqa: UP007 - built at run time


def _plain(annotation: Any) -> Any:
    """The type a shell word becomes: optional and literal wrappers removed (pydantic checks the literal)."""
    if get_origin(annotation) in (UnionType, Union):
        annotation = next(a for a in get_args(annotation) if a is not NoneType)
    return str if get_origin(annotation) is Literal else annotation


def _parameter(name: str, annotation: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)
