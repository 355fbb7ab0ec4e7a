//! Recognises the feature code among the digits that a user presses.

/// The digits by which a user parks the other party of a conversation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FeatureCode(String);

/// What becomes of a sequence of digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CodeMatch {
    /// So many digits at the beginning belong to the other party. The rest may be the beginning of the code.
    Beginning(usize),
    /// So many digits at the beginning belong to the other party. The rest is the code.
    Complete(usize),
}

impl FeatureCode {
    /// What [`FeatureCode::parse`] accepts, for error texts.
    pub const FORM: &'static str = "1 to 16 digits, * and #";
    const MAX_LENGTH: usize = 16;

    /// Parses a feature code. Returns `None` unless `text` has that form.
    #[must_use]
    pub fn parse(text: &str) -> Option<FeatureCode> {
        let is_key = |c: char| c.is_ascii_digit() || c == '*' || c == '#';
        let good = !text.is_empty() && text.len() <= FeatureCode::MAX_LENGTH && text.chars().all(is_key);
        good.then(|| FeatureCode(text.to_owned()))
    }

    /// Looks for the code at the end of `keys`, so that a digit is kept from the other party only as long as it may belong to the code.
    #[must_use]
    pub fn find(&self, keys: &[char]) -> CodeMatch {
        let is_beginning = |rest: &[char]| rest.iter().copied().eq(self.0.chars().take(rest.len()));
        let passed = (0..keys.len()).find(|&passed| keys.get(passed..).is_some_and(is_beginning)).unwrap_or(keys.len());
        if keys.len() - passed == self.0.len() { CodeMatch::Complete(passed) } else { CodeMatch::Beginning(passed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn find(code: &str, keys: &str) -> CodeMatch {
        FeatureCode::parse(code).unwrap().find(&keys.chars().collect::<Vec<_>>())
    }

    #[test]
    fn a_code_has_a_form() {
        for good in ["*5", "#", "**1", "0123456789*#0123"] {
            assert!(FeatureCode::parse(good).is_some(), "{good}");
        }
        for bad in ["", "*A", "* 5", "5w", "\u{661}", "0123456789*#01234"] {
            assert!(FeatureCode::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_digit_waits_only_while_it_may_belong_to_the_code() {
        assert_eq!(find("*5", "*5"), CodeMatch::Complete(0));
        assert_eq!(find("*5", "*"), CodeMatch::Beginning(0));
        assert_eq!(find("*5", "1"), CodeMatch::Beginning(1));
        assert_eq!(find("*5", "**"), CodeMatch::Beginning(1));
        assert_eq!(find("*5", "*6"), CodeMatch::Beginning(2));
        assert_eq!(find("**5", "***"), CodeMatch::Beginning(1));
        assert_eq!(find("*1*2", "*1*1"), CodeMatch::Beginning(2));
        assert_eq!(find("5", "5"), CodeMatch::Complete(0));
    }

    proptest! {
        /// Fed digit by digit, everything but the codes comes out, unchanged and in order; and a code is found as soon as it ends.
        #[test]
        fn all_other_digits_pass_in_order(code in "[*12]{1,4}", pressed in "[*12]{0,40}") {
            let feature_code = FeatureCode::parse(&code).unwrap();
            let (mut held, mut out) = (Vec::new(), String::new());
            for key in pressed.chars() {
                held.push(key);
                match feature_code.find(&held) {
                    CodeMatch::Beginning(passed) => out.extend(held.drain(..passed)),
                    CodeMatch::Complete(passed) => {
                        out.extend(held.drain(..passed));
                        held.clear();
                        out.push('!');
                    }
                }
                prop_assert!(held.len() < code.len());
            }
            out.extend(held);
            prop_assert_eq!(out, pressed.replace(&code, "!"));
        }
    }
}
