//! Finds the state of the module for callbacks of the core.
//!
//! Most callbacks are plain function pointers, to which the core passes no data of the module. So each callback looks its data up at each call, and
//! keeps it until it returns. After unload there is nothing to find.

use std::sync::Arc;

/// Finds the `T` of the loaded module. The owner of the module's state implements it.
pub(crate) trait StateLookup<T>: 'static {
    /// Returns `None` before load and after unload.
    fn find() -> Option<Arc<T>>;
}
