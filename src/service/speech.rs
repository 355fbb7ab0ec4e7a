//! Says prompts to legs, in their language. A prompt is a phrase of FreeSWITCH's configuration. If nothing of it can be heard, because the phrase, its sound
//! files or a say module are missing, the leg hears a tone and the number instead: a leg never hears silence.

use std::ffi::CStr;

use super::call_log::log_call;
use super::identity::LegUser;
use super::{ParkingService, template};
use crate::freeswitch::{self, Leg, PhraseResult, PlayResult, PlaybackControl};

/// Confirms that a call is parked, if its slot cannot be spelled.
const CONFIRMATION_TONE: &str = "tone_stream://%(100,100,600);%(300,0,600)";
/// Tells a refusal: a short congestion tone.
const REFUSAL_TONE: &str = "tone_stream://%(150,150,480,620);loops=3";
/// Asks for digits: a dial tone, which the first key ends.
const DIAL_TONE: &str = "tone_stream://%(3000,0,425)";

#[derive(Clone, Copy, Debug)]
pub(crate) enum Prompt {
    AnnounceSlot,
    /// The slot and the label, for phones that answer automatically.
    Page,
    AskSlot,
    AskPin,
    /// The phrase that explains a refusal.
    Refusal(&'static CStr),
}

impl Prompt {
    fn phrase(self) -> &'static CStr {
        match self {
            Prompt::AnnounceSlot => c"callpark_announce_slot",
            Prompt::Page => c"callpark_page",
            Prompt::AskSlot => c"callpark_ask_slot",
            Prompt::AskPin => c"callpark_ask_pin",
            Prompt::Refusal(phrase) => phrase,
        }
    }

    /// Whether the prompt is of no use without its number.
    fn is_number(self) -> bool {
        matches!(self, Prompt::AnnounceSlot | Prompt::Page)
    }
}

impl ParkingService {
    /// Says a prompt. `data` is the data of its phrase; it begins with the number, if there is one.
    pub(crate) fn say(&self, leg: &Leg<'_>, prompt: Prompt, data: &str, control: &mut dyn PlaybackControl) {
        let user_language = self.language_of_user(leg);
        match leg.say(prompt.phrase(), data, user_language.as_deref(), control) {
            PhraseResult::Said => return,
            PhraseResult::Partly if !prompt.is_number() => return,
            PhraseResult::Partly | PhraseResult::Silent => {}
        }
        if !leg.ready() {
            return;
        }
        let language = user_language.or_else(|| leg.var("default_language")).unwrap_or_else(|| "en".into());
        log_call!(Warning, leg, phrase = prompt.phrase().to_string_lossy(), language = language; "phrase is not heard, a tone and the number replace it");
        let number = data.split(|c: char| sound_file(c).is_none()).next().unwrap_or_default();
        let tone = match prompt {
            Prompt::AskSlot | Prompt::AskPin => DIAL_TONE,
            Prompt::Refusal(_) => REFUSAL_TONE,
            Prompt::AnnounceSlot | Prompt::Page => {
                return if spell(leg, number, &language, control) == PlayResult::Failed {
                    leg.play_file(CONFIRMATION_TONE, control);
                };
            }
        };
        if leg.play_file(tone, control) != PlayResult::Stopped {
            spell(leg, number, &language, control);
        }
    }

    /// The language of the user whom a trusted proxy names for a leg that has no language of its own. On the legs of other users FreeSWITCH sets the
    /// variables that the directory has for them.
    fn language_of_user(&self, leg: &Leg<'_>) -> Option<String> {
        if leg.var("default_language") != freeswitch::usual_language() {
            return None;
        }
        let LegUser::Vouched(_) = self.leg_user(leg) else { return None };
        let user = self.user_of(leg);
        template::is_address(&user).then(|| freeswitch::user_variable(&user, "default_language")).flatten()
    }
}

/// Spells a number from the sound files of the language, else from those of the leg.
fn spell(leg: &Leg<'_>, number: &str, language: &str, control: &mut dyn PlaybackControl) -> PlayResult {
    let region_cut = language.split_once('-').map(|(language, _)| language);
    let folder = freeswitch::sound_folder(language).or_else(|| freeswitch::sound_folder(region_cut?));
    if let Some(folder) = folder {
        let spelled = spell_from(leg, number, &format!("{folder}/"), control);
        if spelled != PlayResult::Failed {
            return spelled;
        }
    }
    spell_from(leg, number, "", control)
}

/// Spells a number from the sound files in a folder.
fn spell_from(leg: &Leg<'_>, number: &str, folder: &str, control: &mut dyn PlaybackControl) -> PlayResult {
    let mut result = PlayResult::Failed;
    for file in number.chars().filter_map(sound_file) {
        if !leg.ready() {
            return PlayResult::Stopped;
        }
        result = leg.play_file(&format!("{folder}{file}"), control);
        if result != PlayResult::Finished {
            return result;
        }
    }
    result
}

/// The sound file of a character of a slot. All sound packages of FreeSWITCH have it under this name.
fn sound_file(c: char) -> Option<String> {
    match c {
        '0'..='9' => Some(format!("digits/{c}.wav")),
        '*' => Some("ascii/42.wav".into()),
        '#' => Some("ascii/35.wav".into()),
        _ => None,
    }
}
