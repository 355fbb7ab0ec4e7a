//! Simulates the calls of an office: callers, a receptionist who parks them, and colleagues who retrieve them.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use simulator::{Caller, Event, Leg, Phone, Plan, World};

use crate::office_people::{CALLERS, COLLEAGUES, DOMAIN, Department, FETCHERS, LABELS, RECEPTION, SUPPORT, VIEWER};
use crate::{office_hooks, office_week};

/// The office has been open for so long when the dashboard begins.
const WARM_UP: Duration = Duration::from_secs(4 * 60);

const CONFIGURATION: &str = r#"<configuration name="callpark.conf" description="Call parking">
  <settings>
    <param name="default-lot" value="main"/>
    <param name="service-level" value="45"/>
    @DASHBOARD@
  </settings>
  <lots>
    <lot name="main" domain="$${domain}">
      <param name="slots" value="701-712"/>
      <slot number="701" label="Front desk"/>
      <slot number="705" label="Workshop"/>
      <param name="park-timeout" value="75"/>
      <param name="remind-after" value="40"/>
      <param name="remind-every" value="20"/>
      <param name="ringback-timeout" value="20"/>
      <param name="fallback" value="600 XML default"/>
      <param name="hold-music" value="local_stream://moh"/>
    </lot>
    <lot name="support" domain="$${domain}">
      <param name="slots" value="801-804"/>
      <param name="park-timeout" value="120"/>
      <param name="remind-after" value="60"/>
      <param name="remind-every" value="30"/>
      <param name="hold-music" value="local_stream://moh"/>
    </lot>
  </lots>
  @HOOKS@
</configuration>"#;

fn dialplan(extension: &str) -> Option<Plan> {
    let run = |application: &str, data: &str| Some(vec![(application.to_owned(), data.to_owned())]);
    match extension {
        "reception" => run("bridge", &format!("user/{}", RECEPTION.desk)),
        "support" => run("bridge", &format!("user/{}", SUPPORT.desk)),
        "600" => run("playback", "voicemail.wav"),
        "700" => run("callpark_park", "auto main"),
        "800" => run("callpark_park", "auto support"),
        slot if slot.starts_with(['7', '8']) => run("callpark_slot", slot),
        user => run("bridge", &format!("user/{user}@{DOMAIN}")),
    }
}

/// A step of a person, which happens at a planned time.
#[derive(Clone, Copy)]
enum Step {
    CallIn,
    /// Several customers call the support at the same time: its lot becomes full.
    Rush,
    /// Somebody calls the user of the dashboard's token.
    CallViewer,
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
    department: Department,
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
    /// Nothing is printed of what happened before the dashboard begins.
    quiet: Arc<AtomicBool>,
    /// Kept until the end, because dropping it deletes the file.
    _token_file: Option<tempfile::NamedTempFile>,
}

/// Makes tokens for this run. Returns their file, and the addresses of the dashboard and of the wallboard in words.
fn make_tokens(address: &str) -> Result<(tempfile::NamedTempFile, String), String> {
    let token = || std::iter::repeat_with(fastrand::alphanumeric).take(24).collect::<String>();
    let (acts, views) = (token(), token());
    // Only the owner can read it, as the module requires.
    let mut file = tempfile::NamedTempFile::new().map_err(|why| why.to_string())?;
    writeln!(file, "{acts} view,act * {VIEWER}\n{views} view *").map_err(|why| why.to_string())?;
    let addresses = format!(
        "Dashboard: http://{address}/             token of Bob ({VIEWER}): {acts}\n\
         Wallboard: http://{address}/?view=wall   token that may only view:    {views}\n"
    );
    Ok((file, addresses))
}

