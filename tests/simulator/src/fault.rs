//! Injects faults at certain calls to FreeSWITCH.

/// The planned faults, and the number of calls so far.
#[derive(Default)]
pub(crate) struct FaultPlan {
    faults: Vec<PlannedFault>,
    calls: u64,
}

struct PlannedFault {
    /// The name of the function, or `None` for any function.
    function: Option<String>,
    left: u64,
    what: FaultKind,
}

pub(crate) enum FaultKind {
    /// The call fails, as it can in FreeSWITCH.
    Fail,
    /// This function runs just before the call.
    Happen(Box<dyn FnOnce() + Send>),
}

impl FaultKind {
    /// Returns true if the call must fail.
    pub(crate) fn run(self) -> bool {
        match self {
            FaultKind::Fail => true,
            FaultKind::Happen(happen) => {
                happen();
                false
            }
        }
    }
}

impl FaultPlan {
    pub(crate) fn add(&mut self, function: Option<&str>, nth: u64, what: FaultKind) {
        self.faults.push(PlannedFault { function: function.map(str::to_owned), left: nth.max(1), what });
    }

    pub(crate) fn calls(&self) -> u64 {
        self.calls
    }

    pub(crate) fn clear(&mut self) {
        self.faults.clear();
    }

    /// Counts a call, and returns the faults that are planned for it.
    pub(crate) fn due(&mut self, function: &str) -> Vec<FaultKind> {
        self.calls += 1;
        for fault in &mut self.faults {
            if fault.function.as_ref().is_none_or(|name| name == function) {
                fault.left -= 1;
            }
        }
        let (due, faults) = std::mem::take(&mut self.faults).into_iter().partition(|fault| fault.left == 0);
        self.faults = faults;
        let due: Vec<PlannedFault> = due;
        due.into_iter().map(|fault| fault.what).collect()
    }
}
