"""The Debian package in a fresh Debian 12: `scripts/test-deb` runs this."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import PACKAGE, PASSWORD, ROOT
from phone import DOMAIN, Phone
from switch import wait_for

FIRST, SECOND = os.environ.get("FIRST", ""), os.environ.get("SECOND", "")
PREFIX = Path(os.environ.get("FREESWITCH_PREFIX", "/usr/local/freeswitch"))


def only_loopback(debian):
    """Ports and addresses for a machine with the loopback interface alone; a password, without which each call is delayed."""
    for name, value in {"domain": DOMAIN, "default_password": PASSWORD, "external_rtp_ip": "127.0.0.1", "external_sip_ip": "127.0.0.1"}.items():
        debian.edit("vars.xml", rf'cmd="[a-z-]+" data="{name}=[^"]*"', f'cmd="set" data="{name}={value}"')
    debian.edit("autoload_configs/event_socket.conf.xml", 'value="::"', 'value="127.0.0.1"')
    for profile in ("internal", "external"):
        debian.edit(f"sip_profiles/{profile}.xml", r"\$\$\{local_ip_v4\}", "127.0.0.1")
        debian.path(f"/etc/freeswitch/sip_profiles/{profile}-ipv6.xml").unlink()


def park(debian, phones):
    """1001 transfers a caller to 700."""
    made = [Phone(debian, user, password=PASSWORD, says=says).register() for user, says in (("1001", 700), ("1003", 600))]
    phones += made
    made[0].on_ring = 0.1
    caller = made[1].call("1001")
    call = made[0].wait_call()
    assert call.answered.wait(10) and caller.audio.hears(700, within=10)
    call.refer("700")
    assert wait_for(lambda: "701" in debian.api("callpark list"), 5), debian.api("callpark list")
    return caller


def retrieve(debian, phones, caller):
    taker = Phone(debian, "1002", password=PASSWORD, says=900).register()
    phones.append(taker)
    assert taker.call("701").audio.hears(600, within=10) and caller.audio.hears(900)
    caller.hang_up()
    assert wait_for(lambda: debian.api("show channels count").startswith("0 total"), 10)


def test_the_package_as_such():
    """Its fields, conffiles and scripts; and nothing for which lintian would reject it."""
    field = lambda name: subprocess.run(["dpkg-deb", "-f", FIRST, name], capture_output=True, text=True, check=True).stdout.strip()  # noqa: E731
    assert "libc6" in field("Depends") and "freeswitch" not in field("Depends") and "freeswitch (>= 1.10)" in field("Recommends")
    conffiles = subprocess.run(["dpkg-deb", "-I", FIRST, "conffiles"], capture_output=True, text=True, check=True).stdout.split()
    assert conffiles == ["/etc/freeswitch/autoload_configs/callpark.conf.xml"]
    size = int(subprocess.run(f"dpkg-deb --fsys-tarfile {FIRST} | tar -tv ./usr/lib/freeswitch/mod/mod_callpark.so", shell=True, capture_output=True, text=True, check=True).stdout.split()[2])
    assert size < 10_000_000, "without its debug symbols"
    postinst = (ROOT / f"debian/{PACKAGE}.postinst").read_text()
    commands = [line for line in postinst.splitlines() if not line.lstrip().startswith(("#", "echo"))]
    assert not re.search(r"fs_cli|systemctl|invoke-rc|service ", "\n".join(commands)), "FreeSWITCH is left alone"


def test_lintian_finds_neither_errors_nor_warnings():
    """Before: there was no manual page, no year in the copyright file, and a maintainer at localhost."""
    if shutil.which("lintian") is None:
        pytest.skip("lintian is not installed")
    symbols = FIRST.replace(f"{PACKAGE}_", f"{PACKAGE}-dbgsym_")
    said = subprocess.run(["lintian", "--allow-root", "--tag-display-limit", "0", FIRST, symbols], capture_output=True, text=True, check=False)
    assert said.returncode == 0 and not re.search(r"^[EW]: ", said.stdout, re.M), said.stdout + said.stderr


def test_install_park_upgrade_remove_and_purge(debian):
    phones = []
    debian.put_freeswitch(PREFIX)
    only_loopback(debian)
    said = debian.install(FIRST)
    assert "What remains to be done here:" in said and '<param name="dialplan" value="callpark,XML"/>' in said
    assert debian.path("/etc/freeswitch/lang/en/ivr/callpark.xml").exists()
    debian.edit("autoload_configs/modules.conf.xml", "mod_valet_parking", "mod_callpark")
    debian.edit("sip_profiles/internal.xml", '<param name="dialplan" value="XML"/>', '<param name="dialplan" value="callpark,XML"/>')
    for profile in ("internal", "external"):
        debian.edit(f"sip_profiles/{profile}.xml", "<settings>", '<settings><param name="track-calls" value="true"/>')
    debian.start()
    assert debian.run("callpark-doctor").endswith("nothing is missing, in conflict or at fault\n")
    caller = park(debian, phones)

    # Upgrade with a parked call: the old module stays, and the configuration that was changed.
    debian.edit("autoload_configs/callpark.conf.xml", "701-720", "701-719")
    said = debian.install(SECOND)
    assert "FreeSWITCH goes on with the module that it has loaded" in said
    assert "mod_callpark.so (deleted)" in debian.maps() and "701" in debian.api("callpark list")
    assert "701-719" in debian.path("/etc/freeswitch/autoload_configs/callpark.conf.xml").read_text()
    assert "Module in use" in debian.api("reload mod_callpark")
    retrieve(debian, phones, caller)
    assert "has been replaced" in debian.run("callpark-doctor", status=1)
    debian.stop()
    debian.start()
    assert re.search(r"mod_callpark.so$", debian.maps(), re.M) and "(deleted)" not in debian.maps()
    assert debian.run("callpark-doctor").endswith("nothing is missing, in conflict or at fault\n")

    # Removed under a running FreeSWITCH, which goes on with what it has loaded.
    caller = park(debian, phones)
    debian.run("dpkg", "-r", PACKAGE)
    assert debian.files() == ["/etc/freeswitch/autoload_configs/callpark.conf.xml"]
    retrieve(debian, phones, caller)
    debian.run("dpkg", "-P", PACKAGE)
    assert debian.files() == []
    for phone in phones:
        phone.close()


def test_before_freeswitch(debian):
    """FreeSWITCH's package copies its stock configuration only if there is no /etc/freeswitch, and this package makes that folder."""
    said = debian.install(FIRST)
    assert "What remains" not in said
    package = debian.root / "tmp/freeswitch"
    (package / "usr/share/freeswitch/conf").mkdir(parents=True)
    (package / "DEBIAN").mkdir()
    (package / "DEBIAN/control").write_text("Package: freeswitch\nVersion: 1.10.12\nArchitecture: all\nMaintainer: test <root@localhost>\nDescription: stand-in\n")
    script = "#!/bin/sh\n[ -d /etc/freeswitch ] || cp -a /usr/share/freeswitch/conf/vanilla /etc/freeswitch\n"
    (package / "DEBIAN/postinst").write_text(script)
    (package / "DEBIAN/postinst").chmod(0o755)
    debian.put_freeswitch(PREFIX, "/tmp/freeswitch/usr/share/freeswitch/conf/vanilla")
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", package, debian.root / "tmp/freeswitch.deb"], check=True, capture_output=True)
    debian.run("dpkg", "-i", "/tmp/freeswitch.deb")
    assert debian.path("/etc/freeswitch/freeswitch.xml").exists() and debian.path("/etc/freeswitch/lang/en/ivr/callpark.xml").exists()