impl OfficeDay {
    /// Loads the module. `dashboard` is the address at which the module serves its dashboard: the office then has a week of history, and has been open
    /// for a while.
    pub(crate) fn begin(module: &str, seed: u64, dashboard: Option<&str>) -> Result<OfficeDay, String> {
        let quiet = Arc::new(AtomicBool::new(dashboard.is_some()));
        // Its threads are none of the simulated world, and so begin before that.
        let receiver = dashboard.map(|_| office_hooks::receive(Arc::clone(&quiet))).transpose();
        let receiver = receiver.map_err(|why| why.to_string())?;
        let world = World::new();
        world.set_global("domain", DOMAIN);
        let tokens = dashboard.map(make_tokens).transpose()?;
        let settings = match (dashboard, &tokens) {
            (Some(address), Some((file, _))) => format!(
                r#"<param name="http-listen" value="{address}"/><param name="http-url" value="http://{address}"/><param name="http-token-file" value="{}"/>"#,
                file.path().display()
            ),
            _ => String::new(),
        };
        let hooks = receiver.map_or_else(String::new, |address| {
            format!(
                r#"<hooks><hook name="chat" url="http://{address}/chat" format="slack" events="remind,fallback,abandoned,no-slot"/></hooks>"#
            )
        });
        world.set_config("callpark.conf", &CONFIGURATION.replace("@DASHBOARD@", &settings).replace("@HOOKS@", &hooks));
        world.set_dialplan(|route| dialplan(&route.extension));
        for (desk, name) in [(RECEPTION.desk, "Reception"), (SUPPORT.desk, "Support")] {
            world.set_phone(desk, Phone::Answers(Duration::from_secs(6)));
            world.set_user_var(desk, "effective_caller_id_name", name);
        }
        for (name, extension, phone) in COLLEAGUES {
            let address = format!("{extension}@{DOMAIN}");
            world.set_phone(&address, phone);
            world.set_user_var(&address, "effective_caller_id_name", name);
        }
        world.set_length("voicemail.wav", Duration::from_secs(20));
        // Long frames, because audio does not matter here.
        world.set_frame(Duration::from_millis(100));
        if dashboard.is_some() {
            world.set_wall_clock(seconds_since_1970() - WARM_UP.as_secs() as i64);
        }
        world.load(module)?;
        let mut day = OfficeDay {
            world,
            rng: fastrand::Rng::with_seed(seed),
            agenda: BTreeMap::new(),
            steps: 0,
            calls: Vec::new(),
            printed: 0,
            tally: BTreeMap::new(),
            quiet,
            _token_file: None,
        };
        day.plan(5, Step::CallIn);
        day.plan(40, Step::CallViewer);
        day.plan(150, Step::Rush);
        if let Some((file, addresses)) = tokens {
            day._token_file = Some(file);
            // A user who opened the dashboard earlier would see the first minutes pass too fast, with a clock that is late by them.
            println!("The office opens; its first minutes take some seconds.");
            day.open_before()?;
            println!("{addresses}");
        }
        Ok(day)
    }

