"""A FreeSWITCH with FusionPBX's own configuration, scripts, dialplan and database, from a clone of its repository that the environment variable FUSIONPBX names."""

import os
import re
import shutil
import subprocess
import uuid
from pathlib import Path

from phone import DOMAIN
from served import INBOUND, OUTSIDE, TENANT, ServedSwitch
from switch import HERE, MODULES, Switch, module_dir

PROFILES = "app/switch/resources/conf/sip_profiles"
DIALPLAN = "app/dialplans/resources/switch/conf/dialplan"
LOOPBACK = {"sip-ip": "127.0.0.1", "rtp-ip": "127.0.0.1", "ext-sip-ip": "127.0.0.1", "ext-rtp-ip": "127.0.0.1"}
# Callers from outside are not in a list of providers here, so they are let in without a password.
OVER = {"internal": LOOPBACK, "external": {**LOOPBACK, "auth-calls": "false"}}
UNUSED = re.compile(r"tls.*|wss?-binding|apply-.*-acl|force-register-.*|.*ipv6.*|hold-music|odbc-dsn")


def checkout(to, *folders):
    """Writes folders of FusionPBX below a folder."""
    archive = subprocess.run(["git", "-C", os.environ["FUSIONPBX"], "archive", "HEAD", *folders], capture_output=True, check=True)
    to.mkdir(exist_ok=True)
    subprocess.run(["tar", "-x", "-C", to], input=archive.stdout, check=True)


def extensions(folder):
    """The extensions of the dialplan that FusionPBX installs: name, context, order and XML of each. It leaves out what is not enabled."""
    text = "".join(re.sub(r"<!--.*?-->", "", file.read_text(), flags=re.S) for file in sorted((folder / DIALPLAN).glob("*.xml")))
    text = re.sub(r'<action [^>]*enabled="false"[^>]*/>', "", text)
    for one in re.findall(r"<extension .*?</extension>", text, re.S):
        tag = dict(re.findall(r'([\w-]+)="([^"]*)"', one.split(">")[0]))
        if tag.get("enabled") != "false" and "order" in tag:
            yield tag["name"], tag["context"], int(tag["order"]), one


