"""A FreeSWITCH whose SIP profiles, dialplan and users are served by a script in mod_lua, in the layout of FusionPBX: the configuration is in
/etc/freeswitch with `languages`, and the script needs the parameters that FusionPBX's needs."""

import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

from phone import DOMAIN
from stock import StockSwitch
from switch import Switch

SCRIPT = """
local function read(name)
  local file = io.open("@SCRIPTS@/served/" .. name .. ".xml")
  if file then XML_STRING = file:read("*a"); file:close() end
end
local function asked(name) return params and params:getHeader(name) end
if argv[1] == "xml_handler" then
  local section, key = XML_REQUEST["section"], XML_REQUEST["key_value"]
  if section == "configuration" then
    read(key)
  elseif section == "directory" then
    -- Who asks for a domain gets the names of all domains.
    read(asked("Event-Calling-Function") == "switch_xml_locate_domain" and "domains" or "directory")
  elseif section == "dialplan" then
    -- What calls from outside may dial is looked up one number at a time.
    local context = asked("Hunt-Context") or asked("Caller-Context")
    read(context == "public" and "public-" .. asked("Caller-Destination-Number") or "dialplan")
  else
    -- Without these parameters it fails.
    assert(XML_STRING == nil, "languages:" .. asked("lang") .. ":" .. asked("macro_name"))
  end
end
"""
# FreeSWITCH reads a line with X-PRE-PROCESS, or with <include>, as that alone.
FREESWITCH = """<?xml version="1.0"?>
<document type="freeswitch/xml">
  <X-PRE-PROCESS cmd="include" data="vars.xml"/>
  <section name="configuration">
    <X-PRE-PROCESS cmd="include" data="autoload_configs/*.xml"/>
  </section>
  <section name="dialplan">
    <X-PRE-PROCESS cmd="include" data="dialplan/*.xml"/>
  </section>
  <section name="directory">
    <X-PRE-PROCESS cmd="include" data="directory/*.xml"/>
  </section>
  <section name="languages">
    <X-PRE-PROCESS cmd="include" data="languages/en/*.xml"/>
  </section>
</document>"""
ENGLISH = """<include>
<language name="en" say-module="en" sound-prefix="@DIR@/sounds"><phrases><macros>
  <X-PRE-PROCESS cmd="include" data="ivr/*.xml"/>
</macros></phrases></language>
</include>"""
LUA = """<configuration name="lua.conf"><settings>
  <param name="xml-handler-script" value="app.lua xml_handler"/>
  <param name="xml-handler-bindings" value="configuration,dialplan,directory,languages"/>
</settings></configuration>"""
# The extensions of a tenant, in the order and with the conditions of FusionPBX: whether the number is a user is found first, and used last.
TENANT = """
<extension name="user exists" continue="true"><condition>
  <action application="set" data="user_exists=${user_exists id ${destination_number} ${domain_name}}" inline="true"/>
</condition></extension>
<extension name="referrer" continue="true"><condition field="${sip_h_Referred-By}" expression="sip:(.*)@">
  <action application="set" data="referred_by_user=$1" inline="true"/>
</condition></extension>
<extension name="park"><condition field="destination_number" expression="^(?:park\\+)?(\\*59\\d\\d)$">
  <action application="set" data="valet_parking_timeout=3"/>
  <action application="set" data="valet_parking_orbit_exten=${referred_by_user}"/>
  <action application="valet_park" data="park@${domain_name} $1"/>
</condition></extension>
<extension name="to the outside"><condition field="destination_number" expression="^outside-(.*)$">
  <action application="set" data="callpark_timeout=1"/>
  <action application="set" data="callpark_ringback=none"/>
  <action application="set" data="callpark_fallback=$1 XML public"/>
  <action application="callpark_park" data="auto"/>
</condition></extension>
<extension name="local extension" continue="true">
  <condition field="${user_exists}" expression="true"><action application="export" data="dialed_extension=${destination_number}" inline="true"/></condition>
  <condition><action application="bridge" data="user/${destination_number}@${domain_name}"/></condition>
</extension>
"""
INBOUND = f"""<extension name="inbound"><condition field="destination_number" expression="^(1001)$">
  <action application="set" data="domain_name={DOMAIN}" inline="true"/>
  <action application="transfer" data="$1 XML {DOMAIN}"/>
</condition></extension>"""
OUTSIDE = """<extension name="tone"><condition field="destination_number" expression="^5551000$">
  <action application="answer"/><action application="playback" data="tone_stream://%(60000,0,1300)"/>
</condition></extension>"""


