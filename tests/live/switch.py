"""Runs a private FreeSWITCH on loopback with the module, and connects to its event socket."""

import itertools
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.parse
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
MODULES = """logfile event_socket commands dptools dialplan_xml sofia loopback tone_stream sndfile native_file local_stream hash
say_en""".split()
# Tests load these with `load` when they need them.
LATER = ["valet_parking", "pgsql", "fifo", "conference", "callcenter", "voicemail", "lua", "cdr_csv", "verto", "rtc", "opus", "spandsp"]
PLACES = ["/usr/local/freeswitch", "/usr", "/opt/freeswitch"]


def find_prefix():
    """The prefix of the installed FreeSWITCH, or None."""
    given = os.environ.get("FREESWITCH_PREFIX")
    if given:
        return Path(given)
    asked = subprocess.run(["pkg-config", "--variable=prefix", "freeswitch"], capture_output=True, text=True, check=False)
    for place in [asked.stdout.strip(), *PLACES]:
        if place and any((Path(place) / name).exists() for name in ("bin/freeswitch", "sbin/freeswitch")):
            return Path(place)
    return None


def module_dir(prefix):
    for place in [prefix / "mod", prefix / "lib/freeswitch/mod", *prefix.glob("lib/*/freeswitch/mod")]:
        if (place / "mod_sofia.so").exists():
            return place
    raise FileNotFoundError(f"no FreeSWITCH modules under {prefix}")


# The number of this process among the four that run tests in parallel.
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 4
_given = set()


def free_port():
    """A port that is free for UDP and TCP and has not been returned before. It is below the range from which the system assigns ports,
    and in a range of this process, because a parallel process could otherwise choose it before it is bound."""
    while True:
        port = 5100 + WORKER * 1400 + secrets.randbelow(1400)
        if port not in _given and all(_is_free(port, kind) for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM)):
            _given.add(port)
            return port


def _is_free(port, kind):
    with socket.socket(socket.AF_INET, kind) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


# The RTP ports are below the range from which the system assigns ports (also those of the test's phones). Each parallel process has two ranges,
# for two FreeSWITCHes with calls at the same time. Two FreeSWITCHes that recover each other's calls share both ranges: the core returns
# the port of a recovered call to its own range without checking that it belongs there (`switch_core_port_allocator.c`).
RTP_PORTS = 2700
FIRST_RTP = 10800 + WORKER * 2 * RTP_PORTS
_made = itertools.count()

LANGUAGES = ROOT / "conf/lang"
SHIPPED_PHRASES = LANGUAGES / "en/callpark.xml"
SHIPPED_DIALPLAN = ROOT / "conf/dialplan/callpark.xml"


# A line of the module: a phrase, then keys with values. Only a value has digits, colons, quotes or braces.
OF_MODULE = re.compile(r"\[[A-Z]+\] \w+\.rs:\d+ callpark: (.*)$", re.M)
WELL_FORMED = re.compile(r"""[A-Za-z][^=:"{}\d]*?( [a-z_]+=("[^"]*"|[^\s="]+))*…?""")


def malformed_lines(log):
    """The lines of the module in a log that are not a phrase followed by `key=value`."""
    return [text for text in OF_MODULE.findall(log) if not WELL_FORMED.fullmatch(text)]


