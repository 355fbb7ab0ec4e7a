//! Simulates a day of calls in an office with the module, without FreeSWITCH, and prints what happens.

mod office_day;
mod office_hooks;
mod office_people;
mod office_week;

use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use office_day::OfficeDay;

const USAGE: &str =
    "simulator <libmod_callpark.so> [--hours <n>] [--speed <n>] [--seed <n>] [--dashboard <address:port>]
  --hours      the length of the day (8)
  --speed      simulated seconds per second; 0: as fast as possible (600)
  --seed       a number that determines the calls of the day (1)
  --dashboard  the address of the module's dashboard; without it there is none";

struct Options {
    module: String,
    hours: u64,
    speed: u64,
    seed: u64,
    dashboard: Option<String>,
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options { module: String::new(), hours: 8, speed: 600, seed: 1, dashboard: None };
    while let Some(argument) = arguments.next() {
        let option = match argument.as_str() {
            "--hours" => &mut options.hours,
            "--speed" => &mut options.speed,
            "--seed" => &mut options.seed,
            "--dashboard" => {
                options.dashboard = Some(arguments.next().ok_or("--dashboard: no value, expected an address")?);
                continue;
            }
            option if option.starts_with("--") => return Err(format!("unknown option {option}")),
            _ if options.module.is_empty() => {
                options.module = argument;
                continue;
            }
            _ => return Err(format!("unexpected argument {argument}, expected one module")),
        };
        let value = arguments.next().ok_or_else(|| format!("{argument}: no value, expected a whole number"))?;
        *option = value.parse().map_err(|_| format!("{argument}: {value}, expected a whole number"))?;
    }
    if options.module.is_empty() {
        Err("no module, expected the path of libmod_callpark.so".into())
    } else {
        Ok(options)
    }
}

fn main() -> ExitCode {
    let options = match parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(why) => {
            eprintln!("{why}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    if let Err(error) = ctrlc::set_handler(move || asked.store(true, Ordering::Relaxed)) {
        eprintln!("Ctrl-C will end the program immediately: {error}");
    }
    if let Some(why) = options.dashboard.as_deref().and_then(why_not_served_at) {
        eprintln!("{why}");
        return ExitCode::FAILURE;
    }
    println!("These calls are SIMULATED: the module is real; FreeSWITCH, the phones and the people are not.\n");
    let mut day = match OfficeDay::begin(&options.module, options.seed, options.dashboard.as_deref()) {
        Ok(day) => day,
        Err(why) => {
            eprintln!("{} cannot be loaded: {why}", options.module);
            return ExitCode::FAILURE;
        }
    };
    // Short steps, because the module's answers to a browser wait for the next one.
    let step =
        if options.speed > 0 && options.speed <= 10 { Duration::from_millis(100) } else { Duration::from_secs(1) };
    let mut passed = Duration::ZERO;
    let begin = Instant::now();
    while passed < Duration::from_secs(options.hours * 3600) {
        if stop.load(Ordering::Relaxed) {
            println!("\nThe simulation was interrupted.");
            break;
        }
        if (passed + step).as_secs() / 3600 > passed.as_secs() / 3600 {
            day.show();
        }
        passed += step;
        day.advance(step);
        if options.speed > 0 {
            // Until the time that the clock on the wall shows: what a step costs must not make the office slow.
            std::thread::sleep(passed.div_f64(options.speed as f64).saturating_sub(begin.elapsed()));
        }
    }
    day.end();
    ExitCode::SUCCESS
}

/// Why there can be no dashboard at this address. The module would only log it and try again, and the browser would get the page of another program.
fn why_not_served_at(address: &str) -> Option<String> {
    let why = TcpListener::bind(address).err()?;
    Some(format!("--dashboard {address}: {why}; end the program that uses the address, or choose another one"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_in_use_is_refused() {
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = other.local_addr().unwrap().to_string();
        assert!(why_not_served_at(&address).is_some_and(|why| why.starts_with(&format!("--dashboard {address}: "))));
        drop(other);
        assert_eq!(why_not_served_at(&address), None);
    }
}
