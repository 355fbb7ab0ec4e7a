"""A wall clock that tests can set, with libfaketime."""

import time
from pathlib import Path

from switch import wait_for

FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)


class Clock:
    """The wall clock of one FreeSWITCH. A file has the seconds by which it differs from the machine's. The monotonic clock is the machine's."""

    def __init__(self, switch):
        self.switch, self.file, self.ahead = switch, switch.dir / "clock", 0
        self._write(0)
        switch.environment = {"LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(self.file), "FAKETIME_NO_CACHE": "1",
                              "FAKETIME_DONT_FAKE_MONOTONIC": "1"}

    def _write(self, seconds):
        # The file is replaced at once, because FreeSWITCH reads it whenever it takes the time.
        new = self.file.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        new.rename(self.file)

    def step(self, seconds):
        """Sets the clock so many seconds ahead of the machine's."""
        self._write(seconds)
        self.ahead = seconds
        # With the monotonic clock, FreeSWITCH takes over a new wall clock time only by this command.
        if self.switch.monotonic:
            self.switch.api("fsctl sync_clock")
        assert wait_for(lambda: abs(self.now() - time.time() - seconds) < 2), "the clock was not set"

    def now(self):
        return float(self.switch.api("strepoch"))
