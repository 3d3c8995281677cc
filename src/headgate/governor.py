"""The policies in force: which one judges a request, how they change while the gateway runs, and what is known of changes.

A change is decided by one write to the store, its fact; it goes into the audit log too, at the next opportunity if not
at once. Responses in flight keep the ruleset they began with. Sets are kept as they were written, with ``${NAME}`` in
place of secrets, so that any of them can be put in force again. Invariant: what is in force is always whole, and has
every policy that a route, a key or a risk level names.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec

from headgate.clock import Clock
from headgate.config import Config, Route
from headgate.configfile import FileConfig, build_policies, parse_policies, placed, policies_asked
from headgate.errors import ConfigError, PolicyError, RequestError, StoreError
from headgate.governance.policyset import PolicySet, PolicySource, changed, digest, source_of, toml
from headgate.governance.ruleset import Ruleset
from headgate.ids import new_response_id, suffix
from headgate.places import Problem, dotted
from headgate.policies import NONE
from headgate.stores import Fact, Store
from headgate.telemetry.logs import fields, logger

PAGE: Final = 500
"""Changes read from the store at once."""
HISTORY_MAX: Final = 1_000
"""Changes that one look at the history shows."""
SETS: Final = "policies"
CHANGES: Final = "change"
"""Kinds of fact."""
PENDING: Final = "pending"
RECORDED: Final = "recorded"
"""States of a change: whether the audit log has it."""
FILE: Final = "file"
"""Who changes what stands in the configuration file."""

Prepare = Callable[[Mapping[str, Ruleset]], Awaitable[list[Problem]]]
"""Makes ready what rules need beside their automata (`judges.Judges.prepare`); says what is wrong, and where in the configuration."""
Record = Callable[[str, str, dict[str, Any]], Awaitable[None]]
"""Writes to the audit log: ``(kind, ref, body)``. Raises `StoreError`."""

_logger = logger("governor")


class Change(msgspec.Struct, frozen=True):
    """One change of what is in force."""

    id: str
    at: float
    """Unix time, seconds."""
    who: str
    """Name of an admin key, ``local``, or ``file``."""
    what: str
    """``apply``, ``rollback``, ``file``, ``environment`` (the same text came to mean something else), or ``config``."""
    from_: str = msgspec.field(name="from")
    """Version of the policies before, or of the configuration; empty at the very first start."""
    to: str
    changed: list[str] = []
    """Names of the policies that differ, came or went."""
    source: str = ""
    """Where the file's own policies came in force: what tells whether it was edited since. Never shown."""

    def shown(self) -> dict[str, Any]:
        """What the audit log has of it, and everybody who asks."""
        names = ("id", "at", "who", "what", "from_", "to", "changed")
        return {name.rstrip("_"): getattr(self, name) for name in names}


