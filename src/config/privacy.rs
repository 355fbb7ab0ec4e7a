//! What is told of a caller outside the telephones: to the history and to hooks.

use crate::parking::Party;

/// What is kept of a caller, by `record-privacy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privacy {
    /// Number, name and label.
    Full,
    /// Only the end of the number.
    Masked,
    /// Nothing.
    None,
}

impl Privacy {
    /// Removes what must not be kept of a caller's name and number, and of the label, which may contain them.
    pub(crate) fn apply(self, name: &mut String, number: &mut String, label: &mut String) {
        match self {
            Privacy::Full => {}
            Privacy::Masked => {
                for text in [name, label] {
                    if text.chars().any(char::is_numeric) {
                        *text = masked(text);
                    }
                }
                // A withheld number is no number, and stays recognisable.
                if !number.eq_ignore_ascii_case(Party::WITHHELD_NUMBER) {
                    *number = masked(number);
                }
            }
            Privacy::None => [name, number, label].into_iter().for_each(String::clear),
        }
    }
}

/// Masks all but the last two characters.
fn masked(text: &str) -> String {
    let length = text.chars().count();
    text.chars().enumerate().map(|(at, c)| if at + 2 < length { '*' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masked_number_shows_its_end_only() {
        assert_eq!(masked("+49301234"), "*******34");
        assert_eq!(masked("1"), "1");
    }
}
