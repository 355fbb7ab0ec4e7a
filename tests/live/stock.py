"""A FreeSWITCH with its stock configuration, into which the module is installed by scripts/install."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from phone import DOMAIN
from switch import ROOT, Switch, module_dir

# Variables of vars.xml: ports and addresses of this FreeSWITCH alone, and a password, without which each call is delayed.
VARIABLES = {"domain": "domain", "default_password": "4321", "internal_sip_port": "sip_port", "external_sip_port": "outside_port",
             "external_rtp_ip": "127.0.0.1", "external_sip_ip": "127.0.0.1"}
PASSWORD = VARIABLES["default_password"]


def stock_configuration(prefix):
    """The folder of the configuration that was installed with a FreeSWITCH."""
    return next(place for place in [prefix / "conf", prefix / "etc/freeswitch", Path("/etc/freeswitch")] if (place / "freeswitch.xml").exists())


class StockSwitch(Switch):
    """`root` stands for the root of the system: the stock configuration is below it, at its usual place, and the module is installed there."""

    def __init__(self, module, prefix, domain=DOMAIN):
        super().__init__(module, prefix)
        # The domain of the users. FreeSWITCH's own configuration has the address of the machine.
        self.domain = domain
        self.root = self.dir / "root"
        source = stock_configuration(prefix)
        self.conf = self.root / source.relative_to("/")
        shutil.copytree(source, self.conf)
        self.doctor_program = Path(module).parent / "callpark-doctor"
        (self.dir / "mod/mod_callpark.so").unlink()
        shutil.rmtree(self.dir / "conf")
        (self.dir / "conf").symlink_to(self.conf)
        for name in ("modules", "sounds"):
            (self.dir / name).mkdir(exist_ok=True)
        for installed in module_dir(prefix).glob("mod_*.so"):
            if installed.name != "mod_callpark.so" and not (self.dir / "mod" / installed.name).exists():
                (self.dir / "mod" / installed.name).symlink_to(installed)
        for name, value in VARIABLES.items():
            value = getattr(self, value, value)
            self.edit("vars.xml", rf'cmd="[a-z-]+" data="{name}=[^"]*"', f'cmd="set" data="{name}={value}"')
        self.edit("autoload_configs/event_socket.conf.xml", r'"8021"', f'"{self.esl_port}"')
        self.edit("autoload_configs/event_socket.conf.xml", r'value="::"', 'value="127.0.0.1"')
        # The profiles for IPv6 have the same ports, and tests may run where there is no IPv6.
        for profile in self.conf.glob("sip_profiles/*ipv6.xml"):
            profile.unlink()
        for profile in ("internal", "external"):
            self.edit(f"sip_profiles/{profile}.xml", r"\$\$\{local_ip_v4\}", "127.0.0.1")

    def edit(self, name, expression, text):
        file = self.conf / name
        file.write_text(re.sub(expression, lambda _: text, file.read_text()))

    def environment_of_install(self, **more):
        return {**os.environ, "DESTDIR": str(self.root), "FREESWITCH_PREFIX": str(self.prefix), **more}

    def install(self, *words, **more):
        """Runs scripts/install, and returns what it printed."""
        words = words or [str(self.module.resolve()), str(self.doctor_program.resolve())]
        done = subprocess.run([ROOT / "scripts/install", *words], env=self.environment_of_install(**more), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        installed = next(iter(self.root.rglob("mod_callpark.so")), None)
        loaded = self.dir / "mod/mod_callpark.so"
        loaded.unlink(missing_ok=True)
        if installed:
            loaded.symlink_to(installed)
        return done.stdout

    def doctor(self):
        """Runs the doctor on the running FreeSWITCH. Returns its exit status and what it printed."""
        fs_cli = f"'{self.prefix}/bin/fs_cli' -H \"127.0.0.1\" -P {self.esl_port}"
        done = subprocess.run([self.doctor_program, "--fs-cli", fs_cli], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr


def follow(text):
    """Does what the doctor says with files, as a person would: replaces, removes and adds the lines that it names."""
    done = 0
    for place in re.finditer(r"  in (\S+), line (\d+), (?:replace\n +(.*)\n  by\n +(.*)|remove:\n +(.*))", text):
        file, number, old, new, removed = place.groups()
        lines = Path(file).read_text().splitlines()
        assert lines[int(number) - 1].strip() == (old or removed), (place.group(), lines[int(number) - 1])
        lines[int(number) - 1] = new or ""
        Path(file).write_text("\n".join(lines) + "\n")
        done += 1
    for place in re.finditer(r"  in (\S+), add to (<\w+>):\n +(.*)", text):
        file, inside, line = place.groups()
        before, tag, after = Path(file).read_text().partition(inside)
        assert tag, place.group()
        Path(file).write_text(f"{before}{tag}\n    {line}{after}")
        done += 1
    return done
