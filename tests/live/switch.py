"""A private FreeSWITCH on loopback, with the module in it, and a line to its event socket."""

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
LATER = ["valet_parking", "pgsql", "fifo", "conference", "callcenter", "voicemail", "lua", "cdr_csv", "verto", "rtc"]  # there to be loaded, but not at start
PLACES = ["/usr/local/freeswitch", "/usr", "/opt/freeswitch"]


def find_prefix():
    """Where FreeSWITCH is installed, or None."""
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


# Which of four runs beside each other this is.
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 4
_given = set()


def free_port():
    """One that nobody uses by UDP or TCP, given once; below those that the system gives to anybody, and apart from those of the
    runs beside this one, who could be given it before it is used."""
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


# Media ports, below those that the system gives to anybody (our own phones among them): for two instances that have calls at a
# time, apart from those of three more runs beside this one. Two that recover each other's calls have all of them in common: the core
# gives the port of a recovered call back to its own range without looking whether it is in there (`switch_core_port_allocator.c`).
RTP_PORTS = 2700
FIRST_RTP = 10800 + WORKER * 2 * RTP_PORTS
_made = itertools.count()

SHIPPED_PHRASES = ROOT / "conf/lang/en/callpark.xml"
SHIPPED_DIALPLAN = ROOT / "conf/dialplan/callpark.xml"


# A line of the module: a phrase, then keys with values. Only a value has digits, colons, quotes or braces.
OF_MODULE = re.compile(r"\[[A-Z]+\] \w+\.rs:\d+ callpark: (.*)$", re.M)
WELL_FORMED = re.compile(r"""[A-Za-z][^=:"{}\d]*?( [a-z_]+=("[^"]*"|[^\s="]+))*…?""")


def malformed_lines(log):
    """The lines of the module in a log that are not a phrase followed by `key=value`."""
    return [text for text in OF_MODULE.findall(log) if not WELL_FORMED.fullmatch(text)]


