//! Metrics in the OpenMetrics format, which Prometheus reads. What happens is counted as it happens; what is so at the moment is
//! looked up when somebody asks.

use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::routes::away;
use crate::attendant::{self, HoldTimes, Notice, What, Witness};
use crate::host::{guard, memory};
use crate::parking::{LotId, Outcome};
use crate::{music, storage};

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct Lot {
    lot: String,
    domain: String,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct Played {
    how: &'static str,
}

impl From<&LotId> for Lot {
    fn from(id: &LotId) -> Lot {
        Lot { lot: id.name.to_string(), domain: id.domain.to_string() }
    }
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct LotOutcome {
    lot: String,
    domain: String,
    outcome: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct LotReason {
    lot: String,
    domain: String,
    reason: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct LotResult {
    lot: String,
    domain: String,
    result: &'static str,
}

/// What is counted from load on.
struct Counts {
    parked: Family<Lot, Counter>,
    recovered: Family<Lot, Counter>,
    ended: Family<LotOutcome, Counter>,
    refused: Family<LotReason, Counter>,
    ring_backs: Family<LotResult, Counter>,
    waits: Family<Lot, Histogram>,
}

fn counts() -> &'static Counts {
    static COUNTS: OnceLock<Counts> = OnceLock::new();
    COUNTS.get_or_init(|| Counts {
        parked: Family::default(),
        recovered: Family::default(),
        ended: Family::default(),
        refused: Family::default(),
        ring_backs: Family::default(),
        waits: Family::new_with_constructor(|| {
            Histogram::new([5.0, 10.0, 20.0, 30.0, 60.0, 90.0, 120.0, 180.0, 300.0, 600.0])
        }),
    })
}

pub(crate) struct Meter;

impl Witness for Meter {
    fn saw(&self, notice: &Notice<'_>) {
        let Some(id) = notice.call.map(|call| &call.facts.lot).or(notice.lot) else { return };
        let (lot, domain) = (id.name.to_string(), id.domain.to_string());
        let counts = counts();
        let ring_back = |result| LotResult { lot: lot.clone(), domain: domain.clone(), result };
        let refusal = |reason| LotReason { lot: lot.clone(), domain: domain.clone(), reason };
        match notice.what {
            What::Park => {
                counts.parked.get_or_create(&id.into()).inc();
            }
            What::Recover => {
                counts.recovered.get_or_create(&id.into()).inc();
            }
            What::Ended(outcome) => {
                counts.waits.get_or_create(&id.into()).observe(notice.wait.as_secs_f64());
                if outcome == Outcome::Returned {
                    counts.ring_backs.get_or_create(&ring_back("answered")).inc();
                }
                let outcome = outcome.word();
                counts.ended.get_or_create(&LotOutcome { lot, domain, outcome }).inc();
            }
            What::Full => {
                counts.refused.get_or_create(&refusal("full")).inc();
            }
            What::Denied => {
                counts.refused.get_or_create(&refusal("denied")).inc();
            }
            What::RingBack => {
                counts.ring_backs.get_or_create(&ring_back("started")).inc();
            }
            What::RingBackFailed => {
                counts.ring_backs.get_or_create(&ring_back("failed")).inc();
            }
            // Why there is no slot was told before.
            What::NoSlot => {}
            What::Label
            | What::Extend
            | What::Reserve
            | What::Release
            | What::HandOver
            | What::ParkFailed
            | What::Reload => {}
        }
    }
}

/// The lock's own histogram, as the library writes one.
#[derive(Debug)]
struct Held(HoldTimes);

impl Collector for Held {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let Held(times) = self;
        let help = "How long the table was locked, each time";
        let mut metric = encoder.encode_descriptor("lock_held", help, Some(&Unit::Seconds), MetricType::Histogram)?;
        let ends = times.buckets.iter().map(|(end, count)| (end.map_or(f64::MAX, |end| end.as_secs_f64()), *count));
        metric.encode_histogram::<NoLabelSet>(times.total.as_secs_f64(), times.count(), &ends.collect::<Vec<_>>(), None)
    }
}

pub(super) fn answer() -> Response {
    match text() {
        Some(text) => {
            ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response()
        }
        None => away().into_response(),
    }
}

fn text() -> Option<String> {
    let attendant = attendant::on_duty()?;
    let mut registry = Registry::with_prefix("freeswitch_callpark");
    let counts = counts();
    registry.register("parked", "Calls that were parked", counts.parked.clone());
    registry.register("recovered", "Parked calls that came back after a crash", counts.recovered.clone());
    registry.register("ended", "Parked calls that ended, by outcome", counts.ended.clone());
    registry.register(
        "refused",
        "Calls that got no slot (full) or callers who may not (denied)",
        counts.refused.clone(),
    );
    registry.register("ring_backs", "Ring backs that were started, answered and failed", counts.ring_backs.clone());
    registry.register_with_unit("wait", "From parking to the outcome", Unit::Seconds, counts.waits.clone());

    let (calls, slots, oldest) = <(Family<Lot, Gauge>, Family<Lot, Gauge>, Family<Lot, Gauge>)>::default();
    for view in attendant.lots().iter().filter(|view| &*view.id.domain != "*") {
        let whole = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        calls.get_or_create(&(&view.id).into()).set(whole(view.used));
        slots.get_or_create(&(&view.id).into()).set(whole(view.size));
        let wait = view.longest_wait.unwrap_or_default().as_secs();
        oldest.get_or_create(&(&view.id).into()).set(i64::try_from(wait).unwrap_or(i64::MAX));
    }
    registry.register("calls", "Calls that are parked now, on all nodes of a cluster", calls);
    registry.register("slots", "Slots there are", slots);
    registry.register_with_unit(
        "oldest_call",
        "Wait of the call that waits longest; 0 where none does",
        Unit::Seconds,
        oldest,
    );

    let music = music::counts();
    let listeners = Family::<Played, Gauge>::default();
    for (how, legs) in [("shared", music.shared), ("alone", music.alone)] {
        listeners.get_or_create(&Played { how }).set(i64::try_from(legs).unwrap_or(i64::MAX));
    }
    registry.register("music_listeners", "Callers who hear music, shared or played by their own legs", listeners);

    let storage = storage::open();
    let of_storage = |count: fn(&storage::Storage) -> u64| storage.as_ref().map_or(0, |storage| count(storage));
    for (name, help, value) in [
        ("store_errors", "Times that the database of the records failed", of_storage(|storage| storage.errors())),
        ("records_dropped", "Records that are lost", of_storage(|storage| storage.dropped())),
        (
            "rows_refused",
            "Rows that the database refused, although it takes others",
            of_storage(|storage| storage.refused_rows()),
        ),
        ("panics_caught", "Bugs of the module that were caught", guard::caught()),
        ("music_packets_late", "Packets of shared music that were sent late", music.late),
    ] {
        let counter: Counter = Counter::default();
        counter.inc_by(value);
        registry.register(name, help, counter);
    }
    let waiting: Gauge = Gauge::default();
    waiting.set(storage.as_ref().map_or(0, |storage| i64::try_from(storage.backlog()).unwrap_or(i64::MAX)));
    registry.register("records_waiting", "Records that wait for the database", waiting);

    let own: Gauge = Gauge::default();
    own.set(i64::try_from(memory::in_use()).unwrap_or(i64::MAX));
    registry.register_with_unit("memory", "What the module itself has allocated", Unit::Bytes, own);

    let answers: Gauge = Gauge::default();
    answers.set(i64::from(storage.as_ref().is_some_and(|storage| storage.slots_answer())));
    registry.register("slot_store_up", "1 while the slot store can be read and written", answers);
    let held = attendant.lock_held();
    for (name, help, time) in [
        ("lock_held_longest", "The longest time that the table was locked", held.longest),
        ("lock_work_longest", "The most processor time that was used with the table locked", held.longest_work),
    ] {
        let gauge = Gauge::<f64, AtomicU64>::default();
        gauge.set(time.as_secs_f64());
        registry.register_with_unit(name, help, Unit::Seconds, gauge);
    }
    registry.register_collector(Box::new(Held(held)));

    let mut text = String::new();
    encode(&mut text, &registry).ok()?;
    Some(text)
}
