//! Identifies the parties of calls by their legs.

mod arrival;
pub(in crate::service) mod last_peer;
mod parker;
mod user;

use super::ParkingService;
use crate::freeswitch::{self, Leg};
use crate::parking::{Arrival, LotName, LotSelector, Party};

pub(super) use parker::{External, PARKER_VARIABLE, Parker, note_parker};
pub(super) use user::{LegUser, is_verto, user_of_verto_client};

/// The name that the core gives to a called party without one (`switch_ivr_originate.c`).
const NAME_OF_NAMELESS: &str = "Outbound Call";

/// Returns the party at the far end of a leg. On a leg that this server called, that is the callee, unless caller and callee were exchanged
/// (`switch_channel_flip_cid`).
pub(super) fn party(leg: &Leg<'_>) -> Party {
    let called = leg.outbound() && leg.var("channel_cid_flipped").as_deref() != Some("yes");
    let (name, number) = if called {
        let number = leg.var("callee_id_number").or_else(|| leg.var("dialed_user")).or_else(|| leg.var("sip_to_user"));
        (leg.var("callee_id_name"), number)
    } else {
        (leg.var("caller_id_name"), leg.var("caller_id_number"))
    };
    let number = number.unwrap_or_default();
    let party = Party { name: name.filter(|name| name != NAME_OF_NAMELESS).unwrap_or_else(|| number.clone()), number };
    if called { party } else { withheld(leg, party) }
}

/// Makes a caller anonymous who withholds name or number (by `Privacy`, the flags of the caller profile, or an anonymous From).
fn withheld(leg: &Leg<'_>, party: Party) -> Party {
    let flag = |name| leg.profile(name).as_deref() == Some("true");
    let header = leg.var("sip_Privacy").unwrap_or_default().to_ascii_lowercase();
    let asked = header.split([';', ',']).any(|value| matches!(value.trim(), "id" | "user" | "header" | "full"));
    let from = |name| leg.var(name).unwrap_or_default().to_ascii_lowercase();
    let anonymous = !leg.outbound()
        && (from("sip_from_user") == Party::WITHHELD_NUMBER || from("sip_from_host") == "anonymous.invalid");
    let number = asked || anonymous || flag("privacy_hide_number");
    // With the number goes the name, because the name of a caller who has none is the number.
    let name = number || flag("privacy_hide_name");
    Party {
        name: if name { Party::WITHHELD_NAME.into() } else { party.name },
        number: if number { Party::WITHHELD_NUMBER.into() } else { party.number },
    }
}

fn referred_by(leg: &Leg<'_>) -> Option<String> {
    address(&leg.var("sip_h_Referred-By")?)
}

/// Parses the address in a header: `"Ann" <sip:1001@example.com:5060;x=y>` is `1001@example.com`.
fn address(header: &str) -> Option<String> {
    let uri = header.split_once('<').map_or(header, |(_, rest)| rest.split('>').next().unwrap_or(rest));
    let rest =
        uri.trim().split_once(':').filter(|(scheme, _)| scheme.starts_with("sip")).map_or(uri.trim(), |(_, rest)| rest);
    let (user, host) = rest.split_once('@')?;
    let host = host.split([';', '?', '>']).next().unwrap_or(host);
    let host = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or(v6),
        None => host.split(':').next().unwrap_or(host),
    };
    let user = user.split(';').next().unwrap_or(user);
    (!user.is_empty() && !host.is_empty()).then(|| format!("{user}@{}", host.to_ascii_lowercase()))
}

/// The domain of a leg that belongs to no user.
pub(super) fn domain(leg: &Leg<'_>) -> String {
    own_domain(leg).or_else(freeswitch::usual_domain).unwrap_or_default()
}

/// The domain that the leg itself names.
pub(super) fn own_domain(leg: &Leg<'_>) -> Option<String> {
    leg.var("domain_name").or_else(|| leg.var("dialed_domain"))
}

/// The domain in `1001@example.com`.
fn domain_in(user: &str) -> Option<String> {
    user.rsplit_once('@').map(|(_, domain)| domain.to_owned()).filter(|domain| !domain.is_empty())
}

impl ParkingService {
    /// The domain of the leg's user, or of the leg if it belongs to no user.
    pub(super) fn domain_of(&self, leg: &Leg<'_>) -> String {
        domain_in(&self.user_of(leg)).unwrap_or_else(|| domain(leg))
    }

    /// Makes the selector of the lot that a leg names: by the domains to which the leg may belong, the most likely one first. `parkers` is the domain of
    /// the parker.
    pub(super) fn lot_selector(&self, leg: &Leg<'_>, lot: Option<LotName>, parkers: Option<String>) -> LotSelector {
        let users = domain_in(&self.user_of(leg));
        let any = users.is_none() && own_domain(leg).is_none() && parkers.is_none();
        let likely = [users, leg.var("domain_name"), parkers, leg.var("dialed_domain"), freeswitch::usual_domain()];
        LotSelector { lot, domains: likely.into_iter().flatten().collect(), any }
    }
}

/// Whether somebody else than the far end brought the leg to its extension.
pub(super) fn was_transferred(leg: &Leg<'_>) -> bool {
    Arrival::of(leg).by_others()
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn the_referrer_is_found_in_every_spelling() {
        for header in [
            "<sip:1001@Example.com>",
            "sip:1001@example.com",
            "\"Ann <x>\" <sip:1001@example.com>".replace("Ann <x>", "Ann").as_str(),
            "<sip:1001@example.com:5080;transport=tcp>;cid=1@x",
            "<sips:1001;phone-context=x@example.com?a=b>",
        ] {
            assert_eq!(address(header).as_deref(), Some("1001@example.com"), "{header}");
        }
        assert_eq!(address("<sip:1001@[::1]:5060>").as_deref(), Some("1001@::1"));
        for header in ["", "<>", "<sip:example.com>", "tel:+4912345", "<sip:@x>"] {
            assert_eq!(address(header), None, "{header}");
        }
    }
}
