//! Simulates the calls of an office: callers, a receptionist who parks them, and colleagues who retrieve them.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::Duration;

use simulator::{Caller, Event, Leg, Phone, Plan, World};

const DOMAIN: &str = "example.com";
const RECEPTION: &str = "1001@example.com";
const COLLEAGUES: [&str; 5] = ["Bob", "Carla", "Deniz", "Eva", "Finn"];
const CALLERS: [&str; 12] = [
    "Mr Chen",
    "Ms Okafor",
    "Mr Novak",
    "Ms Silva",
    "Mr Haddad",
    "Ms Lindqvist",
    "Mr Kim",
    "Ms Rossi",
    "Mr Dubois",
    "Ms Petrova",
    "Mr Nguyen",
    "Ms Brown",
];

const CONFIGURATION: &str = r#"<configuration name="callpark.conf" description="Call parking">
  <settings><param name="default-lot" value="main"/>@DASHBOARD@</settings>
  <lots>
    <lot name="main" domain="$${domain}">
      <param name="slots" value="701-710"/>
      <param name="park-timeout" value="60"/>
      <param name="ringback-timeout" value="20"/>
      <param name="fallback" value="600 XML default"/>
      <param name="hold-music" value="local_stream://moh"/>
    </lot>
  </lots>
</configuration>"#;

fn dialplan(extension: &str) -> Option<Plan> {
    let run = |application: &str, data: &str| Some(vec![(application.to_owned(), data.to_owned())]);
    match extension {
        "reception" => run("bridge", &format!("user/{RECEPTION}")),
        "600" => run("playback", "voicemail.wav"),
        "700" => run("callpark_park", "auto"),
        slot if slot.starts_with('7') => run("callpark_slot", slot),
        _ => None,
    }
}

/// A step of a person, which happens at a planned time.
#[derive(Clone, Copy)]
enum Step {
    CallIn,
    /// The receptionist parks the caller, or handles the call.
    Decide(usize),
    /// A colleague retrieves the caller.
    Fetch(usize),
    /// The caller hangs up.
    HangUp(usize),
}

struct OfficeCall {
    name: &'static str,
    leg: Leg,
}

pub(crate) struct OfficeDay {
    world: World,
    rng: fastrand::Rng,
    agenda: BTreeMap<(Duration, usize), Step>,
    steps: usize,
    calls: Vec<OfficeCall>,
    /// The number of events that were printed or skipped.
    printed: usize,
    tally: BTreeMap<String, usize>,
    /// Kept until the end, because dropping it deletes the file.
    _token_file: Option<tempfile::NamedTempFile>,
}

/// Makes a token for this run, and prints the address of the dashboard.
fn show_dashboard(address: &str) -> Result<tempfile::NamedTempFile, String> {
    let token: String = std::iter::repeat_with(fastrand::alphanumeric).take(24).collect();
    // Only the owner can read it, as the module requires.
    let mut file = tempfile::NamedTempFile::new().map_err(|why| why.to_string())?;
    writeln!(file, "{token} view,act *").map_err(|why| why.to_string())?;
    println!("Dashboard: http://{address}/   token: {token}\n");
    Ok(file)
}

impl OfficeDay {
    /// Loads the module. `dashboard` is the address at which the module serves its dashboard.
    pub(crate) fn begin(module: &str, seed: u64, dashboard: Option<&str>) -> Result<OfficeDay, String> {
        let world = World::new();
        world.set_global("domain", DOMAIN);
        let token_file = dashboard.map(show_dashboard).transpose()?;
        let settings = match (dashboard, &token_file) {
            (Some(address), Some(file)) => format!(
                r#"<param name="http-listen" value="{address}"/><param name="http-token-file" value="{}"/>"#,
                file.path().display()
            ),
            _ => String::new(),
        };
        world.set_config("callpark.conf", &CONFIGURATION.replace("@DASHBOARD@", &settings));
        world.set_dialplan(|route| dialplan(&route.extension));
        world.set_phone(RECEPTION, Phone::Answers(Duration::from_secs(4)));
        world.set_length("voicemail.wav", Duration::from_secs(20));
        // Long frames, because audio does not matter here.
        world.set_frame(Duration::from_millis(100));
        world.load(module)?;
        let mut day = OfficeDay {
            world,
            rng: fastrand::Rng::with_seed(seed),
            agenda: BTreeMap::new(),
            steps: 0,
            calls: Vec::new(),
            printed: 0,
            tally: BTreeMap::new(),
            _token_file: token_file,
        };
        day.plan(5, Step::CallIn);
        Ok(day)
    }

