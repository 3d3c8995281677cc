"""One gateway for everything here, in each of its two kinds; what it leaves behind is verified at the end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.conftest import KINDS
from tests.e2e.governance.house import House, opened
from tests.e2e.matrix.desk import Desk


@pytest.fixture(scope="session", params=list(KINDS))
def house(request: pytest.FixtureRequest, desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A gateway under every policy."""
    with opened(KINDS[request.param], desk, tmp_path_factory.mktemp("governed")) as made:
        yield made
        said = made.verify()
        assert said.startswith("good:"), said
        assert "Traceback" not in made.gateway.logs()
