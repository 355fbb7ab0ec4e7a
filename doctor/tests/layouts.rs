//! `scripts/install` and the doctor on each layout of FreeSWITCH, with configurations in the shape of FreeSWITCH's own and of FusionPBX.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs};

use tempfile::TempDir;

const DOCTOR: &str = env!("CARGO_BIN_EXE_callpark-doctor");
/// What the doctor says when all is well.
const WELL: &str = "nothing is missing, in conflict or at fault\n";

/// An installed FreeSWITCH below a folder that stands for the root of the system.
struct System {
    root: TempDir,
    prefix: &'static str,
    conf: &'static str,
    modules: &'static str,
}

const MODULES: &str = r#"<configuration name="modules.conf"><modules>
    <load module="mod_sofia"/>
    <!-- <load module="mod_callpark"/> -->
    <load module="mod_valet_parking"/>
  </modules></configuration>"#;
const PROFILE: &str = r#"<profile name="internal"><settings>
    <param name="auth-calls" value="$${internal_auth_calls}"/>
    <!-- <param name="dialplan" value="callpark,XML"/> -->
    <param name="dialplan" value="XML"/>
  </settings></profile>"#;
const DOCUMENT: &str = r#"<?xml version="1.0"?>
<document type="freeswitch/xml">
  <X-PRE-PROCESS cmd="include" data="vars.xml"/>
  <section name="configuration"><X-PRE-PROCESS cmd="include" data="autoload_configs/*.xml"/></section>
  <section name="dialplan"><X-PRE-PROCESS cmd="include" data="dialplan/*.xml"/></section>
  <section name="directory"/>
  <section name="languages"><X-PRE-PROCESS cmd="include" data="LANG/en/*.xml"/><X-PRE-PROCESS cmd="include" data="LANG/es/*.xml"/></section>
</document>"#;
const ENGLISH: &str = r#"<include><language name="en"><phrases><macros>
  <X-PRE-PROCESS cmd="include" data="demo/*.xml"/> <X-PRE-PROCESS cmd="include" data="vm/sounds.xml"/>
  <X-PRE-PROCESS cmd="include" data="ivr/*.xml"/>
</macros></phrases></language></include>"#;
const SPANISH: &str = r#"<include><language name="es"><phrases><macros>
  <X-PRE-PROCESS cmd="include" data="demo/*-es-ES.xml"/>
</macros></phrases></language></include>"#;
const DIALPLAN: &str = r#"<include><context name="default">
  <extension name="fifo"><condition field="destination_number" expression="park\+(\d+)"><action application="fifo" data="$1 in"/></condition></extension>
  <X-PRE-PROCESS cmd="include" data="default/*.xml"/>
</context></include>"#;

impl System {
    fn new(prefix: &'static str, conf: &'static str, modules: &'static str, languages: &str) -> System {
        let system = System { root: tempfile::tempdir().unwrap(), prefix, conf, modules };
        system.write("freeswitch.xml", &DOCUMENT.replace("LANG", languages));
        system.write("vars.xml", r#"<include><X-PRE-PROCESS cmd="set" data="internal_auth_calls=true"/></include>"#);
        system.write("autoload_configs/modules.conf.xml", MODULES);
        let sofia = r#"<configuration name="sofia.conf"><profiles><X-PRE-PROCESS cmd="include" data="../sip_profiles/*.xml"/></profiles></configuration>"#;
        system.write("autoload_configs/sofia.conf.xml", sofia);
        system.write("sip_profiles/internal.xml", PROFILE);
        system.write("dialplan/default.xml", DIALPLAN);
        system.write(&format!("{languages}/en/en.xml"), ENGLISH);
        system.write(&format!("{languages}/es/es_ES.xml"), SPANISH);
        fs::create_dir_all(system.at(modules)).unwrap();
        fs::write(system.at(modules).join("mod_dptools.so"), "").unwrap();
        system
    }

    fn vanilla() -> System {
        System::new("/usr/local/freeswitch", "/usr/local/freeswitch/conf", "/usr/local/freeswitch/mod", "lang")
    }

    fn debian() -> System {
        System::new("/usr", "/etc/freeswitch", "/usr/lib/freeswitch/mod", "lang")
    }

    fn fusionpbx() -> System {
        let system = System::new("/usr", "/etc/freeswitch", "/usr/lib/freeswitch/mod", "languages");
        let lua = r#"<configuration name="lua.conf"><settings><param name="xml-handler-script" value="app.lua xml_handler"/><param name="xml-handler-bindings" value="configuration,dialplan,directory,languages"/></settings></configuration>"#;
        system.write("autoload_configs/lua.conf.xml", lua);
        // Its profiles and its dialplan are in a database.
        for file in ["sip_profiles/internal.xml", "dialplan/default.xml"] {
            fs::remove_file(system.conf(file)).unwrap();
        }
        system
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.path().join(path.trim_start_matches('/'))
    }

    fn conf(&self, file: &str) -> PathBuf {
        self.at(self.conf).join(file)
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.conf(file)).unwrap()
    }

