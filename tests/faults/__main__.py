"""`make faults`: rounds of faults by seed, each judged. `python -m tests.faults --help` says what can be chosen."""

import argparse
import sys
import time
from pathlib import Path

from deploy.local.errors import StackError
from deploy.local.state import ROOT
from tests.faults import report
from tests.faults.bringing import houses, round_of
from tests.faults.runner import Result, rounds, session
from tests.faults.stack import FaultStack, end_on_sigterm, revision


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the first round; those behind it count up")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seeds", default="", help="these instead, separated by commas")
    parser.add_argument("--first-failure", action="store_true", help="stop at the first round that fails")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no round after so long")
    parser.add_argument("--state", type=Path, default=ROOT / ".local-faults", help="the stack's directory")
    parser.add_argument("--log", action="store_true", help="add each round to the log")
    return parser.parse_args()


def main() -> int:
    options, commit = _parse(), revision()
    end_on_sigterm()

    def tell(result: Result) -> None:
        print("\n".join(report.lines(result)), flush=True)
        if options.log:
            report.keep(result, commit)

    seeds = [int(seed) for seed in options.seeds.split(",") if seed] or range(options.seed, options.seed + options.rounds)
    print(f"commit {commit}, seeds from {seeds[0]}", flush=True)
    brought = []
    try:
        with session(FaultStack(options.state)) as opened:
            results = rounds(opened, seeds, options.seconds, tell, options.first_failure)
            with houses(opened.stack) as destinations:
                for result in results:
                    brought.append(round_of(opened.stack, destinations, result.seed))
                    print("\n".join(brought[-1].lines), flush=True)
                    if options.log:
                        report.keep_deliveries(brought[-1], commit)
    except StackError as error:
        print(f"{error.log}\nerror: {error}".lstrip(), file=sys.stderr)
        return 2
    failed = [result.seed for result in results if result.violations]
    print(f"{len(results)} rounds, {len(failed)} failed" + (f": seeds {', '.join(map(str, failed))}" if failed else ""))
    unwell = [made.seed for made in brought if made.wrong]
    print(f"{len(brought)} rounds of deliveries, {len(unwell)} failed" + (f": seeds {', '.join(map(str, unwell))}" if unwell else ""))
    return 1 if failed or unwell else 0


if __name__ == "__main__":
    sys.exit(main())
