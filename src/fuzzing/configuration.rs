//! Parses configurations.

use std::time::Duration;

use super::inject_fault;
use crate::config::{self, Config};
use crate::parking::{
    CallOverrides, LotName, LotSelector, LotSettings, MonotonicTime, ParkRequest, Refusal, SlotRequest, Table, is_name,
    parse_slots,
};

const YEAR: Duration = Duration::from_secs(31_536_000);

/// Reads a configuration file.
pub fn configuration(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match config::read(&text, Some(&text)) {
        Err(errors) => {
            assert!(!errors.is_empty());
            for error in &errors {
                assert!(error.to_string().starts_with("callpark.conf.xml"), "{error:?}");
            }
        }
        Ok(config) => accepted(&config),
    }
    if let Ok(slots) = parse_slots(&text) {
        assert!(slots.is_sorted_by(|a, b| a < b), "each once, in counting order");
        assert!(!slots.is_empty() && slots.len() <= 200_000);
        let listed = slots.iter().map(|slot| slot.as_str()).collect::<Vec<_>>().join(",");
        assert_eq!(parse_slots(&listed).as_ref(), Ok(&slots));
    }
}

/// Checks that the settings are within their limits, and that a call can be parked in each lot.
fn accepted(config: &Config) {
    assert!(!config.lots.is_empty());
    let settings = &config.settings;
    assert!((1..=36_500).contains(&settings.record_days) && (1..=86_400).contains(&settings.service_level));
    assert!(settings.recover_window <= 86_400 && !settings.db_dsn.is_empty());
    let listen = &settings.http_listen;
    assert!(listen.is_empty() || listen.parse::<std::net::SocketAddr>().is_ok(), "{listen:?}");
    let known = |name: &String| config.lots.iter().any(|lot| *lot.id.name == **name);
    assert!(config.default_lot.as_ref().is_none_or(known));
    for lot in &config.lots {
        assert!(!lot.slots.is_empty() && lot.slots.is_sorted_by(|a, b| a < b));
        assert!(is_name(&lot.id.name) && (&*lot.id.domain == "*" || is_name(&lot.id.domain)), "{}", lot.id);
        assert!(lot.labels.keys().all(|slot| lot.slots.binary_search(slot).is_ok()));
        bounded(&lot.settings);
    }
    let mut table = Table::new(&config.lots, config.default_lot.as_deref());
    let mut full = 0;
    for (number, lot) in config.lots.iter().enumerate() {
        let domain = if &*lot.id.domain == "*" { "nobody.test" } else { &*lot.id.domain };
        let place = LotName { name: lot.id.name.to_string(), domain: Some(domain.to_owned()), may_be_new: false };
        let request = ParkRequest {
            uuid: number.to_string().into(),
            place: LotSelector { lot: Some(place), domains: Vec::new(), any: false },
            wanted: SlotRequest::Auto,
            caller: Default::default(),
            parker: format!("{number}@{domain}").into(),
            label: String::new(),
            overrides: CallOverrides::default(),
            parked_at_ms: 0,
            entropy: number as u64,
        };
        match table.park(&request, false, MonotonicTime::default()) {
            Ok(_) => {}
            // Calls of other lots may have overflowed into it.
            Err(Refusal::Full(_)) => full += 1,
            Err(why) => panic!("{}: {why}", lot.id),
        }
        table.check().expect("sound");
    }
    assert!(full < config.lots.len());
    table.due(MonotonicTime(YEAR * 2));
    table.check().expect("sound");
}

fn bounded(settings: &LotSettings) {
    assert!(settings.park_timeout <= YEAR && settings.max_park_time <= YEAR && settings.ringback_timeout <= YEAR);
    assert!(!settings.ringback_timeout.is_zero() && settings.ringback_attempts <= 1000);
    assert!(settings.max_park_time.is_zero() || settings.fallback.is_some());
    assert_eq!(settings.exit_key.is_some(), settings.exit_destination.is_some());
    assert_eq!(settings.comfort_interval.is_zero(), settings.comfort_file.is_none());
    inject_fault(settings.park_timeout.as_secs() > 90);
}
