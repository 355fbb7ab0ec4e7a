//! Lists the users of a domain, as far as the directory can be listed, with whether they can be reached now.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::ParkingService;
use crate::freeswitch;
use crate::parking::is_name;

/// The maximum number of users that are listed.
const MAX_USERS: usize = 1_000;

/// A user of the directory.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[schema(as = User)]
pub(crate) struct UserRow {
    /// The user (`1002@example.com`).
    user: String,
    /// The number of the user (`1002`).
    extension: String,
    /// The name that the directory has as `effective_caller_id_name`, or the number.
    name: String,
    /// Whether a SIP phone of the user is registered.
    registered: bool,
    /// Whether the user is in a conversation on this node.
    talking: bool,
}

impl ParkingService {
    /// Returns the users of a domain, ordered by number. A directory that cannot be listed, as one that a web server serves may be, has none.
    pub(crate) fn users_of(&self, domain: &str) -> Vec<UserRow> {
        if !is_name(domain) {
            return Vec::new();
        }
        let mut users = read_users(&freeswitch::api("list_users", &format!("domain {domain}")));
        for row in &mut users {
            row.talking = self.is_talking(&row.user);
        }
        users
    }
}

/// Parses the answer of `list_users`: `userid|context|domain|group|contact|callgroup|name|number`, with a line for each group of a user.
fn read_users(answer: &str) -> Vec<UserRow> {
    let mut users = BTreeMap::new();
    for line in answer.lines().skip(1) {
        let fields: Vec<&str> = line.split('|').collect();
        let [extension, _, domain, _, contact, _, name, ..] = fields.as_slice() else { continue };
        let row = || UserRow {
            user: format!("{extension}@{}", domain.to_ascii_lowercase()),
            extension: (*extension).to_owned(),
            name: if name.is_empty() { (*extension).to_owned() } else { (*name).to_owned() },
            registered: contact.contains('/') && !contact.starts_with("error/"),
            talking: false,
        };
        users.entry((extension.len(), (*extension).to_owned())).or_insert_with(row);
    }
    users.into_values().take(MAX_USERS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_user_is_listed_once() {
        let answer = "userid|context|domain|group|contact|callgroup|effective_caller_id_name|effective_caller_id_number\n\
                      1002|default|A.test|all|sofia/internal/sip:1002@192.0.2.1:5060|sales|Ann|1002\n\
                      1002|default|A.test|sales|sofia/internal/sip:1002@192.0.2.1:5060|sales|Ann|1002\n\
                      99|default|A.test|all|error/user_not_registered|||\n\nnonsense\n+OK\n";
        let users = read_users(answer);
        let shown: Vec<_> = users.iter().map(|row| (&*row.user, &*row.name, row.registered)).collect();
        assert_eq!(shown, [("99@a.test", "99", false), ("1002@a.test", "Ann", true)]);
        assert!(read_users("-ERR no such command\n").is_empty() && read_users("").is_empty());
    }
}
