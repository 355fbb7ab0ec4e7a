//! Measures the rules alone: each event of a call, with an increasing number of calls in the table.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Bencher, BenchmarkId, Criterion, criterion_group, criterion_main};
use mod_callpark::parking::{
    CallOverrides, LeaveReason, LotId, LotName, LotPlan, LotSelector, LotSettings, MonotonicTime, ParkRequest, Party,
    RetrieveTarget, Slot, SlotOrder, SlotRequest, Table, parse_slots,
};

const OCCUPANCY: [usize; 4] = [0, 100, 10_000, 100_000];
const DAY: Duration = Duration::from_secs(86_400);
/// The number of calls between two reads of the clock.
const BATCH: usize = 500;

const ORDERS: [(&str, SlotOrder); 4] = [
    ("first", SlotOrder::First),
    ("next", SlotOrder::Next),
    ("longest-free", SlotOrder::LongestFree),
    ("random", SlotOrder::Random),
];

fn place() -> LotSelector {
    LotSelector {
        lot: Some(LotName { name: "main".into(), domain: None, may_be_new: false }),
        domains: vec!["bench.test".into()],
        any: false,
    }
}

fn request(n: usize, lot: &str) -> ParkRequest {
    ParkRequest {
        uuid: format!("{:08x}-0000-4000-8000-{n:012}", n.wrapping_mul(2_654_435_761) & 0xffff_ffff).into(),
        place: LotSelector { lot: Some(LotName { name: lot.into(), domain: None, may_be_new: false }), ..place() },
        wanted: SlotRequest::Auto,
        caller: Party { name: "Alice".into(), number: "5551234".into() }.into(),
        parker: format!("{}@bench.test", 1000 + n % 500).into(),
        label: String::new(),
        overrides: CallOverrides::default(),
        parked_at_ms: 0,
        entropy: n as u64 * 7919,
    }
}

/// Two lots with the maximum number of slots, each with half of the calls.
struct Office {
    table: Table,
    /// The calls that are measured.
    requests: Vec<ParkRequest>,
    now: MonotonicTime,
}

impl Office {
    fn new(calls: usize, slot_order: SlotOrder) -> Office {
        let plan = |name: &str, slots| LotPlan {
            id: LotId::new(name, "bench.test"),
            slots: parse_slots(slots).unwrap().into(),
            labels: Arc::default(),
            settings: Arc::new(LotSettings { slot_order, park_timeout: DAY, ..LotSettings::default() }),
        };
        let mut table = Table::new(&[plan("main", "100000-199999"), plan("more", "200000-299999")], None);
        for n in 0..calls {
            let moment = MonotonicTime(Duration::from_millis(n as u64));
            table.park(&request(n, ["main", "more"][n % 2]), false, moment).unwrap();
        }
        table.take_changed_slots();
        let requests = (0..BATCH).map(|n| request(1_000_000 + n, "main")).collect();
        Office { table, requests, now: MonotonicTime(DAY / 2) }
    }

    fn park_all(&mut self) {
        self.each(|table, request, now| drop(table.park(request, false, now).unwrap()));
    }

    fn claim_all(&mut self) {
        self.each(|table, request, _| drop(table.claim_leg(&request.uuid, "retriever").unwrap()));
    }

    fn end_all(&mut self) {
        self.each(|table, request, now| drop(table.leave(&request.uuid, LeaveReason::HungUp, now).unwrap()));
    }

    fn each(&mut self, mut act: impl FnMut(&mut Table, &ParkRequest, MonotonicTime)) {
        for request in &self.requests {
            act(&mut self.table, request, self.now);
        }
        self.table.take_changed_slots();
    }

    /// Measures `act` for each call, after `before`. `after` restores the table.
    fn time(
        &mut self,
        bencher: &mut Bencher<'_>,
        before: fn(&mut Office),
        mut act: impl FnMut(&mut Table, &ParkRequest, MonotonicTime),
        after: fn(&mut Office),
    ) {
        bencher.iter_custom(|wanted| {
            let mut took = Duration::ZERO;
            let mut done = 0;
            while done < wanted {
                before(self);
                let began = Instant::now();
                for request in &self.requests {
                    act(&mut self.table, request, self.now);
                }
                took += began.elapsed();
                self.table.take_changed_slots();
                after(self);
                done += self.requests.len() as u64;
            }
            took.mul_f64(wanted as f64 / done as f64)
        });
    }
}

fn nothing(_: &mut Office) {}

fn park(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("park");
    for (name, order) in ORDERS {
        for calls in OCCUPANCY {
            let mut office = Office::new(calls, order);
            group.bench_function(BenchmarkId::new(name, calls), |bencher| {
                let park =
                    |table: &mut Table, request: &ParkRequest, now| drop(black_box(table.park(request, false, now)));
                office.time(bencher, nothing, park, Office::end_all);
            });
        }
    }
    group.finish();
}

