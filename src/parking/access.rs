//! Decides who may park a call and who may retrieve one. The service gathers the facts, and asks for the PIN.

use thiserror::Error;

use super::settings::{LotSettings, UsersOf};

/// How a leg came to its extension. This decides whether it is parked or retrieves, and whose permission counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arrival {
    /// A person transferred it, from a conversation or by REFER, or the phone that it rang diverted it.
    Transferred,
    /// A command or a script moved it.
    Moved,
    /// Its far end dialled the extension, or the dialplan sent it there before it was answered.
    Dialled,
    /// Its own dialplan sent it there after it was answered, or executes the extension: the caller chose it in a menu.
    Chosen,
}

impl Arrival {
    /// Whether somebody else brought the leg here.
    #[must_use]
    pub fn by_others(self) -> bool {
        matches!(self, Arrival::Transferred | Arrival::Moved)
    }
}

/// Who parks a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ParkedBy<'a> {
    /// A parker whom the dialplan names.
    Named,
    /// A user of this server (`1001@example.com`) whose leg has proved it.
    User(&'a str),
    /// An outside party, or somebody who is not known.
    Unproven,
}

/// The facts on which the permission to park depends.
#[derive(Clone, Copy, Debug)]
pub struct ParkFacts<'a> {
    /// How the leg came to its extension.
    pub arrival: Arrival,
    /// Who parks it.
    pub parked_by: ParkedBy<'a>,
    /// The user of the leg; empty if it belongs to none.
    pub user: &'a str,
    /// The domain of the lot.
    pub lot_domain: &'a str,
    /// The settings of the lot.
    pub settings: &'a LotSettings,
}

/// The facts on which the permission to retrieve depends.
#[derive(Clone, Copy, Debug)]
pub struct RetrieveFacts<'a> {
    /// The user of the leg; empty if it belongs to none.
    pub user: &'a str,
    /// The domain of that user, of the leg, or the usual one.
    pub domain: &'a str,
    /// Whether the leg names no domain, and the usual one has no lots.
    pub is_of_no_domain: bool,
    /// The domain of the lot.
    pub lot_domain: &'a str,
    /// The settings of the call.
    pub settings: &'a LotSettings,
}

/// What a leg that may retrieve still needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RetrieveAccess<'a> {
    /// Nothing.
    Allowed,
    /// This PIN.
    NeedsPin(&'a str),
}

/// Why somebody may not park or retrieve.
#[allow(missing_docs, reason = "each variant has its text beside it")]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum Denial {
    #[error("it belongs to no user, and park-from does not let anybody park")]
    ChosenByNoUser,
    #[error("who parks is in none of the groups that may park there")]
    UnprovenParker,
    #[error("users of its domain may not park there")]
    ParkFrom,
    #[error("its user is in none of the groups that may park there")]
    ParkGroups,
    #[error("it belongs to no user, and the lot has neither retrieve-anonymous nor a PIN")]
    RetrieveAnonymous,
    #[error("users of its domain may not retrieve there")]
    RetrieveFrom,
    #[error("its user is in none of the groups that may retrieve there")]
    RetrieveGroups,
    #[error("wrong PIN")]
    WrongPin,
    #[error("its ticket is not valid")]
    InvalidTicket,
}

