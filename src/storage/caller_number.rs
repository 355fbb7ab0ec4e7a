//! Recognises the number of a caller in all its spellings.

use super::connection::Connection;
use crate::parking::Party;

/// What may stand between the digits of a number, and before them.
const SEPARATORS: [char; 7] = [' ', '-', '.', '/', '(', ')', '+'];
/// How a country code may begin instead of with a plus sign.
const INTERNATIONAL_PREFIX: &str = "00";

/// The number of a caller, without separators: `+49 (30) 901820`, `0049-30-901820` and `4930901820` are one number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct CallerNumber(String);

impl CallerNumber {
    /// Parses a number. Returns `None` if it has neither a digit nor a letter, or is the word that stands for all withheld numbers.
    pub(crate) fn parse(text: &str) -> Option<CallerNumber> {
        let number = canonical(text);
        let is_number = number.chars().any(char::is_alphanumeric) && number != Party::WITHHELD_NUMBER;
        is_number.then_some(CallerNumber(number))
    }

    pub(super) fn is_number_of(&self, text: &str) -> bool {
        canonical(text) == self.0
    }

    /// A condition for rows of this caller.
    pub(super) fn condition(&self, connection: &Connection) -> String {
        let bare = SEPARATORS.iter().fold("LOWER(caller_number)".to_owned(), |column, separator| {
            format!("REPLACE({column}, '{separator}', '')")
        });
        let spellings =
            [self.0.clone(), format!("{INTERNATIONAL_PREFIX}{}", self.0)].map(|text| connection.text(&text));
        format!("{bare} IN ({})", spellings.join(", "))
    }
}

fn canonical(text: &str) -> String {
    let bare: String = text.chars().filter(|c| !SEPARATORS.contains(c)).collect();
    bare.strip_prefix(INTERNATIONAL_PREFIX).unwrap_or(&bare).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_one_in_all_spellings() {
        let number = CallerNumber::parse("+49 (30) 90-18/20").unwrap();
        for spelling in ["+4930901820", "004930901820", "49 30 90.18.20", "0049-30-901820"] {
            assert!(number.is_number_of(spelling), "{spelling}");
            assert_eq!(CallerNumber::parse(spelling), Some(number.clone()));
        }
        for other in ["030901820", "+493090182", "+49309018200", ""] {
            assert!(!number.is_number_of(other), "{other}");
        }
        assert!(CallerNumber::parse("Alice").unwrap().is_number_of("alice"));
    }

    #[test]
    fn withheld_numbers_are_no_number() {
        for text in ["", " ", "+", "()", "anonymous", "Anonymous"] {
            assert_eq!(CallerNumber::parse(text), None, "{text}");
        }
    }
}
