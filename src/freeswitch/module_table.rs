//! The module table that FreeSWITCH looks up, and the interfaces that the module registers at load.

use std::marker::PhantomData;

use super::guard::fence;
use crate::ffi;

pub(crate) use crate::ffi::switch_loadable_module_function_table as FunctionTable;

/// The result of a load or a shutdown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LoadStatus {
    Done,
    Failed,
    /// Only for a shutdown: the code must stay loaded, because a thread still runs in it.
    NoUnload,
}

/// The load and the shutdown of a module.
pub(crate) trait Lifecycle {
    const NAME: &'static std::ffi::CStr;

    fn load(interfaces: &mut Interfaces<'_>) -> LoadStatus;
    fn shutdown() -> LoadStatus;
}

/// Returns the table for `L`, which the exported static holds for FreeSWITCH's loader (`switch_loadable_module.c`).
pub(crate) const fn function_table<L: Lifecycle>() -> FunctionTable {
    FunctionTable {
        switch_api_version: ffi::SWITCH_API_VERSION as i32,
        load: Some(load::<L>),
        shutdown: Some(shutdown::<L>),
        runtime: None,
        flags: 0,
    }
}

/// The interfaces of a module that is being loaded, to which it adds applications and commands.
pub(crate) struct Interfaces<'a> {
    module: *mut ffi::switch_loadable_module_interface_t,
    _lent: PhantomData<&'a mut ()>,
}

impl Interfaces<'_> {
    /// Adds an interface of `kind`, whose struct is `T`, zeroed by the core. Returns `None` if the core has no memory.
    pub(super) fn add<T>(&mut self, kind: ffi::switch_module_interface_name_t) -> Option<&mut T> {
        // SAFETY: the module interface was made in `load` and is not given up before it returns; the core answers
        // with a pointer to the struct that belongs to `kind`, from the module's pool.
        unsafe { ffi::switch_loadable_module_create_interface(self.module, kind).cast::<T>().as_mut() }
    }
}

unsafe extern "C" fn load<L: Lifecycle>(
    module: *mut *mut ffi::switch_loadable_module_interface_t,
    pool: *mut ffi::switch_memory_pool_t,
) -> ffi::switch_status_t {
    super::log::install();
    let status = fence("load", None, || {
        // SAFETY: the loader hands a pool and a place for the interface; both outlive the call.
        let made = unsafe { ffi::switch_loadable_module_create_module_interface(pool, L::NAME.as_ptr()) };
        if made.is_null() {
            return Some(LoadStatus::Failed);
        }
        // SAFETY: as above.
        unsafe { *module = made };
        Some(L::load(&mut Interfaces { module: made, _lent: PhantomData }))
    });
    // The code of a module that could not be loaded is unloaded, so nothing may still run in it.
    let undo = || {
        fence("undone load", LoadStatus::NoUnload, L::shutdown);
        LoadStatus::Failed
    };
    to_host(status.unwrap_or_else(undo))
}

unsafe extern "C" fn shutdown<L: Lifecycle>() -> ffi::switch_status_t {
    to_host(fence("shutdown", LoadStatus::NoUnload, L::shutdown))
}

fn to_host(status: LoadStatus) -> ffi::switch_status_t {
    match status {
        LoadStatus::Done => ffi::switch_status_t::SWITCH_STATUS_SUCCESS,
        LoadStatus::Failed => ffi::switch_status_t::SWITCH_STATUS_GENERR,
        LoadStatus::NoUnload => ffi::switch_status_t::SWITCH_STATUS_NOUNLOAD,
    }
}
