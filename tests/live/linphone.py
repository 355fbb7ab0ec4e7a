"""Controls a user agent of another project: Linphone's console program, with files in place of a sound card. Only one can run on a
machine at a time, because the name of its command socket is made from the number of the operating system's user."""

import os
import shutil
import signal
import subprocess
import tempfile
import wave
from pathlib import Path

from audio import _DECODED, tone
from phone import DOMAIN
from switch import wait_for

INSTALLED = shutil.which("linphonecsh") is not None
CONFIG = """[sip]
sip_port=-1
sip_tcp_port=0
sip_tls_port=0
media_encryption=none
use_ipv6=0
[rtp]
audio_rtp_port=-1
[net]
auto_net_state_mon=0
"""


def _command_line(process):
    try:
        return (process / "cmdline").read_bytes()
    except OSError:  # the process has ended
        return b""


class Linphone:
    """The registered Linphone of one user. It answers calls automatically and can send a tone of `says` Hz."""

    def __init__(self, switch, user, says):
        self.dir = Path(tempfile.mkdtemp(prefix="callpark-linphone."))
        (self.dir / ".local/share/linphone").mkdir(parents=True)
        (self.dir / "rc").write_text(CONFIG)
        with wave.open(str(self.dir / "speech.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8000)
            file.writeframes(b"".join(_DECODED[byte].to_bytes(2, "little", signed=True) for byte in tone(says, 60)))
        self._shell("init", "-c", str(self.dir / "rc"), "-a")
        assert wait_for(lambda: "Commands" in self.tell("help"), 10, 0.3)
        self.tell("soundcard use files")
        self.host = f"127.0.0.1:{switch.sip_port}"
        self.tell(f"register sip:{user}@{DOMAIN} sip:{self.host} {user}")
        assert wait_for(lambda: self.registered().startswith("registered,"), 15, 0.3), self.registered()

    def _shell(self, *words):
        environment = {**os.environ, "HOME": str(self.dir)}
        ran = subprocess.run(["linphonecsh", *words], capture_output=True, text=True, env=environment, cwd=self.dir,
                             timeout=20, check=False)
        return ran.stdout

    def _processes(self):
        """The processes that were started with this folder."""
        return [int(process.name) for process in Path("/proc").glob("[0-9]*") if str(self.dir).encode() in _command_line(process)]

    def registered(self):
        return self._shell("status", "register")

    def tell(self, command):
        return self._shell("generic", command)

    def call(self, number):
        """Calls a number at the server's address, because the domain is in no DNS."""
        self.tell(f"call sip:{number}@{self.host}")

    def speak(self):
        self.tell(f"play {self.dir}/speech.wav")

    def close(self):
        self._shell("exit")
        # It does not always exit when it is told to.
        if not wait_for(lambda: not self._processes(), 3, 0.2):
            for process in self._processes():
                os.kill(process, signal.SIGKILL)
        shutil.rmtree(self.dir, ignore_errors=True)
