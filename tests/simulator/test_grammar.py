"""Model names and ``X-Simulate``: what they mean, and what is refused."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.errors import RequestError
from headgate.simulator.config import SimulatorConfig
from headgate.simulator.faults import Argument, FaultName
from headgate.simulator.grammar import NAMES, Behaviour, Content, parse
from headgate.simulator.registry import TABLE, Fault, Name

CONFIG = SimulatorConfig(rate=60, ttft_ms=200, models={"flaky": "sim-fast-t9+cut@3", "gpt-4o": "sim"})


def parsed(model: str, simulate: str = "") -> Behaviour:
    return parse(model, simulate, CONFIG)


def test_plain_name_takes_its_pace_from_the_configuration() -> None:
    assert parsed("sim") == Behaviour(rate=60, ttft_ms=200)


def test_knobs_and_faults_of_the_documented_example() -> None:
    expected = Behaviour(rate=50, ttft_ms=100, tokens=200, faults=(Fault(FaultName.CUT, 20),))
    assert parsed("sim-t200-r50-f100+cut@20") == expected


@given(st.permutations(["t7", "r2.5", "f30", "reasoning", "json"]))
def test_order_of_variants_and_knobs_does_not_matter(parts: list[str]) -> None:
    behaviour = parsed("-".join(["sim", *parts]))
    assert behaviour == Behaviour(rate=2.5, ttft_ms=30, tokens=7, reasoning=True, content=Content.JSON)


@pytest.mark.parametrize("name", NAMES)
def test_every_listed_name_is_understood(name: str) -> None:
    assert parsed(name).faults == ()


@pytest.mark.parametrize("name", TABLE)
def test_every_fault_is_documented_and_understood_in_both_places(name: Name) -> None:
    spec = TABLE[name]
    assert all((spec.stream, spec.whole, spec.client))
    assert parsed(f"sim+{name}").faults == (Fault(name, spec.default),)
    assert parsed("sim", str(name)).faults == (Fault(name, spec.default),)
    if spec.argument is not Argument.NONE:
        assert parsed(f"sim+{name}@2").faults == (Fault(name, 2),)


def test_header_adds_to_the_name_and_overrules_it() -> None:
    behaviour = parsed("sim-r5+cut@20+no-usage", "cut@3, r50 ,t4")
    assert (behaviour.rate, behaviour.tokens) == (50, 4)
    assert set(behaviour.faults) == {Fault(FaultName.CUT, 3), Fault(FaultName.NO_USAGE, 0)}


def test_configured_names_stand_for_their_grammar_and_take_further_faults() -> None:
    assert parsed("gpt-4o") == parsed("sim")
    assert parsed("flaky") == parsed("sim-fast-t9+cut@3")
    assert parsed("flaky+no-done").faults == (Fault(FaultName.CUT, 3), Fault(FaultName.NO_DONE, 0))


@pytest.mark.parametrize(
    "model",
    ["", "gpt-5", "simulator", "sim-", "sim-wrong", "sim-t", "sim-t2.5", "sim-t100001", "sim-t-5", "sim-r1e9", "sim+",
     "sim+wrong", "sim+cut@", "sim+cut@x", "sim+cut@1.5", "sim+no-done@3", "sim+cut@20-t5", "sim+slow-headers@9999",
     "SIM", "sim+cut@\u0663"],
)  # fmt: skip
def test_anything_else_is_refused_with_a_message_that_says_what_there_is(model: str) -> None:
    with pytest.raises(RequestError) as refused:
        parsed(model)
    assert refused.value.code == "model_not_found"
    assert refused.value.param == "model"
    for known in ("sim-reasoning", "flaky", "-t<tokens>", "stall-comments[@N]", "no-done,"):
        assert known in refused.value.message


def test_unknown_item_of_the_header_is_refused_too() -> None:
    with pytest.raises(RequestError, match="wrong"):
        parsed("sim", "cut@3,wrong")


@given(st.text(), st.text())
def test_no_name_raises_anything_but_a_refusal(model: str, simulate: str) -> None:
    with suppress(RequestError):
        parsed(model, simulate)