    /// Adds the week before, and lets the first minutes of the day pass.
    fn open_before(&mut self) -> Result<(), String> {
        // The module makes its tables on a thread of its own.
        self.world.advance(Duration::from_secs(2));
        let now = self.world.wall_clock();
        self.world.execute_sql(&office_week::statements(now, local_offset(now), &mut self.rng))?;
        self.advance(WARM_UP.saturating_sub(self.world.now()));
        self.quiet.store(false, Ordering::Relaxed);
        Ok(())
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
            Step::CallIn => {
                let department = if self.rng.u8(..5) == 0 { SUPPORT } else { RECEPTION };
                self.call_in(department);
                let seconds = self.between(5, 17);
                self.plan(seconds, Step::CallIn);
            }
            Step::Rush => {
                for _ in 0..7 {
                    self.call_in(SUPPORT);
                }
                let seconds = self.between(200, 400);
                self.plan(seconds, Step::Rush);
            }
            Step::CallViewer => self.call_viewer(),
            Step::Decide(call) => self.decide(call),
            Step::Fetch(call) => self.fetch(call),
            Step::HangUp(call) => self.hang_up(call),
        }
    }

    fn new_caller(&mut self, department: Department, extension: &str) -> usize {
        let name = CALLERS[self.rng.usize(..CALLERS.len())];
        let number = format!("030{:06}", self.rng.u32(100_000..999_999));
        let leg = self.world.call(&Caller::outside(name, &number), extension);
        self.calls.push(OfficeCall { name, leg, department });
        self.calls.len() - 1
    }

    fn call_in(&mut self, department: Department) {
        let call = self.new_caller(department, department.name);
        self.say(&format!("{} calls the {}.", self.calls[call].name, department.name));
        let talk = self.between(9, 30);
        self.plan(talk, Step::Decide(call));
    }

    /// A conversation of the token's user, which the dashboard offers to park.
    fn call_viewer(&mut self) {
        let extension = VIEWER.split('@').next().unwrap_or(VIEWER);
        let call = self.new_caller(RECEPTION, extension);
        self.say(&format!("{} calls Bob.", self.calls[call].name));
        let (talk, next) = (self.between(60, 150), self.between(40, 120));
        self.plan(talk, Step::HangUp(call));
        self.plan(next, Step::CallViewer);
    }

    fn decide(&mut self, call: usize) {
        let OfficeCall { name, leg, department } = &self.calls[call];
        if !leg.is_up() || leg.partner().is_none() {
            return;
        }
        if self.rng.u8(..5) == 0 {
            let seconds = self.between(20, 120);
            return self.plan(seconds, Step::HangUp(call));
        }
        let (name, leg, department) = (*name, leg.clone(), *department);
        self.say(&format!("The {} parks {name}.", department.name));
        leg.set_var("callpark_label", LABELS[self.rng.usize(..LABELS.len())]);
        if let Some(desk) = leg.partner() {
            desk.blind_transfer(department.park_extension, department.desk);
        }
        match self.rng.u8(..10) {
            0..=5 => {
                let seconds = self.between(8, 70);
                self.plan(seconds, Step::Fetch(call));
            }
            6 => {
                let seconds = self.between(20, 75);
                self.plan(seconds, Step::HangUp(call));
            }
            // Nobody retrieves the caller: the module rings the parker.
            _ => self.plan(300, Step::HangUp(call)),
        }
    }

    fn fetch(&mut self, call: usize) {
        let (name, leg) = (self.calls[call].name, self.calls[call].leg.clone());
        if !leg.is_up() {
            return;
        }
        // A caller who talks has been taken or transferred on the dashboard, or was sent back: that conversation ends, too.
        if let Some(slot) = leg.var("callpark_slot").filter(|_| leg.partner().is_none()) {
            let (colleague, extension, _) = COLLEAGUES[self.rng.usize(..FETCHERS)];
            self.say(&format!("{colleague} dials {slot} for {name}."));
            self.world.call(&Caller::user(&format!("{extension}@{DOMAIN}"), colleague), &slot);
        }
        let seconds = self.between(30, 120);
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
        self.say_at(self.world.now(), what);
    }

    /// Prints a line with the time of day.
    fn say_at(&self, time: Duration, what: &str) {
        if self.quiet.load(Ordering::Relaxed) {
            return;
        }
        let now = self.world.wall_clock() - (self.world.now().saturating_sub(time)).as_secs() as i64;
        let seconds = (now + local_offset(now)).rem_euclid(86_400);
        println!("{:02}:{:02}:{:02}  {what}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    }

    fn print_events(&mut self) {
        let events = self.world.events_since(self.printed);
        self.printed += events.len();
        for event in events.iter().filter(|event| event.subclass == "callpark::info") {
            *self.tally.entry(event.get("CallPark-Action").unwrap_or_default().to_owned()).or_default() += 1;
            self.say_at(event.at, &format!("    {}", in_words(event)));
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

fn seconds_since_1970() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs() as i64)
}

/// The offset of the local time at this time, in seconds.
fn local_offset(at: i64) -> i64 {
    // SAFETY: both are this function's own, and all fields of `tm` may be zero.
    unsafe {
        let mut local = std::mem::zeroed();
        libc::localtime_r(&at, &mut local);
        local.tm_gmtoff
    }
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
        "remind" => format!("{who} is late: {waited} s in {slot}."),
        "no-slot" => format!("{who} waits for a free slot."),
        "full" => "The lot is full.".to_owned(),
        other => format!("{other}: {who}, slot {slot}."),
    }
}
