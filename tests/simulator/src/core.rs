//! The state that all simulated threads share, and the way in which a call from the module finds it.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};

use crate::api::RecordedRequests;
use crate::console::Console;
use crate::database::Database;
use crate::dialplan::Dialplan;
use crate::event::Events;
use crate::fault::FaultPlan;
use crate::kernel::{Kernel, Micros, TaskId, UPTIME};
use crate::leg::Legs;
use crate::log::LogLine;
use crate::module::Modules;
use crate::originate::User;
use crate::play::Sounds;
use crate::scheduler::Tasks;
use crate::xml::Configurations;

/// The time between two packets, and so between two calls of the input callback while something plays.
pub(crate) const FRAME: Micros = 20_000;

/// The maximum real time in which threads must end in real-time mode.
const WINDING_UP: Duration = Duration::from_secs(5);

pub(crate) struct Core {
    pub(crate) kernel: Kernel,
    state: Mutex<WorldState>,
    threads: Mutex<Vec<(TaskId, JoinHandle<()>)>>,
    /// A thread of the test itself, while it calls the simulator. It exists only in real-time mode.
    visitor: TaskId,
}

pub(crate) struct WorldState {
    /// The difference between the wall clock and the monotonic clock.
    pub(crate) wall_ahead: i64,
    pub(crate) frame: Micros,
    pub(crate) globals: HashMap<String, String>,
    pub(crate) legs: Legs,
    pub(crate) users: HashMap<String, User>,
    pub(crate) dialplan: Dialplan,
    pub(crate) sounds: Sounds,
    pub(crate) events: Events,
    pub(crate) configurations: Configurations,
    pub(crate) console: Console,
    pub(crate) asked: RecordedRequests,
    pub(crate) database: Database,
    pub(crate) tasks: Tasks,
    pub(crate) modules: Modules,
    pub(crate) log: Vec<LogLine>,
    pub(crate) plan: FaultPlan,
    /// The rules of FreeSWITCH that the module has broken.
    pub(crate) misuse: Vec<String>,
}

// SAFETY: the raw pointers in here belong to the module and are only given back to it, or they are handles whose owners are in here too.
unsafe impl Send for WorldState {}

thread_local! {
    /// The world and the task of this thread. It has no destructor, because the module may call while other thread-locals are destroyed.
    static ME: Cell<Option<(*const Core, TaskId)>> = const { Cell::new(None) };
}

impl Core {
    pub(crate) fn new(kernel: Kernel, epoch_seconds: i64) -> Arc<Core> {
        let wall_ahead = epoch_seconds * 1_000_000 - kernel.now() as i64;
        let state = WorldState {
            wall_ahead,
            frame: FRAME,
            globals: HashMap::from([("switchname".to_owned(), "simulator".to_owned())]),
            legs: Legs::default(),
            users: HashMap::new(),
            dialplan: Dialplan::default(),
            sounds: Sounds::default(),
            events: Events::default(),
            configurations: Configurations::default(),
            console: Console::default(),
            asked: RecordedRequests::default(),
            database: Database::default(),
            tasks: Tasks::default(),
            modules: Modules::default(),
            log: Vec::new(),
            plan: FaultPlan::default(),
            misuse: Vec::new(),
        };
        let visitor = kernel.visitor();
        Arc::new(Core { kernel, state: Mutex::new(state), threads: Mutex::new(Vec::new()), visitor })
    }

    /// The lock is never held while the module is called.
    pub(crate) fn state(&self) -> MutexGuard<'_, WorldState> {
        self.state.lock()
    }

    /// Starts a simulated thread.
    pub(crate) fn spawn(self: &Arc<Core>, name: &str, body: impl FnOnce(&Arc<Core>) + Send + 'static) -> TaskId {
        let id = self.kernel.register(name);
        let core = Arc::clone(self);
        let run = move || {
            become_task(&core, id);
            core.kernel.begin(id);
            // The turn is given up also after a panic, or all other threads would wait.
            let _end = FinishGuard(&core, id);
            body(&core);
        };
        let unseen = ME.take();
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
        ME.set(unseen);
        self.threads.lock().push((id, thread.expect("the system can start a thread")));
        id
    }

    /// Runs a function on the calling thread, which is a simulated thread meanwhile.
    pub(crate) fn visit<R>(self: &Arc<Core>, what: impl FnOnce(&Arc<Core>) -> R) -> R {
        let before = ME.replace(Some((Arc::as_ptr(self), self.visitor)));
        let answer = what(self);
        ME.set(before);
        answer
    }

    /// Joins the threads that are over. A thread that is not over may never end, and was reported.
    pub(crate) fn join_threads(&self) {
        for (id, thread) in std::mem::take(&mut *self.threads.lock()) {
            if self.kernel.is_over(id) && thread.join().is_err() {
                self.misuse("a simulated thread panicked");
            }
        }
    }

    pub(crate) fn misuse(&self, what: impl Into<String>) {
        self.state().misuse.push(what.into());
    }

    /// Lets the calling simulated thread wait. Returns true if it was poked.
    pub(crate) fn wait(&self, until: Option<Micros>, why: &'static str) -> bool {
        self.kernel.wait(me(), until, why)
    }

    /// The wall clock, in microseconds since 1970.
    pub(crate) fn wall(&self) -> i64 {
        self.kernel.now() as i64 + self.state().wall_ahead
    }

    /// The virtual time since the start.
    pub(crate) fn since_start(&self) -> Duration {
        Duration::from_micros(self.kernel.now() - UPTIME)
    }

    /// If the driver calls this, it runs everything that takes no time. A simulated thread just continues.
    pub(crate) fn settle(&self) {
        if ME.get().is_none() {
            self.kernel.run_to(self.kernel.now());
        }
    }
}

impl Core {
    /// Ends the simulator's own threads.
    pub(crate) fn wind_up(&self) {
        self.settle();
        let began = Instant::now();
        while self.kernel.is_real_time() && !self.kernel.report().is_empty() && began.elapsed() < WINDING_UP {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

struct FinishGuard<'a>(&'a Core, TaskId);

impl Drop for FinishGuard<'_> {
    fn drop(&mut self) {
        self.0.kernel.finish(self.1);
    }
}

/// Makes this thread a simulated one.
pub(crate) fn become_task(core: &Arc<Core>, id: TaskId) {
    ME.set(Some((Arc::as_ptr(core), id)));
}

/// The calling simulated thread.
pub(crate) fn me() -> TaskId {
    ME.get().expect("a simulated thread").1
}

/// The world to which the calling thread belongs, or `None`.
pub(crate) fn own_world() -> Option<Arc<Core>> {
    let (core, _) = ME.get()?;
    // SAFETY: from `Arc::as_ptr`, and the thread's start function holds an `Arc` as long as the thread runs.
    unsafe {
        Arc::increment_strong_count(core);
        Some(Arc::from_raw(core))
    }
}

/// A call from the module to the simulator.
pub(crate) struct Call {
    pub(crate) core: Arc<Core>,
    /// Whether an injected fault makes this call fail.
    pub(crate) fails: bool,
}

/// Begins each simulated function.
pub(crate) fn enter(function: &'static str) -> Call {
    let Some(core) = own_world() else {
        eprintln!("{function} was called on a thread that belongs to no simulated world");
        std::process::abort();
    };
    if core.kernel.is_real_time() {
        return Call { core, fails: false };
    }
    core.kernel.enter(me(), function);
    let due = core.state().plan.due(function);
    let mut fails = false;
    for what in due {
        fails |= what.run();
    }
    Call { core, fails }
}

pub(crate) fn micros(time: Duration) -> Micros {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
