"""Docker or the local stack."""

from pathlib import Path

import pytest

from deploy import choice
from deploy.choice import DOCKER, LOCAL, choose, keep, kept
from deploy.local.errors import StackError


def no_engine() -> bool:
    return False


def an_engine() -> bool:
    return True


def test_docker_where_an_engine_answers(tmp_path: Path) -> None:
    assert choose({}, tmp_path, an_engine) == DOCKER
    assert choose({}, tmp_path, no_engine) == LOCAL


def test_the_callers_word_wins(tmp_path: Path) -> None:
    assert choose({"WAYBILL_STACK": "local"}, tmp_path, an_engine) == LOCAL
    assert choose({"WAYBILL_STACK": "docker"}, tmp_path, no_engine) == DOCKER


def test_data_stays_with_the_stack_that_it_belongs_to(tmp_path: Path) -> None:
    keep(tmp_path / "state", LOCAL)
    assert choose({}, tmp_path / "state", an_engine) == LOCAL
    with pytest.raises(StackError, match=r"data of the local stack.*make clean"):
        choose({"WAYBILL_STACK": "docker"}, tmp_path / "state", an_engine)
    assert choose({"WAYBILL_STACK": "local"}, tmp_path / "state", an_engine) == LOCAL


def test_data_from_before_there_was_a_choice_is_the_local_stacks(tmp_path: Path) -> None:
    assert kept(tmp_path) is None
    (tmp_path / "secrets.json").write_text("{}")
    assert kept(tmp_path) == LOCAL


def test_another_word_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="WAYBILL_STACK='podman'"):
        choose({"WAYBILL_STACK": "podman"}, tmp_path, an_engine)


def test_the_state_directory_can_be_moved(tmp_path: Path) -> None:
    assert choice.directory_of({"WAYBILL_STATE": str(tmp_path)}) == tmp_path
    assert choice.directory_of({}).name == ".local"
