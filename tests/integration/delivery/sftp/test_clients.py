"""Clients that we did not write: OpenSSH's sftp, rclone, lftp."""

import hashlib
import secrets
from pathlib import Path

import pytest

from tests.integration.delivery.sftp.house import House, run

CONTENT = secrets.token_bytes(3_500_000)


async def test_openssh_lists_and_gets(any_house: House) -> None:
    account = await any_house.account()
    await any_house.file(CONTENT, name="whole.csv")
    code, said = await any_house.sftp(
        account, "pwd", "ls -l /", "ls /export", "ls -l /export/message", "cd export/message", "get whole.csv got.csv"
    )
    assert code == 0, said
    assert "Remote working directory: /" in said
    assert {"/export/message", "/export/resolved-conversation", "/export/leads"} <= set(said.split())
    assert f"{len(CONTENT)}" in said
    assert (any_house.scratch / "got.csv").read_bytes() == CONTENT


async def test_openssh_resumes_by_offset(any_house: House) -> None:
    account = await any_house.account()
    await any_house.file(CONTENT, name="resumed.csv")
    (any_house.scratch / "half.csv").write_bytes(CONTENT[:1_234_567])
    code, said = await any_house.sftp(account, "reget /export/message/resumed.csv half.csv")
    assert code == 0, said
    assert (any_house.scratch / "half.csv").read_bytes() == CONTENT
    downloads = [e for e in await any_house.entries("file.downloaded") if "resumed.csv" in e.details]
    assert len(downloads) == 1 and '"first_byte": 1234567' in downloads[0].details
    assert downloads[0].actor == f"sftp:{account.id}" and downloads[0].address == "127.0.0.1"


async def test_a_password_lets_in_and_the_trail_knows(any_house: House) -> None:
    account = await any_house.account(with_key=False)
    code, said = await any_house.sftp(account, "ls /export", password=account.password)
    assert code == 0, said
    [entry] = [e for e in await any_house.entries("sftp_user.logged_in") if e.subject == account.id]
    assert (entry.org_id, entry.address, entry.details) == (any_house.org_id, "127.0.0.1", '{"method": "password"}')
    code, said = await any_house.sftp(account, "ls", password="wrong")
    assert code != 0 and "Permission denied" in said
    [entry] = [e for e in await any_house.entries("sftp_user.login_refused") if e.subject == account.id]
    assert entry.details == '{"method": "password", "reason": "password"}'


@pytest.mark.parametrize("extra", [[], ["--multi-thread-streams", "4", "--multi-thread-cutoff", "1M"]], ids=["plain", "in parallel"])
async def test_rclone_copies_a_folder(any_house: House, tmp_path: Path, extra: list[str]) -> None:
    account = await any_house.account()
    for number in range(3):
        await any_house.file(CONTENT + bytes([number]), folder="contact", name=f"{number}.csv")
    target = tmp_path / "copy"
    code, said = await run(["rclone", "--config", "", "copy", any_house.rclone(account) + "/export", str(target), *extra])
    assert code == 0, said
    got = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (target / "contact").iterdir()}
    assert got == {f"{number}.csv": hashlib.sha256(CONTENT + bytes([number])).hexdigest() for number in range(3)}
    code, said = await run(["rclone", "--config", "", "lsl", any_house.rclone(account) + "/export/contact"])
    assert code == 0 and said.count(str(len(CONTENT) + 1)) == 3
    assert "1970" not in said  # files have the time of their publication
    code, said = await run(["rclone", "--config", "", "delete", "--retries", "1", any_house.rclone(account) + "/export/contact"])
    assert code != 0
    assert "ermission" in said


async def test_lftp_mirrors_and_gets_in_segments(any_house: House, tmp_path: Path) -> None:
    account = await any_house.account()
    await any_house.file(CONTENT, folder="team", name="t.csv")
    connect = f"ssh -a -x -F none -i {account.key} -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
    script = (
        f"set sftp:connect-program '{connect}'; set sftp:auto-confirm yes; set net:max-retries 1; set cmd:fail-exit yes; "
        f"open -u {account.username},x sftp://127.0.0.1:{any_house.port}; mirror /export/team {tmp_path}/mirrored; "
        f"pget -n 4 /export/team/t.csv -o {tmp_path}/segments.csv"
    )
    code, said = await run(["lftp", "--norc", "-c", script])
    assert code == 0, said
    assert (tmp_path / "mirrored" / "t.csv").read_bytes() == CONTENT
    assert (tmp_path / "segments.csv").read_bytes() == CONTENT
