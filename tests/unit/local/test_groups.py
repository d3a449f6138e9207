"""How `make test` hands groups of tests to its workers."""

from collections import OrderedDict
from typing import Any

from tests.conftest import LONG, Grouped


class Worker:
    """Takes what it is sent."""

    def send_runtest_some(self, indexes: list[int]) -> None:
        self.sent = indexes


def scheduler(*groups: str) -> tuple[Any, list[Worker]]:
    made: Any = Grouped.__new__(Grouped)
    made.workqueue = OrderedDict((group, {f"{group}::test": False}) for group in groups)
    workers = [Worker() for _ in range(3)]
    made.assigned_work = {worker: {} for worker in workers}
    made.registered_collections = {worker: [f"{group}::test" for group in groups] for worker in workers}
    return made, workers


def test_two_groups_with_a_stack_run_at_once_and_others_beside_them() -> None:
    made, (one, two, three) = scheduler(*LONG, "unit", "contract")
    for worker in (one, two, three):
        made._assign_work_unit(worker)
    assert [list(made.assigned_work[worker]) for worker in (one, two, three)] == [["e2e"], ["operate"], ["unit"]]
    made._assign_work_unit(two)  # which has nearly done its own
    made.assigned_work[one]["e2e"]["e2e::test"] = True
    made._assign_work_unit(three)
    assert [list(made.assigned_work[worker]) for worker in (two, three)] == [["operate", "secured"], ["unit", "contract"]]
    made._assign_work_unit(one)
    assert (list(made.assigned_work[one]), list(made.workqueue)) == (["e2e", "faults"], [])


def test_where_nothing_else_is_left_they_all_run() -> None:
    made, workers = scheduler(*LONG[:3])
    for worker in workers:
        made._assign_work_unit(worker)
    assert [worker.sent for worker in workers] == [[0], [1], [2]]
