//! Identifies the user of a leg: as the leg has authenticated, as this server called it, or as a trusted proxy says.

use super::{address, own_domain};
use crate::freeswitch::{self, Leg};
use crate::service::ParkingService;
use crate::service::template::is_address;

/// The variable with the user of a leg for whom somebody else vouches, or [`NOBODY`], so that the directory is asked once for each leg.
const VOUCHED_USER: &str = "callpark_vouched_user";
const NOBODY: &str = "-";

/// The user that a leg names, before the directory is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::service) enum LegUser {
    /// A user (`1001@example.com`) who has authenticated or was called by this server.
    User(String),
    /// A user (`1001@example.com`) whom a trusted proxy names, or whom the dial string of a leg that this server called names, and who may not be
    /// in the directory.
    Vouched(String),
    Nobody,
}

impl ParkingService {
    /// Returns the user of a leg (`1001@example.com`); empty if it belongs to none. It may ask the directory.
    pub(in crate::service) fn user_of(&self, leg: &Leg<'_>) -> String {
        match self.leg_user(leg) {
            LegUser::User(user) => user,
            LegUser::Vouched(name) => vouched_user(leg, &name).unwrap_or_default(),
            LegUser::Nobody => String::new(),
        }
    }

    /// Whether a leg belongs to a user, or somebody vouches for one and the directory was not asked yet.
    pub(in crate::service) fn may_belong_to_user(&self, leg: &Leg<'_>) -> bool {
        match self.leg_user(leg) {
            LegUser::User(_) => true,
            LegUser::Vouched(_) => leg.var(VOUCHED_USER).is_none_or(|user| user != NOBODY),
            LegUser::Nobody => false,
        }
    }

    /// Returns the user that a leg names, without asking the directory.
    pub(in crate::service) fn leg_user(&self, leg: &Leg<'_>) -> LegUser {
        if is_verto(leg) {
            return verto_user(leg).map_or(LegUser::Nobody, LegUser::User);
        }
        if let Some(user) = sip_user(leg) {
            return LegUser::User(user);
        }
        let name = if self.trusts(leg) { proxy_user(leg) } else { presence_user(leg) };
        name.map_or(LegUser::Nobody, LegUser::Vouched)
    }

    /// Whether a leg comes from a proxy that authenticates users for this server.
    pub(super) fn trusts(&self, leg: &Leg<'_>) -> bool {
        let config = self.config.get();
        let proxies = &config.settings.trusted_proxies;
        let Some(address) = leg.var("sip_network_ip").filter(|_| !proxies.is_empty()) else { return false };
        proxies.iter().any(|list| freeswitch::in_network(&address, list))
    }
}

/// Finds a user in the directory by an address. If the host is no domain of the directory, such as the address of the server, the domain is that of
/// the leg.
pub(in crate::service) fn user_in_directory(leg: &Leg<'_>, written: &str) -> Option<String> {
    let (name, host) = written.split_once('@').unwrap_or((written, ""));
    let is_domain =
        |host: &str| !host.is_empty() && host.parse::<std::net::IpAddr>().is_err() && freeswitch::has_domain(host);
    let own = || own_domain(leg).or_else(freeswitch::usual_domain);
    let domain = Some(host.to_owned()).filter(|host| is_address(host) && is_domain(host)).or_else(own)?;
    (is_address(name) && is_address(&domain) && freeswitch::has_user(name, &domain)).then(|| format!("{name}@{domain}"))
}

fn sip_user(leg: &Leg<'_>) -> Option<String> {
    let authenticated = || {
        let user = leg.var("sip_auth_username").or_else(|| leg.var("user_name"))?;
        Some((user, leg.var("domain_name").or_else(|| leg.var("sip_auth_realm"))))
    };
    let dialed = || Some((leg.var("dialed_user")?, leg.var("dialed_domain").or_else(|| leg.var("domain_name"))));
    let (user, domain) = if leg.outbound() { dialed().or_else(authenticated) } else { authenticated() }?;
    Some(format!("{user}@{}", domain.or_else(freeswitch::usual_domain).unwrap_or_default()))
}

/// Returns the user for whose lamp a leg counts that this server called. The dial string in the directory says so, which calls of groups use without
/// `user/`; mod_sofia says so for `sofia/internal/1001%example.com`. Behind a gateway is somebody else, whatever the dial string says.
fn presence_user(leg: &Leg<'_>) -> Option<String> {
    let is_phone = leg.outbound() && leg.var("sip_gateway_name").is_none();
    leg.var("presence_id").filter(|user| is_phone && user.contains('@'))
}

/// Whether a leg is one of a Verto client.
pub(in crate::service) fn is_verto(leg: &Leg<'_>) -> bool {
    leg.profile("chan_name").is_some_and(|name| name.starts_with("verto."))
}

/// Returns the user of a Verto leg. A client can set any channel variable (`userVariables`), which mod_verto sets after the core has set the user. When
/// a client answers, the core sets the user again, over the variables, unless a variable prevents it.
fn verto_user(leg: &Leg<'_>) -> Option<String> {
    if !leg.outbound() {
        return user_of_verto_client(leg);
    }
    let set_by_core = leg.answered() && leg.var("verto_skip_set_user").is_none();
    let (user, domain) = (leg.var("user_name")?, leg.var("domain_name")?);
    set_by_core.then(|| format!("{user}@{domain}"))
}

/// Returns the user as whom a Verto client has logged in that has made this call: mod_verto writes it into the caller profile.
pub(in crate::service) fn user_of_verto_client(leg: &Leg<'_>) -> Option<String> {
    leg.profile("username").filter(|user| user.contains('@'))
}

/// Returns the user that a proxy names: the one in P-Asserted-Identity, otherwise in From; the one in To for a leg to the proxy.
fn proxy_user(leg: &Leg<'_>) -> Option<String> {
    let at = |user: &str, host: &str| Some(format!("{}@{}", leg.var(user)?, leg.var(host).unwrap_or_default()));
    if leg.outbound() {
        return at("sip_to_user", "sip_to_host");
    }
    match leg.var("sip_P-Asserted-Identity") {
        // The whole header, or user and host, or only the user: as the profile's `paid-type` says.
        Some(identity) => match address(&identity) {
            Some(user) => Some(user),
            None => Some(format!("{identity}@{}", leg.var("sip_from_host").unwrap_or_default())),
        },
        None => at("sip_from_user", "sip_from_host"),
    }
}

fn vouched_user(leg: &Leg<'_>, name: &str) -> Option<String> {
    let known = leg.var(VOUCHED_USER).unwrap_or_else(|| {
        let user = user_in_directory(leg, name).unwrap_or_else(|| NOBODY.into());
        leg.set_var(VOUCHED_USER, &user);
        user
    });
    Some(known).filter(|user| user != NOBODY)
}
