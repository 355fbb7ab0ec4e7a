//! Dials the phones of a recall.

use crate::freeswitch::{self, CancelToken, Dial, OutgoingCalls, SessionGuard};
use crate::parking::{CallInfo, LotSettings, Party, RingBack, RingBackVia, is_name};
use crate::service::ParkingService;
use crate::service::error::RecallError;
use crate::service::template::{fill_in, is_address, is_of_the_far_end, is_part_of_address};

/// The phone of a recall: whom it rings, and what it shows.
pub(in crate::service) struct Phone<'a> {
    pub(in crate::service) dial: String,
    pub(in crate::service) party: &'a Party,
    pub(in crate::service) prefix: String,
    pub(in crate::service) settings: &'a LotSettings,
    /// The domain of the parker.
    pub(in crate::service) domain: &'a str,
}

/// The variables of a recall that the dialplan passes on to the phone that it calls.
const PASSED_ON: &str =
    "sip_from_display,alert_info,outbound_redirect_fatal,origination_privacy,media_mix_inbound_outbound_codecs";
/// The context of a parker who has none in the directory.
const USUAL_CONTEXT: &str = "default";

impl ParkingService {
    /// Returns the dial string of the phones of a user, as the lot calls them.
    pub(in crate::service) fn dial_of_user(&self, user: &str, settings: &LotSettings) -> Result<String, RecallError> {
        let dial = if settings.ringback_via == RingBackVia::Dialplan {
            let context = settings.ringback_context.clone().or_else(|| context_of(user));
            dial_extension(user, context.as_deref().unwrap_or(USUAL_CONTEXT))
        } else {
            dial_user(user)
        };
        dial.ok_or(RecallError::NotAUser)
    }

    /// Returns the dial string of a recall. `${...}` in a configured dial string stands for a variable of the waiting leg, which is used only if
    /// it cannot change the meaning of the dial string.
    pub(super) fn dial_string(&self, info: &CallInfo) -> Result<String, RecallError> {
        let CallInfo { uuid, parker, settings, .. } = info;
        match &settings.ringback {
            RingBack::Nobody => Err(RecallError::NobodyToRing),
            RingBack::Parker => self.dial_of_user(parker, settings),
            RingBack::DialString(dial) => {
                let leg = SessionGuard::find(uuid).ok_or(RecallError::CallerGone)?;
                // A dialplan may set a variable to a whole dial string; text of a phone in a header is never used as one.
                let whole =
                    |name: &str, value: &str| is_only_a_variable(dial) && !is_of_the_far_end(name) && is_address(value);
                Ok(fill_in(dial, |name| leg.var(name).filter(|value| is_part_of_address(value) || whole(name, value))))
            }
        }
    }
}

pub(in crate::service) fn call_phone(
    outgoing: &OutgoingCalls,
    phone: &Phone<'_>,
    more: &[(&str, &str)],
    cancel: &CancelToken,
) -> Result<SessionGuard, RecallError> {
    let name = displayable(&format!("{}{}", phone.prefix, phone.party.name));
    // The core treats a name as a number and cuts it after every colon and slash (switch_sanitize_number), so it gets a name without
    // these. mod_sofia shows the whole name, which it takes from a variable of its own.
    let plain = name.replace([':', '/', '@'], " ");
    let number = &phone.party.number;
    let mut variables = vec![
        ("origination_caller_id_name", plain.as_str()),
        ("origination_caller_id_number", number),
        ("sip_from_display", &name),
    ];
    if phone.party.is_withheld() {
        variables.push(("origination_privacy", "hide_name:hide_number"));
    }
    if phone.settings.ringback_ignore_voicemail {
        // A phone that forwards (302), most often to a mailbox, has not answered.
        variables.push(("outbound_redirect_fatal", "true"));
    }
    if let Some(alert_info) = &phone.settings.ringback_alert_info {
        variables.push(("alert_info", alert_info));
    }
    if phone.dial.starts_with(BY_DIALPLAN) {
        variables.extend([("export_vars", PASSED_ON), ("domain_name", phone.domain)]);
        // Otherwise the core would offer the phone only the codec of the loopback leg, L16 (`switch_core_media_prepare_codecs`).
        variables.push(("media_mix_inbound_outbound_codecs", "true"));
    }
    variables.extend_from_slice(more);
    let dial = Dial {
        to: &phone.dial,
        caller_name: &plain,
        caller_number: number,
        variables: &variables,
        ring_timeout: phone.settings.ringback_timeout,
    };
    Ok(outgoing.originate(&dial, cancel)?)
}

