"""Work that nobody waits for."""

import asyncio

from structlog.testing import capture_logs

from shared.background import Background
from shared.errors import TransientError


async def breaks(error: Exception) -> None:
    raise error


async def test_what_goes_wrong_stands_in_the_log_with_what_it_was() -> None:
    background = Background()
    with capture_logs() as logs:
        background.start("break", breaks(KeyError("defect")))
        background.start("break", breaks(TransientError("away", "PostgreSQL")))
        await background.finished()
    told = {each["event"]: each for each in logs}
    assert told.keys() == {"background_defect", "background_waits"} and {each["work"] for each in logs} == {"break"}
    assert isinstance(told["background_defect"]["exc_info"], KeyError) and told["background_waits"]["dependency"] == "PostgreSQL"


async def test_it_is_waited_for_or_ended_by_who_started_it() -> None:
    background, go_on, done = Background(), asyncio.Event(), list[str]()

    async def work(name: str) -> None:
        await go_on.wait()
        done.append(name)

    with capture_logs() as logs:
        background.start("work", work("ended"))
        await asyncio.wait_for(background.end(), 20)
        background.start("work", work("finished"))
        go_on.set()
        await asyncio.wait_for(background.finished(), 20)
    assert done == ["finished"] and logs == []