class Switch:
    """One FreeSWITCH in a folder of its own. The folder is deleted when it stops, unless `keep` is set."""

    def __init__(self, module, prefix):
        self.prefix, self.module = prefix, Path(module)
        self.dir = Path(tempfile.mkdtemp(prefix="callpark-live."))
        self.sip_port, self.outside_port, self.esl_port = free_port(), free_port(), free_port()
        for name in ("mod", "conf", "log", "run", "db", "storage", "temp", "sounds", "recordings", "scripts"):
            (self.dir / name).mkdir()
        for name in [*MODULES, *LATER]:
            source = module_dir(prefix) / f"mod_{name}.so"
            if source.exists():
                (self.dir / "mod" / source.name).symlink_to(source)
        (self.dir / "mod/mod_callpark.so").symlink_to(self.module.resolve())
        self.written, self.process, self.keep = None, None, False
        self.rtp_half = next(_made) % 2
        # Whether it has the RTP ports of both ranges, for more than 1,300 calls.
        self.all_rtp_ports = False
        # The DSN of a PostgreSQL database for the core's own tables; and the configurations of further modules.
        self.core_dsn, self.more = "", ""
        # The contents of <hooks>.
        self.hooks = ""
        # The languages beside English.
        self.languages = ""
        # Further parameters of both SIP profiles, and of the profile for users.
        self.profile, self.users_profile = "", ""
        # Whether phones on the outside profile can subscribe to lamps. In FreeSWITCH's own configuration they cannot.
        self.lamps_outside = True
        # Whether FreeSWITCH's clock advances in steps of 1 ms. Otherwise the steps are 20 ms.
        self.fine_clock = False
        # Whether FreeSWITCH takes the time from the monotonic clock, or from the wall clock.
        self.monotonic = True
        self.log_level = "info"
        # Environment variables of the process, beside those of this one.
        self.environment = {}

    def configure(self, lots, settings="", phrases=None, extensions=""):
        """Writes the configuration, which FreeSWITCH reads at its start or with `reload`. `lots` and `settings` are the contents of these
        elements of callpark.conf.xml, `phrases` the phrase macros (None: the shipped ones), and `extensions` is added to the context `default`.
        """
        self.written = (lots, settings, phrases, extensions)
        if phrases is None:
            phrases = SHIPPED_PHRASES.read_text()
        text = (HERE / "conf/freeswitch.xml").read_text()
        postgres = ["pgsql"] if "pgsql://" in settings else []
        modules = "".join(f'<load module="mod_{name}"/>' for name in [*postgres, *MODULES, "callpark"])
        core = f'<param name="core-db-dsn" value="{self.core_dsn}"/>' if self.core_dsn else ""
        first_rtp, rtp_ports = (FIRST_RTP, 2 * RTP_PORTS) if core or self.all_rtp_ports else (FIRST_RTP + self.rtp_half * RTP_PORTS, RTP_PORTS)
        for name, value in {
            "MODULES": modules, "CORE": core, "MORE": self.more, "LANGUAGES": self.languages, "LAMPS_OUTSIDE": str(self.lamps_outside).lower(), "FINE_CLOCK": str(self.fine_clock).lower(), "MONOTONIC": str(self.monotonic).lower(),
            "LOG_LEVEL": self.log_level, "LOGGED": "debug," if self.log_level == "debug" else "",
            "FIRST": '<load module="mod_pgsql"/>' if core else "", "SIP_PORT": self.sip_port, "OUTSIDE_PORT": self.outside_port, "ESL_PORT": self.esl_port, "DIR": self.dir,
            "PROFILE": self.profile, "USERS_PROFILE": self.users_profile,
            "SETTINGS": settings, "LOTS": lots, "HOOKS": self.hooks, "PHRASES": phrases, "EXTENSIONS": extensions,
            "RTP_FIRST": first_rtp, "RTP_LAST": first_rtp + rtp_ports - 2,
        }.items():
            text = text.replace(f"@{name}@", str(value))
        # The file is replaced at once, because FreeSWITCH may read it at any time.
        new = self.dir / "conf/freeswitch.xml.new"
        new.write_text(text)
        new.rename(self.dir / "conf/freeswitch.xml")

    def reload(self, lots, *more, **others):
        """Writes the configuration, lets FreeSWITCH and the module read it, and returns the module's answer."""
        self.configure(lots, *more, **others)
        self.api("reloadxml")
        return self.api("callpark reload")

    def start(self):
        program = next(p for p in (self.prefix / "bin/freeswitch", self.prefix / "sbin/freeswitch") if p.exists())
        folders = [word for name in ("conf", "log", "run", "db", "mod", "storage", "temp", "sounds", "recordings", "scripts")
                   for word in (f"-{name}", str(self.dir / name))]
        with open(self.dir / "console", "wb") as console:
            self.process = subprocess.Popen([str(program), "-nonat", "-nc", "-nf", "-nort", *folders],
                                            stdin=subprocess.DEVNULL, stdout=console, stderr=console,
                                            env={**os.environ, **self.environment})
        until = time.monotonic() + 90
        while True:
            try:
                self.socket = EventSocket(self.esl_port)
                if "UP" in self.api("status") and self.api("sofia status").count("RUNNING") == 2:
                    break
            except (OSError, EOFError):
                pass
            if time.monotonic() > until or self.process.poll() is not None:
                raise RuntimeError("FreeSWITCH did not start:\n" + (self.dir / "console").read_text()[-3000:])
            time.sleep(0.2)
        self.events = Events(self.esl_port)
        return self

    def kill(self):
        """Kills the process, as a crash would."""
        self.process.kill()
        self.process.wait()

    def stop(self):
        """Stops FreeSWITCH. Returns the exit status, which is negative if the process had to be killed."""
        status = None
        if self.process:
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGTERM)
            try:
                # mod_sofia waits for its threads for up to a minute (mod_sofia_shutdown_cleanup), for 30 s of it if the clock was stepped.
                status = self.process.wait(75)
            except subprocess.TimeoutExpired:
                self.process.kill()
                status = self.process.wait()
        malformed = malformed_lines(self.log()) if (self.dir / "log/freeswitch.log").exists() else []
        if self.keep:
            print(f"\nlog kept: {self.dir}/log/freeswitch.log")
        else:
            shutil.rmtree(self.dir, ignore_errors=True)
        assert not malformed, "not a phrase and key=value:\n" + "\n".join(malformed)
        return status

    # --- the command line

    def api(self, command):
        return self.socket.api(command)

    def json(self, command):
        return json.loads(self.api(f"callpark {command} as json"))

    def calls(self, lot=""):
        return self.json(f"list {lot}")

    def channels(self):
        return int(self.api("show channels count").split()[0])

    def legs(self):
        return json.loads(self.api("show channels as json")).get("rows", [])

    def leg(self, **wanted):
        """The UUID of the channel whose row of `show channels` has these values (direction="inbound"). It waits for such a channel."""
        def fits():
            return next((row["uuid"] for row in self.legs() if all(row[name] == value for name, value in wanted.items())), None)

        found = wait_for(fits)
        assert found, f"no channel with {wanted} in:\n{self.api('show channels')}"
        return found

    def var(self, uuid, name):
        value = self.api(f"uuid_getvar {uuid} {name}").strip()
        return None if value == "_undef_" else value

    def log(self):
        return (self.dir / "log/freeswitch.log").read_text(errors="replace")

    def memory_kb(self):
        return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{self.process.pid}/status").read_text()).group(1))

    def open_files(self):
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def cpu_seconds(self):
        return cpu_seconds(self.process.pid)

    def sessions(self):
        """The number of sessions that the core has not destroyed. A session whose lock is held counts also after the channel has hung up."""
        return int(re.search(r"(\d+) session\(s\) - peak", self.api("status")).group(1))

    def threads(self):
        return len(list(Path(f"/proc/{self.process.pid}/task").iterdir()))

    def wait_idle(self, timeout=8):
        """Waits until no channel is left. Returns whether that happened in time."""
        return wait_for(lambda: self.channels() == 0, timeout)


