//! What the rules cost, alone: park, retrieve, the look for what is due, with more and more calls in the table.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use mod_callpark::parking::{
    Amendment, Left, LotId, LotPlan, Moment, ParkRequest, Party, Pick, Slot, SlotOrder, Table, Terms, Wanted, Where,
    parse_slots,
};

const OCCUPANCY: [usize; 4] = [0, 100, 10_000, 90_000];

fn place() -> Where {
    Where { lot: None, domains: vec!["bench.test".into()] }
}

fn request(n: usize) -> ParkRequest {
    ParkRequest {
        uuid: format!("00000000-0000-0000-0000-{n:012}"),
        place: place(),
        wanted: Wanted::Auto,
        caller: Party { name: "Alice".into(), number: "5551234".into() },
        parker: "1001@bench.test".into(),
        label: String::new(),
        amend: Amendment::default(),
        parked_at_ms: 0,
        dice: n as u64 * 7919,
    }
}

fn table(calls: usize, slot_order: SlotOrder) -> Table {
    let plan = LotPlan {
        id: LotId::new("main", "bench.test"),
        slots: parse_slots("100000-199999").unwrap().into(),
        labels: Arc::default(),
        terms: Arc::new(Terms { slot_order, ..Terms::default() }),
    };
    let mut table = Table::new(&[plan], None);
    for n in 0..calls {
        table.park(&request(n), false, Moment(Duration::from_millis(n as u64))).unwrap();
    }
    table
}

fn rules(criterion: &mut Criterion) {
    let now = Moment(Duration::from_secs(60));
    let new = request(99_999_999);
    let mut group = criterion.benchmark_group("park and leave");
    for (name, order) in
        [("first", SlotOrder::First), ("longest-free", SlotOrder::LongestFree), ("random", SlotOrder::Random)]
    {
        for calls in OCCUPANCY {
            let mut table = table(calls, order);
            group.bench_function(BenchmarkId::new(name, calls), |bencher| {
                bencher.iter(|| {
                    black_box(table.park(&new, false, now).unwrap());
                    black_box(table.left(&new.uuid, Left::HungUp, now));
                    black_box(table.touched());
                });
            });
        }
    }
    group.finish();
    let mut group = criterion.benchmark_group("park, claim and connect");
    for calls in OCCUPANCY {
        let mut table = table(calls, SlotOrder::First);
        group.bench_function(BenchmarkId::from_parameter(calls), |bencher| {
            bencher.iter(|| {
                let call = table.park(&new, false, now).unwrap();
                let pick = Pick::Slot(call.facts.slot.clone());
                black_box(table.claim(&place(), &pick, "retriever").unwrap());
                black_box(table.connected(&new.uuid, now));
                black_box(table.touched());
            });
        });
    }
    group.finish();
    let mut group = criterion.benchmark_group("nothing is due");
    for calls in OCCUPANCY {
        let mut table = table(calls, SlotOrder::First);
        group.bench_function(BenchmarkId::from_parameter(calls), |bencher| bencher.iter(|| black_box(table.due(now))));
    }
    group.finish();
    let mut group = criterion.benchmark_group("look");
    let full = table(10_000, SlotOrder::First);
    let slot = Slot::parse("105000").unwrap();
    group.bench_function("find one of 10,000", |bencher| bencher.iter(|| black_box(full.find(&place(), &slot))));
    let thousand = table(1_000, SlotOrder::First);
    group.bench_function("list 1,000", |bencher| bencher.iter(|| black_box(thousand.calls(None))));
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1)).sample_size(30);
    targets = rules
}
criterion_main!(benches);
