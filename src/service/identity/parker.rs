//! Identifies the parker of a call, and how the parker is called back.

use super::arrival::DIVERTED_TO;
use super::last_peer::LastPeer;
use super::user::{is_verto, user_in_directory};
use super::{domain, referred_by};
use crate::freeswitch::{self, Leg};
use crate::parking::ParkedBy;
use crate::service::ParkingService;
use crate::service::call_log::log_call;
use crate::service::template::is_address;

/// The parker of a call.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(in crate::service) struct Parker {
    /// The name (`1001@example.com`); empty if it is not known.
    pub(in crate::service) name: String,
    /// The dial string of a parker who is no user of this server.
    pub(in crate::service) dial_string: Option<String>,
    /// The domain in whose lots the parker parks.
    pub(in crate::service) domain: Option<String>,
    /// Whether the dialplan named the parker.
    pub(in crate::service) named: bool,
}

impl Parker {
    pub(in crate::service) fn user(name: String) -> Parker {
        let domain = name.split_once('@').map(|(_, domain)| domain.to_owned());
        Parker { name, domain, ..Parker::default() }
    }

    /// Returns the parker that the dialplan has named on a leg.
    pub(in crate::service) fn named_on(leg: &Leg<'_>) -> Option<Parker> {
        named_parker(leg).map(|name| Parker { named: true, ..Parker::user(name) })
    }

    /// What the permission to park depends on.
    pub(in crate::service) fn parked_by(&self) -> ParkedBy<'_> {
        match self {
            Parker { named: true, .. } => ParkedBy::Named,
            Parker { name, dial_string: None, .. } if !name.is_empty() => ParkedBy::User(name),
            _ => ParkedBy::Unproven,
        }
    }
}

/// A party who is no user of this server: a mobile phone of a hunt group, or a phone of another PBX.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::service) struct External {
    /// The dial string.
    pub(in crate::service) dial_string: String,
    /// The number, the domain of the leg, and the host of the number: `1001 example.com pbx.elsewhere.test`.
    pub(in crate::service) names: String,
}

impl External {
    /// Makes the dial string: as the party was called, or for a party who called, through the same gateway or to the address from which the call came.
    pub(in crate::service) fn of(leg: &Leg<'_>) -> Option<External> {
        // Its variables with an address are those that the client has set.
        if is_verto(leg) {
            return None;
        }
        let profile = || leg.var("sip_profile_name").or_else(|| leg.var("sofia_profile_name"));
        let (number, host, gateway, uri) = if leg.outbound() {
            (leg.var("sip_to_user")?, leg.var("sip_to_host"), leg.var("sip_gateway_name"), leg.var("sip_to_uri"))
        } else {
            let (host, port) = (leg.var("sip_network_ip"), leg.var("sip_network_port"));
            let number = leg.var("sip_from_user")?;
            let uri = host.as_ref().zip(port).map(|(host, port)| format!("{number}@{host}:{port}"));
            (number, host, leg.var("sip_gateway"), uri)
        };
        let dial_string = match gateway {
            Some(gateway) => format!("sofia/gateway/{gateway}/{number}"),
            None => format!("sofia/{}/sip:{}", profile()?, uri?),
        };
        let names = format!("{number} {} {}", domain(leg), host.unwrap_or_default());
        is_address(&dial_string).then_some(External { dial_string, names })
    }

    /// Names the parker `number@domain`, or `number@host` if the former is a user.
    fn parker(&self) -> Parker {
        let mut names = self.names.split(' ');
        let (number, domain, host) =
            (names.next().unwrap_or_default(), names.next().unwrap_or_default(), names.next().unwrap_or_default());
        let place = if freeswitch::has_user(number, domain) { host } else { domain };
        Parker {
            name: format!("{number}@{place}"),
            domain: Some(domain.to_owned()),
            dial_string: Some(self.dial_string.clone()),
            named: false,
        }
    }
}

impl ParkingService {
    /// Identifies the parker who parks the other party from this leg of a conversation.
    pub(in crate::service) fn parker_on(&self, leg: &Leg<'_>) -> Parker {
        let (parker, evidence) = match Parker::named_on(leg) {
            Some(named) => (named, "variable callpark_parker"),
            None => match self.user_of(leg) {
                user if !user.is_empty() => (Parker::user(user), "user of the leg"),
                _ => (External::of(leg).map(|external| external.parker()).unwrap_or_default(), "address of the leg"),
            },
        };
        log_call!(Debug, leg, parker = parker.name, evidence = evidence; "identified parker");
        parker
    }

