//! Remembers how dialplans write the names of lots. mod_valet_parking knows a lot by its name alone, which may have a domain in it or not, and
//! programs look for the name that the dialplan has.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use crate::parking::LotId;

/// The maximum number of names. Another one is shown with its domain.
const MAX_NAMES: usize = 10_000;

/// The names of the lots that `valet_park` was called for.
#[derive(Debug, Default)]
pub(crate) struct LotNames(Mutex<BTreeMap<String, String>>);

impl LotNames {
    /// Notes a name as a dialplan writes it.
    pub(super) fn note(&self, written: &str) {
        let mut names = self.0.lock();
        let key = written.to_ascii_lowercase();
        if names.len() < MAX_NAMES && !names.contains_key(&key) {
            names.insert(key, written.to_owned());
        }
    }

    /// The name of a lot: as a dialplan writes it, otherwise with its domain.
    pub(super) fn of(&self, lot: &LotId) -> String {
        let names = self.0.lock();
        let full = lot.to_string();
        let known = |name: &str| names.get(&name.to_ascii_lowercase()).cloned();
        known(&full).or_else(|| known(&lot.name)).unwrap_or(full)
    }

    /// All names that were noted.
    pub(super) fn all(&self) -> Vec<String> {
        self.0.lock().values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lot_has_the_name_that_the_dialplan_writes() {
        let names = LotNames::default();
        for written in ["park@Example.com", "valet_parking_lot", "PARK@example.com"] {
            names.note(written);
        }
        let name = |lot: &str, domain: &str| names.of(&LotId::new(lot, domain));
        assert_eq!(name("park", "example.com"), "park@Example.com");
        assert_eq!(name("valet_parking_lot", "example.com"), "valet_parking_lot");
        assert_eq!(name("park", "other.example"), "park@other.example");
        assert_eq!(names.all(), ["park@Example.com", "valet_parking_lot"]);
    }
}
