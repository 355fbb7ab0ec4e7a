"""Runs hundreds of phones with SIPp, where it is installed."""

import contextlib
import csv
import random
import shutil
import signal
import socket
import subprocess

from switch import HERE, free_port

SIPP = shutil.which("sipp")


class Sipp:
    """One SIPp process with one scenario, on loopback."""

    def __init__(self, switch, name, scenario, *words, media=None):
        self.port, self.folder, self.name = free_port(), switch.dir / f"sipp-{name}", name
        self.folder.mkdir()
        (self.folder / "scenario.xml").write_text(scenario)
        media = media or _free_media_ports()
        with open(self.folder / "out", "wb") as out:
            self.process = subprocess.Popen(
                [SIPP, *map(str, words), "-sf", "scenario.xml", "-i", "127.0.0.1", "-p", str(self.port), "-mp", str(media),
                 "-nostdin", "-trace_stat", "-stf", "stat.csv", "-fd", "1", "-trace_err", "-error_file", "errors", "-buff_size", "4000000",
                 "-max_socket", "60000", "-recv_timeout", "40000"],
                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out)

    def stop(self):
        """Starts no new calls, and lets the process end after the present ones."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGUSR1)

    def end(self, patience=10):
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def counts(self):
        """The number of calls made, of those that succeeded, and of those that failed."""
        with open(self.folder / "stat.csv", newline="") as file:
            rows = list(csv.DictReader(file, delimiter=";"))
        last = rows[-1] if rows else {}
        return {key: int(last.get(name, 0) or 0)
                for key, name in {"calls": "TotalCallCreated", "well": "SuccessfulCall(C)", "failed": "FailedCall(C)"}.items()}


def _free_media_ports():
    """The first of four free ports. SIPp binds them at its start, for audio and video, and ends if one is in use."""
    while True:
        first = free_port() // 2 * 2
        with contextlib.ExitStack() as probes:
            try:
                for port in range(first, first + 4):
                    probes.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)).bind(("127.0.0.1", port))
            except OSError:
                continue
        return first


def phones(switch, name, number, patience, rate, most=None, slots=None, ptime=20, at_once=3000):
    """Runs phones that dial `number`, `rate` per second and at most `at_once` at a time. `patience` maps the seconds that a phone stays in
    its call to the share of phones that do so. With `slots`, each phone dials a random one of them. The phones send back the audio that
    they receive, except with `slots`: two connected phones would otherwise send each other the same packets without end."""
    labels = [str(10 + n) for n in range(len(patience))]
    waits = ""
    rest = 1.0
    for label, (_, share) in list(zip(labels, patience.items()))[1:]:
        waits += f'  <nop next="{label}" chance="{share / rest:.4f}"/>\n'
        rest -= share
    for label, seconds in zip(labels, patience):
        waits += f'  <label id="{label}"/>\n  <recv request="BYE" timeout="{int(seconds * 1000)}" ontimeout="91" next="93"/>\n'
    words = [f"127.0.0.1:{switch.outside_port}", "-r", rate, "-l", at_once]
    if most:
        words += ["-m", most]
    if slots:
        (switch.dir / "slots.csv").write_text("RANDOM\n" + "".join(f"{slot}\n" for slot in random.sample(slots, len(slots))))
        words += ["-inf", switch.dir / "slots.csv"]
    else:
        words += ["-rtp_echo"]
    text = (HERE / "conf/sipp/phone.xml").read_text()
    return Sipp(switch, name, text.replace("@NUMBER@", "[field0]" if slots else number).replace("@PATIENCE@", waits).replace("@PTIME@", str(ptime)), *words)


def reception(switch):
    """Runs a phone that answers all calls and transfers each blindly to the park extension."""
    return Sipp(switch, "reception", (HERE / "conf/sipp/reception.xml").read_text())
