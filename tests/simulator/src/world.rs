//! The simulated FreeSWITCH of a test: builds it, runs it, and checks it at the end.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::core::{Core, micros};
use crate::dialplan::{Plan, Route};
use crate::event::Event;
use crate::fault::FaultKind;
use crate::ffi::switch_event_types_t as Kind;
use crate::kernel::{Kernel, TaskId};
use crate::leg::{Leg, LegId, Profile};
use crate::log::LogLine;
use crate::originate::{Phone, User};

/// Monday, 2 March 2026, 08:00 UTC.
const BEGINNING: i64 = 1_772_438_400;
/// The maximum virtual time for which a command may wait.
const COMMAND: Duration = Duration::from_secs(3600);

/// A simulated FreeSWITCH, at first without a module and without calls.
///
/// It belongs to one test, on one thread. Time passes only in [`World::advance`], and in commands that wait for something.
/// When it is dropped, the module is unloaded, and everything that it leaves behind is an error.
pub struct World {
    core: Arc<Core>,
    down: bool,
}

/// A caller.
#[derive(Clone, Debug)]
pub struct Caller {
    name: String,
    number: String,
    context: String,
    variables: Vec<(String, String)>,
}

impl Caller {
    /// A caller from outside.
    pub fn outside(name: &str, number: &str) -> Caller {
        Caller { name: name.into(), number: number.into(), context: "default".into(), variables: Vec::new() }
    }

    /// A user of this FreeSWITCH (`1001@example.com`) with a registered phone.
    pub fn user(address: &str, name: &str) -> Caller {
        let (user, domain) = address.split_once('@').unwrap_or((address, ""));
        Caller::outside(name, user)
            .var("sip_auth_username", user)
            .var("sip_auth_realm", domain)
            .var("user_name", user)
            .var("domain_name", domain)
    }

    /// Sets a channel variable from the start.
    pub fn var(mut self, name: &str, value: &str) -> Caller {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Sets the context, which is `default` otherwise.
    pub fn context(mut self, context: &str) -> Caller {
        self.context = context.into();
        self
    }
}

/// A command that was started and may still be running.
#[derive(Debug)]
pub struct PendingCommand {
    task: TaskId,
    answer: Arc<Mutex<Option<String>>>,
}

impl PendingCommand {
    /// The answer; `None` while the command runs.
    pub fn answer(&self) -> Option<String> {
        self.answer.lock().clone()
    }
}

/// The moment of an injected fault; see [`World::at_call`].
pub struct Fault<'a> {
    world: &'a World,
    function: Option<String>,
    nth: u64,
}

impl Fault<'_> {
    /// Makes the call fail, as it can in FreeSWITCH.
    pub fn fails(self) {
        self.plan(FaultKind::Fail);
    }

    /// Hangs this leg up just before the call.
    pub fn hangs_up(self, leg: &Leg) {
        let leg = leg.clone();
        self.happens(move || leg.hang_up());
    }

    /// Runs a function just before the call, on the thread that makes it.
    pub fn happens(self, what: impl FnOnce() + Send + 'static) {
        self.plan(FaultKind::Happen(Box::new(what)));
    }

    fn plan(self, what: FaultKind) {
        self.world.core.state().plan.add(self.function.as_deref(), self.nth, what);
    }
}

impl Default for World {
    fn default() -> World {
        World::new()
    }
}

impl World {
    pub fn new() -> World {
        World::of(Kernel::new())
    }

    /// Makes a world in real-time mode: threads run at the same time, no course of events is the same twice, and no faults are injected.
    pub fn real_time() -> World {
        World::of(Kernel::real_time())
    }

    fn of(kernel: Kernel) -> World {
        crate::function_table::keep();
        let core = Core::new(kernel, BEGINNING);
        core.begin_scheduler();
        core.begin_events();
        core.settle();
        World { core, down: false }
    }

    // Settings.

    /// Sets a global variable, such as `domain`.
    pub fn set_global(&self, name: &str, value: &str) {
        self.core.state().globals.insert(name.into(), value.into());
    }

    /// Sets a configuration, such as `callpark.conf`, to the text of its `<configuration>`.
    pub fn set_config(&self, name: &str, text: &str) {
        self.core.state().configurations.texts.insert(name.into(), text.into());
    }

    /// Removes a configuration.
    pub fn remove_config(&self, name: &str) {
        self.core.state().configurations.texts.remove(name);
    }

