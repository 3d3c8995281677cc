"""Structured output against the JSON schema it was asked for.

JSON Schema, Draft 2020-12, by the `jsonschema` library. The schema comes from whoever sent the request and the text
from a model, so neither is trusted: references lead into the schema itself and nowhere else, work is counted and
bounded whatever the two are, patterns run on an automaton, and what is said about a text never repeats a piece of it.
What cannot be checked within these bounds is no success either (law 5).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple

import jsonschema
import msgspec
import referencing
import referencing.exceptions
from jsonschema.exceptions import ValidationError

from headgate.errors import HeadgateError
from headgate.governance.final.ecma import Pattern, PatternError

SCHEMA_NODES_MAX: Final = 10_000
"""Values in a schema, at any depth. Large ones that people use have some thousand."""
NESTING_MAX: Final = 160
"""Keywords that are applied inside each other: each is four of Python's 1,000 frames. A level of a text takes one to
three, a level of a schema that is checked itself about six."""
WORK_MAX: Final = 100_000
"""Keywords that are applied, each counted by how much it may have to look at: about half a second. A text of 100 kB
takes some ten thousand."""
PATTERNS_MAX: Final = 16
"""Different patterns in a schema: one that is written to be expensive takes up to 60 ms to build."""
PIECE: Final = 256
"""Values or characters that count as one piece of work where a keyword looks at everything below a value."""
PATH_STEPS_MAX: Final = 16
"""Of a place that is named."""
KEPT_MAX: Final = 256
"""Schemas that are kept ready; a usual one takes 2 ms to make and 50 kB."""

_DATA: Final = frozenset({"const", "enum", "default", "examples"})
"""Keywords whose values are no schemas."""
_NAMED: Final = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
"""Keywords whose values are schemas by name."""
_REFERENCES: Final = frozenset({"$ref", "$dynamicRef"})
_UNCOUNTED: Final = frozenset({"unevaluatedProperties", "unevaluatedItems"})
"""The library follows references by itself for these, without end if they lead in a circle."""
_LIBRARY: Final = jsonschema.Draft202012Validator


class SchemaError(HeadgateError):
    """A schema that no answer can be checked against."""

    code = "invalid_request"


class Unmet(NamedTuple):
    """Why a text is not what was asked for."""

    path: str
    """Where in the text, in names of the schema: ``$.items[3].price``; a name that is not in the schema is ``*``."""
    message: str
    checked: bool = True
    """False: it could not be found out."""


class Schemas:
    """Schemas that were asked for lately, made ready: callers send the same few over and over."""

    def __init__(self, kept_max: int = KEPT_MAX) -> None:
        self._kept: dict[bytes, Schema] = {}
        self._kept_max = kept_max

    def get(self, schema: dict[str, Any] | None) -> Schema:
        """Raises `SchemaError`."""
        key = msgspec.json.encode(schema)
        ready = self._kept.pop(key, None) or Schema(schema)
        if len(self._kept) >= self._kept_max:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = ready
        return ready


class _Exhausted(Exception):
    """A check needs more work than it may."""


class Schema:
    """A schema made ready. Raises `SchemaError`. None takes any object or array, as ``json_object`` asks for."""

    def __init__(self, schema: dict[str, Any] | None) -> None:
        self._names: set[str] = set()
        self._patterns = _Patterns()
        self._work = _Work()
        self._validator: Any = None
        if schema is None:
            return
        validator = _library(self._work, self._patterns)
        try:
            cleaned = _Reading(self._names, self._patterns).schema(schema)
            self._work.begin(cleaned)
            fault = next(iter(validator(_LIBRARY.META_SCHEMA).iter_errors(cleaned)), None)
        except PatternError as error:
            raise SchemaError(f"the schema has {error}") from error
        except (_Exhausted, RecursionError, ValueError, TypeError, ArithmeticError) as error:
            raise SchemaError("the schema is too large, or nested too deeply") from error
        if fault is not None:
            raise SchemaError(f"the schema is not one of Draft 2020-12, at {_path(fault.absolute_path)}")
        self._validator = validator(cleaned, registry=referencing.Registry())

    def check(self, text: str) -> Unmet | None:
        """None if `text` is JSON of this schema."""
        try:
            value = msgspec.json.decode(text)
        except RecursionError:
            return Unmet("$", "is nested too deeply", checked=False)
        except (msgspec.DecodeError, UnicodeError):
            return Unmet("$", "is not JSON")
        if self._validator is None:
            return None if isinstance(value, dict | list) else Unmet("$", "is neither an object nor an array")
        try:
            self._work.begin(value)
            fault = next(iter(self._validator.iter_errors(value)), None)
        except (_Exhausted, RecursionError):
            return Unmet("$", "takes too much work to check", checked=False)
        except referencing.exceptions.Unresolvable:
            return Unmet("$", "cannot be checked: a reference of the schema leads nowhere", checked=False)
        except (PatternError, ValueError, TypeError, ArithmeticError) as error:
            return Unmet("$", f"cannot be checked ({type(error).__name__})", checked=False)
        if fault is None:
            return None
        known = (step if isinstance(step, int) or step in self._names else "*" for step in fault.absolute_path)
        return Unmet(_path(known), f"does not satisfy '{fault.validator or 'false'}'")


class _Work:
    """What a check has cost so far, and how deep it is."""

    def __init__(self) -> None:
        self.left = 0
        self.depth = 0
        self._sizes: dict[int, int] = {}

    def begin(self, value: Any) -> None:
        """Before a check of `value`, which must stay alive until it is over."""
        self.left, self.depth = WORK_MAX, 0
        self._sizes = {}
        self._measure(value)

    def _measure(self, value: Any) -> int:
        match value:
            case dict():
                size = 1 + sum(len(key) + self._measure(item) for key, item in value.items())
            case list():
                size = 1 + sum(map(self._measure, value))
            case str():
                return len(value)
            case _:
                return 1
        self._sizes[id(value)] = size
        return size

    def spend(self, *values: Any) -> None:
        """Count one keyword that may look at, or write out, all of these."""
        sizes = (len(value) if isinstance(value, str) else self._sizes.get(id(value), 1) for value in values)
        self.left -= 1 + sum(sizes) // PIECE
        if self.left < 0 or self.depth > NESTING_MAX:
            raise _Exhausted


class _Patterns:
    """The patterns of a schema, each built once."""

    def __init__(self) -> None:
        self._built: dict[str, Pattern] = {}

    def __getitem__(self, pattern: str) -> Pattern:
        built = self._built.get(pattern)
        if built is None:
            if len(self._built) >= PATTERNS_MAX:
                raise PatternError(f"more than {PATTERNS_MAX} patterns")
            built = self._built[pattern] = Pattern(pattern)
        return built


class _Reading:
    """Takes a schema in: a copy without ``$schema``, which would choose another draft's rules, in which nothing leads out."""

    def __init__(self, names: set[str], patterns: _Patterns) -> None:
        self._names = names
        self._patterns = patterns
        self._nodes = 0

    def schema(self, schema: Any) -> Any:
        self._count()
        if isinstance(schema, list):
            return [self.schema(item) for item in schema]
        if not isinstance(schema, dict):
            return schema
        copy: dict[str, Any] = {}
        for keyword, value in schema.items():
            if keyword in _UNCOUNTED:
                raise SchemaError(f"answers cannot be checked against '{keyword}'")
            if keyword in _REFERENCES and not (isinstance(value, str) and value.startswith("#")):
                raise SchemaError(f"a '{keyword}' of the schema leads out of it")
            if keyword == "pattern" and isinstance(value, str):
                self._patterns[value]
            if keyword in _NAMED and isinstance(value, dict):
                copy[keyword] = self._named(keyword, value)
            elif keyword != "$schema":
                copy[keyword] = self._data(value) if keyword in _DATA else self.schema(value)
        return copy

    def _named(self, keyword: str, schemas: dict[str, Any]) -> dict[str, Any]:
        if keyword == "properties":
            self._names.update(schemas)
        elif keyword == "patternProperties":
            for pattern in schemas:
                self._patterns[pattern]
        return {name: self.schema(schema) for name, schema in schemas.items()}

    def _data(self, value: Any) -> Any:
        self._count()
        if isinstance(value, dict):
            if "$schema" in value:  # a reference may lead here all the same
                raise SchemaError("the schema has '$schema' in a value")
            return {key: self._data(item) for key, item in value.items()}
        return [self._data(item) for item in value] if isinstance(value, list) else value

    def _count(self) -> None:
        self._nodes += 1
        if self._nodes > SCHEMA_NODES_MAX:
            raise SchemaError(f"the schema has more than {SCHEMA_NODES_MAX} values")


