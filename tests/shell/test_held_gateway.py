"""A gateway that is stopped while a response is held, and started again."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from headgate import policies
from headgate.events import (
    AttemptEnded,
    AttemptStarted,
    ChoiceDone,
    Delta,
    Held,
    PartDone,
    PartKind,
    PartStarted,
    Reason,
    ResponseStarted,
    Status,
)
from headgate.gateway import Gateway
from headgate.governance.people.review import Act, State, held_response
from headgate.ids import new_response_id
from headgate.log import Log
from headgate.reviews import new_review_id
from headgate.stores import Record
from tests.shell.asking import Answer, settings
from tests.shell.scene import run

URL = "http://127.0.0.1:9"


async def hold(gateway: Gateway) -> tuple[Log, str]:
    store = gateway._store
    record = Record(store.next_number, new_response_id(1), "", 0.0, 0, 0, "", 1e12)
    store.next_number += 1
    log = Log(record, gateway.journal, gateway)
    gateway.hub.live[log.id] = log
    mark = Held(0, 0, 4, "salary", new_review_id(1))
    log.append(
        [
            ResponseStarted(log.id, "", "openai-chat", "m", 0),
            AttemptStarted(1, "p", "openai-chat", "m"),
            PartStarted(0, 0, PartKind.TEXT),
            Delta(0, 0, "Ada "),
            AttemptEnded(1, "ok", 200),
            mark,
        ],
        1,
    )
    await gateway.journal.flush()
    fold, _ = await gateway.hub.fold(log)
    held = held_response(fold, mark, settings=policies.Review(), risk="low", now=gateway.clock.wall())
    withheld = (Delta(0, 0, "earns 5."), PartDone(0, 0), ChoiceDone(0, Reason.STOP))
    await gateway.reviews.open(msgspec.structs.replace(held, withheld=withheld))
    return log, mark.review


@pytest.mark.parametrize("act", [Act.APPROVE, Act.EDIT, Act.REJECT, None])
def test_held_response_outlives_the_gateway(act: Act | None, tmp_path: Path) -> None:
    config = settings(URL, store=f"sqlite:///{tmp_path}/h.db")

    async def test() -> None:
        async with Gateway(config) as first:
            log, review_id = await hold(first)
        async with Gateway(config) as second:
            again = await second.hub.find(log.id, "")
            assert again.terminal is None
            assert again.opened
            fold, _ = await second.hub.fold(again)
            assert fold.choices[0].parts[0].text == "Ada "
            answer = Answer(again)
            if act is None:
                assert second.cancel(again)
            else:
                await second.reviews.decide(review_id, act, "ada", text="works.")
            terminal = await answer.ended()
            wanted = {Act.REJECT: Status.BLOCKED, None: Status.CANCELLED}.get(act, Status.COMPLETED)
            assert terminal.status is wanted
            await second.reviews.tick(second.clock.wall())
            assert (await second.reviews.show(review_id)).state is {
                Act.APPROVE: State.APPROVED,
                Act.EDIT: State.EDITED,
                Act.REJECT: State.REJECTED,
                None: State.VOID,
            }[act]
            assert second.reviews.open_count == 0
        async with Gateway(config) as third:
            ended = await third.hub.find(log.id, "")
            assert ended.terminal == terminal

    run(test)
