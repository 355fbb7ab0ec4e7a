//! Who is who, as the legs tell.

use std::net::IpAddr;

use super::fill::is_address;
use crate::host::{self, Leg};
use crate::parking::{LotName, Party, Where};

/// What the core calls whoever it does not know the name of (`switch_ivr_originate.c`).
const NAMELESS: &str = "Outbound Call";
/// Where mod_sofia sent a calling leg because the phone that it rang said so (302).
pub(super) const REDIRECTED_TO: &str = "sip_redirected_to";

/// Who is at the far end of a leg. On a leg that this server called, and that was not turned round since, that is the
/// callee (`switch_channel_flip_cid` turns it and says so).
pub(super) fn party(leg: &Leg<'_>) -> Party {
    let called = leg.outbound() && leg.var("channel_cid_flipped").as_deref() != Some("yes");
    let (name, number) = if called {
        let number = leg.var("callee_id_number").or_else(|| leg.var("dialed_user")).or_else(|| leg.var("sip_to_user"));
        (leg.var("callee_id_name"), number)
    } else {
        (leg.var("caller_id_name"), leg.var("caller_id_number"))
    };
    let number = number.unwrap_or_default();
    Party { name: name.filter(|name| name != NAMELESS).unwrap_or_else(|| number.clone()), number }
}

/// The user of a leg, `1001@example.com`: as authenticated, or as the user that was called. Empty if it is nobody's.
/// Never what a From header says.
pub(super) fn user(leg: &Leg<'_>) -> String {
    let authenticated = || {
        let user = leg.var("sip_auth_username").or_else(|| leg.var("user_name"))?;
        Some((user, leg.var("domain_name").or_else(|| leg.var("sip_auth_realm"))))
    };
    let dialed = || Some((leg.var("dialed_user")?, leg.var("dialed_domain").or_else(|| leg.var("domain_name"))));
    let found = if leg.outbound() { dialed().or_else(authenticated) } else { authenticated() };
    match found {
        Some((user, Some(domain))) => format!("{user}@{domain}"),
        Some((user, None)) => format!("{user}@{}", host::usual_domain().unwrap_or_default()),
        None => String::new(),
    }
}

/// Who parks the other party from a leg of a conversation.
#[derive(Clone, Debug, Default)]
pub(super) struct Parker {
    /// `1001@example.com`; empty if that cannot be said.
    pub(super) name: String,
    /// How to ring them again, where they are no user of this server.
    pub(super) way: Option<String>,
}

impl Parker {
    pub(super) fn user(name: String) -> Parker {
        Parker { name, way: None }
    }
}

pub(super) fn parker(leg: &Leg<'_>) -> Parker {
    let user = || Some(user(leg)).filter(|user| !user.is_empty());
    match named_parker(leg).or_else(user) {
        Some(name) => Parker::user(name),
        None => called_afar(leg).unwrap_or_default(),
    }
}

/// Whoever this server called at an address or behind a gateway: a mobile phone of a hunt group. They are rung again the way
/// they were called.
fn called_afar(leg: &Leg<'_>) -> Option<Parker> {
    let number = leg.var("sip_to_user").filter(|_| leg.outbound())?;
    let way = match leg.var("sip_gateway_name") {
        Some(gateway) => format!("sofia/gateway/{gateway}/{number}"),
        None => format!("sofia/{}/sip:{}", leg.var("sip_profile_name")?, leg.var("sip_to_uri")?),
    };
    is_address(&way).then(|| Parker { name: format!("{number}@{}", domain(leg)), way: Some(way) })
}

/// For the CDR; and that it was not the dialplan that said so, for the next time the leg is parked.
const PARKER: &str = "callpark_parker";
const PARKER_NOTED: &str = "callpark_parker_noted";

/// Who the dialplan says parks this leg; of the leg's own domain if it names none.
pub(super) fn named_parker(leg: &Leg<'_>) -> Option<String> {
    let named = leg.var(PARKER).filter(|parker| leg.var(PARKER_NOTED).as_ref() != Some(parker))?;
    Some(if named.contains('@') { named } else { format!("{named}@{}", domain(leg)) })
}

pub(super) fn note_parker(leg: &Leg<'_>, parker: &str) {
    for name in [PARKER, PARKER_NOTED] {
        if parker.is_empty() { leg.unset_var(name) } else { leg.set_var(name, parker) }
    }
}

/// Who sent a leg here by a blind or attended transfer, by its Referred-By header. Many phones write the server's address or
/// name there, under which no user is `known`: then the domain is that of the leg.
pub(super) fn referrer(leg: &Leg<'_>, known: impl Fn(&str) -> bool) -> Option<String> {
    let written = referred_by(leg)?;
    let (user, host) = written.split_once('@')?;
    if host.parse::<IpAddr>().is_err() && known(host) {
        return Some(written);
    }
    let domain = leg.var("dialed_domain").or_else(|| leg.var("domain_name")).or_else(host::usual_domain);
    Some(format!("{user}@{}", domain.as_deref().unwrap_or(host)))
}

fn referred_by(leg: &Leg<'_>) -> Option<String> {
    address(&leg.var("sip_h_Referred-By")?)
}

/// `"Ann" <sip:1001@example.com:5060;x=y>` is `1001@example.com`.
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

/// The domain whose user a leg is: what decides whether it may retrieve.
pub(super) fn domain(leg: &Leg<'_>) -> String {
    own_domain(leg).or_else(host::usual_domain).unwrap_or_default()
}

/// The same where the leg itself tells it.
pub(super) fn own_domain(leg: &Leg<'_>) -> Option<String> {
    leg.var("domain_name").or_else(|| leg.var("dialed_domain"))
}

/// Who a leg is that wants a call, and of which domain. `trust_from`: where it has not authenticated, its From header says.
pub(super) fn retriever(leg: &Leg<'_>, trust_from: bool) -> (String, String) {
    let (user, domain) = (user(leg), domain(leg));
    let claimed = || Some((leg.var("sip_from_user")?, leg.var("sip_from_host")?));
    match claimed().filter(|_| trust_from && user.is_empty()) {
        Some((user, domain)) => (format!("{user}@{domain}"), domain),
        None => (user, domain),
    }
}

/// Which lot a leg means: as named, or in the likeliest of its domains.
pub(super) fn place(leg: &Leg<'_>, lot: Option<LotName>, parker: &str) -> Where {
    let of_parker = parker.split_once('@').map(|(_, domain)| domain.to_owned());
    let any = own_domain(leg).is_none() && of_parker.is_none();
    let likely = [leg.var("domain_name"), of_parker, leg.var("dialed_domain"), host::usual_domain()];
    Where { lot, domains: likely.into_iter().flatten().collect(), any }
}

/// Whether a transfer brought the leg to the extension it is at, or its far end dialled it. A leg is taken for
/// transferred if a REFER says so, if the phone that it rang diverted it, if it has talked to somebody before, or if it was moved after it was answered:
/// an ordinary `transfer` in a dialplan, which only passes a dialled call on, does none of these.
pub(super) fn was_transferred(leg: &Leg<'_>) -> bool {
    referred_by(leg).is_some()
        || leg.var("sip_refer_to").is_some()
        || leg.var("last_bridge_to").is_some()
        || leg.var(REDIRECTED_TO).is_some()
        || (leg.var("transfer_source").is_some() && leg.answered())
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