    /// Sets the dialplan `XML`: a function that returns the applications of an extension, or `None` if there is no such extension.
    pub fn set_dialplan(&self, rules: impl Fn(&Route) -> Option<Plan> + Send + Sync + 'static) {
        self.core.state().dialplan.rules = Some(Arc::new(rules));
    }

    /// Sets what the phone of a user (`1001@example.com`) or of another address of a dial string (`loopback/700`) does with a call.
    pub fn set_phone(&self, address: &str, phone: Phone) {
        let mut state = self.core.state();
        let variables = state.users.remove(address).map(|user| user.variables).unwrap_or_default();
        state.users.insert(address.into(), User { phone, variables });
    }

    /// Sets a variable that the directory sets on legs to this user.
    pub fn set_user_var(&self, address: &str, name: &str, value: &str) {
        let mut state = self.core.state();
        if let Some(user) = state.users.get_mut(address) {
            user.variables.push((name.into(), value.into()));
        }
    }

    /// Sets the length of a file or phrase, which is 2 s otherwise. Streams never end.
    pub fn set_length(&self, sound: &str, length: Duration) {
        self.core.state().sounds.lengths.insert(sound.into(), length);
    }

    /// Removes a file, stream or phrase.
    pub fn remove_sound(&self, sound: &str) {
        self.core.state().sounds.missing.insert(sound.into());
    }

    /// Sets the time between two calls of a playback's callback, which is 20 ms otherwise. A longer time makes long simulations faster.
    pub fn set_frame(&self, frame: Duration) {
        self.core.state().frame = micros(frame).max(1000);
    }

    /// Executes statements on the database of all modules, for example to add rows of earlier days.
    pub fn execute_sql(&self, sql: &str) -> Result<(), String> {
        self.core.state().database.execute(sql)
    }

    // The module.

    /// Loads a module, as `load mod_callpark` does. The error is the text that FreeSWITCH would log.
    pub fn load(&self, path: impl AsRef<Path>) -> Result<(), String> {
        let path = path.as_ref().to_owned();
        self.on_host_thread("load", move |core| core.load(&path))
    }

    /// Loads a module that is linked into this program, by its table.
    ///
    /// # Safety
    /// `table` is the table that a loader would find, and it is never freed.
    pub unsafe fn load_linked(&self, table: *const std::ffi::c_void) -> Result<(), String> {
        let table = table.expose_provenance();
        // SAFETY: by this function's contract.
        self.on_host_thread("load", move |core| unsafe { core.load_linked(table) })
    }

    /// Unloads the module, as `unload mod_callpark` does. It is refused while the module is in use.
    pub fn unload(&self) -> Result<(), String> {
        self.on_host_thread("unload", |core| core.unload())
    }

    pub fn is_loaded(&self) -> bool {
        self.core.state().modules.is_loaded()
    }

    /// Runs a command of the console, such as `callpark list`, and returns its answer. If the command waits for something, the time advances.
    pub fn command(&self, line: &str) -> String {
        let line = line.to_owned();
        self.on_host_thread("command", move |core| core.command(&line))
    }

    /// Starts a command as [`World::command`] does, without waiting for its end.
    pub fn begin_command(&self, line: &str) -> PendingCommand {
        let (line, answer) = (line.to_owned(), Arc::new(Mutex::new(None)));
        let place = Arc::clone(&answer);
        let task = self.core.spawn("command", move |core| *place.lock() = Some(core.command(&line)));
        self.core.settle();
        PendingCommand { task, answer }
    }

    /// Waits for a command and returns its answer.
    pub fn end_command(&self, pending: &PendingCommand) -> String {
        self.run_until_over(pending.task, "command");
        pending.answer().unwrap_or_default()
    }

    /// Returns the completions of `line`.
    pub fn complete(&self, line: &str) -> Vec<String> {
        let line = line.to_owned();
        self.on_host_thread("completion", move |core| core.complete(&line))
    }

    /// Fires the event for a reload of the XML.
    pub fn reload_xml(&self) {
        self.core.announce(Kind::SWITCH_EVENT_RELOADXML, "", &[]);
        self.core.settle();
    }

