//! The rows of paths, actions and metrics for the manual, as constants without the functions, which need FreeSWITCH.

use super::actions::{self, ActionRow};
use super::description::{PathRow, describe};
use super::routes;

pub(crate) use super::metrics::manual as metrics;

pub(crate) const PATH_ROWS: [PathRow; routes::PATHS.len()] = {
    let mut rows = [routes::PATHS[0].row; routes::PATHS.len()];
    let mut n = 0;
    while n < rows.len() {
        rows[n] = routes::PATHS[n].row;
        n += 1;
    }
    rows
};

pub(crate) const ACTION_ROWS: [ActionRow; actions::ACTIONS.len()] = {
    let mut rows = [actions::ACTIONS[0].row; actions::ACTIONS.len()];
    let mut n = 0;
    while n < rows.len() {
        rows[n] = actions::ACTIONS[n].row;
        n += 1;
    }
    rows
};

/// The description of the API, as it is served.
pub(crate) fn description() -> serde_json::Value {
    serde_json::to_value(describe(&PATH_ROWS, &ACTION_ROWS)).unwrap()
}