class FusionPbxSwitch(ServedSwitch):
    """`root` stands for the root of the system. The module is not installed, and mod_valet_parking is in its place."""

    def __init__(self, module, prefix, database):
        Switch.__init__(self, module, prefix)
        self.database, self.cache = database, self.dir / "cache"
        self.root, self.doctor_program = self.dir / "root", Path(module).parent / "callpark-doctor"
        self.conf = self.root / "etc/freeswitch"
        source, modules = self.dir / "fusionpbx", self.root / "usr/lib/freeswitch/mod"
        checkout(source, "app", "core")
        shutil.copytree(source / "app/switch/resources/conf", self.conf)
        shutil.copytree(source / "app/switch/resources/scripts", self.dir / "scripts", dirs_exist_ok=True)
        (self.dir / "conf").rmdir()
        (self.dir / "conf").symlink_to(self.conf)
        (self.dir / "mod/mod_callpark.so").unlink()
        for folder in (self.cache, modules):
            folder.mkdir(parents=True)
        (modules / "mod_dptools.so").touch()
        for installed in module_dir(prefix).glob("mod_*.so"):
            if installed.name != "mod_callpark.so" and not (self.dir / "mod" / installed.name).exists():
                (self.dir / "mod" / installed.name).symlink_to(installed)
        self._configure()
        self._fill(source)

    def _configure(self):
        """Ports and folders of this FreeSWITCH alone."""
        loads = "".join(f'<load module="mod_{name}"/>' for name in [*MODULES, "db", "expr"])
        self.write("autoload_configs/modules.conf.xml", loads)
        self.write_modules("mod_lua", "mod_valet_parking")
        self.write("autoload_configs/pre_load_modules.conf.xml", '<configuration name="pre_load_modules.conf"><modules><load module="mod_pgsql"/></modules></configuration>')
        self.edit("autoload_configs/event_socket.conf.xml", r'"8021"', f'"{self.esl_port}"')
        self.edit("autoload_configs/event_socket.conf.xml", r'name="listen-ip" value="[^"]*"', 'name="listen-ip" value="127.0.0.1"')
        self.edit("autoload_configs/switch.conf.xml", "<settings>", '<settings><param name="rtp-start-port" value="21000"/><param name="rtp-end-port" value="22000"/>')
        # The script looks for its settings below this variable if they are not in /etc.
        self.environment = {"SystemDrive": str(self.dir)}
        place = self.dir / "ProgramData/fusionpbx"
        place.mkdir(parents=True)
        folders = {name: self.dir / name for name in ("sounds", "db", "recordings", "storage", "scripts")}
        (place / "config.conf").write_text("\n".join([
            "database.0.type = pgsql", "database.0.host = 127.0.0.1", f"database.0.port = {self.database.port}", "database.0.name = postgres",
            "database.0.username = postgres", "database.0.password = none", "database.1.type = sqlite", f"database.1.path = {self.dir}/db", "database.1.name = core.db",
            f"switch.conf.dir = {self.conf}", f"switch.sounds.dir = {folders['sounds']}", f"switch.database.dir = {folders['db']}",
            f"switch.recordings.dir = {folders['recordings']}", f"switch.storage.dir = {folders['storage']}", f"switch.voicemail.dir = {folders['storage']}",
            f"switch.scripts.dir = {folders['scripts']}", f"switch.event_socket.port = {self.esl_port}", f"temp.dir = {self.dir}/temp",
            "cache.method = file", f"cache.location = {self.cache}", "cache.settings = true"]) + "\n")

    def _fill(self, source):
        """One tenant with four users; SIP profiles and dialplan as FusionPBX installs them; and the extensions of the tests."""
        self.sql(subprocess.run(["php", HERE / "fusionpbx_schema.php", source], capture_output=True, text=True, check=True).stdout)
        tenant = self.insert("domains", name=DOMAIN, enabled="true")
        for profile, over in OVER.items():
            text = re.sub(r"<!--.*?-->", "", (source / PROFILES / f"{profile}.xml.noload").read_text(), flags=re.S)
            of = self.insert("sip_profiles", name=profile, enabled="true")
            self.insert("sip_profile_domains", of_profile=of, name="all", alias="false", parse="false")
            settings = {name: value for name, value, enabled in re.findall(r'<param name="([^"]+)" value="([^"]*)"(?: enabled="(\w+)")?\s*/>', text) if enabled != "false"}
            port = self.sip_port if profile == "internal" else self.outside_port
            for name, value in {**settings, **over, "sip-port": port}.items():
                if not UNUSED.fullmatch(name):
                    self.insert("sip_profile_settings", of_profile=of, name=name, value=value, enabled="true")
        for user in ("1000", "1001", "1002", "1003"):
            self.sql(f"INSERT INTO v_extensions (extension_uuid, domain_uuid, extension, password, user_context, enabled, directory_visible, directory_exten_visible, call_timeout) "
                     f"VALUES ('{uuid.uuid4()}', '{tenant}', '{user}', '{user}', '{DOMAIN}', true, true, true, 30);")
        for name, context, order, xml in extensions(source):
            # The caller goes to the orbit after 3 s instead of 15 minutes.
            self.insert("dialplans", name=name, context=context, order=order, enabled="true", xml=xml.replace("valet_parking_timeout=900", "valet_parking_timeout=3"))
        outside = re.search(r'<extension name="to the outside">.*?</extension>', TENANT, re.S)[0]
        self.insert("dialplans", name="to the outside", context=DOMAIN, order=30, enabled="true", xml=outside)
        # The tenant's numbers for calls from outside, each of which has an extension.
        self.sql("INSERT INTO v_default_settings (default_setting_uuid, default_setting_category, default_setting_subcategory, default_setting_name, default_setting_value, "
                 f"default_setting_enabled) VALUES ('{uuid.uuid4()}', 'destinations', 'dialplan_mode', 'text', 'single', true);")
        inbound = INBOUND.replace("<action", f'<action application="set" data="domain_uuid={tenant}" inline="true"/><action', 1)
        for number, xml in (("1001", inbound), ("5551000", OUTSIDE)):
            of = self.insert("dialplans", name=number, context="public", order=100, enabled="true", xml=xml)
            self.sql(f"UPDATE v_dialplans SET domain_uuid = '{tenant}' WHERE dialplan_uuid = '{of}';"
                     f"INSERT INTO v_destinations (destination_uuid, domain_uuid, dialplan_uuid, destination_number, destination_enabled) "
                     f"VALUES ('{uuid.uuid4()}', '{tenant}', '{of}', '{number}', true);")

    def sql(self, text):
        subprocess.run(self.database.psql("-q", "-v", "ON_ERROR_STOP=1"), input=text, text=True, check=True, capture_output=True)

    def insert(self, table, of_profile=None, **values):
        """Inserts a row, whose columns are named after the table. Returns its UUID."""
        one, row = table[:-1], str(uuid.uuid4())
        columns = {f"{one}_uuid": row, **({"sip_profile_uuid": of_profile} if of_profile else {}), **{f"{one}_{name}": value for name, value in values.items()}}
        texts = ", ".join("'" + str(value).replace("'", "''") + "'" for value in columns.values())
        self.sql(f"INSERT INTO v_{table} ({', '.join(columns)}) VALUES ({texts});")
        return row

    def set_in_profiles(self, name, value, *profiles):
        names = ", ".join(f"'{profile}'" for profile in profiles)
        self.sql(f"UPDATE v_sip_profile_settings SET sip_profile_setting_value = '{value}' WHERE sip_profile_setting_name = '{name}' "
                 f"AND sip_profile_uuid IN (SELECT sip_profile_uuid FROM v_sip_profiles WHERE sip_profile_name IN ({names}));")
        for file in self.cache.iterdir():
            file.unlink()
