"""What is shown while chapters run."""

import io

from tools.progress import Progress


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


def test_a_terminal_has_one_line_that_overwrites_itself():
    """It names the cell of each chapter, and for how long it has run."""
    now = [0.0]
    progress = Progress(Terminal(), clock=lambda: now[0])
    progress.cell("01-a.md", 3, 40)
    now[0] = 7.0
    progress.show()
    progress.cell("01-a.md", 4, 40)
    progress.show()
    first, second = progress.stream.getvalue().split("\r\x1b[K")[1:]
    assert first == "01-a.md: cell 3 of 40, 7 s"
    assert second == "01-a.md: cell 4 of 40, 0 s"
    progress.say("executed")
    progress.end("01-a.md")
    progress.show()
    assert progress.stream.getvalue().endswith("\r\x1b[Kexecuted\n\r\x1b[K")


def test_a_file_gets_a_line_now_and_then():
    """At most one in ten seconds, without control characters, and none while nothing runs."""
    now = [0.0]
    progress = Progress(io.StringIO(), clock=lambda: now[0])
    progress.cell("02-b.md", 1, 5)
    progress.cell("01-a.md", 3, 40)
    for now[0] in range(25):
        progress.show()
    for name in ("01-a.md", "02-b.md"):
        progress.end(name)
    now[0] = 60.0
    progress.show()
    lines = progress.stream.getvalue().splitlines()
    assert lines == [
        f"  01-a.md: cell 3 of 40, {seconds} s | 02-b.md: cell 1 of 5, {seconds} s"
        for seconds in (10, 20)
    ]
