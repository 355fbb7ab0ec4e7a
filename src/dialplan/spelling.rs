//! The spellings in which phones send the number of a slot or the name of a lot.

/// The SIP user part of the park key of Linksys and Cisco SPA, with the slot in a parameter.
const PARK_KEY: &str = "callpark";
const PICKUP_KEY: &str = "pickup";
/// The prefix of the targets of lamps.
const LAMP: &str = "park+";
const DIRECTED_PICKUP: &str = "**";

/// One way to read what was dialled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Reading {
    /// A number, or the name of a lot.
    pub(crate) text: String,
    /// Whether the text may be the name of a lot: only after `park+`.
    pub(crate) may_be_lot: bool,
    /// Whether the phone asks for the call in the slot, and never parks one there.
    pub(crate) is_pickup: bool,
}

/// Returns the ways to read what was dialled, the most literal first. `variable` returns a variable of the leg.
pub(crate) fn readings(dialled: &str, variable: impl Fn(&str) -> Option<String>) -> Vec<Reading> {
    let number = |text: &str| Reading { text: text.to_owned(), may_be_lot: false, is_pickup: false };
    let mut found = vec![number(dialled)];
    let (key, orbit) = match dialled.split_once(';') {
        Some((key, params)) => (key, orbit_in(params)),
        None => (dialled, None),
    };
    let is_pickup = key.eq_ignore_ascii_case(PICKUP_KEY);
    if is_pickup || key.eq_ignore_ascii_case(PARK_KEY) {
        // Some phones write the parameter after the host: in the Refer-To of a transfer, and in the To of a call.
        let after_host = |name| variable(name).and_then(|uri| orbit_in(&uri));
        let orbit = orbit.or_else(|| after_host("sip_refer_to")).or_else(|| after_host("sip_to_params"));
        found.extend(orbit.map(|text| Reading { text, may_be_lot: false, is_pickup }));
        return found;
    }
    // Parameters of the user part, as in `701;user=phone`, are not part of the number.
    let bare = key.strip_prefix(DIRECTED_PICKUP).unwrap_or(key);
    let of_lamp = bare.split_at_checked(LAMP.len()).filter(|(prefix, _)| prefix.eq_ignore_ascii_case(LAMP));
    let of_lamp = of_lamp.map(|(_, name)| name);
    let plain = of_lamp.or_else(|| bare.strip_prefix('+')).unwrap_or(bare);
    if plain != dialled {
        found.push(Reading { may_be_lot: of_lamp.is_some(), ..number(plain) });
    }
    found
}

/// Finds the parameter `orbit` of a URI.
fn orbit_in(text: &str) -> Option<String> {
    let text = text.trim_end_matches('>');
    let mut values = text.split([';', '&', '?']).filter_map(|param| param.split_once('='));
    let orbit = values.find(|(name, _)| name.trim().eq_ignore_ascii_case("orbit")).map(|(_, value)| value.trim())?;
    let end = orbit.find(['>', ' ', '"', ',']).unwrap_or(orbit.len());
    Some(orbit[..end].to_owned()).filter(|orbit| !orbit.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(dialled: &str, variables: &[(&str, &str)]) -> Vec<(String, bool, bool)> {
        let variable =
            |wanted: &str| variables.iter().find(|(name, _)| *name == wanted).map(|(_, value)| (*value).to_owned());
        readings(dialled, variable).into_iter().map(|it| (it.text, it.may_be_lot, it.is_pickup)).collect()
    }

    #[test]
    fn each_spelling_of_a_slot_is_read() {
        for (dialled, also) in [
            ("+701", Some(("701", false, false))),
            ("**701", Some(("701", false, false))),
            ("**+701", Some(("701", false, false))),
            ("park+701", Some(("701", true, false))),
            ("**park+*5901", Some(("*5901", true, false))),
            ("park+main", Some(("main", true, false))),
            ("Park+main", Some(("main", true, false))),
            ("701;user=phone", Some(("701", false, false))),
            ("park+701;user=phone", Some(("701", true, false))),
            ("callpark;orbit=701", Some(("701", false, false))),
            ("pickup;orbit=701", Some(("701", false, true))),
            ("PickUp;x=1;ORBIT=701", Some(("701", false, true))),
            ("701", None),
            ("*5901", None),
            ("callpark", None),
            ("callpark;orbit=", None),
            ("main", None),
            ("", None),
        ] {
            let expected = [(dialled, false, false)].into_iter().chain(also);
            let expected: Vec<_> = expected.map(|(text, lot, pickup)| (text.to_owned(), lot, pickup)).collect();
            assert_eq!(read(dialled, &[]), expected, "{dialled}");
        }
    }

    #[test]
    fn the_slot_of_a_park_key_may_follow_the_host() {
        let refer = [("sip_refer_to", "<sip:callpark@10.0.0.1:5060;orbit=702>")];
        assert_eq!(read("callpark", &refer)[1], ("702".into(), false, false));
        let invite = [("sip_to_params", "user=phone;orbit=703")];
        assert_eq!(read("pickup", &invite)[1], ("703".into(), false, true));
        assert_eq!(read("1002", &refer).len(), 1, "the parameter of another call does not count");
    }
}