    /// Advances the time, and takes the steps that are planned for it.
    pub(crate) fn advance(&mut self, time: Duration) {
        let end = self.world.now() + time;
        while let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= end) {
            let ((at, _), step) = entry.remove_entry();
            self.world.advance(at.saturating_sub(self.world.now()));
            self.print_events();
            self.take(step);
            self.print_events();
        }
        self.world.advance(end.saturating_sub(self.world.now()));
        self.print_events();
    }

    fn plan(&mut self, seconds: u64, step: Step) {
        self.steps += 1;
        self.agenda.insert((self.world.now() + Duration::from_secs(seconds), self.steps), step);
    }

    fn between(&mut self, least: u64, most: u64) -> u64 {
        self.rng.u64(least..=most)
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::CallIn => self.call_in(),
            Step::Decide(call) => self.decide(call),
            Step::Fetch(call) => self.fetch(call),
            Step::HangUp(call) => self.hang_up(call),
        }
    }

    fn call_in(&mut self) {
        let name = CALLERS[self.rng.usize(..CALLERS.len())];
        let number = format!("030{:06}", self.rng.u32(100_000..999_999));
        let leg = self.world.call(&Caller::outside(name, &number), "reception");
        self.say(&format!("{name} calls the reception."));
        self.calls.push(OfficeCall { name, leg });
        let (talk, next) = (self.between(15, 40), self.between(60, 240));
        self.plan(talk, Step::Decide(self.calls.len() - 1));
        self.plan(next, Step::CallIn);
    }

    fn decide(&mut self, call: usize) {
        let OfficeCall { name, leg } = &self.calls[call];
        if !leg.is_up() || leg.partner().is_none() {
            return;
        }
        if self.rng.u8(..4) == 0 {
            let seconds = self.between(20, 120);
            return self.plan(seconds, Step::HangUp(call));
        }
        let (name, leg) = (*name, leg.clone());
        self.say(&format!("The reception parks {name}."));
        if let Some(reception) = leg.partner() {
            reception.blind_transfer("700", RECEPTION);
        }
        match self.rng.u8(..10) {
            0..=5 => {
                let seconds = self.between(8, 55);
                self.plan(seconds, Step::Fetch(call));
            }
            6..=7 => {
                let seconds = self.between(20, 75);
                self.plan(seconds, Step::HangUp(call));
            }
            // Nobody retrieves the caller: the module rings the reception.
            _ => self.plan(240, Step::HangUp(call)),
        }
    }

    fn fetch(&mut self, call: usize) {
        let (name, leg) = (self.calls[call].name, self.calls[call].leg.clone());
        let Some(slot) = leg.var("callpark_slot").filter(|_| leg.is_up() && leg.partner().is_none()) else { return };
        let at = self.rng.usize(..COLLEAGUES.len());
        let colleague = COLLEAGUES[at];
        self.say(&format!("{colleague} dials {slot} for {name}."));
        self.world.call(&Caller::user(&format!("{}@{DOMAIN}", 1002 + at), colleague), &slot);
        let seconds = self.between(30, 180);
        self.plan(seconds, Step::HangUp(call));
    }

    fn hang_up(&mut self, call: usize) {
        let (name, leg) = (self.calls[call].name, self.calls[call].leg.clone());
        if leg.is_up() {
            self.say(&format!("{name} hangs up."));
            leg.hang_up();
        }
    }

    fn say(&self, what: &str) {
        say_at(self.world.now(), what);
    }

    fn print_events(&mut self) {
        let events = self.world.events_since(self.printed);
        self.printed += events.len();
        for event in events.iter().filter(|event| event.subclass == "callpark::info") {
            *self.tally.entry(event.get("CallPark-Action").unwrap_or_default().to_owned()).or_default() += 1;
            say_at(event.at, &format!("    {}", in_words(event)));
        }
    }

    /// Prints the module's own listings.
    pub(crate) fn show(&mut self) {
        for command in ["callpark lots", "callpark list"] {
            println!("\n> {command}\n{}", self.world.command(command).trim_end());
        }
        println!();
    }

    /// Ends all calls, prints a summary and unloads the module. It is an error if the module leaves anything behind.
    pub(crate) fn end(mut self) {
        self.show();
        for leg in self.world.legs() {
            leg.hang_up();
        }
        self.world.advance(Duration::from_secs(2));
        self.print_events();
        println!("\n{} callers. Events of the module, by action:", self.calls.len());
        for (action, count) in &self.tally {
            println!("  {action}: {count}");
        }
        self.world.finish();
        println!("The module was unloaded and left nothing behind.");
    }
}

/// Prints a line with the time of day. The day begins at 08:00.
fn say_at(time: Duration, what: &str) {
    let seconds = 8 * 3600 + time.as_secs();
    println!("{:02}:{:02}:{:02}  {what}", seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
}

fn in_words(event: &Event) -> String {
    let get = |name: &str| event.get(name).unwrap_or("?");
    let (who, slot, parker) = (get("Caller-Caller-ID-Name"), get("CallPark-Slot"), get("CallPark-Parker"));
    let waited = get("CallPark-Wait-Ms").parse::<u64>().unwrap_or(0) / 1000;
    match get("CallPark-Action") {
        "park" => format!("{who} is parked in {slot}."),
        "retrieve" => format!("{} retrieves {who} from {slot} after {waited} s.", get("CallPark-Retriever")),
        "ringback" => format!("{who} has waited {waited} s in {slot}: the recall rings {parker}."),
        "ringback-failed" => format!("{parker} does not answer the recall of {who} ({}).", get("CallPark-Cause")),
        "return" => format!("{parker} answers the recall and has {who} after {waited} s."),
        "fallback" => format!("{who} goes from {slot} to the fallback after {waited} s."),
        "abandon" => format!("{who} hangs up in {slot} after {waited} s."),
        other => format!("{other}: {who}, slot {slot}."),
    }
}