/// Returns a name that can stand in a SIP header, where the core writes it between quotes without escaping it.
pub(in crate::service) fn displayable(name: &str) -> String {
    name.replace(['"', '\\'], "'").replace(char::is_control, " ")
}

/// Whether a dial string is `${name}` and nothing else.
fn is_only_a_variable(dial: &str) -> bool {
    dial.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).is_some_and(|name| !name.contains(['{', '}']))
}

/// Returns `user/1001@example.com`, which rings every registered phone of the user. Returns `None` if the name is not that of a user, because text
/// from a Referred-By header must not become another dial string.
fn dial_user(user: &str) -> Option<String> {
    let (name, domain) = user.split_once('@')?;
    (is_part_of_address(name) && is_name(domain)).then(|| format!("user/{user}"))
}

/// The beginning of a dial string that calls an extension of the dialplan.
const BY_DIALPLAN: &str = "loopback/";

/// Returns `loopback/1001/default/XML`, which calls the extension of the user as another user would. Returns `None` as [`dial_user`] does.
fn dial_extension(user: &str, context: &str) -> Option<String> {
    let (name, domain) = user.split_once('@')?;
    let named = is_part_of_address(name) && is_name(domain) && is_part_of_address(context);
    named.then(|| format!("{BY_DIALPLAN}{name}/{context}/XML"))
}

/// The dialplan context of a user in the directory.
fn context_of(user: &str) -> Option<String> {
    dial_user(user)?;
    let context = freeswitch::api("user_data", &format!("{user} var user_context"));
    Some(context.trim().to_owned()).filter(|context| is_name(context))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_alone_may_be_a_whole_dial_string() {
        assert!(is_only_a_variable("${my_ring}"));
        for more in ["loopback/${x}", "${a}${b}", "${x}/default", "$x", "", "${}${}"] {
            assert!(!is_only_a_variable(more), "{more}");
        }
    }

    #[test]
    fn what_the_far_end_sends_is_no_whole_dial_string() {
        for theirs in
            ["sip_h_X-Ring", "SIP_H_x", "sip_from_user", "verto_dvar_x", "caller_id_name", "destination_number"]
        {
            assert!(is_of_the_far_end(theirs), "{theirs}");
        }
        assert!(!is_of_the_far_end("my_ring") && !is_of_the_far_end("recall_to"));
    }

    #[test]
    fn only_a_user_becomes_an_extension_of_the_dialplan() {
        assert_eq!(dial_extension("1001@a.test", "default").as_deref(), Some("loopback/1001/default/XML"));
        for (user, context) in
            [("1001", "x"), ("a/b@x", "x"), ("1001@a,b", "x"), ("1001@a.test", "x/y"), ("1001@a.test", ""), ("", "x")]
        {
            assert_eq!(dial_extension(user, context), None, "{user} {context}");
        }
    }

    #[test]
    fn only_a_user_becomes_a_dial_string() {
        assert_eq!(dial_user("1001@example.com").as_deref(), Some("user/1001@example.com"));
        for bad in ["", "1001", "10,01@x", "[x=y]1001@x", "1001@x,user/1002", "{a=b}1@x", "a/b@x", "1 1@x", "1001@"] {
            assert_eq!(dial_user(bad), None, "{bad}");
        }
    }
}