_Keyword = Callable[[Any, Any, Any, Any], Iterable[ValidationError] | None]


def _library(work: _Work, patterns: _Patterns) -> Any:
    """The library's validator, with every keyword counted, and without its own ways of matching patterns."""

    def counted(apply: _Keyword) -> _Keyword:
        def run(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
            work.spend(value, instance)
            work.depth += 1
            try:
                yield from apply(validator, value, instance, schema) or ()
            finally:
                work.depth -= 1

        return run

    def pattern(validator: Any, value: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
        if isinstance(instance, str) and not patterns[value].found_in(instance):
            yield ValidationError("")

    def pattern_properties(validator: Any, value: dict[str, Any], instance: Any, schema: Any) -> Iterator[Any]:
        for wanted, below in value.items() if isinstance(instance, dict) else ():
            for name, item in instance.items():
                work.spend(name)
                if patterns[wanted].found_in(name):
                    yield from validator.descend(item, below, path=name)

    def additional_properties(validator: Any, value: Any, instance: Any, schema: dict[str, Any]) -> Iterator[Any]:
        for name, item in instance.items() if isinstance(instance, dict) else ():
            wanted = schema.get("patternProperties", {})
            work.spend(name, *wanted)
            if name in schema.get("properties", {}) or any(patterns[each].found_in(name) for each in wanted):
                continue
            if value is False:
                yield ValidationError("", path=(name,))
            else:
                yield from validator.descend(item, value, path=name)

    def unique_items(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        if value and isinstance(instance, list) and len(set(map(_identity, instance))) < len(instance):
            yield ValidationError("")

    own: dict[str, _Keyword] = {
        "pattern": pattern,
        "patternProperties": pattern_properties,
        "additionalProperties": additional_properties,
        "uniqueItems": unique_items,
    }
    theirs: dict[str, Any] = dict(_LIBRARY.VALIDATORS)
    extend: Any = jsonschema.validators.extend
    return extend(_LIBRARY, {name: counted(apply) for name, apply in (theirs | own).items()})


def _identity(value: Any) -> Any:
    """Equal for values that JSON Schema calls equal: 1 and 1.0 are, 1 and true are not."""
    match value:
        case dict():
            return "object", frozenset((name, _identity(item)) for name, item in value.items())
        case list():
            return "array", tuple(map(_identity, value))
        case bool():
            return "boolean", value
        case _:
            return value


def _path(steps: Iterable[str | int]) -> str:
    named = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps]
    return "$" + "".join(named[:PATH_STEPS_MAX]) + ("..." if len(named) > PATH_STEPS_MAX else "")
