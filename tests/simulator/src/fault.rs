//! Injects faults at certain calls to FreeSWITCH.

/// What is planned, by the calls that are still to come.
#[derive(Default)]
pub(crate) struct Plan {
    planned: Vec<Planned>,
    calls: u64,
}

struct Planned {
    /// `None`: whichever function it is.
    function: Option<String>,
    left: u64,
    what: What,
}

pub(crate) enum What {
    /// The call fails, as it does in the host.
    Fail,
    /// This happens just before the call.
    Happen(Box<dyn FnOnce() + Send>),
}

impl What {
    /// True if the call is to fail.
    pub(crate) fn run(self) -> bool {
        match self {
            What::Fail => true,
            What::Happen(happen) => {
                happen();
                false
            }
        }
    }
}

impl Plan {
    pub(crate) fn add(&mut self, function: Option<&str>, nth: u64, what: What) {
        self.planned.push(Planned { function: function.map(str::to_owned), left: nth.max(1), what });
    }

    pub(crate) fn calls(&self) -> u64 {
        self.calls
    }

    pub(crate) fn clear(&mut self) {
        self.planned.clear();
    }

    /// A call is made: what is planned for it.
    pub(crate) fn due(&mut self, function: &str) -> Vec<What> {
        self.calls += 1;
        for planned in &mut self.planned {
            if planned.function.as_ref().is_none_or(|name| name == function) {
                planned.left -= 1;
            }
        }
        let (due, planned) = std::mem::take(&mut self.planned).into_iter().partition(|planned| planned.left == 0);
        self.planned = planned;
        let due: Vec<Planned> = due;
        due.into_iter().map(|planned| planned.what).collect()
    }
}
