//! Simulates the scheduler: tasks at times of the wall clock, all on one thread (`switch_scheduler.c`).

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use crate::core::{Core, enter};
use crate::ffi;
use crate::kernel::{Micros, TaskId};
use crate::text::from_c;

/// The time between two checks of the list of tasks.
const SCHEDULER_INTERVAL: Micros = 500_000;

struct ScheduledTask {
    id: u32,
    name: String,
    function: ffi::switch_scheduler_func_t,
    argument: *mut c_void,
    /// Seconds since 1970.
    due: i64,
    repeat: u32,
    deleted: bool,
}

#[derive(Default)]
pub(crate) struct Tasks {
    tasks: Vec<ScheduledTask>,
    last_id: u32,
    thread: Option<TaskId>,
    over: bool,
}

impl Tasks {
    pub(crate) fn leaks(&self) -> Vec<String> {
        let left = self.tasks.iter().filter(|task| !task.deleted);
        left.map(|task| format!("the scheduler task {} is left", task.name)).collect()
    }
}

impl Core {
    pub(crate) fn begin_scheduler(self: &Arc<Core>) {
        let thread = self.spawn("scheduler", |core| {
            loop {
                let (over, idle) = {
                    let tasks = &core.state().tasks;
                    (tasks.over, tasks.tasks.is_empty())
                };
                if over {
                    return;
                }
                core.run_due_tasks();
                let next = if idle {
                    None
                } else {
                    Some(core.kernel.now() / SCHEDULER_INTERVAL * SCHEDULER_INTERVAL + SCHEDULER_INTERVAL)
                };
                core.wait(next, "for the next round");
            }
        });
        self.state().tasks.thread = Some(thread);
    }

    pub(crate) fn end_scheduler(&self) {
        self.state().tasks.over = true;
        self.wake_scheduler();
    }

    fn wake_scheduler(&self) {
        let thread = self.state().tasks.thread;
        thread.inspect(|thread| self.kernel.poke(*thread));
    }

    fn run_due_tasks(&self) {
        let now = self.wall() / 1_000_000;
        let due: Vec<u32> = {
            let tasks = &self.state().tasks.tasks;
            tasks.iter().filter(|task| !task.deleted && now >= task.due).map(|task| task.id).collect()
        };
        for id in due {
            self.run_task(id, now);
        }
        self.state().tasks.tasks.retain(|task| !task.deleted);
    }

    fn run_task(&self, id: u32, now: i64) {
        let picked = {
            let tasks = &mut self.state().tasks.tasks;
            let task = tasks.iter_mut().find(|task| task.id == id && !task.deleted);
            task.map(|task| (task.function, task.argument, task.due))
        };
        let Some((Some(function), argument, due)) = picked else { return };
        let mut told =
            ffi::switch_scheduler_task_t { runtime: due, task_id: id, cmd_arg: argument, ..Default::default() };
        // SAFETY: the module's function, which deletes its task before it is unloaded; the task lives through the call.
        unsafe { function(&mut told) };
        let later = self.wall() / 1_000_000;
        let tasks = &mut self.state().tasks.tasks;
        if let Some(task) = tasks.iter_mut().find(|task| task.id == id) {
            task.due = if task.repeat > 0 { later + i64::from(task.repeat) } else { told.runtime };
            task.deleted |= task.due <= now;
        }
    }
}

/// A time in the past counts as a repeat interval.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_scheduler_add_task(
    due: ffi::time_t,
    function: ffi::switch_scheduler_func_t,
    name: *const c_char,
    _group: *const c_char,
    _cmd_id: u32,
    argument: *mut c_void,
    flags: ffi::switch_scheduler_flag_t,
) -> u32 {
    let call = enter("switch_scheduler_add_task");
    if flags != 0 {
        call.core.misuse(format!("a scheduler task with the flags {flags}, which are not simulated"));
    }
    let now = call.core.wall() / 1_000_000;
    let (due, repeat) = if due < now { (now + due, u32::try_from(due).unwrap_or(0)) } else { (due, 0) };
    // SAFETY: a C string that lives through the call.
    let name = unsafe { from_c(name) }.unwrap_or_default();
    let id = {
        let tasks = &mut call.core.state().tasks;
        tasks.last_id += 1;
        let id = tasks.last_id;
        tasks.tasks.push(ScheduledTask { id, name, function, argument, due, repeat, deleted: false });
        id
    };
    call.core.wake_scheduler();
    id
}

/// Does not wait for a running task; that task is not scheduled again.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_scheduler_del_task_id(id: u32) -> u32 {
    let call = enter("switch_scheduler_del_task_id");
    let tasks = &mut call.core.state().tasks.tasks;
    let task = tasks.iter_mut().find(|task| task.id == id && !task.deleted);
    task.map(|task| task.deleted = true).is_some().into()
}