    /// Identifies the parker of a leg on which an application runs: the one that the channel names, otherwise the last peer, otherwise a user in a trustworthy
    /// Referred-By, otherwise nobody.
    pub(in crate::service) fn parker_of(&self, leg: &Leg<'_>) -> Parker {
        let (parker, evidence) = self.parker_and_evidence(leg);
        log_call!(Debug, leg, parker = parker.name, evidence = evidence; "identified parker");
        parker
    }

    fn parker_and_evidence(&self, leg: &Leg<'_>) -> (Parker, &'static str) {
        if let Some(named) = Parker::named_on(leg) {
            return (named, "variable callpark_parker");
        }
        match self.last_peer(leg) {
            Some(LastPeer::User(peer)) => (Parker::user(peer), "user of the last bridged leg"),
            Some(LastPeer::Vouched(name, external)) => match (user_in_directory(leg, &name), external) {
                (Some(user), _) => {
                    (Parker::user(user), "last bridged leg, as its dial string or its trusted proxy says")
                }
                (None, Some(external)) => (external.parker(), "address of the last bridged leg"),
                (None, None) => (Parker::default(), "last bridged leg, whose user is not in the directory"),
            },
            Some(LastPeer::External(external)) => (external.parker(), "address of the last bridged leg"),
            Some(LastPeer::Unknown) => (Parker::default(), "last bridged leg, which has no user and no address"),
            None => match (self.referrer(leg), diverter(leg)) {
                (Some(referrer), _) => (Parker::user(referrer), "header Referred-By"),
                (None, Some(diverter)) => (Parker::user(diverter), "user whose phone diverted the call"),
                (None, None) => (Parker::default(), "none"),
            },
        }
    }

    /// Returns the user in the Referred-By header. Anybody can write that header, so it counts only if it names the user whom the leg called, who may
    /// transfer it before the two are bridged; on a leg of a user, if it names a user of the same domain; and on a leg from a trusted proxy.
    fn referrer(&self, leg: &Leg<'_>) -> Option<String> {
        let referrer = user_in_directory(leg, &referred_by(leg)?)?;
        let of = |user: &str| user.rsplit_once('@').map(|(_, domain)| domain.to_ascii_lowercase());
        let same_domain = || of(&referrer).is_some() && of(&referrer) == of(&self.user_of(leg));
        let called = || !leg.outbound() && called_user(leg).is_some_and(|user| user.eq_ignore_ascii_case(&referrer));
        (called() || same_domain() || self.trusts(leg)).then_some(referrer)
    }
}

/// Returns the user whose phone diverted the call here (302): the one that the leg called last.
fn diverter(leg: &Leg<'_>) -> Option<String> {
    leg.var(DIVERTED_TO)?;
    called_user(leg)
}

/// Returns the user whom a leg called last (`user/` in a dial string).
fn called_user(leg: &Leg<'_>) -> Option<String> {
    Some(format!("{}@{}", leg.var("dialed_user")?, leg.var("dialed_domain")?))
}

/// The variable with the parker, for the CDR, and the one that says that the module has set it and not the dialplan.
pub(in crate::service) const PARKER_VARIABLE: &str = "callpark_parker";
const PARKER_NOTED_VARIABLE: &str = "callpark_parker_noted";

/// Returns the parker that the dialplan names, in the leg's own domain if it names none.
fn named_parker(leg: &Leg<'_>) -> Option<String> {
    let named = leg.var(PARKER_VARIABLE).filter(|parker| leg.var(PARKER_NOTED_VARIABLE).as_ref() != Some(parker))?;
    Some(if named.contains('@') { named } else { format!("{named}@{}", domain(leg)) })
}

pub(in crate::service) fn note_parker(leg: &Leg<'_>, parker: &str) {
    for name in [PARKER_VARIABLE, PARKER_NOTED_VARIABLE] {
        if parker.is_empty() { leg.unset_var(name) } else { leg.set_var(name, parker) }
    }
}
