"""The archive that `make release` makes: what it holds, its installation, and its debug symbols."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from switch import ROOT

MODULE = Path(os.environ.get("CALLPARK_MODULE", ROOT / "target/debug/libmod_callpark.so")).resolve()
DOCTOR = MODULE.parent / "callpark-doctor"


def run(*words, **variables):
    done = subprocess.run(words, env={**os.environ, **variables}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """The archive, unpacked."""
    folder = tmp_path_factory.mktemp("release")
    for program in ("dpkg", "objcopy", "xz"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    # The strongest compression takes half a minute.
    made = run(ROOT / "scripts/release", MODULE=str(MODULE), DOCTOR=str(DOCTOR), CARGO_TARGET_DIR=str(folder), XZ_OPT="-0").strip()
    run("tar", "-xf", made, "-C", folder)
    version = re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.M)[1]
    return folder / f"mod_callpark-{version}-linux-{run('dpkg', '--print-architecture').strip()}"


def test_it_holds_module_doctor_configuration_and_documents(archive):
    files = {str(path.relative_to(archive)) for path in archive.rglob("*") if path.is_file()}
    assert {"mod_callpark.so", ".debug/mod_callpark.so.debug", "callpark-doctor", "install.sh", "THIRD-PARTY.txt", "README.md", "CHANGELOG.md", "SECURITY.md", "LICENSE",
            "docs/install.md", "conf/autoload_configs/callpark.conf.xml", "conf/dialplan/callpark.xml", "conf/lang/de/callpark.xml"} <= files
    assert not [name for name in files if name.endswith((".rs", ".toml"))]
    libraries = (archive / "THIRD-PARTY.txt").read_text().split("\n=== ")
    assert len(libraries) > 50 and not [text for text in libraries[1:] if "opyright" not in text and "Licen" not in text.partition("\n")[2]]
    broken = [link for page in archive.rglob("docs/*.md") for link in re.findall(r"\]\((\.\./[^)#:]+)", page.read_text()) if not (page.parent / link).exists()]
    # Pages for those who work on the source link to it.
    assert {Path(link).parts[1] for link in broken} <= {"ARCHITECTURE.md", "CONTRIBUTING.md", "tests", "src", "freeswitch-headers", "benches"}, broken


def test_it_installs_and_uninstalls(archive, tmp_path):
    """Into a FreeSWITCH in the layout of Debian's packages."""
    conf = tmp_path / "etc/freeswitch"
    (conf / "lang/en").mkdir(parents=True)
    (conf / "freeswitch.xml").write_text('<document type="freeswitch/xml"><section name="configuration"/></document>')
    (tmp_path / "usr/lib/freeswitch/mod").mkdir(parents=True)
    (tmp_path / "usr/lib/freeswitch/mod/mod_dptools.so").touch()
    target = {"DESTDIR": str(tmp_path), "FREESWITCH_PREFIX": "/usr"}
    said = run(archive / "install.sh", **target)
    assert "What remains to be done here:" in said
    installed = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*callpark*") if path.is_file())
    assert installed == ["etc/freeswitch/.mod_callpark.sha256", "etc/freeswitch/autoload_configs/callpark.conf.xml", "etc/freeswitch/lang/en/ivr/callpark.xml",
                         "usr/bin/callpark-doctor", "usr/lib/freeswitch/mod/.debug/mod_callpark.so.debug", "usr/lib/freeswitch/mod/mod_callpark.so"]
    assert "nothing is missing" not in run("sh", "-c", f"{tmp_path}/usr/bin/callpark-doctor --files {conf} || [ $? = 1 ]")
    run(archive / "install.sh", "--remove", **target)
    assert not [path for path in tmp_path.rglob("*callpark*")]


@pytest.mark.parametrize("tool", ["addr2line", "gdb"])
def test_an_address_of_the_stripped_module_has_a_function_and_a_line(archive, tool):
    """By the file with the symbols beside the module, as in a backtrace or a core dump."""
    if shutil.which(tool) is None or shutil.which("nm") is None:
        pytest.skip(f"{tool} is not installed")
    module = archive / "mod_callpark.so"
    assert "no symbols" in subprocess.run(["nm", module], capture_output=True, text=True, check=False).stderr
    symbols = run("nm", "--demangle", archive / ".debug/mod_callpark.so.debug")
    address, function = re.search(r"^([0-9a-f]+) t (mod_callpark::\w+::\w+)", symbols, re.M).groups()
    if tool == "gdb":
        said = run("gdb", "-batch", "-nx", "-ex", f"info symbol 0x{address}", "-ex", f"info line *0x{address}", module)
    else:
        said = run("addr2line", "-f", "-C", "-e", module, address)
    assert function in said and re.search(r"\w+\.rs\"?(:\d+| )|Line \d+ of", said), said
    # The symbols are found by the file beside it alone.
    alone = shutil.copy(module, archive.parent)
    assert ".rs" not in run("addr2line", "-f", "-C", "-e", alone, address)


