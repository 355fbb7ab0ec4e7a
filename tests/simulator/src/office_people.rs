//! The people of the simulated office: its users with their phones, and those who call.

use std::time::Duration;

use simulator::Phone;

pub(crate) const DOMAIN: &str = "example.com";
/// The user whose token the dashboard gets.
pub(crate) const VIEWER: &str = "1002@example.com";

/// A part of the office: where its callers arrive, and where they are parked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Department {
    pub(crate) name: &'static str,
    /// The user who answers its calls.
    pub(crate) desk: &'static str,
    pub(crate) park_extension: &'static str,
}

pub(crate) const RECEPTION: Department =
    Department { name: "reception", desk: "1001@example.com", park_extension: "700" };
pub(crate) const SUPPORT: Department = Department { name: "support", desk: "1010@example.com", park_extension: "800" };

/// Name, extension, and what their phones do.
pub(crate) const COLLEAGUES: [(&str, &str, Phone); 6] = [
    ("Bob", "1002", Phone::Answers(Duration::from_secs(5))),
    ("Carla", "1003", Phone::Answers(Duration::from_secs(3))),
    ("Deniz", "1004", Phone::Busy),
    ("Eva", "1005", Phone::Silent),
    ("Finn", "1006", Phone::Unregistered),
    ("Grace", "1007", Phone::RejectsAfter(Duration::from_secs(6))),
];

/// Those of the colleagues who fetch parked callers.
pub(crate) const FETCHERS: usize = 5;

pub(crate) const CALLERS: [&str; 14] = [
    "Mr Chen",
    "Ms Okafor",
    "Mr Novak",
    "Ms Silva",
    "Mr Haddad",
    "Ms Lindqvist",
    "Mr Kim",
    "Garage Lefèvre",
    "Mr Dubois",
    "Ms Petrova",
    "Northwind Logistics GmbH",
    "Ms Brown",
    "Dr. Abdul-Rahman Al-Khatib",
    "Sofía Núñez",
];

/// Notes on parked callers; most have none.
pub(crate) const LABELS: [&str; 8] =
    ["", "", "", "Invoice 4711", "Delivery to Lyon", "Wants Carla", "Calls back about the offer", "Ticket 88213"];
