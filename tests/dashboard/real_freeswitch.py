"""The dashboard of the real module in a private FreeSWITCH, with calls that need no phone."""

import os
import sqlite3
import sys
from pathlib import Path

LIVE = Path(__file__).resolve().parents[1] / "live"
sys.path.insert(0, str(LIVE))

from switch import ROOT, Switch, find_prefix, free_port, wait_for  # noqa: E402

LOTS = """
<lot name="main" domain="callpark.test">
  <param name="slots" value="701-720"/><slot number="701" label="Front desk"/>
  <param name="ringback" value="loopback/rings/default"/><param name="hold-music" value="silence_stream://-1"/>
  <param name="ringback-timeout" value="6"/><param name="remind-after" value="@REMIND@"/>
</lot>
<lot name="big" domain="callpark.test">
  <param name="slots" value="*5901-*5999"/>
  <param name="ringback" value="loopback/rings/default"/><param name="hold-music" value="silence_stream://-1"/>
</lot>"""
RINGS = """<extension name="rings"><condition field="destination_number" expression="^rings$">
<action application="ring_ready"/><action application="sleep" data="20000"/></condition></extension>"""


def is_installed():
    return find_prefix() is not None


class RealFreeswitch:
    """The module in a FreeSWITCH, with the methods that the fixture `site` needs."""

    token, view_token, user_token = "view-and-act-0123456789", "view-only-0123456789", "of-user-1002-0123456789"

    def __init__(self):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        self.switch = Switch(os.environ.get("CALLPARK_MODULE", ROOT / "target/debug/libmod_callpark.so"), find_prefix())
        self.tokens = self.switch.dir / "tokens"
        self.tokens.write_text(f"{self.token} view,act *\n{self.view_token} view *\n{self.user_token} view,act callpark.test 1002\n")
        self.tokens.chmod(0o600)
        self._configure(True)
        self.switch.start()

    def _configure(self, listening, remind=0):
        listen = f'<param name="http-listen" value="127.0.0.1:{self.port}"/><param name="http-token-file" value="{self.tokens}"/>'
        self.switch.configure(LOTS.replace("@REMIND@", str(remind)), listen if listening else "", extensions=RINGS)

    def remind_after(self, seconds):
        self._apply(True, seconds)

    def _apply(self, listening, remind=0):
        self._configure(listening, remind)
        self.switch.api("reloadxml")
        assert self.switch.api("callpark reload").startswith("+OK")

    def _execute(self, uuid, application, data):
        self.switch.socket.command(f"sendmsg {uuid}\ncall-command: execute\nexecute-app-name: {application}\nexecute-app-arg: {data}")

    def park(self, name, number, slot):
        before = len(self.switch.log())
        uuid = self.switch.api("originate {hangup_after_bridge=true}null/x &park").split()[-1]
        self._execute(uuid, "set_profile_var", f"caller_id_name={name}")
        self._execute(uuid, "set_profile_var", f"caller_id_number={number}")
        self._execute(uuid, "set", "callpark_parker=1001@callpark.test")
        self._execute(uuid, "callpark_park", slot)
        parked = wait_for(lambda: any(row["slot"] == slot for row in self.switch.calls()))
        assert parked, f"nobody is parked in {slot}:\n{self.switch.log()[before:]}"

    def end(self, slot, outcome):
        uuid = next(row["uuid"] for row in self.switch.calls() if row["slot"] == slot)
        how = {"abandoned": f"uuid_kill {uuid}", "transferred": f"callpark transfer {slot} tone-1300"}
        self.switch.api(how.get(outcome, f"callpark retrieve {slot} loopback/tone-1300/default"))
        assert wait_for(lambda: all(row["slot"] != slot for row in self.switch.calls()))

    def down(self):
        self._apply(False)

    def up(self):
        self._apply(True)

    def fresh(self):
        """Ends all calls, deletes the history and loads the module again, for the next test."""
        self.switch.api("hupall")
        assert self.switch.wait_idle() and wait_for(lambda: self.switch.json("lots") and not self.switch.calls())
        records = self.switch.dir / "db/callpark.db"
        if records.exists():
            with sqlite3.connect(records) as database:
                database.execute("DELETE FROM callpark_records")
        assert "+OK" in self.switch.api("unload mod_callpark")
        self._configure(True)
        self.switch.api("reloadxml")
        assert "+OK" in self.switch.api("load mod_callpark")
        return self

    def stop(self):
        self.switch.stop()