/// Decides whether a leg may be parked. The permission is that of the user who transferred it or pressed a feature code, or of the user of the leg.
/// What the administrator has decided needs no permission: an extension that parks the caller, a script or a command that moves a leg, and a
/// feature code or a REFER of an outside party. A caller who chose the extension in a menu needs permission. `is_member` tells whether a user is in
/// a group.
pub fn may_park(facts: &ParkFacts<'_>, is_member: impl Fn(&str, &str) -> bool) -> Result<(), Denial> {
    let ParkFacts { arrival, settings, .. } = *facts;
    let user = match (facts.parked_by, arrival) {
        (ParkedBy::Named, _) | (_, Arrival::Moved) => return Ok(()),
        (ParkedBy::User(parker), Arrival::Transferred) => parker,
        (ParkedBy::Unproven, Arrival::Transferred) => "",
        (_, Arrival::Dialled | Arrival::Chosen) => facts.user,
    };
    if user.is_empty() {
        return match arrival {
            Arrival::Chosen if settings.park_from != UsersOf::Anywhere => Err(Denial::ChosenByNoUser),
            Arrival::Dialled => Ok(()),
            _ if settings.park_groups.is_empty() => Ok(()),
            _ => Err(Denial::UnprovenParker),
        };
    }
    let domain = user.rsplit_once('@').map_or("", |(_, domain)| domain);
    if !settings.park_from.allows(facts.lot_domain, domain) {
        return Err(Denial::ParkFrom);
    }
    if !is_in_one_of(user, &settings.park_groups, is_member) {
        return Err(Denial::ParkGroups);
    }
    Ok(())
}

/// Decides whether a leg may retrieve a call. `is_member` tells whether a user is in a group.
pub fn may_retrieve<'a>(
    facts: &RetrieveFacts<'a>,
    is_member: impl Fn(&str, &str) -> bool,
) -> Result<RetrieveAccess<'a>, Denial> {
    let RetrieveFacts { user, lot_domain, settings, .. } = *facts;
    if user.is_empty() && !settings.retrieve_anonymous && settings.retrieve_pin.is_none() {
        return Err(Denial::RetrieveAnonymous);
    }
    // A leg of no domain counts as one of the usual domain, or, if that has no lots, of the lot's.
    let domain = if facts.is_of_no_domain && user.is_empty() { lot_domain } else { facts.domain };
    if !settings.retrieve_from.allows(lot_domain, domain) {
        return Err(Denial::RetrieveFrom);
    }
    if !is_in_one_of(user, &settings.retrieve_groups, is_member) {
        return Err(Denial::RetrieveGroups);
    }
    Ok(settings.retrieve_pin.as_deref().map_or(RetrieveAccess::Allowed, RetrieveAccess::NeedsPin))
}

