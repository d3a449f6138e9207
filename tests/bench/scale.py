"""One formatter against two, with the CPU time that each process took."""

from statistics import median

from tests.bench.context import Context
from tests.bench.data import FROM, TO, ensure_messages
from tests.bench.report import Section, seconds_cell
from tests.bench.stack import DIRECTORY_STORE, SERVICES
from tests.bench.timing import interleave
from tests.bench.waybill import Caller

NAMES = ["postgres", "kafka", *SERVICES]
BODY = {"dataset": "messages", "format": "csv", "from": FROM, "to": TO}


def scale(context: Context) -> Section:
    """Seconds and CPU seconds of the same export with one and with two formatters."""
    stack = context.stack
    stack.up(WAYBILL_STORE=DIRECTORY_STORE)
    data = ensure_messages(stack, context.rows)
    cpu: dict[str, dict[str, float]] = {}
    with Caller(stack, data.org_id) as caller:

        def run(name: str) -> float:
            stack.command("stop" if name == "one" else "start", "formatter-2")
            if name == "two":
                stack.start("formatter-2")
            for _ in range(4):  # the group has settled, and every formatter is warm
                caller.run(BODY | dict(zip(("from", "to"), data.span(0, 60_000), strict=True)))
            before = stack.processes.cpu_seconds(NAMES)
            done = caller.run(BODY)
            after = stack.processes.cpu_seconds(NAMES)
            cpu[name] = {process: after[process] - before.get(process, 0.0) for process in after}
            caller.cancel_or_delete(done.id)
            return done.seconds

        try:
            seconds = interleave({name: (lambda name=name: run(name)) for name in ("one", "two")}, context.rounds, context.say)  # type: ignore[misc]
        finally:
            stack.start("formatter-2")
    lines = [
        [f"{name} formatter{'s' * (name == 'two')}", seconds_cell(seconds[name]), f"{sum(cpu[name].values()):.1f} s",
         ", ".join(f"{process} {spent:.1f}" for process, spent in cpu[name].items() if spent >= 0.1)]
        for name in ("one", "two")
    ]  # fmt: skip
    faster = median(seconds["one"]) / median(seconds["two"])
    busy = sum(cpu["two"].values()) / seconds["two"][-1]
    notes = [f"The second formatter makes it {faster:.2f} × as fast (target 1.7 × where cores allow).",
             f"With two formatters {busy:.2f} cores were busy on average, of those that the machine has; CPU seconds are of the last run."]  # fmt: skip
    return Section("scale", "A second formatter", ["Formatters", "Median (runs)", "CPU, all", "CPU seconds by process"], lines, notes)