def document(section, inside):
    return f'<document type="freeswitch/xml"><section name="{section}">{inside}</section></document>'


class ServedSwitch(StockSwitch):
    """`root` stands for the root of the system. The module is not installed, and mod_valet_parking is in its place."""

    def __init__(self, module, prefix):
        Switch.__init__(self, module, prefix)
        self.root = self.dir / "root"
        self.conf, self.served = self.root / "etc/freeswitch", self.dir / "scripts/served"
        self.doctor_program = Path(module).parent / "callpark-doctor"
        modules = self.root / "usr/lib/freeswitch/mod"
        for folder in (self.conf / "autoload_configs", self.conf / "languages/en/ivr", self.conf / "dialplan", self.conf / "directory", self.served, modules):
            folder.mkdir(parents=True)
        (modules / "mod_dptools.so").touch()
        self.configure("")
        shutil.move(self.dir / "conf/freeswitch.xml", self.dir / "whole.xml")
        (self.dir / "conf").rmdir()
        (self.dir / "conf").symlink_to(self.conf)
        (self.dir / "mod/mod_callpark.so").unlink()
        self._divide(ElementTree.parse(self.dir / "whole.xml").getroot())
        self.write("freeswitch.xml", FREESWITCH)
        for section in ("dialplan", "directory"):
            self.write(f"{section}/empty.xml", "<include>\n</include>")
        self.write("vars.xml", f'<include>\n<X-PRE-PROCESS cmd="set" data="domain={DOMAIN}"/>\n<X-PRE-PROCESS cmd="set" data="default_language=en"/>\n</include>')
        self.write("languages/en/en.xml", ENGLISH.replace("@DIR@", str(self.dir)))
        self.write("autoload_configs/lua.conf.xml", LUA)
        (self.dir / "scripts/app.lua").write_text(SCRIPT.replace("@SCRIPTS@", str(self.dir / "scripts")))
        self.serve("domains", document("directory", f'<domain name="{DOMAIN}"/>'))
        self.serve("dialplan", document("dialplan", f'<context name="{DOMAIN}">{TENANT}</context>'))
        for number, extension in (("1001", INBOUND), ("5551000", OUTSIDE)):
            self.serve(f"public-{number}", document("dialplan", f'<context name="public">{extension}</context>'))

    def _divide(self, root):
        """Writes the sections of the usual configuration to where FusionPBX has them."""
        for configuration in root.find("section[@name='configuration']"):
            text, name = ElementTree.tostring(configuration, "unicode"), configuration.get("name")
            if name == "sofia.conf":
                text = text.replace('<param name="context" value="default" />', '<param name="context" value="public" />')
                text = text.replace('"track-calls" value="true"', '"track-calls" value="false"')
                self.serve(name, document("configuration", text))
            elif name != "callpark.conf":
                self.write(f"autoload_configs/{name}.xml", text)
        self.write_modules("mod_lua", "mod_valet_parking")
        users = "".join(ElementTree.tostring(domain, "unicode") for domain in root.find("section[@name='directory']") if domain.get("name") == DOMAIN)
        context = f'<variables><variable name="user_context" value="{DOMAIN}"/></variables>'
        self.serve("directory", document("directory", re.sub(r"(<domain [^>]*>)", rf"\1{context}", users)))

    def write(self, name, text):
        (self.conf / name).write_text(text)

    def serve(self, name, text):
        (self.served / f"{name}.xml").write_text(text)

    def set_in_profiles(self, name, value, *profiles):
        """Changes a setting of SIP profiles, as a page of FusionPBX does."""
        file = self.served / "sofia.conf.xml"
        root = ElementTree.parse(file).getroot()
        for profile in profiles:
            root.find(f".//profile[@name='{profile}']//param[@name='{name}']").set("value", value)
        file.write_text(ElementTree.tostring(root, "unicode"))

    def write_modules(self, *more):
        """Writes the list of modules, as a page of FusionPBX does."""
        file = self.conf / "autoload_configs/modules.conf.xml"
        names = [name for name in re.findall(r'module="(\w+)"', file.read_text()) if name not in ("mod_lua", "mod_valet_parking", "mod_callpark")]
        loads = "".join(f'\n\t\t<load module="{name}"/>' for name in [more[0], *names, *more[1:]])
        file.write_text(f'<configuration name="modules.conf" description="Modules">\n\t<modules>{loads}\n\t</modules>\n</configuration>')

    def environment_of_install(self, **more):
        return super().environment_of_install(FREESWITCH_PREFIX="/usr", **more)
