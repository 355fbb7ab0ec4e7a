//! The data of one cycle of the worker.

use std::time::Duration;

use super::Storage;
use super::connection::Connection;
use super::slot_row;
use crate::config::Settings;
use crate::service::ParkingService;

pub(super) struct Cycle<'a> {
    pub(super) connection: Connection,
    pub(super) storage: &'a Storage,
    pub(super) service: &'a ParkingService,
    pub(super) settings: Settings,
    pub(super) node: String,
    /// By how many milliseconds the clock of the rows is ahead of this node's monotonic clock.
    pub(super) ahead: i64,
    /// Whether it is the last cycle.
    pub(super) closing: bool,
}

impl Cycle<'_> {
    /// The time on the clock of the rows, in milliseconds since 1970.
    pub(super) fn clock(&self) -> i64 {
        slot_row::monotonic_ms() + self.ahead
    }

    /// How long the slots of a run that died are reserved.
    pub(super) fn window(&self) -> Duration {
        Duration::from_secs(self.settings.recover_window.into())
    }
}
