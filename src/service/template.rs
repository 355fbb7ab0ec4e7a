//! Fills fields of a call into texts of the configuration. Names and labels that people chose cannot become another part of a dial string, or another
//! argument of a command.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use quick_xml::escape::escape;

use crate::freeswitch::Leg;
use crate::parking::Call;

/// Replaces `${name}` by its value, and by nothing if there is none.
pub(crate) fn fill_in(text: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        filled.push_str(before);
        match after.split_once('}') {
            Some((name, after)) => {
                filled.push_str(&value(name).unwrap_or_default());
                rest = after;
            }
            None => rest = "",
        }
    }
    filled + rest
}

/// Replaces `${name}` by the variable of a parked leg. A caller who was parked without a `domain_name` counts as one of the lot's domain. What the far
/// end sends is no path.
pub(super) fn fill_in_from_leg(text: &str, leg: &Leg<'_>) -> String {
    fill_in(text, |name| {
        let of_lot = || if name == "domain_name" { leg.var("callpark_domain") } else { None };
        let value = leg.var(name).or_else(of_lot)?;
        (is_part_of_address(&value) || (is_address(&value) && !is_of_the_far_end(name))).then_some(value)
    })
}

/// Whether an endpoint writes text of the far end to a variable of this name.
pub(super) fn is_of_the_far_end(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [
        "sip_",
        "verto_",
        "rtp_",
        "switch_r_",
        "caller_",
        "destination_number",
        "callee_",
        "dialed_",
        "effective_caller_",
        "origination_caller_",
    ]
    .iter()
    .any(|prefix| name.starts_with(prefix))
}

/// Returns a field of a call by its name in `notify`.
pub(super) fn call_field(call: &Call, name: &str) -> Option<String> {
    let info = &call.info;
    Some(match name {
        "slot" => info.slot.to_string(),
        "lot" => info.lot.name.to_string(),
        "domain" => info.lot.domain.to_string(),
        "uuid" => info.uuid.to_string(),
        "parker" => info.parker.to_string(),
        "caller_name" => info.caller.name.clone(),
        "caller_number" => info.caller.number.clone(),
        "label" => call.label.to_string(),
        _ => return None,
    })
}

/// Whether a text is one address in a dial string and cannot start another.
pub(crate) fn is_address(text: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '+' | '*' | '#' | '@' | '/' | ':');
    !text.is_empty() && text.len() <= 255 && text.chars().all(plain)
}

/// Whether a text can be a value within a dial string. It has no slash, because `loopback/${x}` with the value `a:b/c/inline` would run the
/// application `a`.
pub(crate) fn is_part_of_address(text: &str) -> bool {
    is_address(text) && !text.contains('/')
}

/// What a word may contain as it is.
const UNSAFE: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_').remove(b'+').remove(b'*').remove(b'@');

/// Percent-encodes a text, so that it is one argument of a command, in a URL, and with or without quotes.
pub(crate) fn percent_encoded(text: &str) -> String {
    utf8_percent_encode(text, UNSAFE).to_string()
}

/// Escapes a text for XML. XML cannot represent control characters, which a client can write into its name or UUID, so they become spaces.
pub(crate) fn for_xml(text: &str) -> String {
    escape(text.replace(char::is_control, " ").as_str()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_filled_in_and_missing_ones_vanish() {
        let value = |name: &str| (name == "a").then(|| "1001".to_owned());
        assert_eq!(fill_in("user/${a}@x:${b}", value), "user/1001@x:");
        assert_eq!(fill_in("user/${a", value), "user/");
    }

    #[test]
    fn a_value_is_no_more_than_a_part_of_a_dial_string() {
        for good in ["1001@a.test", "+49301", "*98#", "a_b-c.d", "10.0.0.1:5060"] {
            assert!(is_part_of_address(good), "{good}");
        }
        for bad in ["", "system:id/default/inline", "1,user/2", "[x=y]1", "{x=y}1", "1|2", "1 2", "${x}", "a:_:b/"] {
            assert!(!is_part_of_address(bad), "{bad}");
        }
    }

    #[test]
    fn a_name_cannot_break_the_xml() {
        assert_eq!(for_xml("A&T <\"'\u{1b}"), "A&amp;T &lt;&quot;&apos; ");
    }

    #[test]
    fn a_name_stays_one_word() {
        assert_eq!(percent_encoded("A&T ${x};'|\n\u{e9}"), "A%26T%20%24%7Bx%7D%3B%27%7C%0A%C3%A9");
        assert_eq!(percent_encoded("*5901+49@a.b"), "*5901+49@a.b");
    }
}
