//! One turn of the worker: what it works with.

use std::time::Duration;

use super::Storage;
use super::connection::Connection;
use super::slot_row;
use crate::config::Settings;
use crate::service::ParkingService;

pub(super) struct Turn<'a> {
    pub(super) connection: Connection,
    pub(super) storage: &'a Storage,
    pub(super) service: &'a ParkingService,
    pub(super) settings: Settings,
    pub(super) node: String,
    /// By how many milliseconds the clock that the rows are by is ahead of this node's monotonic one.
    pub(super) ahead: i64,
    /// It is the last turn.
    pub(super) closing: bool,
}

impl Turn<'_> {
    /// What the clock that the rows are by shows, in milliseconds since 1970.
    pub(super) fn clock(&self) -> i64 {
        slot_row::monotonic_ms() + self.ahead
    }

    /// For how long the slots of a run that died are kept.
    pub(super) fn window(&self) -> Duration {
        Duration::from_secs(self.settings.recover_window.into())
    }
}
