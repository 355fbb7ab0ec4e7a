//! A day of an office with the module, without FreeSWITCH: simulated calls, told as they happen.

mod office_day;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use office_day::OfficeDay;

const USAGE: &str =
    "simulator <libmod_callpark.so> [--hours <n>] [--speed <n>] [--seed <n>] [--dashboard <address:port>]
  --hours  how long the day is (8)
  --speed  simulated seconds in a second; 0: as fast as it goes (600)
  --seed   another day (1)
  --dashboard  where the module serves it; off without";

struct Options {
    module: String,
    hours: u64,
    speed: u64,
    seed: u64,
    dashboard: Option<String>,
}

fn options(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options { module: String::new(), hours: 8, speed: 600, seed: 1, dashboard: None };
    while let Some(argument) = arguments.next() {
        let place = match argument.as_str() {
            "--hours" => &mut options.hours,
            "--speed" => &mut options.speed,
            "--seed" => &mut options.seed,
            "--dashboard" => {
                options.dashboard = arguments.next();
                continue;
            }
            option if option.starts_with("--") => return Err(format!("unknown option {option}")),
            _ if options.module.is_empty() => {
                options.module = argument;
                continue;
            }
            _ => return Err(format!("what is {argument}?")),
        };
        let value = arguments.next().ok_or_else(|| format!("{argument} needs a number"))?;
        *place = value.parse().map_err(|_| format!("{argument} needs a number, not {value}"))?;
    }
    if options.module.is_empty() { Err("which module?".into()) } else { Ok(options) }
}

fn main() -> ExitCode {
    let options = match options(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(why) => {
            eprintln!("{why}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    if let Err(error) = ctrlc::set_handler(move || asked.store(true, Ordering::Relaxed)) {
        eprintln!("Ctrl-C will end this at once: {error}");
    }
    println!("These are SIMULATED calls: the module is real, FreeSWITCH, phones and people are not.\n");
    let mut office = match OfficeDay::open(&options.module, options.seed, options.dashboard.as_deref()) {
        Ok(office) => office,
        Err(why) => {
            eprintln!("{} cannot be loaded: {why}", options.module);
            return ExitCode::FAILURE;
        }
    };
    let step = Duration::from_secs(1);
    for second in 0..options.hours * 3600 {
        if stop.load(Ordering::Relaxed) {
            println!("\nThe office closes early.");
            break;
        }
        if second > 0 && second % 3600 == 0 {
            office.show();
        }
        office.live(step);
        if options.speed > 0 {
            std::thread::sleep(step.div_f64(options.speed as f64));
        }
    }
    office.close();
    ExitCode::SUCCESS
}
