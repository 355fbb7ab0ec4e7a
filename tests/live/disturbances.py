"""What happens to parked callers at random in chaos.py, beside crashes: to the database, the clock, and the callers' own media.

Each disturbance is a method; QUIET names those during which nobody can hear anything, because FreeSWITCH stands still or was told so.
"""

import subprocess
import time

from phone import Failed
from fake_clock import FAKETIME

DATABASE = ("stop_database", "freeze_database", "lock_tables", "read_only_database")
MEDIA = ("media_off", "hold", "broadcast", "move_rtp")
CLOCK = ("step_clock",) if FAKETIME else ()
QUIET = {"crash", "crash_twice", "crash_without_database", "freeze", "taken_for_dead", "failover", "media_off", "hold"}
# The core writes to the tables of the slots; the others are the history's.
SLOT_TABLES, ALL_TABLES = "callpark_calls, callpark_nodes", "callpark_calls, callpark_nodes, callpark_records, callpark_refused"


class Disturbances:
    """Of a Chaos, which has the nodes, the callers, the database and the dice."""

    # --- the database

    def stop_database(self):
        self.database.kill()
        time.sleep(1)
        self.traffic(self.nodes, 3, together=False)
        time.sleep(self.dice.uniform(0, 3))
        self.database.start()

    def freeze_database(self):
        self.database.freeze()
        self.traffic(self.nodes, 3, together=False)
        time.sleep(self.dice.uniform(0, 3))
        self.database.thaw()

    def lock_tables(self):
        """A transaction of somebody else's holds the tables of the slots, at times those of the history too."""
        seconds, tables = self.dice.randint(2, 6), self.dice.choice([SLOT_TABLES, ALL_TABLES])
        sql = f"BEGIN; LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep({seconds}); COMMIT"
        with subprocess.Popen(self.database.psql("-qc", sql), stdout=subprocess.DEVNULL):
            self.traffic(self.nodes, 2, together=False)

    def read_only_database(self):
        """It can be read and not written, as an old primary after a failover. Not for so long that nodes take each other for dead."""
        self._set_read_only("SET default_transaction_read_only = on")
        try:
            self.traffic(self.nodes, 2, together=False)
            time.sleep(self.dice.uniform(0, 2))
        finally:
            self._set_read_only("RESET default_transaction_read_only")

    def _set_read_only(self, what):
        own = "SET default_transaction_read_only = off"
        subprocess.run(self.database.psql("-q", "-c", own, "-c", f"ALTER SYSTEM {what}", "-c", "SELECT pg_reload_conf()"),
                       stdout=subprocess.DEVNULL, check=True)

    # --- the clock

    def step_clock(self):
        """The wall clock of a node is set an hour or a second off, and back. Nobody is parked meanwhile: a call that is recovered later is
        taken for parked when the clock said so."""
        node = self.dice.choice(self.nodes)
        node.clock.step(self.dice.choice([-3600, -60, -1, 1, 60, 3600]))
        try:
            self.take_some(2)
            time.sleep(self.dice.uniform(1, 4))
        finally:
            node.clock.step(0)

    # --- the callers' media

    def media_off(self):
        """uuid_media off: the caller's phone is told to send its media elsewhere; then to send it here again."""
        some = self.some_callers()
        for caller in some:
            caller.node.api(f"uuid_media off {caller.row['uuid']}")
        time.sleep(self.dice.uniform(0.2, 3))
        for caller in some:
            caller.node.api(f"uuid_media {caller.row['uuid']}")
        self.take_some(1, some)

    def hold(self):
        """uuid_hold; some are taken while they are on hold, or have never been taken off."""
        some = self.some_callers()
        for caller in some:
            caller.node.api(f"uuid_hold {caller.row['uuid']}")
        time.sleep(self.dice.uniform(0.2, 2))
        self.take_some(1, some)
        for caller in some:
            if caller in self.callers:
                caller.node.api(f"uuid_hold off {caller.row['uuid']}")

    def broadcast(self):
        """uuid_broadcast of something short to some and of something long to others, and one of them is taken while it plays."""
        some = self.some_callers()
        for caller in some:
            ms = self.dice.choice([300, 1500, 4000])
            caller.node.api(f"uuid_broadcast {caller.row['uuid']} tone_stream://%({ms},0,1300) aleg")
        time.sleep(self.dice.uniform(0, 2))
        self.take_some(1, some)

    def move_rtp(self):
        """A re-INVITE of each of them with another RTP port, as after a change of networks."""
        for caller in self.some_callers():
            try:
                caller.call.move()
            except (Failed, TimeoutError) as why:
                self.wrong.append(f"the re-INVITE of {caller.phone.user} was refused: {why!r}")

    # --- who

    def some_callers(self):
        """About half of those who wait."""
        waiting = [caller for caller in self.callers if not caller.call.over.is_set()]
        return self.dice.sample(waiting, (len(waiting) + 1) // 2)

    def take_some(self, most, of=None):
        """Up to so many of these are taken, each on the node where they wait."""
        here = [caller for caller in of or self.callers if caller in self.callers and not caller.doubled]
        for caller in self.dice.sample(here, min(most, len(here))):
            self.take(caller, caller.node)