    fn write(&self, file: &str, text: &str) {
        fs::create_dir_all(self.conf(file).parent().unwrap()).unwrap();
        fs::write(self.conf(file), text).unwrap();
    }

    fn edit(&self, file: &str, old: &str, new: &str) {
        assert!(self.read(file).contains(old), "{file} has {old}");
        self.write(file, &self.read(file).replace(old, new));
    }

    fn script(&self, arguments: &[&str], variables: &[(&str, &str)]) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/install");
        let mut command = Command::new(script);
        let path = format!("{}:{}", self.without_pkg_config().display(), env::var("PATH").unwrap());
        command
            .args(arguments)
            .env("DESTDIR", self.root.path())
            .env("FREESWITCH_PREFIX", self.prefix)
            .env("PATH", path);
        let output = command.envs(variables.iter().copied()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// A folder with a pkg-config that knows nothing, because that of this machine tells where a FreeSWITCH with this prefix has its files here.
    fn without_pkg_config(&self) -> PathBuf {
        let folder = self.root.path().join("without-pkg-config");
        fs::create_dir_all(&folder).unwrap();
        let program = folder.join("pkg-config");
        fs::write(&program, "#!/bin/sh\nexit 1\n").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        folder
    }

    /// Installs a program in place of the module, because only its format matters here.
    fn install(&self) -> String {
        self.script(&[DOCTOR, DOCTOR], &[])
    }

    fn remove(&self) -> String {
        self.script(&["--remove"], &[])
    }

    /// The answer of the doctor for these files, and whether all is well.
    fn doctor(&self) -> (bool, String) {
        answer(Command::new(DOCTOR).arg("--files").arg(self.at(self.conf)).output().unwrap())
    }

    /// All files of the module, without the list of installed files.
    fn files(&self) -> Vec<String> {
        let find =
            Command::new("find").arg(self.root.path()).args(["-type", "f", "-name", "*callpark*"]).output().unwrap();
        let root = self.root.path().display().to_string();
        let mut files: Vec<String> =
            String::from_utf8(find.stdout).unwrap().lines().map(|line| line.replace(&root, "")).collect();
        files.retain(|file| !file.ends_with(".sha256"));
        files.sort();
        files
    }
}

fn answer(output: Output) -> (bool, String) {
    assert!(output.status.code().is_some_and(|code| code < 2), "{}", String::from_utf8_lossy(&output.stderr));
    (output.status.success(), String::from_utf8(output.stdout).unwrap())
}

/// Before: the folders came from the pkg-config file alone, phrases went into `lang/en/ivr` in any case, and the dialplan was always installed.
#[test]
fn each_layout_gets_what_belongs_there() {
    let line = r#"<load module="mod_callpark"/>"#;
    for (system, languages, bin, remains) in [
        (System::vanilla(), "lang", "/usr/local/freeswitch/bin", line),
        (System::debian(), "lang", "/usr/bin", line),
        (System::fusionpbx(), "languages", "/usr/bin", "Advanced, Modules, disable Valet Parking and enable Callpark"),
    ] {
        let said = system.install();
        let mut expected = vec![
            format!("{}/autoload_configs/callpark.conf.xml", system.conf),
            format!("{}/{languages}/en/ivr/callpark.xml", system.conf),
            format!("{}/mod_callpark.so", system.modules),
            format!("{}/.debug/mod_callpark.so.debug", system.modules),
            format!("{bin}/callpark-doctor"),
        ];
        // The phrases of other languages, where FreeSWITCH has the language, with the name that its file includes.
        if Path::new(env!("CARGO_MANIFEST_DIR")).join("../conf/lang/es").exists() {
            expected.push(format!("{}/{languages}/es/demo/callpark-es-ES.xml", system.conf));
        }
        expected.sort();
        assert_eq!(system.files(), expected);
        assert!(said.contains(remains), "{said}");
        let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(system.at(system.modules).join("mod_callpark.so")), 0o755);
        assert_eq!(mode(system.conf("autoload_configs/callpark.conf.xml")), mode(system.conf("freeswitch.xml")));
    }
}