fn leave(criterion: &mut Criterion) {
    for calls in OCCUPANCY {
        let mut office = Office::new(calls, SlotOrder::First);
        let mut group = criterion.benchmark_group("retrieve");
        group.bench_function(BenchmarkId::new("claim a slot", calls), |bencher| {
            // Callers dial slots in no particular order.
            let mut taken = 0;
            let from = 100_000 + calls.div_ceil(2);
            let claim = |table: &mut Table, _: &ParkRequest, _| {
                let slot = Slot::parse(&(from + taken * 37 % BATCH).to_string()).unwrap();
                taken += 1;
                drop(black_box(table.claim(&place(), &RetrieveTarget::Slot(slot), "retriever")));
            };
            office.time(bencher, Office::park_all, claim, Office::end_all);
        });
        group.bench_function(BenchmarkId::new("connected", calls), |bencher| {
            let connect = |table: &mut Table, request: &ParkRequest, now| {
                drop(black_box(table.leave(&request.uuid, LeaveReason::Intercepted, now)))
            };
            let claimed = |office: &mut Office| {
                office.park_all();
                office.claim_all();
            };
            office.time(bencher, claimed, connect, nothing);
        });
        group.bench_function(BenchmarkId::new("oldest, and release", calls), |bencher| {
            bencher.iter(|| {
                if let Ok(call) = black_box(office.table.claim(&place(), &RetrieveTarget::Oldest, "retriever")) {
                    office.table.release(&call.info.uuid, "retriever", office.now);
                }
                office.table.take_changed_slots();
            });
        });
        group.finish();
        let mut group = criterion.benchmark_group("leave");
        group.bench_function(BenchmarkId::new("hung up", calls), |bencher| {
            let leave = |table: &mut Table, request: &ParkRequest, now| {
                drop(black_box(table.leave(&request.uuid, LeaveReason::HungUp, now)))
            };
            office.time(bencher, Office::park_all, leave, nothing);
        });
        group.finish();
    }
}

/// Measures a tick at which all calls are due, and one at which none is.
fn expire(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("expire");
    for calls in OCCUPANCY {
        let mut office = Office::new(calls, SlotOrder::First);
        for request in &mut office.requests {
            request.overrides.park_timeout = Some(Duration::from_secs(1));
        }
        group.bench_function(BenchmarkId::new("each that is due", calls), |bencher| {
            bencher.iter_custom(|wanted| {
                let mut took = Duration::ZERO;
                let mut done = 0;
                while done < wanted {
                    office.park_all();
                    let later = office.now.after(Duration::from_secs(2));
                    let began = Instant::now();
                    let due = black_box(office.table.due(later));
                    took += began.elapsed();
                    assert_eq!(due.len(), BATCH);
                    office.end_all();
                    done += BATCH as u64;
                }
                took.mul_f64(wanted as f64 / done as f64)
            });
        });
        let now = office.now;
        group.bench_function(BenchmarkId::new("nothing is due", calls), |bencher| {
            bencher.iter(|| black_box(office.table.due(now)));
        });
    }
    group.finish();
}

fn look(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("look");
    for calls in OCCUPANCY {
        let office = Office::new(calls, SlotOrder::First);
        let slot = Slot::parse("100025").unwrap();
        group.bench_function(BenchmarkId::new("find a slot", calls), |bencher| {
            bencher.iter(|| black_box(office.table.find(&place(), &slot)));
        });
    }
    let thousand = Office::new(1_000, SlotOrder::First);
    group.bench_function("list 1,000", |bencher| bencher.iter(|| black_box(thousand.table.calls(None))));
    group.finish();
}

/// What every call costs that a profile with the dialplan `callpark` brings: the question whether any domain has the number.
fn number(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("number of no lot");
    for domains in [1, 100, 10_000] {
        let template = LotPlan {
            id: LotId::new("main", "*"),
            slots: parse_slots("701-720").unwrap().into(),
            labels: Arc::default(),
            settings: Arc::new(LotSettings::default()),
        };
        let mut table = Table::new(&[template], None);
        for n in 0..domains {
            let place = LotSelector { domains: vec![format!("{n}.test")], ..place() };
            table.park(&ParkRequest { place, ..request(n, "main") }, false, MonotonicTime::default()).unwrap();
        }
        let id = BenchmarkId::from_parameter(format!("{domains} domains"));
        group.bench_function(id, |bencher| bencher.iter(|| black_box(table.is_number(black_box("1001"), false))));
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1)).sample_size(30);
    targets = park, leave, expire, look, number
}
criterion_main!(benches);