class Governor:
    """The policies of one gateway. `open` before use."""

    def __init__(
        self,
        config: Config,
        store: Store,
        *,
        clock: Clock,
        record: Record,
        prepare: Prepare | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._config = config
        self._store = store
        self._clock = clock
        self._record = record
        self._prepare = prepare
        self._environ = os.environ if environ is None else environ
        self._changing = asyncio.Lock()
        self._last = Change("", 0.0, "", "", "", "")
        self._latest = 0.0
        """When the last change was noted, of the configuration too."""
        self._set = PolicySet("", {}, PolicySource({}, {}))
        self._versions: dict[str, str] = {}
        """Of each policy that is, or at the last stop was, in force."""
        self._key_policies = {key.name: key.policy for key in config.keys}

    async def open(self) -> None:
        """Find out what is in force. Raises `StoreError`, and `ConfigError` if that cannot be used any more."""
        file, config, last = await self._past()
        source = _source(self._config)
        edited = file is None or file.source != _digest(source)
        if last is not None:
            self._last = last
            self._versions = await self._versions_of(last.to)
        policies = await self._from_file(source) if edited or last is None else await self._kept(last, source)
        if edited:
            await self._enforce(policies, who=FILE, what=FILE, source=_digest(source))
        elif policies.version != self._last.to:
            await self._enforce(policies, who=FILE, what="environment", source=self._last.source)
        else:
            self._set, self._versions = policies, policies.versions
        version = self._config.version
        if config is None or config.to != version:
            await self._note(Change(self._new_id(), self._now(), FILE, "config", config.to if config else "", version))
        await self._catch_up()

    # which one

    def key_policy(self, owner: str) -> str | None:
        """The policy of everything that this owner creates, if its key has one."""
        return self._key_policies.get(owner)

    def choose(self, route: Route, key_policy: str | None, risk: str) -> Ruleset | None:
        """What judges a request: the route's policy for its risk, else its key's, else the route's; None for ``none``."""
        name = (route.risk.get(risk) if risk else None) or key_policy or route.policy  # type: ignore[call-overload]
        return None if name == NONE else self._set.rulesets[name]

    # what is in force

    @property
    def version(self) -> str:
        """Of all policies in force together."""
        return self._set.version

    @property
    def rulesets(self) -> Mapping[str, Ruleset]:
        return self._set.rulesets

    def shown(self) -> dict[str, Any]:
        """What is in force, for people: versions, and the tables as TOML without the secrets."""
        return {
            "version": self.version,
            "policies": self._versions,
            "change": self._last.shown(),
            "text": toml(self._set.source),
        }

    async def history(self, limit: int) -> list[Change]:
        """The latest changes, newest first; of the configuration too."""
        found = [change async for change in self._changes()]
        return found[-min(limit, HISTORY_MAX) :][::-1]

    # changes

    async def apply(self, text: str, files: Mapping[str, str], *, who: str) -> Change | None:
        """Put the policies of a TOML text in force; `files` are those with terms, by name. None if nothing changes.

        Raises `ConfigError` with everything that is wrong; what was in force stays then. Raises `StoreError`.
        """
        policies = await asyncio.to_thread(
            parse_policies, text, name=SETS, environ=self._environ, files=files
        )  # large lists of terms take seconds
        await self._check(policies, SETS, text)
        async with self._changing:
            if policies.version == self.version and policies.source == self._set.source:
                return None
            return await self._enforce(policies, who=who, what="apply")

    async def rollback(self, version: str, *, who: str) -> Change | None:
        """Put an earlier set in force again. None if it is in force. Raises as `apply`, and `RequestError` ``not_found``."""
        if version == self.version:
            return None
        policies = await self._stored(version)
        if policies is None:
            raise RequestError("not_found", f"There is no version {version[:40]!r} of the policies.", param="version")
        await self._check(policies, f"version {version}")
        async with self._changing:
            return await self._enforce(policies, who=who, what="rollback")

    # inside

    async def _enforce(self, policies: PolicySet, *, who: str, what: str, source: str = "") -> Change:
        """The one way in which what is in force changes."""
        body = msgspec.json.encode(policies.source._asdict() | {"versions": policies.versions})
        # In place of the same version: a secret that is written out may have changed, and is not in the version.
        await self._store.put_fact(Fact(SETS, policies.version, "", self._now(), body))
        names = changed(self._versions, policies.versions)
        change = Change(self._new_id(), self._now(), who, what, self._last.to, policies.version, names, source)
        await self._note(change)
        self._last, self._set, self._versions = change, policies, policies.versions
        await self._catch_up()
        _logger.info("policies changed", extra=fields(who=who, what=what, version=change.to, was=change.from_))
        return change

    async def _note(self, change: Change) -> None:
        self._latest = max(self._latest, change.at)
        fact = Fact(CHANGES, change.id, PENDING, change.at, msgspec.json.encode(change))
        await self._store.put_fact(fact, expected="")

    async def _catch_up(self) -> None:
        """Put into the audit log what is not there yet. What fails now is tried again with the next change or start."""
        try:
            for fact in await self._store.facts(CHANGES, state=PENDING, limit=PAGE):
                if await self._store.audit_row(CHANGES, fact.key) is None:
                    change = _read(fact)
                    await self._record(CHANGES, fact.key, change.shown() | {"at": int(change.at)})
                await self._store.put_fact(msgspec.structs.replace(fact, state=RECORDED), expected=PENDING)
        except StoreError as error:
            _logger.error("a change of policies is not in the audit log yet", extra=fields(error=str(error)))

    async def _past(self) -> tuple[Change | None, Change | None, Change | None]:
        """The last change of the file's policies, of the configuration, and of policies whatever way."""
        file = config = policies = None
        async for change in self._changes():
            self._latest = change.at
            if change.what == "config":
                config = change
            else:
                policies = change
            if change.what == FILE:
                file = change
        return file, config, policies

    async def _changes(self) -> AsyncIterator[Change]:
        after: tuple[float, str] | None = None
        while True:
            page = await self._store.facts(CHANGES, limit=PAGE, after=after)
            for fact in page:
                yield _read(fact)
            if len(page) < PAGE:
                return
            after = (page[-1].at, page[-1].key)

    async def _from_file(self, source: PolicySource) -> PolicySet:
        try:
            policies = await asyncio.to_thread(PolicySet.of, self._config.policies, source)
        except PolicyError as error:  # of settings made in code; a file was checked
            raise ConfigError([f"policies: {error}"]) from None
        await self._check(policies, "configuration")
        return policies

    async def _kept(self, last: Change, source: PolicySource) -> PolicySet:
        """What was in force when the gateway stopped."""
        if last.source:
            return await self._from_file(source)
        try:
            policies = await self._stored(last.to)
            if policies is None:
                raise ConfigError([f"the store has no version {last.to} of the policies"])
            await self._check(policies, f"version {last.to}")
        except ConfigError as error:
            advice = f"the policies in force (version {last.to}, {last.what} by {last.who}) cannot be used: "
            advice += "edit [policies.*] in the configuration file, and those there are in force"
            raise ConfigError([*error.problems, advice]) from None
        return policies

    async def _stored(self, version: str) -> PolicySet | None:
        fact = await self._store.fact(SETS, version)
        if fact is None:
            return None
        kept = msgspec.json.decode(fact.body)
        source = PolicySource(kept["tables"], kept["files"])
        return await asyncio.to_thread(build_policies, source, self._environ, name=f"version {version}")

    async def _check(self, policies: PolicySet, name: str, text: str = "") -> None:
        """Raises `ConfigError` if a policy that is asked for is not there, or a rule cannot be made ready."""
        routes = [route.model_dump(include={"policy", "risk"}) for route in self._config.routes]
        keys = [key.model_dump(include={"policy"}) for key in self._config.keys]
        known = {NONE, *policies.rulesets}
        problems: list[Problem] = [
            (("policies", asked), f"{dotted(place)} of the configuration names it, and it is not here")
            for place, asked in policies_asked(routes, keys)
            if asked not in known
        ]
        if self._prepare is not None:
            problems += await self._prepare(policies.rulesets)
        if problems:
            raise ConfigError(placed(problems, text, name))

    async def _versions_of(self, version: str) -> dict[str, str]:
        """Of each policy of a set that is kept."""
        fact = await self._store.fact(SETS, version)
        return dict(msgspec.json.decode(fact.body)["versions"]) if fact else {}

    def _new_id(self) -> str:
        return f"chg_{suffix(new_response_id(int(self._now() * 1000)))}"

    def _now(self) -> float:
        """Later than every change so far, even if somebody has set the clock back: what came last is in force."""
        return max(self._clock.wall(), self._latest + 0.001)


def _read(fact: Fact) -> Change:
    return msgspec.json.decode(fact.body, type=Change)


def _source(config: Config) -> PolicySource:
    return config.policy_source if isinstance(config, FileConfig) else source_of(config.policies)


def _digest(source: PolicySource) -> str:
    """Of the tables as they stand, so that a new version of Headgate is no edit of the file."""
    return digest([source.tables, source.files])
