"""A fresh Debian 12 in a folder, with the FreeSWITCH of this machine in the places of FreeSWITCH's own packages."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/live"))
from stock import stock_configuration  # noqa: E402
from switch import module_dir, wait_for  # noqa: E402

FOLDERS = {"-conf": "/etc/freeswitch", "-mod": "/usr/lib/freeswitch/mod", "-log": "/var/log/freeswitch", "-run": "/run/freeswitch", "-db": "/var/lib/freeswitch/db",
           "-certs": "/var/lib/freeswitch/certs", "-storage": "/var/lib/freeswitch/storage", "-temp": "/tmp", "-sounds": "/usr/share/freeswitch/sounds", "-recordings": "/var/lib/freeswitch/recordings"}
PACKAGE = "freeswitch-mod-callpark"
PASSWORD = "4321"


class Debian:
    """One system. Its FreeSWITCH has the usual ports, in the network namespace of the tests."""

    sip_port, outside_port = 5060, 5080

    def __init__(self, folder):
        self.root, self.process = Path(folder) / "root", None
        subprocess.run(["cp", "-a", os.environ["BASE"], self.root], check=True)
        subprocess.run(["mount", "--bind", "/proc", self.root / "proc"], check=True)

    def close(self):
        if self.process:
            self.stop()
        subprocess.run(["umount", self.root / "proc"], check=False)

    def run(self, *words, status=0):
        done = subprocess.run(["chroot", self.root, *words], capture_output=True, text=True, check=False,
                              env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"})
        assert status is None or done.returncode == status, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def install(self, package):
        shutil.copy(package, self.root / "tmp/package.deb")
        return self.run("dpkg", "-i", "/tmp/package.deb")

    def path(self, name):
        return self.root / name.lstrip("/")

    def put_freeswitch(self, prefix, configuration="/etc/freeswitch"):
        """Copies the programs, the libraries, the modules and the stock configuration of a FreeSWITCH."""
        modules = self.path("/usr/lib/freeswitch/mod")
        modules.mkdir(parents=True, exist_ok=True)
        binaries = [prefix / "bin/freeswitch", prefix / "bin/fs_cli", *(module for module in module_dir(prefix).glob("mod_*.so") if module.name != "mod_callpark.so")]
        libraries = subprocess.run(["ldd", *binaries], capture_output=True, text=True, check=False).stdout
        for library in set(re.findall(r"=> (/\S+)", libraries)):
            if not self.path(f"/usr/lib/x86_64-linux-gnu/{Path(library).name}").exists():
                shutil.copy(library, self.path("/usr/lib"))
        for binary in binaries:
            shutil.copy(binary, modules if binary.suffix == ".so" else self.path("/usr/bin"))
        shutil.copytree(stock_configuration(prefix), self.path(configuration))
        self.run("useradd", "--system", "--home", "/var/lib/freeswitch", "freeswitch")
        for folder in FOLDERS.values():
            self.path(folder).mkdir(parents=True, exist_ok=True)
            if folder.startswith(("/var", "/run")):
                self.run("chown", "-R", "freeswitch:freeswitch", folder)

    def edit(self, name, expression, text):
        file = self.path("/etc/freeswitch") / name
        file.write_text(re.sub(expression, lambda _: text, file.read_text()))

    def start(self):
        words = [word for pair in FOLDERS.items() for word in pair]
        self.process = subprocess.Popen(["chroot", self.root, "/usr/bin/freeswitch", "-u", "freeswitch", "-nonat", "-nc", "-nf", *words],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        assert wait_for(lambda: self.api("sofia status").count("RUNNING") >= 2, 60), self.path("/var/log/freeswitch/freeswitch.log").read_text()[-3000:]

    def stop(self):
        self.process.terminate()
        self.process.wait(75)
        self.process = None

    def api(self, command):
        return self.run("fs_cli", "-H", "127.0.0.1", "-x", command, status=None).strip()

    def maps(self):
        return Path(f"/proc/{self.process.pid}/maps").read_text()

    def files(self):
        """All files of the module, but those that FreeSWITCH wrote."""
        found = self.run("find", "/etc", "/usr", "(", "-name", "*callpark*", ")", "-not", "-type", "d")
        return sorted(found.split())


@pytest.fixture
def debian(tmp_path):
    system = Debian(tmp_path)
    try:
        yield system
    finally:
        system.close()
        time.sleep(0.1)
