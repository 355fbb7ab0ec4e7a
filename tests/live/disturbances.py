"""The disturbances of chaos.py beside crashes: of the database, of the clock and of the callers' media.

Each disturbance is a method. QUIET names those during which callers hear nothing, because FreeSWITCH does not run or was told to stop the
music.
"""

import subprocess
import time

from fake_clock import FAKETIME
from phone import Failed

DATABASE = ("stop_database", "freeze_database", "lock_tables", "read_only_database")
MEDIA = ("media_off", "hold", "broadcast", "move_rtp")
CLOCK = ("step_clock",) if FAKETIME else ()
QUIET = {"crash", "crash_twice", "crash_without_database", "freeze", "taken_for_dead", "failover", "media_off", "hold"}
# The tables of the slot store; and these with the tables of the history.
SLOT_TABLES, ALL_TABLES = "callpark_calls, callpark_nodes", "callpark_calls, callpark_nodes, callpark_records, callpark_refused"


class Disturbances:
    """The disturbances, as methods of `Chaos`, which has the nodes, the callers, the database and the random generator."""

    # --- the database

    def stop_database(self):
        self.database.kill()
        time.sleep(1)
        self.traffic(self.nodes, 3, together=False)
        time.sleep(self.random.uniform(0, 3))
        self.database.start()

    def freeze_database(self):
        self.database.freeze()
        self.traffic(self.nodes, 3, together=False)
        time.sleep(self.random.uniform(0, 3))
        self.database.thaw()

    def lock_tables(self):
        """A transaction of another client locks the tables of the slot store, and sometimes those of the history."""
        seconds, tables = self.random.randint(2, 6), self.random.choice([SLOT_TABLES, ALL_TABLES])
        sql = f"BEGIN; LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep({seconds}); COMMIT"
        with subprocess.Popen(self.database.psql("-qc", sql), stdout=subprocess.DEVNULL):
            self.traffic(self.nodes, 2, together=False)

    def read_only_database(self):
        """The database can be read and not written, as an old primary after a failover. It ends before the nodes declare each other dead."""
        self._set_read_only("SET default_transaction_read_only = on")
        try:
            self.traffic(self.nodes, 2, together=False)
            time.sleep(self.random.uniform(0, 2))
        finally:
            self._set_read_only("RESET default_transaction_read_only")

    def _set_read_only(self, what):
        own = "SET default_transaction_read_only = off"
        subprocess.run(self.database.psql("-q", "-c", own, "-c", f"ALTER SYSTEM {what}", "-c", "SELECT pg_reload_conf()"),
                       stdout=subprocess.DEVNULL, check=True)

    # --- the clock

    def step_clock(self):
        """The wall clock of a node is set wrong by a second to an hour, and then right again. Nobody is parked meanwhile, because a recovered
        call keeps the wall clock time at which it was parked."""
        node = self.random.choice(self.nodes)
        node.clock.step(self.random.choice([-3600, -60, -1, 1, 60, 3600]))
        try:
            self.take_some(2)
            time.sleep(self.random.uniform(1, 4))
        finally:
            node.clock.step(0)

    # --- the callers' media

    def media_off(self):
        """`uuid_media off` lets the callers' phones send their media elsewhere. `uuid_media` brings it back."""
        some = self.some_callers()
        for caller in some:
            caller.node.api(f"uuid_media off {caller.row['uuid']}")
        time.sleep(self.random.uniform(0.2, 3))
        for caller in some:
            caller.node.api(f"uuid_media {caller.row['uuid']}")
        self.take_some(1, some)

    def hold(self):
        """`uuid_hold` on half of the callers. One is retrieved while on hold; the hold of the others ends afterwards."""
        some = self.some_callers()
        for caller in some:
            caller.node.api(f"uuid_hold {caller.row['uuid']}")
        time.sleep(self.random.uniform(0.2, 2))
        self.take_some(1, some)
        for caller in some:
            if caller in self.callers:
                caller.node.api(f"uuid_hold off {caller.row['uuid']}")

    def broadcast(self):
        """`uuid_broadcast` of a tone of 0.3 to 4 seconds to half of the callers. One of them may be retrieved while it plays."""
        some = self.some_callers()
        for caller in some:
            ms = self.random.choice([300, 1500, 4000])
            caller.node.api(f"uuid_broadcast {caller.row['uuid']} tone_stream://%({ms},0,1300) aleg")
        time.sleep(self.random.uniform(0, 2))
        self.take_some(1, some)

    def move_rtp(self):
        """Half of the callers send a re-INVITE with another RTP port, as after a change of networks."""
        for caller in self.some_callers():
            try:
                caller.call.move()
            except (Failed, TimeoutError) as why:
                self.wrong.append(f"the re-INVITE of {caller.phone.user} was refused: {why!r}")

    # --- the callers

    def some_callers(self):
        """A random half of the waiting callers."""
        waiting = [caller for caller in self.callers if not caller.call.over.is_set()]
        return self.random.sample(waiting, (len(waiting) + 1) // 2)

    def take_some(self, most, of=None):
        """Retrieves up to `most` of these callers, each on the node where the caller waits."""
        here = [caller for caller in of or self.callers if caller in self.callers and not caller.doubled]
        for caller in self.random.sample(here, min(most, len(here))):
            self.take(caller, caller.node)
