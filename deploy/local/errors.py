"""What the stack can't do, said in one line."""


class StackError(Exception):
    """The stack can't go on; the message is the one line that a person needs to mend it."""

    def __init__(self, message: str, log: str = "") -> None:
        super().__init__(message)
        self.log = log  # closing lines of the log of what failed, shown under the message
