"""`python -m deploy.image.prepare topics|bucket`: make what services need and don't make themselves; done again, it changes nothing.

Topics are made as schemas/topics/*.yaml says on the brokers of WAYBILL_KAFKA; the bucket is that of WAYBILL_S3_*. The database's turn is `python -m
deploy.migrations`.
"""

import sys
import time
from collections.abc import Callable

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import ValidationError

from deploy.local import topics
from deploy.local.errors import StackError
from deploy.local.progress import say
from shared.settings import KafkaSettings, StoreSettings, explain
from shared.storage.s3 import s3_client

WAIT_SECONDS = 120


def wait(ready: Callable[[], str | None], seconds: float = WAIT_SECONDS) -> None:
    """Return once `ready` answers None. Raises StackError with what it still waits for when that takes too long."""
    deadline = time.monotonic() + seconds
    while why := ready():
        if time.monotonic() > deadline:
            raise StackError(f"after {seconds:.0f} s: {why}")
        time.sleep(0.5)


def make_topics() -> None:
    brokers = KafkaSettings().brokers
    wait(lambda: topics.ready(brokers))
    topics.apply(brokers, say)
    say("the topics are as schemas/topics/ says")


def make_bucket() -> None:
    settings = StoreSettings()
    if settings.store != "s3":
        say(f"no bucket to make: the store is {settings.store}")
        return
    client = s3_client(settings)
    there: list[str] = []

    def ready() -> str | None:
        try:
            there[:] = [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]
        except (BotoCoreError, ClientError) as error:
            return f"the store at {settings.s3_endpoint} does not answer as it should ({error})"
        return None

    wait(ready)
    if settings.s3_bucket not in there:
        client.create_bucket(Bucket=settings.s3_bucket)
        say(f"made the bucket {settings.s3_bucket}")
    else:
        say(f"the bucket {settings.s3_bucket} is there")


STEPS = {"topics": make_topics, "bucket": make_bucket}


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in STEPS:
        print(f"usage: python -m deploy.image.prepare {'|'.join(STEPS)}", file=sys.stderr)
        return 2
    try:
        STEPS[arguments[0]]()
    except ValidationError as error:
        print(f"settings: {explain(error)}", file=sys.stderr)
        return 1
    except (StackError, BotoCoreError, ClientError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
