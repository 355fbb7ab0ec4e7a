//! The core: what all simulated threads share, and how a call from the module finds it.

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

/// Between one packet of sound and the next: how often the core asks whoever plays something.
pub(crate) const FRAME: Micros = 20_000;

/// For how long, in real time, threads at large may take to end.
const WINDING_UP: Duration = Duration::from_secs(5);

pub(crate) struct Core {
    pub(crate) kernel: Kernel,
    state: Mutex<WorldState>,
    threads: Mutex<Vec<(TaskId, JoinHandle<()>)>>,
    /// What a thread of the test's own is, while it is in the host. Only where threads are at large.
    visitor: TaskId,
}

pub(crate) struct WorldState {
    /// What the wall clock shows more than the clock that never jumps.
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
    /// Rules of the host that the module broke.
    pub(crate) misuse: Vec<String>,
}

// SAFETY: the raw pointers in here are the module's, handed back to it only, or handles whose owners are in here too.
unsafe impl Send for WorldState {}

thread_local! {
    /// Whose thread this is. Without a destructor: the module may call while the thread's others are run.
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

    /// Never held while the module is called.
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
            // Whatever happens in there, the turn is given up, or everybody would wait for it.
            let _end = FinishGuard(&core, id);
            body(&core);
        };
        let unseen = ME.take();
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
        ME.set(unseen);
        self.threads.lock().push((id, thread.expect("the system has a thread to give")));
        id
    }

    /// Runs something on the calling thread, which becomes a simulated one for that long.
    pub(crate) fn visit<R>(self: &Arc<Core>, what: impl FnOnce(&Arc<Core>) -> R) -> R {
        let before = ME.replace(Some((Arc::as_ptr(self), self.visitor)));
        let answer = what(self);
        ME.set(before);
        answer
    }

    /// Waits for the threads that are over to end. One that is not over may never be, and has been told of.
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

    /// Waits on the calling simulated thread; true if poked.
    pub(crate) fn wait(&self, until: Option<Micros>, why: &'static str) -> bool {
        self.kernel.wait(me(), until, why)
    }

    /// What the wall clock shows, in microseconds since 1970.
    pub(crate) fn wall(&self) -> i64 {
        self.kernel.now() as i64 + self.state().wall_ahead
    }

    /// Virtual time since the world began.
    pub(crate) fn since_start(&self) -> Duration {
        Duration::from_micros(self.kernel.now() - UPTIME)
    }

    /// Where the caller is the driver: lets everything happen that does not take time. A simulated thread just goes on.
    pub(crate) fn settle(&self) {
        if ME.get().is_none() {
            self.kernel.run_to(self.kernel.now());
        }
    }
}

impl Core {
    /// Lets the host's own threads come to their end.
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

/// From here on this thread is a simulated one.
pub(crate) fn become_task(core: &Arc<Core>, id: TaskId) {
    ME.set(Some((Arc::as_ptr(core), id)));
}

/// The simulated thread that calls.
pub(crate) fn me() -> TaskId {
    ME.get().expect("a simulated thread").1
}

/// The world that the calling thread is part of; `None` if it is none of a world's.
pub(crate) fn own_world() -> Option<Arc<Core>> {
    let (core, _) = ME.get()?;
    // SAFETY: from `Arc::as_ptr`, and the thread's own start holds one for as long as it runs.
    unsafe {
        Arc::increment_strong_count(core);
        Some(Arc::from_raw(core))
    }
}

/// A call from the module into the host.
pub(crate) struct Call {
    pub(crate) core: Arc<Core>,
    /// A test wants this call to fail.
    pub(crate) fails: bool,
}

/// Every function of the host begins with this.
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
