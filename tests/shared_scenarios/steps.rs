//! The steps of a scenario, as docs/testing.md lists them. `act` and `expect` in tests/live/test_scenarios.py do the same with real phones.

use std::time::Duration;

use simulator::Phone;

use crate::stage::{Checked, DOMAIN, Stage, action_of, address, agree, ensure, known};

impl Stage {
    pub(crate) fn step(&self, line: &str) -> Checked {
        let words: Vec<&str> = line.split_whitespace().collect();
        if self.act(&words, line)? { Ok(()) } else { self.eventually(|| self.expect(&words, line)) }
    }

    /// What people and administrators do. False if the step is an expectation.
    fn act(&self, words: &[&str], line: &str) -> Checked<bool> {
        match *words {
            [who, "calls", number] => self.call(who, number)?,
            [user, "answers"] => self.eventually(|| self.ringing(user))?.answer(),
            [user, "transfers", who, "to", number] if user != "script" => {
                self.eventually(|| self.talk(user, who))?;
                self.leg(user)?.blind_transfer(number, &address(user));
            }
            [user, "parks", who, "at", number] => {
                for step in [
                    format!("{who} calls {user}"),
                    format!("{user} answers"),
                    format!("{user} transfers {who} to {number}"),
                    format!("{who} hears music"),
                ] {
                    self.step(&step).map_err(|why| format!("`{step}`: {why}"))?;
                }
            }
            [user, "completes", "the", "transfer"] => match &self.legs(user)?[..] {
                [call, consultation] => drop(call.attended_transfer(consultation, &address(user))),
                legs => return Err(format!("{user} has {} calls, not 2", legs.len())),
            },
            [user, "holds"] => self.leg(user)?.set_on_hold(true),
            [user, "resumes"] => self.leg(user)?.set_on_hold(false),
            [user, "presses", "*5" | "*6"] => self.leg(user)?.feature("callpark_park", "auto"),
            [who, "presses", keys] => self.leg(who)?.press(keys),
            [who, "hangs", "up"] => self.leg(who)?.hang_up(),
            ["phone", user, state] => self.world.set_phone(&address(known(user)?), phone(state)?),
            ["script", "transfers", who, "to", number] => {
                ensure(self.leg(who)?.transfer(number), || "the transfer is refused".into())?;
            }
            ["admin", ..] => self.admin(after(line, "admin "))?,
            [count, "second" | "seconds", "passes" | "pass"] => {
                self.world.advance(Duration::from_secs(count.parse().map_err(|_| format!("`{count}` is no number"))?));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn expect(&self, words: &[&str], line: &str) -> Checked {
        match *words {
            [user, "rings"] => self.ringing(user).map(drop),
            [one, "talks", "to", other] => self.talk(one, other),
            [who, "hears", what] => {
                self.is_heard(what, None)?; // a mistyped sound
                let sound = self.leg(who)?.hears();
                ensure(self.is_heard(what, sound.as_ref())?, || format!("it is {sound:?}"))
            }
            [who, "never", "hears", what] => self
                .leg(who)?
                .heard()
                .iter()
                .try_for_each(|heard| ensure(!self.is_heard(what, Some(&heard.sound))?, || format!("{heard:?}"))),
            [who, "is", "gone"] => {
                let legs = self.legs(who)?;
                ensure(legs.is_empty(), || format!("{legs:?}"))
            }
            [who, "sees", ..] => {
                let leg = self.leg(who)?;
                // On a phone that rings, on one that called, and where neither says more.
                let names = ["sip_from_display", "initial_callee_id_name", "caller_id_name"];
                let shown = names.iter().find_map(|name| leg.var(name)).unwrap_or_default();
                ensure(shown == after(line, " sees "), || format!("it is `{shown}`"))
            }
            [who, "has", "result", word] => {
                let result = self.leg(who)?.var("callpark_result").unwrap_or_default();
                ensure(result == word, || format!("it is `{result}`"))
            }
            ["listed", "nobody"] => ensure(self.rows().is_empty(), || format!("{:?}", self.rows())),
            ["listed", who, ref fields @ ..] => {
                let (who, rows) = (known(who)?, self.rows());
                let row =
                    rows.iter().find(|row| row["caller_name"] == *who).ok_or_else(|| format!("it is not: {rows:?}"))?;
                agree(fields, |name| Some(row.get(name)?.as_str().map_or_else(|| row[name].to_string(), str::to_owned)))
            }
            ["events", who, ref actions @ ..] => {
                let told = self.actions(known(who)?);
                ensure(told == actions, || format!("they are {told:?}"))
            }
            ["event", who, action, ref fields @ ..] => {
                let events = self.events(known(who)?);
                let event = events.iter().find(|event| action_of(event) == action).ok_or("there is none")?;
                // A field is a variable of the leg, or a header of the module's own.
                let header = |name: &str| {
                    if name.starts_with("callpark_") { format!("variable_{name}") } else { format!("CallPark-{name}") }
                };
                agree(fields, |name| event.get(&header(name)).map(str::to_owned))
            }
            ["lamp", slot, "is", state @ ("on" | "off")] => {
                let on = self.lamps_on();
                ensure(on.contains(&format!("{slot}@{DOMAIN}")) == (state == "on"), || format!("on: {on:?}"))
            }
            ["log", "says", ..] => {
                let says = self.world.log().iter().any(|logged| logged.text.contains(after(line, " says ")));
                ensure(says, || "it does not".into())
            }
            _ => Err(format!("no step has the form `{line}`")),
        }
    }

    /// Lets time pass until the check succeeds. It has failed if it does not within ten seconds.
    fn eventually<T>(&self, check: impl Fn() -> Checked<T>) -> Checked<T> {
        self.world.advance_until(Duration::from_secs(10), || check().is_ok());
        check()
    }

    /// `<command> -> <beginning of the answer>`, in which `{Alice}` is the UUID of her leg.
    fn admin(&self, text: &str) -> Checked {
        let (command, wanted) = text.split_once(" -> ").ok_or("an answer is expected, such as `-> +OK`")?;
        let mut command = command.to_owned();
        while let Some((before, (who, rest))) =
            command.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?)))
        {
            command = format!("{before}{}{rest}", self.leg(who)?.uuid());
        }
        let answer = self.world.command(&command);
        ensure(answer.starts_with(wanted), || format!("the answer is `{}`", answer.trim()))
    }
}

fn phone(state: &str) -> Checked<Phone> {
    Ok(match state {
        "answers" => Phone::Answers(Duration::from_millis(100)),
        "rings" => Phone::Silent,
        "busy" => Phone::Busy,
        "rejects" => Phone::Rejects,
        "away" => Phone::Unregistered,
        _ => return Err(format!("`{state}` is nothing that a phone does")),
    })
}

fn after<'a>(line: &'a str, words: &str) -> &'a str {
    line.split_once(words).map_or("", |(_, rest)| rest)
}
