"""Lines of settings: every spelling TOML has for a place, and texts that look like one and are not."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.places import ELEMENTS_MAX, Places, dotted

TEXT = '''\
top = 1 # [not.a.table]
text = """
[not.a.table]
key = 2
"""
'quoted.key' = [1, [2, 3], {inner = 4, "a.b" = 5}]
[[policies.eu.rules]]
name = "first"
[policies.eu.rules.categories]
hate = 0.5
[[ policies . "eu" . rules ]]
name = "second"
terms = [
  "]", # ]
  'b"',
]
limits.most = 3
[policies."a.b".review]
timeout_s = 1
'''


@pytest.mark.parametrize(
    ("location", "line"),
    [
        (("top",), 1),
        (("text",), 2),
        (("quoted.key", 1, 0), 6),
        (("quoted.key", 2, "a.b"), 6),
        (("policies", "eu", "rules", 0, "name"), 8),
        (("policies", "eu", "rules", 0, "categories", "hate"), 10),
        (("policies", "eu", "rules", 1), 11),
        (("policies", "eu", "rules", 1, "name"), 12),
        (("policies", "eu", "rules", 1, "terms", 0), 14),
        (("policies", "eu", "rules", 1, "terms", 1), 15),
        (("policies", "eu", "rules", 1, "limits", "most"), 17),
        (("policies", "a.b", "review", "timeout_s"), 19),
    ],
)
def test_setting_is_found_however_toml_spells_it(location: tuple[str | int, ...], line: int) -> None:
    assert tomllib.loads(TEXT)
    assert Places(TEXT).line(location) == line


def test_setting_that_is_missing_has_the_line_of_what_it_would_stand_in() -> None:
    assert Places(TEXT).of(("policies", "eu", "rules", 1, "mask")) == "line 11: policies.eu.rules[1].mask"


def test_what_stands_nowhere_has_no_line() -> None:
    assert Places(TEXT).of(("not", "a", "table")) == "not.a.table"


def test_element_far_behind_in_an_array_has_the_line_of_the_array() -> None:
    text = "\n" + "terms = [\n" + '"t",\n' * (ELEMENTS_MAX + 5) + "]\nafter = 1\n"
    places = Places(text)
    assert places.line(("terms", ELEMENTS_MAX - 1)) == ELEMENTS_MAX + 2
    assert places.line(("terms", ELEMENTS_MAX + 3)) == 2
    assert places.line(("after",)) == ELEMENTS_MAX + 9


def test_place_is_written_as_people_write_it() -> None:
    assert dotted(("routes", 0, "to", 1)) == "routes[0].to[1]"


@given(st.text(alphabet="[]{}\"'=.,#\n ab\\1", max_size=60))
def test_no_text_makes_it_raise_or_hang(text: str) -> None:
    Places(text)