def cpu_seconds(pid):
    """The processor time that a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_for(what, timeout=5.0, step=0.05):
    """Calls `what` until it returns a true value or the time is over. Returns the last value."""
    until = time.monotonic() + timeout
    while True:
        answer = what()
        if answer or time.monotonic() > until:
            return answer
        time.sleep(step)


class EventSocket:
    """A connection to the event socket, which sends one command at a time and returns its answer."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=90)
        self.file = self.socket.makefile("rb")
        self.lock = threading.Lock()
        self.read()
        self.command("auth ClueCon")

    def command(self, text):
        with self.lock:
            self.socket.sendall(text.encode("utf-8", "surrogateescape") + b"\n\n")
            return self.read()

    def read(self):
        headers = {}
        while True:
            line = self.file.readline()
            if not line:
                raise EOFError("event socket closed")
            if line == b"\n":
                break
            name, _, value = line.decode().partition(":")
            headers[name] = value.strip()
        body = self.file.read(int(headers.get("Content-Length", 0)))
        return headers, body

    def api(self, command):
        return self.command(f"api {command}")[1].decode("utf-8", "replace")

    def events(self):
        """Yields the bodies of plain events until the socket is closed at either end."""
        while True:
            try:
                headers, body = self.read()
            except (OSError, EOFError, ValueError):
                return
            if headers.get("Content-Type") == "text/event-plain":
                yield body

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)


class Events:
    """Collects all callpark::info events, in order."""

    def __init__(self, port):
        self.all, self.changed = [], threading.Condition()
        self.socket = EventSocket(port)
        self.socket.command("event plain CUSTOM callpark::info")
        # There may be no event for long, while tests use another FreeSWITCH.
        self.socket.socket.settimeout(None)
        threading.Thread(target=self._collect, daemon=True).start()

    def _collect(self):
        for body in self.socket.events():
            event = {}
            for line in body.decode("utf-8", "replace").splitlines():
                name, _, value = line.partition(": ")
                event[name] = urllib.parse.unquote(value)
            with self.changed:
                self.all.append(event)
                self.changed.notify_all()

    def clear(self):
        with self.changed:
            self.all.clear()

    def close(self):
        """Stops collecting. It is for tests with too many events to keep."""
        self.socket.close()

    def of(self, uuid):
        """The actions of one call's events, in order."""
        with self.changed:
            return [event["CallPark-Action"] for event in self.all if event.get("Unique-ID") == uuid]

    def wait(self, action, timeout=5.0, **headers):
        """Waits for an event with this action and these headers (CallPark_Slot="701"), and returns the first one."""
        wanted = {name.replace("_", "-"): value for name, value in headers.items()}
        found = wait_for(lambda: self._find(action, wanted), timeout)
        assert found, f"no {action} with {wanted} in {[e['CallPark-Action'] for e in self.all]}"
        return found

    def _find(self, action, wanted):
        with self.changed:
            for event in self.all:
                if event["CallPark-Action"] == action and all(event.get(k) == v for k, v in wanted.items()):
                    return event
        return None
