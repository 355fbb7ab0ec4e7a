"""Makes hostile text from a seed, and detects whether FreeSWITCH expanded any of it or ran a command in it."""

import random
import secrets
import threading
import time
import urllib.parse

from switch import EventSocket, wait_for

# The variables into which text of remote parties gets, by the names under which CDR templates and dialplans read them.
READ_BACK = ["caller_id_name", "caller_id_number", "callee_id_name", "callee_id_number", "callpark_label", "callpark_parker", "callpark_retriever",
             "callpark_stay", "callpark_last_user", "initial_callee_id_name", "initial_callee_id_number", "sip_from_display"]
# The CDR template "example" of the stock configuration with these variables. The callee's name and number are left out: for an ordinary
# call, which the module never handles, FreeSWITCH itself expands the text of the callee.
CDR = """<configuration name="cdr_csv.conf"><settings><param name="log-base" value="@DIR@/log"/><param name="default-template" value="example"/>
    <param name="legs" value="ab"/></settings><templates><template name="example">"${caller_id_name}","${caller_id_number}","${destination_number}",
    "${context}","${start_stamp}","${hangup_cause}","${uuid}","${bleg_uuid}","${accountcode}",""" + ",".join(
        f'"${{{name}}}"' for name in READ_BACK if not name.startswith("callee")) + "\n</template></templates></configuration>"
# Reads, copies and combines the variables as a dialplan may, and then parks the call in its slot again.
AUDIT = """<extension name="audit"><condition field="destination_number" expression="^audit$">
    <action application="set" data="copy=${callpark_label}"/>
    <action application="log" data="NOTICE ${callpark_label} | ${caller_id_name} | ${callee_id_name} | ${callpark_parker}"/>
    <action application="set_profile_var" data="caller_id_name=${callpark_label}"/>
    <action application="export" data="nolocal:copied=${callpark_label}"/>
    <action application="set" data="joined=${callpark_label}${copy}{canary}"/>
    <action application="set" data="cut=${callpark_label:0:1}{canary}"/>
    <action application="eval" data="${joined} ${cut} ${caller_id_name}"/>
    <action application="log" data="NOTICE ${joined} ${cut} ${copy} ${caller_id_name}"/>
    <action application="callpark_park" data="${callpark_slot}"/>
  </condition></extension>"""


class Trap:
    """A global variable whose value must appear nowhere, and a file that only an executed command would make."""

    def __init__(self, switch):
        self.switch, self.marker, self.token = switch, switch.dir / "marker", f"EXPANDED{secrets.token_hex(4)}"
        switch.api(f"global_setvar canary={self.token}")
        switch.api(f"global_setvar marker={self.marker}")  # for payloads without a slash, where a name would be cut at it
        self.socket, self.seen, self.count = EventSocket(switch.esl_port), [], 0
        self.socket.command("event plain ALL")
        self.socket.socket.settimeout(None)
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        for body in self.socket.events():
            self.count += 1
            if self.token in urllib.parse.unquote(body.decode("utf-8", "replace")):
                self.seen.append(body)

    def expanded(self, uuid):
        """The expansion of text that contains the call's variables, and the expansion of the result."""
        fields = ["Caller-Caller-ID-Name", "Caller-Caller-ID-Number", "Caller-Callee-ID-Name", *(f"variable_{name}" for name in READ_BACK)]
        once = self.switch.api(f"eval uuid:{uuid} <{' '.join(f'${{{name}}}' for name in fields)}>").replace("\n", " ")
        assert once.startswith("<"), once
        return once + self.switch.api(f"eval uuid:{uuid} {once}")

    def check(self):
        """Asserts that no command was run and that nothing was expanded in a file, in the log or in an event."""
        before = self.count
        self.switch.api("bgapi status")
        assert wait_for(lambda: self.count > before, 5), "no event after a command"
        assert not self.marker.exists(), "a command was run"
        assert not self.seen, f"expanded in an event: {self.seen[0][:3000]}"
        for file in (self.switch.dir / "log").rglob("*"):
            assert not file.is_file() or self.token not in file.read_text(errors="replace"), f"expanded in {file}"

    def close(self):
        self.check()
        assert self.count > 0, "the trap received no event"
        self.socket.close()

    def payloads(self):
        """One payload of each kind."""
        run = f"system(touch {self.marker})"
        return ["${canary}", "$${canary}", f"${{{run}}}", f"$${{{run}}}", "${system(touch ${marker})}", "$\\{canary}", "$'{canary}", "$\\'{canary}'", "$ {canary}", "${canary", "$", "$$", "{canary}",
                "a$", "${${canary}}", "$${${canary}}", "${canary:0:4}", "${canary[0]}", "%{canary}", "%24%7Bcanary%7D", "%2524%257Bcanary%257D", "\\${canary}", "\\\\${canary}",
                f"`{run}`", f"$(touch {self.marker})", f"; touch {self.marker}", f"| touch {self.marker}", f"{run}", f"'{run}", f"]{run}", "${expr(1+1)}", "${regex(1|1)}",
                "${global_getvar(canary)}", "[canary=x]", "{canary=x}", "^^:canary:x", "<canary=x>", "a,b", "a|b", "a:_:b", "%n%n%s%s%x", "%s" * 20,
                "'; DROP TABLE calls; --", "\\'; DROP TABLE calls; --", "<script>alert(1)</script>", "]]>&amp;&#0;", "&lt;", '"quoted"', "tab\there", "\x01\x1b[2J",
                "\u202eabc", "Zo\u00eb \u738b\u5c0f\u660e \U0001f642", "A\udcff\udcfeB", "x" * 600, "../../etc/passwd", "=cmd|' /C calc'!A0", "null", "NaN", "-1",
                "0" * 40, "sofia/gateway/x/1", "user/1001@callpark.test", "loopback/audit/default", "@", "a@b@c", "sip:1@127.0.0.1;transport=tcp", "%00", "%0d%0aX-Evil: 1"]

    def values(self, count, seed, without=""):
        """`count` values: one of each kind, then random combinations of their pieces. `without` are characters that cannot be sent."""
        generator, kinds = random.Random(seed), self.payloads()
        made = list(kinds)
        while len(made) < count:
            pieces = [generator.choice(kinds) for _ in range(generator.randint(1, 3))]
            made.append("".join(piece[:generator.randint(1, len(piece))] if generator.random() < 0.4 else piece for piece in pieces))
        return ["".join(c for c in value if c not in without) for value in made[:count]]


def within(began, seconds, what):
    took = time.monotonic() - began
    assert took < seconds, f"{what} took {took:.1f} s"
