//! How a callback of the core's finds what it works with.
//!
//! Most callbacks are bare function pointers: the core hands them nothing of the module's. So each one asks, anew at each call, and keeps
//! what it is given until it returns. After the module was unloaded there is nothing to find.

use std::sync::Arc;

/// Finds the `T` of the loaded module. Implemented once, by what owns the module's state.
pub(crate) trait WayIn<T>: 'static {
    /// `None` before load and after unload.
    fn find() -> Option<Arc<T>>;
}
