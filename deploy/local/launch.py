"""Become one process of the stack: note the pid, clear what a killed run left, drop privileges, exec. Runs before anything else, so it imports little.

Usage: python -I -S launch.py run/NAME.json
"""

import json
import os
import pwd
import sys


def main(path: str) -> None:
    with open(path, encoding="utf-8") as file:
        spec = json.load(file)
    temporary = f"{spec['pid_file']}.new"
    with open(temporary, "w", encoding="ascii") as pid_file:
        pid_file.write(f"{os.getpid()}\n")
    os.replace(temporary, spec["pid_file"])
    for leftover in spec["leftovers"]:
        try:
            os.unlink(leftover)
        except FileNotFoundError:
            continue
        except PermissionError:
            sys.exit(
                f"{leftover} belongs to another user's stack on the same ports: have it removed, or move the ports (WAYBILL_PORT_BASE)"
            )
    if spec["user"]:
        account = pwd.getpwnam(spec["user"])
        os.setgroups([])
        os.setgid(account.pw_gid)
        os.setuid(account.pw_uid)
    os.chdir(spec["directory"])
    os.execve(spec["command"][0], spec["command"], spec["environment"])


if __name__ == "__main__":
    main(sys.argv[1])
