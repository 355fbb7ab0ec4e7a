//! Finds the phones of a page. A page is heard on every phone that its dial string names, and the core connects only one phone of a dial string.

use super::template::is_address;
use crate::freeswitch;

/// The maximum number of phones that one page calls.
const MAX_PHONES: usize = 100;

/// Returns a dial string for each phone: of a list, of the members of a group, and of the registrations of a user.
pub(super) fn phones_of(dial: &str) -> Vec<String> {
    let (variables, list) = leading_variables(dial);
    let phones = split(list).into_iter().flat_map(expand).map(|phone| format!("{variables}{phone}"));
    let mut phones: Vec<String> = phones.take(MAX_PHONES).collect();
    if phones.is_empty() {
        // The core says why nobody can be called.
        phones.push(dial.to_owned());
    }
    phones
}

fn expand(one: &str) -> Vec<String> {
    let (own, phone) = leading_variables(one);
    let found = match phone.split_once('/') {
        Some(("group", group)) if is_address(group) => freeswitch::api("group_call", group),
        Some(("user", user)) if is_address(user) => {
            let contacts = freeswitch::api("sofia_contact", &format!("*/{user}"));
            // A user with one phone is called as the directory says.
            if split(&contacts).len() > 1 { contacts } else { String::new() }
        }
        _ => String::new(),
    };
    let is_phone = |contact: &&str| {
        let address = leading_variables(contact).1;
        address.contains('/') && !address.starts_with("error/") && !address.starts_with('-')
    };
    let phones: Vec<String> =
        split(found.trim()).into_iter().filter(is_phone).map(|contact| format!("{own}{contact}")).collect();
    if phones.is_empty() { vec![one.to_owned()] } else { phones }
}

/// Splits a dial string at the commas that are in no brackets.
fn split(list: &str) -> Vec<&str> {
    let mut depth = 0_u32;
    let parts = list.split(move |c: char| {
        match c {
            '[' | '{' | '<' => depth += 1,
            ']' | '}' | '>' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    });
    parts.map(str::trim).filter(|part| !part.is_empty()).collect()
}

/// Splits a dial string into the variables at its beginning, with their brackets, and the rest.
fn leading_variables(dial: &str) -> (&str, &str) {
    let close = match dial.chars().next() {
        Some('[') => ']',
        Some('{') => '}',
        Some('<') => '>',
        _ => return ("", dial),
    };
    dial.find(close).map_or(("", dial), |end| dial.split_at(end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_split_outside_of_brackets() {
        assert_eq!(split("user/1,[a=b,c=d]user/2, user/3,"), ["user/1", "[a=b,c=d]user/2", "user/3"]);
        assert_eq!(split(""), [] as [&str; 0]);
    }

    #[test]
    fn variables_are_separated_from_the_address() {
        assert_eq!(leading_variables("{a=b,c=d}user/1,user/2"), ("{a=b,c=d}", "user/1,user/2"));
        assert_eq!(leading_variables("[x=y]error/z"), ("[x=y]", "error/z"));
        for whole in ["user/1", "[open", ""] {
            assert_eq!(leading_variables(whole), ("", whole));
        }
    }
}