    /// Lets a phone subscribe to a lamp, such as `701@example.com`: mod_sofia asks for its state.
    pub fn subscribe(&self, lamp: &str, call_id: &str) {
        let headers =
            [("to", format!("park+{lamp}")), ("sub-call-id", call_id.to_owned()), ("expires", "300".to_owned())];
        let headers = headers.map(|(name, value)| (name.to_owned(), value));
        self.core.announce(Kind::SWITCH_EVENT_PRESENCE_PROBE, "", &headers);
        self.core.settle();
    }

    /// Runs a function that calls the simulator, on this thread. It is only for real-time mode.
    pub fn visit<R>(&self, what: impl FnOnce() -> R) -> R {
        assert!(self.core.kernel.is_real_time(), "only a world in real-time mode can be visited");
        self.core.visit(|_| what())
    }

    /// Deletes all events and log lines, because a long run would have too many.
    pub fn forget_the_past(&self) {
        let mut state = self.core.state();
        state.events.fired.clear();
        state.log.clear();
    }

    fn on_host_thread<R: Send + 'static>(&self, name: &str, what: impl FnOnce(&Arc<Core>) -> R + Send + 'static) -> R {
        if self.core.kernel.is_real_time() {
            return self.core.visit(what);
        }
        let result = Arc::new(Mutex::new(None));
        let place = Arc::clone(&result);
        let task = self.core.spawn(name, move |core| *place.lock() = Some(what(core)));
        self.run_until_over(task, name);
        let result = result.lock().take();
        result.unwrap_or_else(|| panic!("{name} did not return; threads:\n{}", self.core.kernel.report()))
    }

    fn run_until_over(&self, task: TaskId, name: &str) {
        let limit = self.core.kernel.now() + micros(COMMAND);
        if !self.core.kernel.run_until_over(task, limit) {
            panic!("{name} did not return in {COMMAND:?}; threads:\n{}", self.core.kernel.report());
        }
    }

    // Calls.

    /// Starts a call.
    pub fn call(&self, caller: &Caller, extension: &str) -> Leg {
        let mut profile = Profile::default();
        for (field, value) in [
            ("dialplan", "XML"),
            ("context", &caller.context),
            ("caller_id_name", &caller.name),
            ("caller_id_number", &caller.number),
            ("destination_number", extension),
            ("source", "simulator"),
        ] {
            profile.set(field, value);
        }
        let id = self.core.new_leg(false, profile);
        self.core.leg(id, |leg| {
            for (name, value) in &caller.variables {
                leg.set_variable(name, Some(value));
            }
        });
        self.core.begin_leg(id);
        self.core.settle();
        self.handle(id)
    }

    /// All legs that are up, in the order in which they were made.
    pub fn legs(&self) -> Vec<Leg> {
        let up: Vec<LegId> = self.core.state().legs.all().filter(|(_, leg)| !leg.is_down()).map(|(id, _)| id).collect();
        up.into_iter().map(|id| self.handle(id)).collect()
    }

    /// All legs, also those that have ended, in the order in which they were made.
    pub fn all_legs(&self) -> Vec<Leg> {
        let all: Vec<LegId> = self.core.state().legs.all().map(|(id, _)| id).collect();
        all.into_iter().map(|id| self.handle(id)).collect()
    }

    /// The latest leg to this user's address (`1001@example.com`) that is up.
    pub fn leg_to(&self, address: &str) -> Option<Leg> {
        let dialled = |leg: &Leg| {
            let part = |name: &str| leg.var(name).unwrap_or_default();
            format!("{}@{}", part("dialed_user"), part("dialed_domain")) == address
        };
        self.legs().into_iter().rev().find(dialled)
    }

    fn handle(&self, id: LegId) -> Leg {
        Leg::new(Arc::clone(&self.core), id)
    }

    // Time.

    /// Advances the virtual time, and runs everything that happens in it.
    pub fn advance(&self, time: Duration) {
        self.core.kernel.run_to(self.core.kernel.now() + micros(time));
    }

    /// Advances the virtual time until `condition` holds, at most by `most`. Returns whether it holds.
    pub fn advance_until(&self, most: Duration, condition: impl Fn() -> bool) -> bool {
        let end = self.now() + most;
        while !condition() {
            if self.now() >= end {
                return false;
            }
            self.advance((end - self.now()).min(Duration::from_millis(20)));
        }
        true
    }

    /// The virtual time since the start.
    pub fn now(&self) -> Duration {
        self.core.since_start()
    }

    /// The wall clock, in seconds since 1970.
    pub fn wall_clock(&self) -> i64 {
        self.core.wall().div_euclid(1_000_000)
    }

    /// Sets the wall clock, as an administrator or NTP may. The monotonic clock is not changed.
    pub fn set_wall_clock(&self, seconds: i64) {
        let now = self.core.kernel.now() as i64;
        self.core.state().wall_ahead = seconds * 1_000_000 - now;
        self.core.settle();
    }

    /// Lets threads run in an order that `seed` determines from now on; they may lose their turn at any call to the simulator. The same seed gives
    /// the same course of events.
    pub fn shuffle(&self, seed: u64) {
        self.core.kernel.shuffle(seed);
    }

    // Faults.

    /// Injects a fault at the `nth` call from now to a function of FreeSWITCH, such as `switch_ivr_multi_threaded_bridge`.
    pub fn at_call(&self, function: &str, nth: u64) -> Fault<'_> {
        Fault { world: self, function: Some(function.into()), nth }
    }

    /// Injects a fault at the `nth` call from now to any function, so that a test can try each moment of a scenario.
    pub fn at_any_call(&self, nth: u64) -> Fault<'_> {
        Fault { world: self, function: None, nth }
    }

    /// The number of calls to FreeSWITCH's functions so far.
    pub fn calls(&self) -> u64 {
        self.core.state().plan.calls()
    }

    /// Removes all injected faults.
    pub fn clear_faults(&self) {
        self.core.state().plan.clear();
    }

    // Results.

    /// All fired events, in order.
    pub fn events(&self) -> Vec<Event> {
        self.core.state().events.fired.clone()
    }

    /// All events after the first `seen`, in order.
    pub fn events_since(&self, seen: usize) -> Vec<Event> {
        self.core.state().events.fired.iter().skip(seen).cloned().collect()
    }

    /// All events of a subclass, such as `callpark::info`.
    pub fn events_of(&self, subclass: &str) -> Vec<Event> {
        self.events().into_iter().filter(|event| event.subclass == subclass).collect()
    }

    /// All log lines, in order.
    pub fn log(&self) -> Vec<LogLine> {
        self.core.state().log.clone()
    }

    /// The rules of FreeSWITCH that the module has broken so far. Each is an error at the end of the world.
    pub fn misuse(&self) -> Vec<String> {
        self.core.state().misuse.clone()
    }

    // The end.

    /// Unloads the module and checks that it leaves nothing behind.
    ///
    /// # Panics
    /// With a list of everything that is left: legs that are up, read locks, threads, events, XML trees, scheduler tasks, event bindings and
    /// subclasses, completions, interfaces that are held, and broken rules.
    pub fn finish(mut self) {
        let problems = self.take_down();
        assert!(problems.is_empty(), "the simulated world did not end clean:\n  {}", problems.join("\n  "));
    }

    fn take_down(&mut self) -> Vec<String> {
        self.down = true;
        self.clear_faults();
        let mut problems = BTreeSet::new();
        for leg in self.legs() {
            problems.insert(format!("still up: {leg:?}"));
            leg.hang_up();
        }
        for leg in self.all_legs().iter().filter(|leg| leg.read_locks() > 0) {
            problems.insert(format!("{} read locks are left on {leg:?}", leg.read_locks()));
        }
        if self.is_loaded() {
            if let Err(why) = self.unload() {
                problems.insert(format!("the module cannot be unloaded: {why}"));
            }
        }
        self.core.end_scheduler();
        self.core.end_events();
        self.core.wind_up();
        let threads = self.core.kernel.report();
        if !threads.is_empty() {
            problems.insert(format!("threads are left:\n{threads}"));
        }
        self.core.join_threads();
        let state = self.core.state();
        problems.extend(state.misuse.iter().cloned());
        problems.extend(state.events.leaks());
        problems.extend(state.configurations.leaks());
        problems.extend(state.console.leaks());
        problems.extend(state.database.leaks());
        problems.extend(state.tasks.leaks());
        problems.extend(state.modules.leaks());
        problems.into_iter().collect()
    }
}

/// A world that was not finished is checked too.
impl Drop for World {
    fn drop(&mut self) {
        if self.down {
            return;
        }
        let problems = self.take_down();
        if !problems.is_empty() && !std::thread::panicking() {
            panic!("the simulated world did not end clean:\n  {}", problems.join("\n  "));
        }
    }
}
