//! Metrics in the OpenMetrics format, which Prometheus reads. Events are counted when they happen; gauges are read at each request.

use std::sync::Arc;
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

use super::Sources;
use super::error::ApiError;
use crate::freeswitch::{guard, memory};
use crate::hooks::QueueStatus;
use crate::parking::{LotId, LotView, Outcome};
use crate::service::{EventKind, LockTimes, Observer, ParkEvent, ParkingService};

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct LotLabels {
    lot: String,
    domain: String,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct PlayerLabels {
    how: &'static str,
}

impl From<&LotId> for LotLabels {
    fn from(id: &LotId) -> LotLabels {
        LotLabels { lot: id.name.to_string(), domain: id.domain.to_string() }
    }
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct OutcomeLabels {
    lot: String,
    domain: String,
    outcome: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct RefusalLabels {
    lot: String,
    domain: String,
    reason: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct RecallLabels {
    lot: String,
    domain: String,
    result: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct HookLabels {
    hook: String,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct HookResultLabels {
    hook: String,
    result: &'static str,
}

/// The counters, which start when the module is loaded.
pub(crate) struct Counters {
    parked: Family<LotLabels, Counter>,
    recovered: Family<LotLabels, Counter>,
    ended: Family<OutcomeLabels, Counter>,
    refused: Family<RefusalLabels, Counter>,
    ring_backs: Family<RecallLabels, Counter>,
    reminders: Family<LotLabels, Counter>,
    waits: Family<LotLabels, Histogram>,
}

impl Default for Counters {
    fn default() -> Counters {
        Counters {
            parked: Family::default(),
            recovered: Family::default(),
            ended: Family::default(),
            refused: Family::default(),
            ring_backs: Family::default(),
            reminders: Family::default(),
            waits: Family::new_with_constructor(|| {
                Histogram::new([5.0, 10.0, 20.0, 30.0, 60.0, 90.0, 120.0, 180.0, 300.0, 600.0])
            }),
        }
    }
}

/// The gauges, at the time of a request.
#[derive(Default)]
struct Gauges {
    lots: Vec<LotView>,
    /// The numbers of callers who hear shared music, and music of their own.
    listeners: (usize, usize),
    packets_late: u64,
    database_errors: u64,
    records_dropped: u64,
    records_waiting: u64,
    rows_refused: u64,
    slots_answer: bool,
    panics: u64,
    memory: u64,
    held: LockTimes,
    hooks: Vec<(String, QueueStatus)>,
}

impl Gauges {
    fn read(sources: &Sources) -> Gauges {
        let (music, storage) = (sources.music.counts(), &sources.storage);
        Gauges {
            lots: sources.service.lots(),
            listeners: (music.shared, music.alone),
            packets_late: music.late,
            database_errors: storage.errors(),
            records_dropped: storage.dropped(),
            records_waiting: storage.backlog() as u64,
            rows_refused: storage.refused_rows(),
            slots_answer: storage.slots_answer(),
            panics: guard::caught(),
            memory: memory::in_use() as u64,
            held: sources.service.lock_held(),
            hooks: sources.hooks.status(),
        }
    }
}

/// Converts the value of a gauge, and limits it to the maximum.
fn whole(value: impl TryInto<i64>) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}

pub(crate) struct MetricsObserver(pub(crate) Arc<Counters>);

impl Observer for MetricsObserver {
    fn on_event(&self, _: &ParkingService, event: &ParkEvent<'_>) {
        let Some(id) = event.call.map(|call| &call.info.lot).or(event.lot) else { return };
        let (lot, domain) = (id.name.to_string(), id.domain.to_string());
        let MetricsObserver(counts) = self;
        let ring_back = |result| RecallLabels { lot: lot.clone(), domain: domain.clone(), result };
        let refusal = |reason| RefusalLabels { lot: lot.clone(), domain: domain.clone(), reason };
        match event.kind {
            EventKind::Park => {
                counts.parked.get_or_create(&id.into()).inc();
            }
            EventKind::Recover => {
                counts.recovered.get_or_create(&id.into()).inc();
            }
            EventKind::Ended(outcome) => {
                counts.waits.get_or_create(&id.into()).observe(event.wait.as_secs_f64());
                if outcome == Outcome::Returned {
                    counts.ring_backs.get_or_create(&ring_back("answered")).inc();
                }
                let outcome = outcome.name();
                counts.ended.get_or_create(&OutcomeLabels { lot, domain, outcome }).inc();
            }
            EventKind::Full => {
                counts.refused.get_or_create(&refusal("full")).inc();
            }
            EventKind::Denied => {
                counts.refused.get_or_create(&refusal("denied")).inc();
            }
            EventKind::RingBack => {
                counts.ring_backs.get_or_create(&ring_back("started")).inc();
            }
            EventKind::RingBackFailed => {
                counts.ring_backs.get_or_create(&ring_back("failed")).inc();
            }
            EventKind::Remind => {
                counts.reminders.get_or_create(&id.into()).inc();
            }
            // The refusal was counted before.
            EventKind::NoSlot => {}
            EventKind::Label
            | EventKind::Extend
            | EventKind::RetrieveFailed
            | EventKind::Reserve
            | EventKind::Release
            | EventKind::HandOver
            | EventKind::Retrieving
            | EventKind::OtherNode
            | EventKind::ParkFailed
            | EventKind::Reload
            | EventKind::HookFailed => {}
        }
    }
}

/// Writes the histogram of the lock in the format of the library.
#[derive(Debug)]
struct LockHistogram(LockTimes);

impl Collector for LockHistogram {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let LockHistogram(times) = self;
        let help = "Times for which the slot table was locked.";
        let mut metric = encoder.encode_descriptor("lock_held", help, Some(&Unit::Seconds), MetricType::Histogram)?;
        let ends = times.buckets.iter().map(|(end, count)| (end.map_or(f64::MAX, |end| end.as_secs_f64()), *count));
        metric.encode_histogram::<NoLabelSet>(times.total.as_secs_f64(), times.count(), &ends.collect::<Vec<_>>(), None)
    }
}

pub(super) fn answer(sources: &Sources) -> Response {
    match text(&sources.counts, Gauges::read(sources)) {
        Some(text) => {
            ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response()
        }
        None => ApiError::Panicked.into_response(),
    }
}

fn text(counts: &Counters, now: Gauges) -> Option<String> {
    let mut registry = Registry::with_prefix("freeswitch_callpark");
    registry.register("parked", "Calls that were parked", counts.parked.clone());
    registry.register("recovered", "Parked calls that came back after a crash", counts.recovered.clone());
    registry.register("ended", "Parked calls that ended, by outcome", counts.ended.clone());
    registry.register(
        "refused",
        "Calls that got no slot (full), and users who may not park or retrieve (denied)",
        counts.refused.clone(),
    );
    registry.register("ring_backs", "Recalls, by result: started, answered, failed", counts.ring_backs.clone());
    registry.register(
        "reminders",
        "Reminders of callers who waited for longer than remind-after",
        counts.reminders.clone(),
    );
    registry.register_with_unit("wait", "Time from parking to the outcome", Unit::Seconds, counts.waits.clone());

    let [calls, slots, late, oldest]: [Family<LotLabels, Gauge>; 4] = Default::default();
    for view in now.lots.iter().filter(|view| &*view.id.domain != "*") {
        calls.get_or_create(&(&view.id).into()).set(whole(view.used));
        slots.get_or_create(&(&view.id).into()).set(whole(view.size));
        late.get_or_create(&(&view.id).into()).set(whole(view.late));
        oldest.get_or_create(&(&view.id).into()).set(whole(view.longest_wait.unwrap_or_default().as_secs()));
    }
    registry.register("calls", "Calls that are parked now, on all nodes of a cluster", calls);
    registry.register("slots", "Slots of the lot", slots);
    registry.register("late_calls", "Calls that have waited for longer than remind-after", late);
    registry.register_with_unit(
        "oldest_call",
        "Wait of the call that waits longest, or 0 if no call is parked",
        Unit::Seconds,
        oldest,
    );

    let listeners = Family::<PlayerLabels, Gauge>::default();
    for (how, legs) in [("shared", now.listeners.0), ("alone", now.listeners.1)] {
        listeners.get_or_create(&PlayerLabels { how }).set(whole(legs));
    }
    registry.register(
        "music_listeners",
        "Callers who hear music: shared, or alone where a leg has its own player",
        listeners,
    );

    for (name, help, value) in [
        ("store_errors", "Failures of the database that keeps the history", now.database_errors),
        ("records_dropped", "Rows of the history that are lost", now.records_dropped),
        ("rows_refused", "Rows that the database refuses, although it accepts others", now.rows_refused),
        ("panics_caught", "Bugs of the module that were caught; report each", now.panics),
        (
            "music_packets_late",
            "Packets of shared music that were sent late by more than the time of one packet",
            now.packets_late,
        ),
    ] {
        let counter: Counter = Counter::default();
        counter.inc_by(value);
        registry.register(name, help, counter);
    }
    let waiting: Gauge = Gauge::default();
    waiting.set(whole(now.records_waiting));
    registry.register("records_waiting", "Rows of the history that wait for the database", waiting);

    register_hooks(&mut registry, &now.hooks);

    let own: Gauge = Gauge::default();
    own.set(whole(now.memory));
    registry.register_with_unit("memory", "Memory that the module itself has allocated", Unit::Bytes, own);

    let answers: Gauge = Gauge::default();
    answers.set(i64::from(now.slots_answer));
    registry.register(
        "slot_store_up",
        "1 while the slot store (the database of the occupied slots) can be read and written, else 0",
        answers,
    );
    let held = now.held;
    for (name, help, time) in [
        ("lock_held_longest", "The longest time for which the slot table was locked", held.longest),
        (
            "lock_work_longest",
            "The most processor time that was used while the slot table was locked",
            held.longest_work,
        ),
    ] {
        let gauge = Gauge::<f64, AtomicU64>::default();
        gauge.set(time.as_secs_f64());
        registry.register_with_unit(name, help, Unit::Seconds, gauge);
    }
    registry.register_collector(Box::new(LockHistogram(held)));

    let mut text = String::new();
    encode(&mut text, &registry).ok()?;
    Some(text)
}

fn register_hooks(registry: &mut Registry, hooks: &[(String, QueueStatus)]) {
    let (messages, waiting) = <(Family<HookResultLabels, Counter>, Family<HookLabels, Gauge>)>::default();
    for (name, QueueStatus { sent, retried, failed, waiting: wait, .. }) in hooks {
        for (result, count) in [("sent", *sent), ("retried", *retried), ("failed", *failed)] {
            messages.get_or_create(&HookResultLabels { hook: name.clone(), result }).inc_by(count);
        }
        waiting.get_or_create(&HookLabels { hook: name.clone() }).set(whole(*wait));
    }
    registry.register(
        "hook_messages",
        "Messages of hooks, by result: sent, retried (each request that failed), failed (lost)",
        messages,
    );
    registry.register("hook_waiting", "Messages of the hook that wait for its receiver", waiting);
}

/// The rows of the manual: name, type, labels and meaning of each metric, as a scrape shows them.
#[cfg(test)]
pub(crate) fn manual() -> Vec<[String; 4]> {
    let counts = Counters::default();
    let id = LotId::new("main", "example.com");
    let (lot, domain) = (id.name.to_string(), id.domain.to_string());
    drop(counts.parked.get_or_create(&(&id).into()));
    drop(counts.recovered.get_or_create(&(&id).into()));
    drop(counts.reminders.get_or_create(&(&id).into()));
    drop(counts.waits.get_or_create(&(&id).into()));
    drop(counts.ended.get_or_create(&OutcomeLabels { lot: lot.clone(), domain: domain.clone(), outcome: "" }));
    drop(counts.refused.get_or_create(&RefusalLabels { lot: lot.clone(), domain: domain.clone(), reason: "" }));
    drop(counts.ring_backs.get_or_create(&RecallLabels { lot, domain, result: "" }));
    let view = LotView { id, size: 1, free: 1, used: 0, late: 0, longest_wait: None };
    let held = LockTimes { buckets: vec![(None, 0)], ..LockTimes::default() };
    let hooks = vec![("chat".to_owned(), QueueStatus::default())];
    let text = text(&counts, Gauges { lots: vec![view], held, hooks, ..Gauges::default() }).unwrap();

    let of = |kind: &str, name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("# {kind} {name} ")).map(str::to_owned));
        line.unwrap_or_default()
    };
    let names = text.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split_once(' '));
    let row = |(name, help): (&str, &str)| {
        let kind = of("TYPE", name);
        let sample = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        let pairs = sample.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map_or("", |(pairs, _)| pairs);
        let labels = pairs.split(',').filter_map(|pair| pair.split_once('=')).map(|(label, _)| label);
        let labels: Vec<&str> = labels.filter(|label| *label != "le").collect();
        let suffix = if kind == "counter" { "_total" } else { "" };
        [format!("{name}{suffix}"), kind, labels.join(", "), help.to_owned()]
    };
    names.map(row).collect()
}
