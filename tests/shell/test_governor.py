"""The policies in force: which one judges a request, how they change, and what is in force after a restart."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from headgate.clock import Clock
from headgate.config import Config, Key, Provider, Route
from headgate.configfile import parse
from headgate.errors import ConfigError, RequestError, StoreError
from headgate.governance.ruleset import Ruleset
from headgate.governor import CHANGES, PENDING, RECORDED, SETS, Governor
from headgate.places import Problem
from headgate.policies import Policy
from headgate.stores import AuditRow, Batch, Store
from headgate.stores.memory import MemoryStore
from headgate.stores.sqlite import SqliteStore
from tests.shell.scene import run

BASE = """\
[[providers]]
name = "p"
base_url = "http://127.0.0.1:1/v1"
[[routes]]
model = "*"
to = ["p/*"]
policy = "team"
"""
ONE = '[policies.team]\nstream = ["email"]\n'
TWO = '[policies.team]\nstream = ["email", "iban"]\n[policies.other]\nstream = ["jwt"]\n'
SECRET = "whsec_" + b64encode(b"0" * 32).decode()


@dataclass
class Office:
    """A store, and gateways that start and stop on it."""

    store: Store = field(default_factory=MemoryStore)
    environ: dict[str, str] = field(default_factory=dict)
    audit_fails: bool = False
    now: float = 1_000.0
    refuses: list[Problem] = field(default_factory=list)

    async def start(self, text: str = ONE, config: Config | None = None) -> Governor:
        settings = config or parse(BASE + text, environ=self.environ)
        clock = Clock(wall=lambda: self.now)
        governor = Governor(
            settings, self.store, clock=clock, record=self.record, prepare=self.prepare, environ=self.environ
        )
        await governor.open()
        return governor

    async def record(self, kind: str, ref: str, body: dict[str, Any]) -> None:
        if self.audit_fails:
            raise StoreError("the disk is full")
        seq = self.store.audit_size + 1
        row = AuditRow(seq, kind, ref, repr(body).encode(), b"leaf")
        self.store.commit(Batch(self.store.next_row, [], audit=[row]), lambda error: None)
        self.store.next_row += 1

    async def prepare(self, rulesets: Mapping[str, Ruleset]) -> list[Problem]:
        return self.refuses

    async def audited(self) -> list[str]:
        return [row.ref for row in await self.store.audit_rows(1, 100)]

    async def states(self) -> list[str]:
        return [fact.state for fact in await self.store.facts(CHANGES, limit=100)]


def route(policy: str = "team", risk: dict[str, str] | None = None) -> Route:
    return Route.model_validate({"model": "*", "to": ["p/*"], "policy": policy, "risk": risk or {}})


def names(chosen: Ruleset | None) -> str | None:
    return None if chosen is None else chosen.name


# which one


def test_risk_decides_before_the_key_and_the_key_before_the_route() -> None:
    async def scene() -> None:
        governor = await Office().start(TWO)
        choose = governor.choose
        risky = route("team", {"high": "other", "low": "none"})
        assert names(choose(risky, "default", "high")) == "other"
        assert names(choose(risky, "default", "medium")) == "default"
        assert names(choose(risky, None, "")) == "team"
        assert choose(risky, "team", "low") is None
        assert choose(route("none"), None, "high") is None
        assert choose(route("team"), "none", "") is None

    run(scene)


def test_policy_of_a_key_is_found_by_its_owner() -> None:
    async def scene() -> None:
        key = Key(name="ada", hash=f"sha256:{'0' * 64}", policy="default")
        config = Config(providers=[Provider(name="p", base_url="http://x/v1")], routes=[route("none")], keys=[key])
        governor = await Office().start(config=config)
        assert (governor.key_policy("ada"), governor.key_policy("")) == ("default", None)

    run(scene)


def test_ruleset_of_a_response_in_flight_stays_what_it_was() -> None:
    async def scene() -> None:
        governor = await Office().start()
        before = governor.choose(route(), None, "")
        await governor.apply(TWO, {}, who="ada")
        after = governor.choose(route(), None, "")
        assert before is not None
        assert after is not None
        assert [rule.name for rule in before.stream.acting_rules] == ["email"]
        assert [rule.name for rule in after.stream.acting_rules] == ["email", "iban"]
        assert before.version != after.version

    run(scene)


# changes


def test_first_start_is_a_change_by_the_file_and_a_version_of_the_configuration() -> None:
    async def scene() -> None:
        office = Office()
        governor = await office.start()
        config, policies = await governor.history(10)
        assert (policies.who, policies.what, policies.from_, policies.to) == ("file", "file", "", governor.version)
        assert policies.changed == ["default", "team"]
        assert (config.what, config.from_) == ("config", "")
        assert await office.audited() == [policies.id, config.id]

    run(scene)


def test_change_says_who_when_what_and_which_policies_differ() -> None:
    async def scene() -> None:
        office = Office()
        governor = await office.start()
        first = governor.version
        office.now = 2_000.0
        change = await governor.apply(TWO, {}, who="ada")
        assert change is not None
        assert (change.at, change.who, change.what) == (2_000.0, "ada", "apply")
        assert (change.from_, change.to, change.changed) == (first, governor.version, ["other", "team"])
        assert (await governor.history(1))[0] == change
        assert (await office.audited())[-1] == change.id
        assert set(await office.states()) == {RECORDED}

    run(scene)


def test_text_with_any_mistake_is_refused_whole_and_what_was_in_force_stays() -> None:
    async def scene() -> None:
        office = Office()
        governor = await office.start()
        before, changes = governor.version, await governor.history(10)
        with pytest.raises(ConfigError) as refused:
            await governor.apply(TWO + '[policies.third]\nstream = ["x"]\naction = "shout"\n', {}, who="ada")
        assert [problem.split(": ")[:3] for problem in refused.value.problems] == [
            ["policies", "line 6", "policies.third.stream[0]"],
            ["policies", "line 7", "policies.third.action"],
        ]
        assert governor.version == before
        assert await governor.history(10) == changes

    run(scene)


def test_text_without_a_policy_that_a_route_names_is_refused() -> None:
    async def scene() -> None:
        governor = await Office().start()
        with pytest.raises(ConfigError) as refused:
            await governor.apply('[policies.other]\nstream = ["email"]\n', {}, who="ada")
        (problem,) = refused.value.problems
        assert "policies.team: routes[0].policy of the configuration names it" in problem

    run(scene)


def test_rule_that_cannot_be_made_ready_is_refused_with_its_place() -> None:
    async def scene() -> None:
        office = Office()
        governor = await office.start()
        office.refuses = [(("policies", "team", "stream"), "there is no such module")]
        with pytest.raises(ConfigError) as refused:
            await governor.apply(ONE.replace("email", "jwt"), {}, who="ada")
        assert refused.value.problems == ["policies: line 2: policies.team.stream: there is no such module"]

    run(scene)


def test_same_policies_again_are_no_change() -> None:
    async def scene() -> None:
        governor = await Office().start()
        assert await governor.apply(ONE + "# said otherwise\n", {}, who="ada") is None
        assert await governor.rollback(governor.version, who="ada") is None
        assert len(await governor.history(10)) == 2

    run(scene)


def test_new_secret_is_put_in_force_though_the_version_stays() -> None:
    async def scene() -> None:
        hook = '[policies.team.webhook]\nurl = "https://example.com/x"\nsecret = "{}"\n'
        other = "whsec_" + b64encode(b"1" * 32).decode()
        governor = await Office().start(hook.format(SECRET))
        change = await governor.apply(hook.format(other), {}, who="ada")
        assert change is not None
        assert (change.from_, change.changed) == (change.to, [])
        webhook = governor.rulesets["team"].policy.webhook
        assert webhook is not None
        assert webhook.secret.get_secret_value() == other

    run(scene)


def test_terms_come_along_with_the_text_and_survive_a_rollback() -> None:
    async def scene() -> None:
        text = '[policies.team]\nstream = ["n"]\n[[policies.team.rules]]\nname = "n"\ndetector = "terms"\nterms_file = "n.txt"\n'
        governor = await Office().start()
        first = await governor.apply(text, {"n.txt": "Ada"}, who="ada")
        assert first is not None
        await governor.apply(text, {"n.txt": "Grace"}, who="ada")
        await governor.rollback(first.to, who="ada")
        assert governor.rulesets["team"].policy.rules[0].terms == ["Ada"]

    run(scene)


def test_rollback_puts_the_policies_of_the_file_in_force_again() -> None:
    async def scene() -> None:
        governor = await Office().start()
        first = governor.version
        await governor.apply(TWO, {}, who="ada")
        change = await governor.rollback(first, who="grace")
        assert change is not None
        assert (change.what, change.who, change.to) == ("rollback", "grace", first)
        assert [rule.name for rule in governor.rulesets["team"].stream.acting_rules] == ["email"]

    run(scene)


def test_version_that_never_was_is_not_found() -> None:
    async def scene() -> None:
        governor = await Office().start()
        with pytest.raises(RequestError) as refused:
            await governor.rollback("0" * 12, who="ada")
        assert refused.value.code == "not_found"

    run(scene)


def test_environment_is_read_when_a_set_is_put_in_force_and_never_kept() -> None:
    async def scene() -> None:
        office = Office(environ={"HOOK": SECRET})
        text = ONE + 'webhook = { url = "https://example.com/x", secret = "${HOOK}" }\n'
        governor = await office.start(text)
        first = governor.version
        for fact in await office.store.facts(SETS, limit=10):
            assert SECRET.encode() not in fact.body
        await governor.apply(TWO, {}, who="ada")
        await governor.rollback(first, who="ada")
        webhook = governor.rulesets["team"].policy.webhook
        assert webhook is not None
        assert webhook.secret.get_secret_value() == SECRET
        assert SECRET not in str(governor.shown())

    run(scene)


def test_change_that_the_audit_log_does_not_take_is_in_force_and_recorded_later() -> None:
    async def scene() -> None:
        office = Office()
        governor = await office.start()
        office.audit_fails = True
        missed = await governor.apply(TWO, {}, who="ada")
        assert missed is not None
        assert governor.version == missed.to
        assert (await office.states())[-1] == PENDING
        office.audit_fails = False
        later = await governor.apply(ONE, {}, who="ada")
        assert later is not None
        assert (await office.audited())[-2:] == [missed.id, later.id]

    run(scene)


def test_change_that_is_in_the_audit_log_already_is_not_recorded_twice() -> None:
    async def scene() -> None:
        office = Office()
        governor = await office.start()
        fact = (await office.store.facts(CHANGES, limit=1))[0]
        await office.store.put_fact(msgspec.structs.replace(fact, state=PENDING))
        before = await office.audited()
        await office.start()
        assert await office.audited() == before
        assert set(await office.states()) == {RECORDED}
        assert governor.version

    run(scene)


def test_change_comes_behind_the_last_one_even_if_the_clock_was_set_back() -> None:
    async def scene() -> None:
        office = Office()
        governor = await office.start()
        office.now = 10.0
        change = await governor.apply(TWO, {}, who="ada")
        assert change is not None
        assert (await governor.history(1))[0].id == change.id
        assert (await office.start()).version == change.to

    run(scene)


# after a restart


def test_last_set_in_force_stays_as_long_as_the_file_is_not_edited() -> None:
    async def scene() -> None:
        office = Office()
        applied = await (await office.start()).apply(TWO, {}, who="ada")
        assert applied is not None
        again = await office.start()
        assert again.version == applied.to
        assert "iban" in str(again.shown()["text"])
        assert len(await again.history(10)) == 3

    run(scene)


def test_file_that_was_edited_wins() -> None:
    async def scene() -> None:
        office = Office()
        await (await office.start()).apply(TWO, {}, who="ada")
        again = await office.start('[policies.team]\nstream = ["jwt"]\n')
        change = (await again.history(10))[1]
        assert (change.who, change.what, change.to) == ("file", "file", again.version)
        assert [rule.name for rule in again.rulesets["team"].stream.acting_rules] == ["jwt"]

    run(scene)


def test_file_that_was_edited_to_what_is_in_force_is_remembered() -> None:
    async def scene() -> None:
        office = Office()
        applied = await (await office.start()).apply(TWO, {}, who="ada")
        assert applied is not None
        assert (await office.start(TWO)).version == applied.to
        third = await office.start(TWO)
        assert third.version == applied.to
        assert [change.what for change in await third.history(2)] == ["config", "file"]

    run(scene)


def test_edit_of_the_file_beside_the_policies_changes_the_configuration_only() -> None:
    async def scene() -> None:
        office = Office()
        applied = await (await office.start()).apply(TWO, {}, who="ada")
        again = await office.start(ONE + '[logging]\nlevel = "debug"\n')
        assert applied is not None
        assert again.version == applied.to
        assert (await again.history(1))[0].what == "config"

    run(scene)


def test_text_that_means_something_else_in_another_environment_is_a_change() -> None:
    async def scene() -> None:
        office = Office(environ={"SAFE": "one"})
        governor = await office.start()
        await governor.apply(ONE + 'replacement = "${SAFE}"\n', {}, who="ada")
        office.environ = {"SAFE": "two"}
        again = await office.start()
        change = (await again.history(1))[0]
        assert (change.what, change.changed) == ("environment", ["team"])
        assert again.rulesets["team"].policy.replacement == "two"

    run(scene)


def test_set_in_force_that_cannot_be_used_any_more_keeps_the_gateway_from_starting() -> None:
    async def scene() -> None:
        office = Office(environ={"SAFE": "one"})
        await (await office.start()).apply(ONE + 'replacement = "${SAFE}"\n', {}, who="ada")
        office.environ = {}
        with pytest.raises(ConfigError) as refused:
            await office.start()
        assert "the environment has no variable SAFE" in refused.value.problems[0]
        assert "edit [policies.*]" in refused.value.problems[-1]

    run(scene)


def test_settings_made_in_code_have_policies_like_those_of_a_file() -> None:
    async def scene() -> None:
        office = Office()
        config = Config(
            providers=[Provider(name="p", base_url="http://x/v1")],
            routes=[route()],
            policies={"team": Policy(stream=["email"])},
        )
        governor = await office.start(config=config)
        applied = await governor.apply(TWO, {}, who="ada")
        assert applied is not None
        assert (await office.start(config=config)).version == applied.to
        rolled = await governor.rollback(applied.from_, who="ada")
        assert rolled is not None

    run(scene)


def test_everything_is_there_again_from_a_file_on_disk(tmp_path: Path) -> None:
    async def scene() -> None:
        path = str(tmp_path / "headgate.db")
        office = Office(store=SqliteStore(path, fsync=False))
        applied = await (await office.start()).apply(TWO, {}, who="ada")
        await office.store.close()
        again = Office(store=SqliteStore(path, fsync=False))
        assert applied is not None
        governor = await again.start()
        assert governor.version == applied.to
        assert [change.what for change in await governor.history(10)] == ["apply", "config", "file"]
        await again.store.close()

    run(scene)