def test_a_freeswitch_that_was_built_from_source(debian):
    """The package names the command that installs the module there."""
    prefix = debian.path("/usr/local/freeswitch")
    (prefix / "bin").mkdir(parents=True)
    (prefix / "bin/freeswitch").write_text("#!/bin/sh\n")
    (prefix / "bin/freeswitch").chmod(0o755)
    (prefix / "mod").mkdir()
    (prefix / "mod/mod_dptools.so").touch()
    from stock import stock_configuration
    subprocess.run(["cp", "-a", stock_configuration(PREFIX), prefix / "conf"], check=True)
    said = debian.install(FIRST)
    command = re.search(r"^ +(FREESWITCH_PREFIX=/usr/local/freeswitch .*)$", said, re.M)
    assert command, said
    said = debian.run("sh", "-c", command[1])
    assert (prefix / "mod/mod_callpark.so").exists() and (prefix / "conf/autoload_configs/callpark.conf.xml").exists()
    assert "/usr/local/freeswitch/conf/sip_profiles/internal.xml, line" in said


def test_on_the_layout_of_fusionpbx(debian):
    """Its phrases are in `languages`."""
    conf = debian.path("/etc/freeswitch")
    (conf / "languages/en/ivr").mkdir(parents=True)
    (conf / "freeswitch.xml").write_text('<document type="freeswitch/xml"><section name="configuration"/></document>')
    debian.install(FIRST)
    assert debian.path("/etc/freeswitch/languages/en/ivr/callpark.xml").exists()
    debian.run("dpkg", "-P", PACKAGE)
    assert debian.files() == []
