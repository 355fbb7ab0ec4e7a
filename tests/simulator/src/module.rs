//! Loads the module as FreeSWITCH's loader does (`switch_loadable_module.c`), and runs what it registers.

use std::ffi::{CString, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

use crate::core::{Core, enter};
use crate::ffi::{
    self, switch_module_interface_name_t as Kind, switch_state_handler_flag_t as Flag, switch_status_t as Status,
};
use crate::leg::LegId;
use crate::text::{from_c, to_c};

/// Counts the holders of an interface or a module. The module knows it as a pointer to a lock.
type LockCount = AtomicI32;

/// The simulator's own applications and dialplans count as one module that is never unloaded.
#[derive(Default)]
pub(crate) struct Modules {
    loaded: Option<Loaded>,
    interfaces: Vec<*mut ffi::switch_loadable_module_interface_t>,
    applications: Vec<*mut ffi::switch_application_interface_t>,
    commands: Vec<*mut ffi::switch_api_interface_t>,
    dialplans: Vec<*mut ffi::switch_dialplan_interface_t>,
    state_handlers: Vec<*const ffi::switch_state_handler_table_t>,
    /// Whether the simulator's own interfaces have been made.
    host: Option<*mut ffi::switch_loadable_module_interface_t>,
    #[allow(clippy::vec_box, reason = "their addresses are handed out")]
    locks: Vec<Box<LockCount>>,
    texts: Vec<CString>,
    /// The lock of all counts of holders.
    reflock: Option<*mut LockCount>,
}

struct Loaded {
    library: Option<Library>,
    table: *const ffi::switch_loadable_module_function_table_t,
    interface: *mut ffi::switch_loadable_module_interface_t,
    _folder: Option<tempfile::TempDir>,
}

impl Modules {
    fn lock(&mut self) -> *mut LockCount {
        let mut lock = Box::new(LockCount::new(0));
        let pointer = ptr::from_mut(&mut *lock);
        self.locks.push(lock);
        pointer
    }

    fn reflock(&mut self) -> *mut LockCount {
        let lock = self.reflock.unwrap_or_else(|| self.lock());
        self.reflock = Some(lock);
        lock
    }

    fn text(&mut self, text: &str) -> *const c_char {
        self.texts.push(to_c(text));
        self.texts[self.texts.len() - 1].as_ptr()
    }

    fn new_interface(&mut self, name: &str) -> *mut ffi::switch_loadable_module_interface_t {
        let (module_name, rwlock) = (self.text(name), self.lock().cast());
        let interface = ffi::switch_loadable_module_interface_t { module_name, rwlock, ..Default::default() };
        let pointer = Box::into_raw(Box::new(interface));
        self.interfaces.push(pointer);
        pointer
    }

    /// The simulator's own interfaces, which are made at their first use.
    fn add_host(&mut self) {
        if self.host.is_some() {
            return;
        }
        let parent = self.new_interface("simulator");
        self.host = Some(parent);
        for name in crate::apps::own_names() {
            let interface_name = self.text(name);
            let (rwlock, reflock) = (self.lock().cast(), self.reflock().cast());
            let interface =
                ffi::switch_application_interface_t { interface_name, rwlock, reflock, parent, ..Default::default() };
            self.applications.push(Box::into_raw(Box::new(interface)));
        }
        for name in ["XML", "inline"] {
            let interface_name = self.text(name);
            let (rwlock, reflock) = (self.lock().cast(), self.reflock().cast());
            let hunt_function: ffi::switch_dialplan_hunt_function_t = Some(crate::dialplan::hunt);
            let interface = ffi::switch_dialplan_interface_t {
                interface_name,
                hunt_function,
                rwlock,
                reflock,
                parent,
                ..Default::default()
            };
            self.dialplans.push(Box::into_raw(Box::new(interface)));
        }
    }

    fn forget_registered(&mut self) {
        let host = self.host;
        // SAFETY: all are boxes that were made here, and the caller has made sure that none is held.
        unsafe {
            let of_module = |parent| Some(parent) != host;
            for interface in self.applications.extract_if_compat(|it| of_module((**it).parent)) {
                drop(Box::from_raw(interface));
            }
            for interface in self.dialplans.extract_if_compat(|it| of_module((**it).parent)) {
                drop(Box::from_raw(interface));
            }
            for interface in self.commands.extract_if_compat(|it| of_module((**it).parent)) {
                drop(Box::from_raw(interface));
            }
            for interface in self.interfaces.extract_if_compat(|it| of_module(*it)) {
                drop(Box::from_raw(interface));
            }
        }
    }

    pub(crate) fn is_loaded(&self) -> bool {
        self.loaded.is_some()
    }

    pub(crate) fn leaks(&self) -> Vec<String> {
        let held = self.locks.iter().filter(|lock| lock.load(Ordering::Relaxed) != 0).count();
        if held == 0 { Vec::new() } else { vec![format!("{held} interfaces or their locks are held")] }
    }
}

impl Drop for Modules {
    fn drop(&mut self) {
        // SAFETY: the world ends, so they are not used any more.
        unsafe {
            self.applications.drain(..).for_each(|it| drop(Box::from_raw(it)));
            self.commands.drain(..).for_each(|it| drop(Box::from_raw(it)));
            self.dialplans.drain(..).for_each(|it| drop(Box::from_raw(it)));
            self.interfaces.drain(..).for_each(|it| drop(Box::from_raw(it)));
        }
    }
}

/// `Vec::extract_if` needs a newer compiler than the oldest that is supported.
trait ExtractIf<T> {
    fn extract_if_compat(&mut self, which: impl Fn(&T) -> bool) -> Vec<T>;
}

impl<T> ExtractIf<T> for Vec<T> {
    fn extract_if_compat(&mut self, which: impl Fn(&T) -> bool) -> Vec<T> {
        let (out, stay) = std::mem::take(self).into_iter().partition(|it| which(it));
        *self = stay;
        out
    }
}

/// # Safety
/// `name` is a C string that is never freed.
unsafe fn named(name: *const c_char, wanted: &str) -> bool {
    // SAFETY: by this function's contract.
    unsafe { from_c(name) }.is_some_and(|name| name.eq_ignore_ascii_case(wanted))
}

/// # Safety
/// The locks were made here, or they are null in an interface that was never registered.
unsafe fn add_to(lock: *mut c_void, by: i32) {
    // SAFETY: by this function's contract.
    if let Some(lock) = unsafe { lock.cast::<LockCount>().as_ref() } {
        lock.fetch_add(by, Ordering::Relaxed);
    }
}

/// Waits for a mutex that was made here. Only in real-time mode can another thread hold it.
///
/// # Safety
/// As [`add_to`].
unsafe fn seize(lock: *mut c_void) {
    // SAFETY: by this function's contract.
    if let Some(lock) = unsafe { lock.cast::<LockCount>().as_ref() } {
        while lock.compare_exchange_weak(0, 1, Ordering::Acquire, Ordering::Relaxed).is_err() {
            std::thread::yield_now();
        }
    }
}

/// # Safety
/// As [`add_to`].
unsafe fn let_go(lock: *mut c_void) {
    // SAFETY: by this function's contract.
    if let Some(lock) = unsafe { lock.cast::<LockCount>().as_ref() } {
        lock.store(0, Ordering::Release);
    }
}

macro_rules! hold {
    ($interface:expr, $by:expr) => {{
        let interface = $interface;
        // SAFETY: it was made here and is kept while it is held, with its parent and its locks.
        unsafe {
            add_to((*(*interface).parent).rwlock.cast(), $by);
            add_to((*interface).rwlock.cast(), $by);
            seize((*interface).reflock.cast());
            (*interface).refs += $by;
            (*(*interface).parent).refs += $by;
            let_go((*interface).reflock.cast());
        }
    }};
}

impl Core {
    /// Loads a copy of `libmod_x.so` as `mod_x`, so that this world has its statics for itself. It runs on a thread of the simulator.
    pub(crate) fn load(&self, path: &Path) -> Result<(), String> {
        if self.state().modules.is_loaded() {
            return Err("Module already loaded".into());
        }
        let stem = path.file_stem().and_then(|stem| stem.to_str()).ok_or("a module needs a name")?;
        let name = stem.strip_prefix("lib").unwrap_or(stem);
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let copy: PathBuf = folder.path().join(format!("{name}.so"));
        std::fs::copy(path, &copy).map_err(|error| format!("{}: {error}", path.display()))?;
        // SAFETY: a module's own code runs at load, as in FreeSWITCH.
        let library =
            unsafe { Library::open(Some(&copy), RTLD_NOW | RTLD_LOCAL) }.map_err(|error| error.to_string())?;
        // SAFETY: the symbol has this type by FreeSWITCH's contract.
        let table = unsafe {
            let symbol = format!("{name}_module_interface");
            let found = library
                .get::<*const ffi::switch_loadable_module_function_table_t>(symbol.as_bytes())
                .map_err(|error| error.to_string())?;
            found.into_raw().cast::<ffi::switch_loadable_module_function_table_t>().cast_const()
        };
        // SAFETY: the table is the module's.
        unsafe { self.begin(table, Some(library), Some(folder)) }
    }

    /// # Safety
    /// `table` points to a module's table, which is never freed.
    pub(crate) unsafe fn load_linked(&self, table: usize) -> Result<(), String> {
        // SAFETY: by this function's contract.
        unsafe { self.begin(std::ptr::with_exposed_provenance(table), None, None) }
    }

    /// # Safety
    /// `table` is a module's table, which is valid as long as the library is open.
    unsafe fn begin(
        &self,
        table: *const ffi::switch_loadable_module_function_table_t,
        library: Option<Library>,
        folder: Option<tempfile::TempDir>,
    ) -> Result<(), String> {
        // SAFETY: it is valid as long as the library is open.
        let (version, load) = unsafe { ((*table).switch_api_version, (*table).load) };
        if version != ffi::SWITCH_API_VERSION as c_int {
            return Err(format!("Trying to load an out of date module, please rebuild the module. ({version})"));
        }
        let load = load.ok_or("the module has no load function")?;
        let mut interface = ptr::null_mut();
        // SAFETY: the module's function, called as by FreeSWITCH; the pool is a handle that is only given back to the simulator.
        let status = unsafe { load(&mut interface, ptr::NonNull::dangling().as_ptr()) };
        if status != Status::SWITCH_STATUS_SUCCESS {
            self.state().modules.forget_registered();
            return Err(format!("the module's load function answered {}", status.0));
        }
        if interface.is_null() {
            return Err("the module made no interface".into());
        }
        self.state().modules.loaded = Some(Loaded { library, table, interface, _folder: folder });
        Ok(())
    }

    /// Unloads a module. It runs on a thread of the simulator.
    pub(crate) fn unload(&self) -> Result<(), String> {
        let loaded = self.state().modules.loaded.take().ok_or("No such module!")?;
        // SAFETY: it is kept until it is removed below.
        let users = unsafe { (*(*loaded.interface).rwlock.cast::<LockCount>()).load(Ordering::Relaxed) };
        if users > 0 {
            self.state().modules.loaded = Some(loaded);
            return Err("Module in use.".into());
        }
        // SAFETY: the library is open.
        let status = match unsafe { (*loaded.table).shutdown } {
            // SAFETY: the module's function, called as by FreeSWITCH.
            Some(shutdown) => unsafe { shutdown() },
            None => Status::SWITCH_STATUS_SUCCESS,
        };
        if status == Status::SWITCH_STATUS_NOUNLOAD {
            self.state().modules.loaded = Some(loaded);
            return Err("the module does not want to be unloaded".into());
        }
        self.state().modules.forget_registered();
        let mut loaded = loaded;
        let library = loaded.library.take();
        // Memory that a module's statics hold is no leak, but a sanitizer would report it if the module were unloaded before its final check.
        if std::env::var_os("SIMULATOR_KEEPS_MODULES").is_some() {
            std::mem::forget(library);
            return Ok(());
        }
        library.map_or(Ok(()), Library::close).map_err(|error| error.to_string())
    }

    pub(crate) fn hold_application(&self, name: &str) -> Option<*mut ffi::switch_application_interface_t> {
        let modules = &mut self.state().modules;
        modules.add_host();
        // SAFETY: they were made here, and their names are never freed.
        let found = modules.applications.iter().find(|it| unsafe { named((***it).interface_name, name) }).copied()?;
        hold!(found, 1);
        Some(found)
    }

    /// Runs `ask` with the hunt function of a dialplan that the module has registered. `None`: it has no such dialplan.
    pub(crate) fn with_dialplan<T>(
        &self,
        name: &str,
        ask: impl FnOnce(ffi::switch_dialplan_hunt_function_t) -> T,
    ) -> Option<T> {
        let interface = {
            let modules = &mut self.state().modules;
            modules.add_host();
            let host = modules.host;
            // SAFETY: ours, and their names stay.
            let is_it = |it: &&*mut ffi::switch_dialplan_interface_t| unsafe {
                Some((***it).parent) != host && named((***it).interface_name, name)
            };
            modules.dialplans.iter().find(is_it).copied()?
        };
        hold!(interface, 1);
        // SAFETY: it is held, so neither it nor its module is freed meanwhile.
        let answer = ask(unsafe { (*interface).hunt_function });
        hold!(interface, -1);
        Some(answer)
    }

    pub(crate) fn let_go_of_application(&self, interface: *mut ffi::switch_application_interface_t) {
        hold!(interface, -1);
    }

    /// Runs a command line on the calling thread. Returns its output.
    pub(crate) fn command(&self, line: &str) -> String {
        let (name, arguments) = line.split_once(' ').unwrap_or((line, ""));
        let found = {
            let modules = &self.state().modules;
            // SAFETY: they were made here, and their names are never freed.
            let found = modules.commands.iter().find(|it| unsafe { named((***it).interface_name, name) }).copied();
            found.inspect(|found| hold!(*found, 1))
        };
        let Some(interface) = found else { return format!("-ERR {name} Command not found!\n") };
        let mut answer = Vec::<u8>::new();
        let data = ptr::from_mut(&mut answer).cast();
        let mut stream =
            ffi::switch_stream_handle_t { raw_write_function: Some(write_raw), data, ..Default::default() };
        let arguments = to_c(arguments);
        // SAFETY: it is held; the module's function, called as it was registered; all lives through the call.
        unsafe {
            if let Some(function) = (*interface).function {
                let _ = function(arguments.as_ptr(), ptr::null_mut(), &mut stream);
            }
        }
        hold!(interface, -1);
        String::from_utf8_lossy(&answer).into_owned()
    }
}

unsafe extern "C" fn write_raw(
    stream: *mut ffi::switch_stream_handle_t,
    bytes: *mut u8,
    length: ffi::switch_size_t,
) -> Status {
    // SAFETY: `command` made the stream, and the data has the length that the module gives.
    unsafe {
        let answer = &mut *(*stream).data.cast::<Vec<u8>>();
        answer.extend_from_slice(std::slice::from_raw_parts(bytes, length));
    }
    Status::SWITCH_STATUS_SUCCESS
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_loadable_module_create_module_interface(
    _pool: *mut ffi::switch_memory_pool_t,
    name: *const c_char,
) -> *mut ffi::switch_loadable_module_interface_t {
    let call = enter("switch_loadable_module_create_module_interface");
    if call.fails {
        return ptr::null_mut();
    }
    // SAFETY: a C string that lives through the call.
    let name = unsafe { from_c(name) }.unwrap_or_default();
    call.core.state().modules.new_interface(&name)
}

/// Makes a zeroed interface, which the module fills.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_loadable_module_create_interface(
    parent: *mut ffi::switch_loadable_module_interface_t,
    kind: Kind,
) -> *mut c_void {
    let call = enter("switch_loadable_module_create_interface");
    if call.fails {
        return ptr::null_mut();
    }
    let modules = &mut call.core.state().modules;
    let (rwlock, reflock) = (modules.lock().cast(), modules.reflock().cast());
    match kind {
        Kind::SWITCH_APPLICATION_INTERFACE => {
            let interface = ffi::switch_application_interface_t { rwlock, reflock, parent, ..Default::default() };
            let pointer = Box::into_raw(Box::new(interface));
            modules.applications.push(pointer);
            pointer.cast()
        }
        Kind::SWITCH_API_INTERFACE => {
            let interface = ffi::switch_api_interface_t { rwlock, reflock, parent, ..Default::default() };
            let pointer = Box::into_raw(Box::new(interface));
            modules.commands.push(pointer);
            pointer.cast()
        }
        Kind::SWITCH_DIALPLAN_INTERFACE => {
            let interface = ffi::switch_dialplan_interface_t { rwlock, reflock, parent, ..Default::default() };
            let pointer = Box::into_raw(Box::new(interface));
            modules.dialplans.push(pointer);
            pointer.cast()
        }
        _ => ptr::null_mut(),
    }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_loadable_module_get_application_interface(
    name: *const c_char,
) -> *mut ffi::switch_application_interface_t {
    let call = enter("switch_loadable_module_get_application_interface");
    // SAFETY: a C string that lives through the call.
    let name = unsafe { from_c(name) }.unwrap_or_default();
    call.core.hold_application(&name).unwrap_or(ptr::null_mut())
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_loadable_module_get_dialplan_interface(
    name: *const c_char,
) -> *mut ffi::switch_dialplan_interface_t {
    let call = enter("switch_loadable_module_get_dialplan_interface");
    // SAFETY: as above.
    let name = unsafe { from_c(name) }.unwrap_or_default();
    let modules = &mut call.core.state().modules;
    modules.add_host();
    // SAFETY: they were made here, and their names are never freed.
    let found = modules.dialplans.iter().find(|it| unsafe { named((***it).interface_name, &name) }).copied();
    let Some(found) = found else { return ptr::null_mut() };
    hold!(found, 1);
    found
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_mutex_lock(lock: *mut ffi::switch_mutex_t) -> Status {
    enter("switch_mutex_lock");
    // SAFETY: a module gets only the locks of interfaces, which were made here.
    unsafe { seize(lock.cast()) };
    Status::SWITCH_STATUS_SUCCESS
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_mutex_unlock(lock: *mut ffi::switch_mutex_t) -> Status {
    enter("switch_mutex_unlock");
    // SAFETY: as above.
    unsafe { let_go(lock.cast()) };
    Status::SWITCH_STATUS_SUCCESS
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_thread_rwlock_unlock(lock: *mut ffi::switch_thread_rwlock_t) -> Status {
    enter("switch_thread_rwlock_unlock");
    // SAFETY: as above.
    unsafe { add_to(lock.cast(), -1) };
    Status::SWITCH_STATUS_SUCCESS
}

/// The path of `libmod_callpark.so`, which cargo has built together with the tests.
///
/// # Panics
/// If the file does not exist. A test of a module that was not built must not pass.
pub fn built_module() -> PathBuf {
    let program = std::env::current_exe().expect("a running program has a path");
    let folders = program.ancestors().skip(1).take(3);
    let candidates: Vec<PathBuf> = folders
        .flat_map(|folder| [folder.join("libmod_callpark.so"), folder.join("deps/libmod_callpark.so")])
        .collect();
    let newest = candidates.iter().filter_map(|path| Some((path.metadata().ok()?.modified().ok()?, path))).max();
    newest.map_or_else(
        || panic!("libmod_callpark.so was not built, expected it in one of {candidates:?}"),
        |(_, path)| path.clone(),
    )
}

impl Core {
    /// Runs the callbacks for a new leg, on the leg's thread.
    pub(crate) fn tell_state_handlers(&self, id: LegId) {
        let mut tables = self.state().modules.state_handlers.clone();
        // SAFETY: as below.
        tables.sort_by_key(|table| unsafe { (**table).flags } & Flag::SSH_FLAG_PRE_EXEC.0 as c_int == 0);
        let session = self.leg(id, |leg| leg.session.as_ptr());
        for table in tables {
            // SAFETY: the module removes its table before it is unloaded, and its code outlives the call.
            unsafe { (*table).on_init.map(|on_init| on_init(session)) };
        }
    }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_core_add_state_handler(
    table: *const ffi::switch_state_handler_table_t,
) -> c_int {
    let call = enter("switch_core_add_state_handler");
    let handlers = &mut call.core.state().modules.state_handlers;
    handlers.push(table);
    handlers.len() as c_int - 1
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_core_remove_state_handler(table: *const ffi::switch_state_handler_table_t) {
    let call = enter("switch_core_remove_state_handler");
    call.core.state().modules.state_handlers.retain(|known| *known != table);
}