#[test]
fn install_ends_with_the_lines_that_remain_and_the_doctor_is_content_with_them() {
    let system = System::vanilla();
    let said = system.install();
    let (_, remaining) = said.split_once("What remains to be done here:\n").unwrap();
    let (well, text) = system.doctor();
    assert!(!well && remaining.starts_with(&text), "one list of what is needed: {said}");
    assert!(text.contains("modules.conf.xml, line 4, replace\n      <load module=\"mod_valet_parking\"/>\n  by\n      <load module=\"mod_callpark\"/>"), "{text}");
    assert!(text.contains("internal.xml, line 4, replace\n      <param name=\"dialplan\" value=\"XML\"/>\n  by\n      <param name=\"dialplan\" value=\"callpark,XML\"/>"), "{text}");
    assert!(
        text.contains("internal.xml, add to <settings>:\n      <param name=\"track-calls\" value=\"true\"/>"),
        "{text}"
    );
    assert_eq!(text.matches("missing: ").count(), 3, "{text}");

    system.edit("autoload_configs/modules.conf.xml", "mod_valet_parking", "mod_callpark");
    system.edit(
        "sip_profiles/internal.xml",
        r#"<param name="dialplan" value="XML"/>"#,
        r#"<param name="dialplan" value="callpark,XML"/><param name="track-calls" value="true"/>"#,
    );
    assert!(system.doctor().0 && system.doctor().1.ends_with(WELL));
    assert!(system.install().contains(WELL));
}