class Switch:
    """One running FreeSWITCH in a folder of its own, which stays there if `keep` is set when it stops."""

    def __init__(self, module, prefix):
        self.prefix, self.module = prefix, Path(module)
        self.dir = Path(tempfile.mkdtemp(prefix="callpark-live."))
        self.sip_port, self.outside_port, self.esl_port = free_port(), free_port(), free_port()
        for name in ("mod", "conf", "log", "run", "db", "storage", "temp", "sounds", "recordings"):
            (self.dir / name).mkdir()
        for name in [*MODULES, *LATER]:
            source = module_dir(prefix) / f"mod_{name}.so"
            if source.exists():
                (self.dir / "mod" / source.name).symlink_to(source)
        (self.dir / "mod/mod_callpark.so").symlink_to(self.module.resolve())
        self.written, self.process, self.keep = None, None, False
        self.rtp_half = next(_made) % 2
        # A database for the core's own tables, which mod_pgsql reaches; and configurations of more modules.
        self.core_dsn, self.more = "", ""
        # More parameters of both SIP profiles, and of the one that users register with.
        self.profile, self.users_profile = "", ""
        # FreeSWITCH's own configuration has no lamps for the outside.
        self.lamps_outside = True
        # Its own clock moves in steps of 20 ms, or with this of one.
        self.fine_clock = False
        # It measures by the monotonic clock, or by the wall clock.
        self.monotonic = True
        # What the core logs.
        self.log_level = "info"
        # Of the process, beside this one's.
        self.environment = {}

    def configure(self, lots, settings="", phrases=None, extensions=""):
        """Writes the configuration; takes effect at start, or with `reload`. `lots` and `settings` are the insides of the
        elements in callpark.conf.xml, `phrases` the macros (None: the shipped ones), `extensions` more of the context default.
        """
        self.written = (lots, settings, phrases, extensions)
        if phrases is None:
            phrases = SHIPPED_PHRASES.read_text()
        text = (HERE / "conf/freeswitch.xml").read_text()
        postgres = ["pgsql"] if "pgsql://" in settings else []
        modules = "".join(f'<load module="mod_{name}"/>' for name in [*postgres, *MODULES, "callpark"])
        core = f'<param name="core-db-dsn" value="{self.core_dsn}"/>' if self.core_dsn else ""
        first_rtp, rtp_ports = (FIRST_RTP, 2 * RTP_PORTS) if core else (FIRST_RTP + self.rtp_half * RTP_PORTS, RTP_PORTS)
        for name, value in {
            "MODULES": modules, "CORE": core, "MORE": self.more, "LAMPS_OUTSIDE": str(self.lamps_outside).lower(), "FINE_CLOCK": str(self.fine_clock).lower(), "MONOTONIC": str(self.monotonic).lower(),
            "LOG_LEVEL": self.log_level, "LOGGED": "debug," if self.log_level == "debug" else "",
            "FIRST": '<load module="mod_pgsql"/>' if core else "", "SIP_PORT": self.sip_port, "OUTSIDE_PORT": self.outside_port, "ESL_PORT": self.esl_port, "DIR": self.dir,
            "PROFILE": self.profile, "USERS_PROFILE": self.users_profile,
            "SETTINGS": settings, "LOTS": lots, "PHRASES": phrases, "EXTENSIONS": extensions,
            "RTP_FIRST": first_rtp, "RTP_LAST": first_rtp + rtp_ports - 2,
        }.items():
            text = text.replace(f"@{name}@", str(value))
        # FreeSWITCH reads what this writes in one go: a half-written file would be read as a broken one.
        new = self.dir / "conf/freeswitch.xml.new"
        new.write_text(text)
        new.rename(self.dir / "conf/freeswitch.xml")

    def reload(self, lots, *more, **others):
        """Writes the configuration and has it read; the module's answer."""
        self.configure(lots, *more, **others)
        self.api("reloadxml")
        return self.api("callpark reload")

    def start(self):
        program = next(p for p in (self.prefix / "bin/freeswitch", self.prefix / "sbin/freeswitch") if p.exists())
        folders = [word for name in ("conf", "log", "run", "db", "mod", "storage", "temp", "sounds", "recordings")
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
        """As a crash would: nothing is told to anybody."""
        self.process.kill()
        self.process.wait()

    def stop(self):
        """Ends it; the exit status, negative if a signal had to do it."""
        status = None
        if self.process:
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGTERM)
            try:
                # mod_sofia waits for its threads for up to a minute (mod_sofia_shutdown_cleanup); if the clock was stepped, it does for 30 s.
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
        """The UUID of the channel of which `show channels` says so (direction="inbound"): a moment after the channel comes."""
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
        """Channels that the core has not let go of: one whose lock somebody keeps is among them after it hung up."""
        return int(re.search(r"(\d+) session\(s\) - peak", self.api("status")).group(1))

    def threads(self):
        return len(list(Path(f"/proc/{self.process.pid}/task").iterdir()))

    def wait_idle(self, timeout=8):
        """Until no channel is left."""
        return wait_for(lambda: self.channels() == 0, timeout)


def cpu_seconds(pid):
    """Processor time that a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_for(what, timeout=5.0, step=0.05):
    """Asks until the answer is true; the answer."""
    until = time.monotonic() + timeout
    while True:
        answer = what()
        if answer or time.monotonic() > until:
            return answer
        time.sleep(step)


class EventSocket:
    """The inbound event socket: commands and their answers, one at a time."""

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
        """The bodies of plain events as they come, until the socket is closed at either end."""
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
    """Every callpark::info event, in order."""

    def __init__(self, port):
        self.all, self.changed = [], threading.Condition()
        self.socket = EventSocket(port)
        self.socket.command("event plain CUSTOM callpark::info")
        # Other tests may take long with a switch of their own; from here on silence is no fault.
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
        """Listens no longer: where there are too many to keep."""
        self.socket.close()

    def of(self, uuid):
        """The actions for one call, in order."""
        with self.changed:
            return [event["CallPark-Action"] for event in self.all if event.get("Unique-ID") == uuid]

    def wait(self, action, timeout=5.0, **headers):
        """The first event of that action whose headers are as said (CallPark_Slot="701")."""
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
