//! Stores a recall as the last call to a user, where the pick-up codes of the vanilla dialplan look for it: in mod_hash, by the number of the user, by
//! the user's `callgroup`, and for the whole domain.

use crate::freeswitch;
use crate::parking::is_name;
use crate::service::template::is_part_of_address;

/// Keys with the UUID of a parked leg, for as long as a phone rings for it. A later call to the same user takes a key over.
#[derive(Debug)]
pub(super) struct LastDialled {
    keys: Vec<String>,
    uuid: String,
}

impl LastDialled {
    /// Notes that the users in a dial string ring for the parked leg `uuid`.
    pub(in crate::service) fn note(dial: &str, uuid: &str) -> LastDialled {
        // The far end may have chosen the UUID; the commands of mod_hash are separated by slashes.
        let noted = is_part_of_address(uuid) && freeswitch::module_loaded("mod_hash");
        let keys: Vec<String> = if noted { users(dial).flat_map(keys).collect() } else { vec![] };
        for key in &keys {
            freeswitch::api("hash", &format!("insert/{key}/{uuid}"));
        }
        LastDialled { keys, uuid: uuid.to_owned() }
    }
}

impl Drop for LastDialled {
    fn drop(&mut self) {
        for key in &self.keys {
            freeswitch::api("hash", &format!("delete_ifmatch/{key}/{}", self.uuid));
        }
    }
}

/// Returns the users in a dial string, by name and domain. A name has no slash, which separates the arguments of the command of mod_hash.
fn users(dial: &str) -> impl Iterator<Item = (&str, &str)> {
    dial.split([',', '|'])
        .filter_map(|one| one.strip_prefix("user/")?.split_once('@'))
        .filter(|(name, domain)| is_part_of_address(name) && is_name(domain))
}

fn keys((name, domain): (&str, &str)) -> Vec<String> {
    let group = freeswitch::api("user_data", &format!("{name}@{domain} var callgroup"));
    let group = Some(group.trim()).filter(|group| is_part_of_address(group));
    let whom = [Some(name), group, Some("global")];
    whom.into_iter().flatten().map(|whom| format!("{domain}-last_dial_ext/{whom}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_users_by_harmless_names_are_noted() {
        let found: Vec<_> =
            users("user/1001@a.test,sofia/internal/x@b.test|user/1002@a.test,user/1003,user/a b@c,user/1@x/y")
                .collect();
        assert_eq!(found, [("1001", "a.test"), ("1002", "a.test")]);
    }
}