/// Whether a user is in one of the groups, or none is named. Nobody without a name is in a group.
fn is_in_one_of(user: &str, groups: &[String], is_member: impl Fn(&str, &str) -> bool) -> bool {
    groups.is_empty() || (!user.is_empty() && groups.iter().any(|group| is_member(user, group)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMBER: &str = "1001@a.test";
    const OTHER: &str = "1002@a.test";
    const STRANGER: &str = "1001@b.test";
    const USERS: [&str; 4] = ["", MEMBER, OTHER, STRANGER];
    const ARRIVALS: [Arrival; 4] = [Arrival::Transferred, Arrival::Moved, Arrival::Dialled, Arrival::Chosen];
    const PARKED_BY: [ParkedBy<'static>; 5] =
        [ParkedBy::Named, ParkedBy::Unproven, ParkedBy::User(MEMBER), ParkedBy::User(OTHER), ParkedBy::User(STRANGER)];

    fn is_member(user: &str, group: &str) -> bool {
        (user, group) == (MEMBER, "sales")
    }

    fn groups(named: bool) -> Vec<String> {
        if named { vec!["support".into(), "sales".into()] } else { Vec::new() }
    }

    fn users_of() -> [UsersOf; 3] {
        [UsersOf::OwnDomain, UsersOf::Domains(vec!["B.test".into()]), UsersOf::Anywhere]
    }

    fn park_lot(park_from: UsersOf, in_groups: bool) -> LotSettings {
        LotSettings { park_from, park_groups: groups(in_groups), ..LotSettings::default() }
    }

    fn park(arrival: Arrival, parked_by: ParkedBy<'_>, user: &str, settings: &LotSettings) -> Result<(), Denial> {
        may_park(&ParkFacts { arrival, parked_by, user, lot_domain: "a.test", settings }, is_member)
    }

    #[test]
    fn each_row_of_the_permission_to_park() {
        use Arrival::{Chosen, Dialled, Moved, Transferred};
        use ParkedBy::{Named, Unproven, User};
        let (plain, sales) = (park_lot(UsersOf::OwnDomain, false), park_lot(UsersOf::OwnDomain, true));
        let (anybody, anybody_in_sales) = (park_lot(UsersOf::Anywhere, false), park_lot(UsersOf::Anywhere, true));
        let only_b = park_lot(UsersOf::Domains(vec!["B.test".into()]), false);
        for (arrival, parked_by, user, lot, expected) in [
            // What the administrator has decided.
            (Chosen, Named, "", &sales, Ok(())),
            (Transferred, Named, STRANGER, &sales, Ok(())),
            (Moved, Unproven, "", &sales, Ok(())),
            (Dialled, Unproven, "", &sales, Ok(())),
            // An outside party presses the feature code or sends a REFER.
            (Transferred, Unproven, MEMBER, &plain, Ok(())),
            (Transferred, Unproven, MEMBER, &sales, Err(Denial::UnprovenParker)),
            // The user who transfers the leg, whoever the caller is.
            (Transferred, User(MEMBER), STRANGER, &sales, Ok(())),
            (Transferred, User(OTHER), MEMBER, &sales, Err(Denial::ParkGroups)),
            (Transferred, User(STRANGER), MEMBER, &plain, Err(Denial::ParkFrom)),
            (Transferred, User(STRANGER), "", &only_b, Ok(())),
            (Transferred, User(MEMBER), "", &only_b, Err(Denial::ParkFrom)),
            // The user of the leg, whoever talked to it before.
            (Dialled, User(STRANGER), MEMBER, &sales, Ok(())),
            (Dialled, Unproven, OTHER, &sales, Err(Denial::ParkGroups)),
            (Chosen, Unproven, MEMBER, &sales, Ok(())),
            (Chosen, Unproven, STRANGER, &sales, Err(Denial::ParkFrom)),
            (Chosen, Unproven, STRANGER, &anybody_in_sales, Err(Denial::ParkGroups)),
            // A caller in a menu.
            (Chosen, Unproven, "", &plain, Err(Denial::ChosenByNoUser)),
            (Chosen, Unproven, "", &only_b, Err(Denial::ChosenByNoUser)),
            (Chosen, Unproven, "", &anybody, Ok(())),
            (Chosen, Unproven, "", &anybody_in_sales, Err(Denial::UnprovenParker)),
        ] {
            assert_eq!(park(arrival, parked_by, user, lot), expected, "{arrival:?} {parked_by:?} {user:?} {lot:?}");
        }
    }

    #[test]
    fn only_what_the_administrator_decided_passes_the_groups() {
        for (arrival, parked_by, user, from) in ARRIVALS.into_iter().flat_map(|arrival| {
            let by = move |by| USERS.into_iter().flat_map(move |user| users_of().map(|from| (arrival, by, user, from)));
            PARKED_BY.into_iter().flat_map(by)
        }) {
            let allowed = park(arrival, parked_by, user, &park_lot(from, true)).is_ok();
            let decided = parked_by == ParkedBy::Named
                || arrival == Arrival::Moved
                || (arrival == Arrival::Dialled && user.is_empty());
            let who = if arrival == Arrival::Transferred { parked_by } else { ParkedBy::User(user) };
            assert!(!allowed || decided || who == ParkedBy::User(MEMBER), "{arrival:?} {parked_by:?} {user}");
        }
    }

    fn retrieve_lot(pin: bool, anonymous: bool, from: UsersOf, in_groups: bool) -> LotSettings {
        LotSettings {
            retrieve_pin: pin.then(|| "1234".into()),
            retrieve_anonymous: anonymous,
            retrieve_from: from,
            retrieve_groups: groups(in_groups),
            ..LotSettings::default()
        }
    }

    fn retrieve<'a>(
        user: &'a str,
        domain: &'a str,
        is_of_no_domain: bool,
        settings: &'a LotSettings,
    ) -> Result<RetrieveAccess<'a>, Denial> {
        may_retrieve(&RetrieveFacts { user, domain, is_of_no_domain, lot_domain: "a.test", settings }, is_member)
    }

    #[test]
    fn each_row_of_the_permission_to_retrieve() {
        let (allowed, pin) = (Ok(RetrieveAccess::Allowed), Ok(RetrieveAccess::NeedsPin("1234")));
        let own = |pin, anonymous, in_groups| retrieve_lot(pin, anonymous, UsersOf::OwnDomain, in_groups);
        for (user, domain, is_of_no_domain, lot, expected) in [
            (MEMBER, "a.test", false, own(false, false, false), allowed),
            (MEMBER, "a.test", false, own(true, false, false), pin),
            (MEMBER, "a.test", false, own(true, false, true), pin),
            (OTHER, "a.test", false, own(true, true, true), Err(Denial::RetrieveGroups)),
            (STRANGER, "b.test", false, own(true, true, false), Err(Denial::RetrieveFrom)),
            (STRANGER, "b.test", false, retrieve_lot(false, false, UsersOf::Anywhere, false), allowed),
            (STRANGER, "b.test", false, retrieve_lot(false, false, users_of()[1].clone(), false), allowed),
            (
                MEMBER,
                "a.test",
                false,
                retrieve_lot(false, false, users_of()[1].clone(), false),
                Err(Denial::RetrieveFrom),
            ),
            // A leg of no user.
            ("", "a.test", false, own(false, false, false), Err(Denial::RetrieveAnonymous)),
            ("", "a.test", false, retrieve_lot(false, false, UsersOf::Anywhere, false), Err(Denial::RetrieveAnonymous)),
            ("", "a.test", false, own(false, true, false), allowed),
            ("", "a.test", false, own(true, false, false), pin),
            ("", "a.test", false, own(true, true, false), pin),
            ("", "b.test", false, own(true, true, false), Err(Denial::RetrieveFrom)),
            ("", "10.0.0.1", true, own(false, true, false), allowed),
            ("", "a.test", false, own(true, true, true), Err(Denial::RetrieveGroups)),
            // A user has a domain.
            (STRANGER, "b.test", true, own(false, true, false), Err(Denial::RetrieveFrom)),
        ] {
            assert_eq!(retrieve(user, domain, is_of_no_domain, &lot), expected, "{user:?} {domain} {lot:?}");
        }
    }

    /// All combinations of the facts.
    #[test]
    fn nobody_passes_the_groups_the_domains_or_the_pin() {
        let flags = [false, true];
        for user in USERS {
            for domain in user.rsplit_once('@').map_or(vec!["", "a.test", "b.test"], |(_, domain)| vec![domain]) {
                for (pin, anonymous) in flags.into_iter().flat_map(|pin| flags.map(|anonymous| (pin, anonymous))) {
                    for (from, in_groups) in
                        users_of().into_iter().flat_map(|from| flags.map(|named| (from.clone(), named)))
                    {
                        for is_of_no_domain in flags {
                            let lot = retrieve_lot(pin, anonymous, from.clone(), in_groups);
                            let access = retrieve(user, domain, is_of_no_domain, &lot);
                            let about = format!("{user:?} {domain:?} {is_of_no_domain} {lot:?}: {access:?}");
                            let here = if user.is_empty() && is_of_no_domain { "a.test" } else { domain };
                            assert!(access.is_err() || !in_groups || user == MEMBER, "not even with the PIN: {about}");
                            assert!(access.is_err() || from.allows("a.test", here), "{about}");
                            assert!(!pin || access != Ok(RetrieveAccess::Allowed), "{about}");
                            assert!(access.is_err() || !user.is_empty() || anonymous || pin, "{about}");
                            let must = !user.is_empty() && from.allows("a.test", here) && !in_groups;
                            assert!(!must || access.is_ok(), "{about}");
                        }
                    }
                }
            }
        }
    }
}