/// Before: for a language that freeswitch.xml leaves out, the doctor named an include in the file of the language, which FreeSWITCH does not read.
#[test]
fn the_include_that_a_language_lacks_is_named() {
    let system = System::vanilla();
    let left_out = r#"<X-NO-PRE-PROCESS cmd="include" data="lang/sv/*.xml"/>"#;
    let read = r#"<X-PRE-PROCESS cmd="include" data="lang/de/*.xml"/>"#;
    system.edit(
        "freeswitch.xml",
        "</section>\n</document>",
        &format!("\n    {left_out}\n    {read}</section>\n</document>"),
    );
    system.write("lang/sv/sv.xml", &ENGLISH.replace("\"en\"", "\"sv\""));
    let german = ENGLISH.replace("\"en\"", "\"de\"").replace("*.xml", "own.xml");
    system.write("lang/de/de.xml", &german);
    system.install();

    let speaks = |language: &str| {
        let set = format!(r#"<include><X-PRE-PROCESS cmd="set" data="default_language={language}"/></include>"#);
        system.write("vars.xml", &set);
        system.doctor().1
    };
    let said = speaks("sv");
    assert!(said.contains("missing: freeswitch.xml does not include the language sv"), "{said}");
    assert!(
        said.contains(&format!(
            "freeswitch.xml, line 8, replace\n      {left_out}\n  by\n      {}",
            left_out.replace("-NO", "")
        )),
        "{said}"
    );
    system.edit("freeswitch.xml", left_out, &left_out.replace("-NO", ""));
    assert!(!speaks("sv").contains("language"));

    let said = speaks("de");
    let include = r#"<X-PRE-PROCESS cmd="include" data="ivr/callpark.xml"/>"#;
    assert!(said.contains("de.xml does not include ivr/callpark.xml"), "{said}");
    assert!(said.contains(&format!("de.xml, add to <macros>:\n      {include}")), "{said}");
    system.write("lang/de/de.xml", &german.replace("<macros>", &format!("<macros>\n{include}")));
    assert!(!speaks("de").contains("language"));
    assert!(speaks("xx").contains("FreeSWITCH has no language xx"));
}

/// Before: the line of modules.conf.xml was named, which FusionPBX's page writes over.
#[test]
fn on_fusionpbx_one_page_remains_and_the_dialplan_is_an_advice() {
    let system = System::fusionpbx();
    let said = system.install();
    assert!(!said.contains("modules.conf.xml, line"), "{said}");
    assert!(said.contains("note: ") && said.contains("Advanced, SIP Profiles, internal"), "{said}");
    let modules = "autoload_configs/modules.conf.xml";
    system.edit(modules, "mod_valet_parking", "mod_callpark");
    assert!(system.doctor().0);
    system.edit(modules, "<modules>", r#"<modules><load module="mod_valet_parking"/>"#);
    assert!(system.doctor().1.contains("Advanced, Modules, disable Valet Parking;"), "{}", system.doctor().1);
}

#[test]
fn profiles_that_a_web_server_serves_are_not_looked_for_in_files() {
    let system = System::debian();
    system.install();
    let curl = r#"<configuration name="xml_curl.conf"><bindings><binding name="all"><param name="gateway-url" value="http://localhost/" bindings="dialplan|configuration"/></binding></bindings></configuration>"#;
    system.write("autoload_configs/xml_curl.conf.xml", curl);
    let (_, text) = system.doctor();
    assert!(
        text.contains("in the program that serves the SIP profile internal, set dialplan to callpark,XML"),
        "{text}"
    );
    assert!(
        text.contains("modules.conf.xml, line 4, replace") && !text.contains("sip_profiles/internal.xml"),
        "{text}"
    );
}

#[test]
fn what_exists_is_kept_and_phrases_that_nobody_changed_are_renewed() {
    let system = System::debian();
    system.install();
    system.edit("autoload_configs/callpark.conf.xml", "701-720", "801-820");
    system.edit("lang/en/ivr/callpark.xml", "100,660", "800,660");
    let said = system.install();
    assert_eq!(said.matches("kept:").count(), 2, "{said}");
    assert!(system.read("autoload_configs/callpark.conf.xml").contains("801-820"));
    assert!(system.read("lang/en/ivr/callpark.xml").contains("800,660"));

    // As an earlier version installed them: the recorded checksum is that of the file.
    let system = System::debian();
    system.install();
    let sum = |text: &str| {
        let script = format!("printf %s '{text}' | sha256sum | cut -d ' ' -f 1");
        let output = Command::new("sh").args(["-c", &script]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let list: Vec<String> = system
        .read(".mod_callpark.sha256")
        .lines()
        .map(|line| {
            let renewed = line.ends_with("callpark.xml") || line.ends_with("callpark.conf.xml");
            if renewed { format!("{}{}", sum("earlier"), &line[64..]) } else { line.to_owned() }
        })
        .collect();
    system.write(".mod_callpark.sha256", &(list.join("\n") + "\n"));
    for file in ["lang/en/ivr/callpark.xml", "autoload_configs/callpark.conf.xml"] {
        system.write(file, "earlier");
    }
    system.script(&[DOCTOR, DOCTOR], &[("FS_CLI", "false")]);
    assert!(system.read("lang/en/ivr/callpark.xml").contains("callpark_announce_slot"));
    assert_eq!(system.read("autoload_configs/callpark.conf.xml"), "earlier", "the configuration is never overwritten");
}

#[test]
fn uninstall_removes_what_was_installed_unless_it_was_changed() {
    let system = System::vanilla();
    let before = system.files();
    system.script(&[DOCTOR, DOCTOR], &[("XML_DIALPLAN", "yes")]);
    assert!(system.conf("dialplan/default/00_callpark.xml").exists());
    system.remove();
    assert_eq!(system.files(), before);

    system.script(&[DOCTOR, DOCTOR], &[("XML_DIALPLAN", "yes")]);
    system.edit("dialplan/default/00_callpark.xml", "*5", "*7");
    let said = system.remove();
    assert!(said.contains("kept, because it was changed"), "{said}");
    assert_eq!(system.files(), ["/usr/local/freeswitch/conf/dialplan/default/00_callpark.xml"]);
    assert!(!system.conf(".mod_callpark.sha256").exists());
}

#[test]
fn an_installation_without_a_list_is_removed_too() {
    let system = System::vanilla();
    system.script(&[DOCTOR, DOCTOR], &[("XML_DIALPLAN", "yes")]);
    fs::remove_file(system.conf(".mod_callpark.sha256")).unwrap();
    fs::remove_file(system.at("/usr/local/freeswitch/bin/callpark-doctor")).unwrap();
    fs::remove_dir_all(system.at("/usr/local/freeswitch/mod/.debug")).unwrap();
    system.remove();
    assert_eq!(system.files(), Vec::<String>::new());
}

#[test]
fn extensions_of_the_xml_dialplan_must_come_before_those_that_take_their_numbers() {
    let system = System::vanilla();
    system.script(&[DOCTOR, DOCTOR], &[("XML_DIALPLAN", "yes")]);
    let (well, text) = system.doctor();
    assert!(!well && text.contains("in the context default, the extension fifo takes park+701 before"), "{text}");
    assert!(!text.contains("does not ask the dialplan callpark"), "one of the two ways is enough: {text}");
    let include = r#"<X-PRE-PROCESS cmd="include" data="default/*.xml"/>"#;
    system.edit("dialplan/default.xml", include, "");
    system.edit("dialplan/default.xml", r#"<context name="default">"#, &format!("<context name=\"default\">{include}"));
    assert!(!system.doctor().1.contains("takes park+701"));
}

#[test]
fn conflicts_are_named() {
    let system = System::vanilla();
    system.install();
    let has = |what: &str| {
        let (well, text) = system.doctor();
        assert!(!well && text.contains(what), "{what}: {text}");
    };
    system.edit("autoload_configs/modules.conf.xml", "<modules>", r#"<modules><load module="mod_callpark"/>"#);
    has("conflict: FreeSWITCH loads mod_valet_parking at its start");
    system.edit("sip_profiles/internal.xml", "\"XML\"", "\"XML,callpark\"");
    has("conflict: the SIP profile internal asks the XML dialplan before callpark");
    system.edit(
        "sip_profiles/internal.xml",
        "\"XML,callpark\"",
        r#""callpark,XML"/><param name="presence-proto-lookup" value="true""#,
    );
    system.write("autoload_configs/presence_map.conf.xml", "<configuration name=\"presence_map.conf\"><domains><domain name=\"*\">\n<exten regex=\"1\\d\" proto=\"conf\"/></domain></domains></configuration>");
    has("conflict: the presence map gives lamps on 710 to conf, by the expression 1\\d");
    has(
        "line 2, replace\n      <exten regex=\"1\\d\" proto=\"conf\"/></domain></domains></configuration>\n  by\n      <exten regex=\"^(?:1\\d)$\" proto=\"conf\"/>",
    );
    let number = "<extension name=\"pressed\"><condition><action application=\"bind_digit_action\" data=\"c,*5,exec:callpark_park,auto,self,self\"/></condition></extension>";
    system.edit("dialplan/default.xml", "</context>", &format!("{number}</context>"));
    if !system.read("autoload_configs/callpark.conf.xml").contains("name=\"feature-code\"") {
        system.edit(
            "autoload_configs/callpark.conf.xml",
            "<settings>",
            r#"<settings><param name="feature-code" value="*5"/>"#,
        );
    }
    has(
        "conflict: feature-code in callpark.conf.xml and the extension pressed of the context default bind the same keys",
    );
    system.edit(
        "autoload_configs/callpark.conf.xml",
        "<settings>",
        r#"<settings><param name="db-dsn" value="pgsql://host=db"/>"#,
    );
    has("pre_load_modules.conf.xml, add to <modules>:\n      <load module=\"mod_pgsql\"/>");
}

#[test]
fn the_manual_page_has_each_option() {
    let help = Command::new(DOCTOR).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let page = include_str!("../../debian/callpark-doctor.1").replace("\\-", "-");
    let options: Vec<&str> = help.split(['[', ']', ' ', '\n']).filter(|word| word.starts_with("--")).collect();
    assert!(options.contains(&"--files"), "{help}");
    for option in options {
        assert!(page.contains(option), "{option} is not in the manual page");
    }
}

/// A stand-in for fs_cli, which answers from files.
fn fs_cli(folder: &Path, answers: &[(&str, &str)]) -> String {
    let program = folder.join("fs_cli");
    fs::write(&program, format!("#!/bin/sh\ncat \"{}/$(echo \"$2\" | tr ' /' '__')\"\n", folder.display())).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    for (command, answer) in answers {
        fs::write(folder.join(command.replace([' ', '/'], "_")), answer).unwrap();
    }
    program.display().to_string()
}

#[test]
fn a_running_freeswitch_is_asked_for_its_state() {
    let folder = tempfile::tempdir().unwrap();
    let conf = folder.path().display().to_string();
    let document = r#"<document><section name="configuration">
        <configuration name="modules.conf"><modules><load module="mod_callpark"/></modules></configuration>
        <configuration name="callpark.conf"><lots><lot><param name="slots" value="701"/></lot></lots></configuration></section></document>"#;
    let sofia = r#"<configuration name="sofia.conf"><profile name="internal"><settings><param name="dialplan" value="callpark,XML"/><param name="track-calls" value="true"/></settings></profile></configuration>"#;
    let status = "slot store       does not answer\ndashboard        does not run, and is tried again: port in use\nconfiguration    callpark.conf.xml has 1 error, not in force\n                 line 3: slots \"x\"\n";
    let command = fs_cli(
        folder.path(),
        &[
            ("xml_locate root", document),
            ("xml_locate configuration configuration name sofia.conf", sofia),
            ("global_getvar conf_dir", &conf),
            ("global_getvar sounds_dir", "-ERR no reply"),
            ("global_getvar default_language", "-ERR no reply"),
            ("module_exists mod_callpark", "true"),
            ("module_exists mod_valet_parking", "true"),
            ("module_exists mod_pgsql", "false"),
            ("module_exists mod_sofia", "true"),
            ("sofia status profile internal", "Name internal\nDialplan         \tXML\n"),
            ("callpark status", status),
            ("show registrations", "reg_user,realm,token\n701,example.com,x\n1001,example.com,y\n\n2 total."),
        ],
    );
    let (well, text) = answer(Command::new(DOCTOR).args(["--fs-cli", &command]).output().unwrap());
    assert!(!well);
    for said in [
        "conflict: mod_valet_parking is loaded",
        "fault: the SIP profile internal runs with the dialplan XML",
        "fault: the database cannot be written",
        "fault: the dashboard does not run, and is tried again: port in use",
        "fault: callpark.conf.xml has 1 error, not in force",
        "conflict: the numbers 701 are slots and users",
        "      line 3: slots \"x\"",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    assert!(text.contains(&format!("{command} -x 'sofia profile internal rescan'")), "{text}");
}

#[test]
fn a_freeswitch_that_does_not_answer_is_told_apart_from_a_fault() {
    let output = Command::new(DOCTOR).args(["--fs-cli", "false"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("does not reach FreeSWITCH"));
    let output = Command::new(DOCTOR).arg("--unknown").output().unwrap();
    assert!(
        output.status.code() == Some(2) && String::from_utf8_lossy(&output.stderr).contains("usage: callpark-doctor")
    );
}

/// Before: the profile for IPv6 was left out, so a phone that registered there had no parking numbers and nobody was told.
#[test]
fn each_profile_of_phones_is_asked_for_the_dialplan_and_no_other() {
    let system = System::vanilla();
    let ipv6 = PROFILE.replace("\"internal\"", "\"internal-ipv6\"");
    system.write("sip_profiles/internal-ipv6.xml", &ipv6);
    // FusionPBX's profile for trunks authenticates, and the context of each profile is `public`.
    system.write("sip_profiles/external.xml", &PROFILE.replace("\"internal\"", "\"external\""));
    let no_phones = r#"<param name="disable-register" value="true"/><param"#;
    let trunks = PROFILE.replace("\"internal\"", "\"trunks\"").replacen("<param", no_phones, 1);
    system.write("sip_profiles/trunks.xml", &trunks);
    let said = system.install();
    let asked = |text: &str| {
        let lines = text.lines().filter_map(|line| line.strip_prefix("missing: the SIP profile "));
        let names = lines.filter_map(|line| {
            line.strip_suffix(" does not ask the dialplan callpark, so the numbers of the lots have no route")
        });
        names.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(asked(&said), ["internal-ipv6", "internal"]);
    for profile in ["internal", "internal-ipv6", "external", "trunks"] {
        assert!(said.contains(&format!("callers of the SIP profile {profile} are lost")), "{said}");
    }
    // One profile that has it does not excuse another.
    system.edit("sip_profiles/internal.xml", r#"value="XML""#, r#"value="callpark,XML""#);
    assert_eq!(asked(&system.doctor().1), ["internal-ipv6"]);
    system.edit("sip_profiles/internal-ipv6.xml", r#"value="XML""#, r#"value="callpark,XML""#);
    assert_eq!(asked(&system.doctor().1), Vec::<String>::new());
}

/// What a FreeSWITCH answers in which all is well.
fn well(conf: &str) -> Vec<(&'static str, String)> {
    let document = r#"<document><section name="configuration">
        <configuration name="modules.conf"><modules><load module="mod_callpark"/></modules></configuration>
        <configuration name="callpark.conf"><lots><lot name="main"><param name="slots" value="701"/></lot></lots></configuration></section>
        <section name="languages"><language name="en">MACROS</language></section></document>"#;
    let macros: Vec<&str> = include_str!("../../conf/lang/en/callpark.xml").split("<macro name=").skip(1).collect();
    let macros: String =
        macros.iter().map(|text| format!("<macro name={}/>", text.split('>').next().unwrap_or_default())).collect();
    let profile = |name: &str| {
        let settings = r#"<settings><param name="auth-calls" value="true"/><param name="dialplan" value="callpark,XML"/><param name="track-calls" value="true"/></settings>"#;
        format!(r#"<profile name="{name}">{settings}</profile>"#)
    };
    // The profile for IPv6 does not run, because the computer has no such address.
    let ipv6 = profile("internal-ipv6").replace("callpark,", "");
    let sofia = format!(r#"<configuration name="sofia.conf">{}{ipv6}</configuration>"#, profile("internal"));
    vec![
        ("xml_locate root", document.replace("MACROS", &macros)),
        ("xml_locate configuration configuration name sofia.conf", sofia),
        ("global_getvar conf_dir", conf.into()),
        ("global_getvar default_language", "-ERR no reply".into()),
        ("global_getvar sounds_dir", "-ERR no reply".into()),
        ("module_exists mod_callpark", "true".into()),
        ("module_exists mod_valet_parking", "false".into()),
        ("module_exists mod_pgsql", "false".into()),
        ("module_exists mod_sofia", "true".into()),
        ("sofia status profile internal", "Name internal\nDialplan         \tcallpark,XML\n".into()),
        ("sofia status profile internal-ipv6", "Invalid Profile!".into()),
        ("callpark status", "slot store       answers\nconfiguration    as in callpark.conf.xml\n".into()),
        ("show registrations", "0 total.".into()),
    ]
}

/// The status and the answer of the doctor for a running FreeSWITCH that is well except for these answers.
fn asked(folder: &Path, other: &[(&str, &str)]) -> (bool, String) {
    let well = well(&folder.display().to_string());
    let answers: Vec<(&str, &str)> = well.iter().map(|(command, answer)| (*command, answer.as_str())).collect();
    let command = fs_cli(folder, &[&answers, other].concat());
    answer(Command::new(DOCTOR).args(["--fs-cli", &command]).output().unwrap())
}

/// Before: the doctor was content with a FreeSWITCH that no phone could reach.
#[test]
fn a_freeswitch_without_sip_is_at_fault() {
    let folder = tempfile::tempdir().unwrap();
    let (all_is_well, text) = asked(folder.path(), &[]);
    assert!(all_is_well, "{text}");
    let (all_is_well, text) = asked(folder.path(), &[("sofia status profile internal", "Invalid Profile!")]);
    assert!(!all_is_well && text.contains("fault: no SIP profile runs"), "{text}");
    assert!(text.contains("-x 'sofia profile internal start'"), "{text}");
    let (all_is_well, text) = asked(
        folder.path(),
        &[("module_exists mod_sofia", "false"), ("sofia status profile internal", "-ERR sofia Command not found!")],
    );
    assert!(!all_is_well && text.contains("fault: mod_sofia is not loaded"), "{text}");
    assert!(text.contains("-x 'load mod_sofia'"), "{text}");
}

/// Before: `cannot run fs_cli: No such file or directory`, for the last line that `make install` prints.
#[test]
fn the_doctor_finds_fs_cli_beside_itself_and_then_in_the_path() {
    let [bin, elsewhere] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let doctor = bin.path().join("callpark-doctor");
    fs::copy(DOCTOR, &doctor).unwrap();
    let path = format!("{}:/usr/bin:/bin", elsewhere.path().display());
    let ask = || {
        let output = Command::new(&doctor).env("PATH", &path).output().unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code(), text)
    };
    let command = |folder: &Path, state: &str| {
        let well = well(&folder.display().to_string());
        let mut answers: Vec<(&str, &str)> = well.iter().map(|(command, answer)| (*command, answer.as_str())).collect();
        answers.push(("module_exists mod_callpark", state));
        fs_cli(folder, &answers)
    };
    let (code, text) = ask();
    assert!(code == Some(2) && text.contains("cannot run fs_cli"), "{text}");
    command(elsewhere.path(), "true");
    assert_eq!(ask().0, Some(0), "{}", ask().1);
    let beside = command(bin.path(), "false");
    let (code, text) = ask();
    assert!(code == Some(1) && text.contains(&format!("{beside} -x 'load mod_callpark'")), "{text}");
}

/// Before: the last step told to remove lines that were not there, and did not mention mod_valet_parking.
#[test]
fn uninstall_names_what_still_refers_to_the_module() {
    let (load, valet) = (r#"<load module="mod_callpark"/>"#, r#"<load module="mod_valet_parking"/>"#);
    let modules = "autoload_configs/modules.conf.xml";
    let system = System::vanilla();
    system.install();
    assert!(!system.remove().contains("Remove ") && !system.remove().contains("mod_valet_parking"));
    system.install();
    system.edit(modules, valet, load);
    system.edit("sip_profiles/internal.xml", r#""XML""#, r#""callpark,XML""#);
    let said = system.remove();
    assert!(said.contains(&format!("Remove {load} from {}", system.conf(modules).display())), "{said}");
    let profile = system.conf("sip_profiles/internal.xml");
    assert!(said.contains(&format!("Remove callpark from the dialplan in {}", profile.display())), "{said}");
    assert!(said.contains(&format!("put {valet} back into")), "{said}");

    let system = System::fusionpbx();
    system.install();
    system.edit(modules, valet, load);
    let said = system.remove();
    assert!(said.contains("Advanced, Modules, disable Callpark") && said.contains("enable Valet Parking"), "{said}");
    assert!(!said.contains("modules.conf.xml"), "{said}");
}

/// Before: the line of modules.conf.xml was named, because no script served anything.
#[test]
fn on_fusionpbx_a_page_is_named_for_the_modules_also_if_files_serve_the_profiles() {
    let system = System::fusionpbx();
    fs::remove_file(system.conf("autoload_configs/lua.conf.xml")).unwrap();
    system.write("sip_profiles/internal.xml", PROFILE);
    let said = system.install();
    assert!(said.contains("Advanced, Modules, disable Valet Parking and enable Callpark"), "{said}");
    assert!(said.contains("internal.xml, line 4, replace") && !said.contains("modules.conf.xml, line"), "{said}");
}

/// Before: `make install` built everything before it said that there is no FreeSWITCH, and did not accept the folders without the program.
#[test]
fn a_computer_without_the_program_freeswitch_is_served_if_its_folders_exist() {
    // A copy of the repository that finds no FreeSWITCH, whatever this computer has.
    let [repository, root] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let original = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap();
    let at = |name: &str| repository.path().join(name);
    for name in ["conf", "Makefile"] {
        std::os::unix::fs::symlink(original.join(name), at(name)).unwrap();
    }
    fs::create_dir(at("scripts")).unwrap();
    for name in ["install", "layout.sh", "split-debug"] {
        fs::copy(original.join("scripts").join(name), at("scripts").join(name)).unwrap();
    }
    for (name, text) in [("scripts/find-freeswitch", "#!/bin/sh\n"), ("cargo", "#!/bin/sh\ntouch built\n")] {
        fs::write(at(name), text).unwrap();
        fs::set_permissions(at(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let run = |program: &str, words: &[&str], variables: &[(&str, &str)]| {
        let mut command = Command::new(program);
        command.args(words).current_dir(repository.path()).env("DESTDIR", root.path()).env("FREESWITCH_PREFIX", "");
        let output = command.env("CARGO", at("cargo")).envs(variables.iter().copied()).output().unwrap();
        (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    let (done, said) = run("make", &["install"], &[]);
    assert!(!done && said.contains("no FreeSWITCH found") && !at("built").exists(), "{said}");

    for folder in ["etc/freeswitch", "usr/lib/freeswitch/mod"] {
        fs::create_dir_all(root.path().join(folder)).unwrap();
    }
    let install = at("scripts/install").display().to_string();
    let (done, said) = run(&install, &[DOCTOR, DOCTOR], &[]);
    assert!(done && root.path().join("usr/lib/freeswitch/mod/mod_callpark.so").exists(), "{said}");
    assert!(root.path().join("etc/freeswitch/autoload_configs/callpark.conf.xml").exists());

    // Each folder can be named, also that of the programs, which the last line names below DESTDIR.
    fs::create_dir_all(root.path().join("c")).unwrap();
    fs::write(root.path().join("c/freeswitch.xml"), "<document/>").unwrap();
    let folders = [("FREESWITCH_CONF", "/c"), ("FREESWITCH_MODULES", "/m"), ("FREESWITCH_BIN", "/b")];
    let (done, said) = run(&install, &[DOCTOR, DOCTOR], &folders);
    let doctor = root.path().join("b/callpark-doctor");
    assert!(done && doctor.exists() && root.path().join("m/mod_callpark.so").exists(), "{said}");
    assert!(said.ends_with(&format!("with: {}\n", doctor.display())), "{said}");
}

/// Before: nothing of this was said, and callers heard tones, or waited without end.
#[test]
fn what_a_lot_may_still_want_is_an_advice() {
    let system = System::vanilla();
    system.install();
    system.edit("autoload_configs/modules.conf.xml", "mod_valet_parking", "mod_callpark");
    let settings = r#""callpark,XML"/><param name="track-calls" value="true"/>"#;
    system.edit("sip_profiles/internal.xml", r#""XML"/>"#, settings);
    let notes = || {
        let (well, text) = system.doctor();
        assert!(well && text.ends_with(WELL), "{text}");
        text
    };
    let settings = "autoload_configs/callpark.conf.xml";
    let text = notes();
    assert!(text.contains("note: the lot has no fallback") && text.contains("add to <lot name=\"main\">:\n"), "{text}");
    assert!(!text.contains("park-extension") && !text.contains("files in"), "{text}");

    system.edit(settings, r#"<param name="park-extension" value="700"/>"#, "");
    let fallback = |value: &str| format!(r#"<!-- --><param name="fallback" value="{value}"/>"#);
    system.edit(settings, "</lot>", &format!("{}</lot>", fallback("1000 XML nowhere")));
    let text = notes();
    assert!(text.contains("note: no lot has a park-extension"), "{text}");
    assert!(text.contains("note: the fallback 1000 XML nowhere of the lot main is in the context nowhere"), "{text}");
    for value in ["1000 XML default", "1000", "1000 XML ${user_context}"] {
        system.write(settings, &system.read(settings).replace("1000 XML nowhere", value));
        assert!(!notes().contains("fallback"), "{}", notes());
    }

    let sounds = system.at("/usr/local/freeswitch/sounds");
    fs::create_dir_all(sounds.join("music/8000")).unwrap();
    let text = notes();
    assert!(text.contains("note: there are no sound files in ") && text.contains("make sounds-install"), "{text}");
    assert!(text.contains("note: there are no music files in ") && text.contains("make moh-install"), "{text}");
    fs::write(sounds.join("music/8000/one.wav"), "").unwrap();
    assert!(!notes().contains("music files") && notes().contains("sound files"));
    fs::create_dir_all(sounds.join("en/us/callie/digits/8000")).unwrap();
    fs::write(sounds.join("en/us/callie/digits/8000/1.wav"), "").unwrap();
    assert!(!notes().contains("files in"));
}

/// Before: a FreeSWITCH that was built with --prefix was told to install packages, whose files it does not look for.
#[test]
fn missing_sounds_are_installed_in_the_way_of_the_layout() {
    let built = System::new("/opt/fs", "/opt/fs/etc/freeswitch", "/opt/fs/lib/freeswitch/mod", "lang");
    let layouts = [
        (built, "/opt/fs/share/freeswitch/sounds", "make sounds-install"),
        (System::debian(), "/usr/share/freeswitch/sounds", "apt-get install freeswitch-sounds-"),
    ];
    for (system, sounds, wanted) in layouts {
        system.install();
        fs::create_dir_all(system.at(sounds)).unwrap();
        let (_, text) = system.doctor();
        assert!(text.contains("note: there are no sound files in ") && text.contains(wanted), "{text}");
    }
}
