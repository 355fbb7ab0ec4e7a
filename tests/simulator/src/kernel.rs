//! Schedules the simulated threads in virtual time.
//!
//! Every simulated thread is a real one, but only one runs at a time, until it waits for something. When no thread can run, the time advances to
//! the next time for which a thread waits. So a scenario has the same course of events each time, and a day takes only as long as its events.
//! With a seed, the order of the threads is shuffled, and a thread may lose its turn at any call to the simulator: each seed has a course of
//! its own.
//!
//! A thread that sleeps elsewhere (for example, because it joins another thread) would block all others. When only another thread can wake it and
//! none is left that could, or after a while, it counts as *outside*: the others run, and it waits for its turn again at its next call.
//!
//! In *real-time mode* all threads run at the same time and in real time. It is for the thread sanitizer, which finds no races between threads that
//! take turns, and for many commands in a short time.

use std::collections::{BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::thread_state::{is_asleep, is_gone, sleeps_deeply};

/// Microseconds since the simulated machine was started.
pub(crate) type Micros = u64;

/// The number of checks in a row in which a thread that may wake up by itself must sleep elsewhere, to count as outside. It is a number and not a
/// time, because on a busy machine the driver itself may not run for a while, and then sees a thread that only waits for a lock.
const ASLEEP: u32 = 60;
/// The real time between two checks whether threads sleep.
const LOOK: Duration = Duration::from_millis(1);
/// The number of checks in a row that must find all threads in the same deep sleep. Two show that at one time all slept, so that none was left to
/// wake them; one more is for states that the system may not report.
const LOOKS: u32 = 3;
/// The maximum real time for which a thread may run without a call to the simulator. After it the world is given up.
const HUNG: Duration = Duration::from_secs(20);
/// The uptime at the start. A clock that starts at 0 would hide subtractions with a negative result.
pub(crate) const UPTIME: Micros = 3_600_000_000;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct TaskId(usize);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum TaskState {
    /// It can run, but it is not its turn.
    Ready,
    Running,
    Waiting(&'static str),
    /// It sleeps outside of the simulator. `for_long`: the driver has waited for it once, without success, since the last thread ended.
    Outside {
        for_long: bool,
    },
    Over,
}

struct Task {
    name: String,
    /// The system's ID of its thread, once it runs.
    thread: libc::pid_t,
    wakeup: Arc<Condvar>,
    state: TaskState,
    alarm: Option<(Micros, u64)>,
    poked: bool,
    last_call: &'static str,
    /// Whether it has noticed that it is its turn.
    in_turn: bool,
}

struct Schedule {
    now: Micros,
    /// The time up to which the time may advance.
    horizon: Micros,
    running: Option<TaskId>,
    ready: VecDeque<TaskId>,
    alarms: BTreeSet<(Micros, u64, TaskId)>,
    tasks: Vec<Task>,
    sequence: u64,
    /// The driver waits for the end of this task: the time stops there.
    awaited: Option<TaskId>,
    /// Increases with everything that happens, so that a standstill can be detected.
    progress: u64,
    random: Option<fastrand::Rng>,
}

/// The results of the checks of the threads that do not wait for the simulator.
#[derive(Default)]
struct QuietPeriod {
    /// The sleeping tasks, and how often each had fallen asleep.
    sleepers: Vec<(TaskId, u64)>,
    checks: u32,
}

impl QuietPeriod {
    /// Adds the result of a check. Returns whether all have slept for a while.
    fn lasts(&mut self, sleepers: Option<Vec<(TaskId, u64)>>) -> bool {
        let Some(sleepers) = sleepers else {
            self.checks = 0;
            return false;
        };
        self.checks = if self.sleepers == sleepers { self.checks + 1 } else { 1 };
        self.sleepers = sleepers;
        self.checks >= LOOKS
    }
}

pub(crate) struct Kernel {
    schedule: Mutex<Schedule>,
    /// The number of simulated threads that wait for the schedule's lock. The system reports them as sleeping too.
    locking: AtomicUsize,
    driver: Condvar,
    /// The time of the start in real-time mode.
    real_time: Option<Instant>,
}

impl Kernel {
    pub(crate) fn new() -> Kernel {
        Kernel::with_clock(None)
    }

    pub(crate) fn real_time() -> Kernel {
        Kernel::with_clock(Some(Instant::now()))
    }

    pub(crate) fn is_real_time(&self) -> bool {
        self.real_time.is_some()
    }

    fn with_clock(real_time: Option<Instant>) -> Kernel {
        let schedule = Schedule {
            now: UPTIME,
            horizon: UPTIME,
            running: None,
            ready: VecDeque::new(),
            alarms: BTreeSet::new(),
            tasks: Vec::new(),
            sequence: 0,
            awaited: None,
            progress: 0,
            random: None,
        };
        Kernel { schedule: Mutex::new(schedule), locking: AtomicUsize::new(0), driver: Condvar::new(), real_time }
    }

    /// Locks the schedule for a simulated thread.
    fn lock_schedule(&self) -> MutexGuard<'_, Schedule> {
        self.locking.fetch_add(1, Ordering::SeqCst);
        let schedule = self.schedule.lock();
        self.locking.fetch_sub(1, Ordering::SeqCst);
        schedule
    }

    pub(crate) fn now(&self) -> Micros {
        match self.real_time {
            Some(began) => UPTIME + crate::core::micros(began.elapsed()),
            None => self.lock_schedule().now,
        }
    }

    /// Shuffles the order of the threads from now on.
    pub(crate) fn shuffle(&self, seed: u64) {
        self.schedule.lock().random = Some(fastrand::Rng::with_seed(seed));
    }

    /// Adds a new thread. It is added before it runs, because the time could otherwise advance before.
    pub(crate) fn register(&self, name: &str) -> TaskId {
        let mut schedule = self.schedule.lock();
        let id = schedule.add(name);
        schedule.make_ready(id);
        id
    }

    /// Adds a thread that never waits for its turn.
    pub(crate) fn visitor(&self) -> TaskId {
        self.schedule.lock().add("visitor")
    }

    /// Called by the new thread itself. Returns when it is its turn.
    pub(crate) fn begin(&self, me: TaskId) {
        let mut schedule = self.lock_schedule();
        // SAFETY: it takes no argument and returns a number.
        schedule.tasks[me.0].thread = unsafe { libc::gettid() };
        if !self.is_real_time() {
            self.await_turn(&mut schedule, me);
        }
    }

    pub(crate) fn finish(&self, me: TaskId) {
        let mut schedule = self.lock_schedule();
        schedule.tasks[me.0].state = TaskState::Over;
        schedule.wait_for_outside(true);
        if schedule.awaited == Some(me) {
            schedule.horizon = schedule.now;
        }
        schedule.give_up_turn(me);
        if self.is_real_time() {
            self.driver.notify_all();
        } else {
            self.dispatch(&mut schedule);
        }
    }

    pub(crate) fn is_over(&self, task: TaskId) -> bool {
        self.schedule.lock().tasks[task.0].state == TaskState::Over
    }

    /// Waits until `until`, or until another thread pokes this one; an earlier poke counts. Returns true if it was poked.
    pub(crate) fn wait(&self, me: TaskId, until: Option<Micros>, why: &'static str) -> bool {
        if self.is_real_time() {
            return self.wait_in_real_time(me, until);
        }
        let mut schedule = self.lock_schedule();
        if !std::mem::take(&mut schedule.tasks[me.0].poked) {
            if until.is_some_and(|until| until <= schedule.now) {
                return false;
            }
            schedule.tasks[me.0].state = TaskState::Waiting(why);
            if let Some(until) = until {
                schedule.sequence += 1;
                let alarm = (until, schedule.sequence);
                schedule.tasks[me.0].alarm = Some(alarm);
                schedule.alarms.insert((alarm.0, alarm.1, me));
            }
            schedule.give_up_turn(me);
            self.dispatch(&mut schedule);
            self.await_turn(&mut schedule, me);
            return std::mem::take(&mut schedule.tasks[me.0].poked);
        }
        true
    }

    /// Waits until `until`, also if it is poked. A poke then counts for the next wait.
    pub(crate) fn sleep(&self, me: TaskId, until: Micros) {
        let mut poked = false;
        while self.now() < until {
            poked |= self.wait(me, Some(until), "sleep");
        }
        if poked {
            self.poke(me);
        }
    }

    fn wait_in_real_time(&self, me: TaskId, until: Option<Micros>) -> bool {
        let mut schedule = self.schedule.lock();
        let wakeup = Arc::clone(&schedule.tasks[me.0].wakeup);
        loop {
            if std::mem::take(&mut schedule.tasks[me.0].poked) {
                return true;
            }
            match until.map(|until| until.saturating_sub(self.now())) {
                Some(0) => return false,
                Some(left) => drop(wakeup.wait_for(&mut schedule, Duration::from_micros(left))),
                None => wakeup.wait(&mut schedule),
            }
        }
    }

    /// Ends a thread's wait, or its next one.
    pub(crate) fn poke(&self, task: TaskId) {
        let mut schedule = self.lock_schedule();
        schedule.tasks[task.0].poked = true;
        if self.is_real_time() {
            schedule.tasks[task.0].wakeup.notify_one();
            return;
        }
        if matches!(schedule.tasks[task.0].state, TaskState::Waiting(_)) {
            schedule.make_ready(task);
        }
    }

    /// A simulated thread calls the simulator. A thread that was outside waits for its turn here, and with a seed a thread may lose its turn.
    pub(crate) fn enter(&self, me: TaskId, call: &'static str) {
        let mut schedule = self.lock_schedule();
        schedule.progress += 1;
        schedule.tasks[me.0].last_call = call;
        let was_outside = matches!(schedule.tasks[me.0].state, TaskState::Outside { .. });
        let loses_turn = schedule.random.as_mut().is_some_and(|random| random.u8(..) < 32);
        if was_outside || loses_turn {
            schedule.give_up_turn(me);
            schedule.make_ready(me);
            self.dispatch(&mut schedule);
            self.await_turn(&mut schedule, me);
        }
    }

    /// Runs everything that happens until `until`, and sets the clock to it.
    pub(crate) fn run_to(&self, until: Micros) {
        if self.is_real_time() {
            return std::thread::sleep(Duration::from_micros(until.saturating_sub(self.now())));
        }
        let mut schedule = self.schedule.lock();
        schedule.horizon = until.max(schedule.now);
        self.run(&mut schedule, None);
        schedule.now = schedule.horizon;
    }

    /// Runs everything until `task` is over, at most until `limit`, and then everything that takes no time. Returns false if the limit was reached.
    pub(crate) fn run_until_over(&self, task: TaskId, limit: Micros) -> bool {
        let mut schedule = self.schedule.lock();
        let is_over = |schedule: &Schedule| schedule.tasks[task.0].state == TaskState::Over;
        if self.is_real_time() {
            while !is_over(&schedule) && self.now() < limit {
                self.driver.wait_for(&mut schedule, Duration::from_millis(100));
            }
            return is_over(&schedule);
        }
        if !is_over(&schedule) {
            schedule.horizon = limit;
            schedule.awaited = Some(task);
            self.run(&mut schedule, Some(task));
            schedule.awaited = None;
        }
        schedule.horizon = schedule.now;
        self.run(&mut schedule, None);
        is_over(&schedule)
    }

    /// Runs until nothing is left to happen up to the horizon, or until the task is over.
    fn run(&self, schedule: &mut MutexGuard<'_, Schedule>, task: Option<TaskId>) {
        let mut seen = (schedule.progress, Instant::now());
        let (mut quiet, mut asleep_looks) = (QuietPeriod::default(), 0);
        let awaited = |schedule: &Schedule| {
            task.is_some_and(|task| matches!(schedule.tasks[task.0].state, TaskState::Outside { .. }))
        };
        loop {
            self.dispatch(schedule);
            let over = task.is_some_and(|task| schedule.tasks[task.0].state == TaskState::Over);
            if schedule.running.is_none() && (over || schedule.is_idle() && schedule.outside().next().is_none()) {
                return;
            }
            self.driver.wait_for(schedule, LOOK);
            if schedule.progress != seen.0 {
                seen = (schedule.progress, Instant::now());
                (quiet, asleep_looks) = (QuietPeriod::default(), 0);
            } else if seen.1.elapsed() > HUNG {
                let report = format!("the simulated world hangs; its threads:\n{}", schedule.report());
                // A second panic would hide the first.
                if std::thread::panicking() {
                    eprintln!("{report}");
                    return;
                }
                panic!("{report}");
            } else if self.locking.load(Ordering::SeqCst) > 0 {
                (quiet, asleep_looks) = (QuietPeriod::default(), 0);
            } else {
                let quiet = quiet.lasts(schedule.deep_sleepers());
                let all_asleep = match schedule.running {
                    Some(running) => is_asleep(schedule.tasks[running.0].thread),
                    None => schedule.outside().all(|task| is_asleep(task.thread)),
                };
                asleep_looks = if all_asleep { asleep_looks + 1 } else { 0 };
                let asleep = quiet || asleep_looks > ASLEEP;
                match schedule.running {
                    Some(running) if schedule.tasks[running.0].in_turn && asleep => {
                        schedule.running = None;
                        schedule.tasks[running.0].state = TaskState::Outside { for_long: false };
                        schedule.progress += 1;
                    }
                    Some(_) => {}
                    // Only sleeping threads are left, and none of them wakes another. The awaited thread will wake up: it may wait in a queue of
                    // the system, which can take a while on a busy machine.
                    None if !awaited(schedule) && asleep => {
                        return schedule.wait_for_outside(false);
                    }
                    None => {}
                }
            }
        }
    }

    fn await_turn(&self, schedule: &mut MutexGuard<'_, Schedule>, me: TaskId) {
        let wakeup = Arc::clone(&schedule.tasks[me.0].wakeup);
        while schedule.running != Some(me) {
            wakeup.wait(schedule);
        }
        schedule.tasks[me.0].in_turn = true;
    }

    /// If no thread has its turn, gives it to the next one. It advances the time if necessary.
    fn dispatch(&self, schedule: &mut Schedule) {
        if schedule.running.is_some() {
            return;
        }
        if schedule.ready.is_empty() {
            schedule.step();
        }
        match schedule.next_ready() {
            Some(next) => {
                schedule.progress += 1;
                schedule.running = Some(next);
                schedule.tasks[next.0].state = TaskState::Running;
                schedule.tasks[next.0].in_turn = false;
                schedule.tasks[next.0].wakeup.notify_one();
            }
            None => {
                self.driver.notify_all();
            }
        }
    }

    /// A description of the threads that are not over.
    pub(crate) fn report(&self) -> String {
        self.schedule.lock().report()
    }
}

impl Schedule {
    fn add(&mut self, name: &str) -> TaskId {
        self.tasks.push(Task {
            name: name.to_owned(),
            thread: 0,
            wakeup: Arc::new(Condvar::new()),
            state: TaskState::Over,
            alarm: None,
            poked: false,
            last_call: "",
            in_turn: false,
        });
        TaskId(self.tasks.len() - 1)
    }

    fn is_idle(&self) -> bool {
        self.ready.is_empty() && self.next_alarm().is_none()
    }

    /// The threads outside that may return at any time.
    fn outside(&self) -> impl Iterator<Item = &Task> {
        self.tasks.iter().filter(|task| task.state == TaskState::Outside { for_long: false })
    }

    /// The threads that could wake each other without the simulator: the one whose turn it is, all that are outside, and those that are over, until
    /// the system has removed them. Returns `None` unless all of them sleep deeply.
    fn deep_sleepers(&mut self) -> Option<Vec<(TaskId, u64)>> {
        let mut sleepers = Vec::new();
        for (at, task) in self.tasks.iter_mut().enumerate() {
            match task.state {
                TaskState::Ready | TaskState::Waiting(_) => continue,
                TaskState::Over if task.thread == 0 => continue,
                TaskState::Over if is_gone(task.thread) => task.thread = 0,
                TaskState::Over | TaskState::Running | TaskState::Outside { .. } => {
                    sleepers.push((TaskId(at), sleeps_deeply(task.thread)?));
                }
            }
        }
        Some(sleepers)
    }

    /// Sets whether the driver waits for the threads outside. It need not wait each time for a thread that waits for the network, but it must wait
    /// for a thread that joins another one when that has ended.
    fn wait_for_outside(&mut self, wait: bool) {
        for task in &mut self.tasks {
            if let TaskState::Outside { for_long } = &mut task.state {
                *for_long = !wait;
            }
        }
    }

    fn next_alarm(&self) -> Option<Micros> {
        self.alarms.first().map(|alarm| alarm.0).filter(|due| *due <= self.horizon)
    }

    /// Advances the time to the next time for which a thread waits. All threads that wait for it can then run.
    fn step(&mut self) {
        let Some(due) = self.next_alarm() else { return };
        self.now = self.now.max(due);
        while let Some(&(at, _, task)) = self.alarms.first().filter(|alarm| alarm.0 == due) {
            debug_assert_eq!(at, due);
            self.make_ready(task);
        }
    }

    fn make_ready(&mut self, id: TaskId) {
        self.progress += 1;
        let task = &mut self.tasks[id.0];
        task.state = TaskState::Ready;
        if let Some((due, sequence)) = task.alarm.take() {
            self.alarms.remove(&(due, sequence, id));
        }
        self.ready.push_back(id);
    }

    fn next_ready(&mut self) -> Option<TaskId> {
        match &mut self.random {
            Some(random) if self.ready.len() > 1 => self.ready.remove(random.usize(..self.ready.len())),
            _ => self.ready.pop_front(),
        }
    }

    fn give_up_turn(&mut self, me: TaskId) {
        self.progress += 1;
        if self.running == Some(me) {
            self.running = None;
        }
    }

    fn report(&self) -> String {
        let mut report = String::new();
        for task in self.tasks.iter().filter(|task| task.state != TaskState::Over) {
            let _ = writeln!(report, "  {}: {:?}, last called {}", task.name, task.state, task.last_call);
        }
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    /// Runs `bodies` as simulated threads for a minute. Returns what they have written, in order.
    fn course(seed: Option<u64>, bodies: &[fn(&Kernel, TaskId) -> Vec<&'static str>]) -> Vec<&'static str> {
        let (kernel, notes) = (Kernel::new(), Mutex::new(Vec::new()));
        if let Some(seed) = seed {
            kernel.shuffle(seed);
        }
        thread::scope(|scope| {
            for body in bodies {
                let (kernel, notes) = (&kernel, &notes);
                let id = kernel.register("test");
                scope.spawn(move || {
                    kernel.begin(id);
                    let written = body(kernel, id);
                    notes.lock().extend(written);
                    kernel.finish(id);
                });
            }
            kernel.run_to(UPTIME + 60_000_000);
        });
        assert_eq!(kernel.now(), UPTIME + 60_000_000);
        notes.into_inner()
    }

    fn short(kernel: &Kernel, me: TaskId) -> Vec<&'static str> {
        kernel.wait(me, Some(kernel.now() + 1_000_000), "test");
        vec!["short"]
    }

    fn long(kernel: &Kernel, me: TaskId) -> Vec<&'static str> {
        for _ in 0..59 {
            short(kernel, me);
        }
        vec!["long"]
    }

    #[test]
    fn threads_run_in_the_order_of_the_times_for_which_they_wait() {
        assert_eq!(course(None, &[long, short]), ["short", "long"]);
        assert_eq!(course(None, &[short, long]), ["short", "long"]);
    }

    #[test]
    fn each_seed_has_one_course_of_its_own() {
        fn a(kernel: &Kernel, me: TaskId) -> Vec<&'static str> {
            short(kernel, me);
            vec!["a"]
        }
        let of = |seed| course(Some(seed), &[a, short]);
        assert_eq!(of(1), of(1));
        let courses: std::collections::HashSet<_> = (0..20).map(of).collect();
        assert_eq!(courses.len(), 2);
    }

    #[test]
    fn a_poke_before_the_wait_is_not_lost() {
        fn poked(kernel: &Kernel, me: TaskId) -> Vec<&'static str> {
            kernel.poke(me);
            if kernel.wait(me, None, "test") { vec!["poked"] } else { vec![] }
        }
        assert_eq!(course(None, &[poked]), ["poked"]);
    }

    #[test]
    fn a_poke_does_not_end_a_sleep_and_is_kept_for_the_next_wait() {
        fn sleeper(kernel: &Kernel, me: TaskId) -> Vec<&'static str> {
            kernel.poke(me);
            kernel.sleep(me, UPTIME + 5_000_000);
            assert_eq!(kernel.now(), UPTIME + 5_000_000);
            if kernel.wait(me, None, "test") { vec!["poked"] } else { vec![] }
        }
        assert_eq!(course(None, &[sleeper]), ["poked"]);
    }

    #[test]
    fn an_awaited_thread_may_take_long_outside() {
        let kernel = Kernel::new();
        let slow = kernel.register("slow");
        thread::scope(|scope| {
            let kernel = &kernel;
            scope.spawn(move || {
                kernel.begin(slow);
                thread::sleep(10 * ASLEEP * LOOK);
                kernel.finish(slow);
            });
            assert!(kernel.run_until_over(slow, UPTIME + 60_000_000));
        });
        assert_eq!(kernel.now(), UPTIME);
    }

    #[test]
    fn a_thread_that_blocks_outside_does_not_block_the_others() {
        let kernel = Kernel::new();
        let (blocked, other) = (kernel.register("blocked"), kernel.register("other"));
        let (ring, wait) = std::sync::mpsc::channel();
        thread::scope(|scope| {
            let kernel = &kernel;
            scope.spawn(move || {
                kernel.begin(blocked);
                wait.recv().expect("the other thread rings");
                kernel.enter(blocked, "test");
                kernel.finish(blocked);
            });
            scope.spawn(move || {
                kernel.begin(other);
                short(kernel, other);
                ring.send(()).expect("the blocked thread waits");
                kernel.finish(other);
            });
            assert!(kernel.run_until_over(blocked, UPTIME + 60_000_000));
        });
        assert_eq!(kernel.now(), UPTIME + 1_000_000);
    }
}
