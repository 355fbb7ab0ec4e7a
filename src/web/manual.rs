//! The rows of paths, actions and metrics for the manual, as constants without the functions, which need FreeSWITCH.

use super::actions::{self, Action};
use super::routes::{self, ApiPath};

pub(crate) use super::metrics::manual as metrics;
pub(crate) use super::routes::OPENAPI;

/// Method, path, right, answer.
pub(crate) const PATHS: [[&str; 4]; routes::PATHS.len()] = {
    let mut rows = [[""; 4]; routes::PATHS.len()];
    let mut n = 0;
    while n < rows.len() {
        let ApiPath { method, path, right, answers, .. } = routes::PATHS[n];
        rows[n] = [method, path, right, answers];
        n += 1;
    }
    rows
};

/// Name, body, what it does.
pub(crate) const ACTIONS: [[&str; 3]; actions::ACTIONS.len()] = {
    let mut rows = [[""; 3]; actions::ACTIONS.len()];
    let mut n = 0;
    while n < rows.len() {
        let Action { name, body, does, .. } = actions::ACTIONS[n];
        rows[n] = [name, body, does];
        n += 1;
    }
    rows
};
