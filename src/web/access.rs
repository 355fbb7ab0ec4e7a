//! Tokens: who may look, and who may act, on which domain. Kept as hashes, compared in constant time.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

type Hash = [u8; 32];

/// A token's rights.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Rights {
    pub(crate) view: bool,
    pub(crate) act: bool,
    /// `None`: every domain.
    pub(crate) domain: Option<String>,
}

impl Rights {
    pub(crate) fn see(&self, domain: &str) -> bool {
        self.domain.as_ref().is_none_or(|own| own.eq_ignore_ascii_case(domain))
    }
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Tokens(Vec<(Hash, Rights)>);

impl Tokens {
    /// The error names the line, never what is in it.
    pub(super) fn read(file: &str) -> Result<Tokens, String> {
        let wrong = |why: &dyn std::fmt::Display| format!("http-token-file {file}: {why}");
        let mode = fs::metadata(file).map_err(|why| wrong(&why))?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(wrong(&format!("others can read it (mode {:o}); make it 0600", mode & 0o777)));
        }
        Tokens::parse(&fs::read_to_string(file).map_err(|why| wrong(&why))?).map_err(|why| wrong(&why))
    }

    pub(crate) fn parse(text: &str) -> Result<Tokens, String> {
        let lines =
            text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
        let tokens = lines.map(|(line, number)| read_line(line).map_err(|why| format!("line {number}: {why}")));
        tokens.collect::<Result<_, _>>().map(Tokens)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What the bearer of `token` may do. Every token is compared, whichever fits.
    pub(crate) fn rights(&self, token: &str) -> Option<Rights> {
        let given = hash(token);
        let mut found = None;
        for (hash, rights) in &self.0 {
            if bool::from(hash.ct_eq(&given)) {
                found = Some(rights.clone());
            }
        }
        found
    }
}

fn hash(token: &str) -> Hash {
    Sha256::digest(token.as_bytes()).into()
}

/// `<token or sha256:hex> <rights> <domain or *>`
fn read_line(line: &str) -> Result<(Hash, Rights), &'static str> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [token, rights, domain] = words.as_slice() else {
        return Err("not <token or sha256:hex> <rights, comma-separated> <domain or *>");
    };
    let hash = match token.strip_prefix("sha256:") {
        Some(hex) => from_hex(hex).ok_or("sha256: needs 64 hexadecimal digits")?,
        None if token.len() < 16 => return Err("a token of fewer than 16 characters can be guessed"),
        None => hash(token),
    };
    let mut read = Rights { domain: (*domain != "*").then(|| domain.to_ascii_lowercase()), ..Rights::default() };
    for right in rights.split(',') {
        match right {
            "view" => read.view = true,
            "act" => read.act = true,
            _ => return Err("rights are view and act"),
        }
    }
    Ok((hash, read))
}

fn from_hex(text: &str) -> Option<Hash> {
    let mut hash = Hash::default();
    if text.len() != 2 * hash.len() {
        return None;
    }
    for (byte, pair) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_its_rights_in_its_domain() {
        let text = "# desk\nreception-0123456789 view,act Example.com\nsha256:\
                    e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 view *\n";
        let tokens = Tokens::parse(text).unwrap();
        let desk = tokens.rights("reception-0123456789").unwrap();
        assert!(desk.view && desk.act && desk.see("example.com") && !desk.see("other.com"));
        let empty = tokens.rights("").unwrap();
        assert!(empty.view && !empty.act && empty.see("other.com"), "the hash is that of the empty text");
        assert_eq!(tokens.rights("reception-012345678"), None);
    }

    #[test]
    fn a_domain_is_the_same_in_capitals() {
        let tokens = Tokens::parse("reception-0123456789 view B\u{fc}RO.test").unwrap();
        let rights = tokens.rights("reception-0123456789").unwrap();
        assert!(rights.see("b\u{fc}ro.test") && rights.see("B\u{fc}RO.TEST") && !rights.see("buro.test"));
    }

    #[test]
    fn a_bad_line_is_named_and_not_shown() {
        for (text, why) in [
            ("secret-secret-secret", "line 1: not <token"),
            ("\nshort view *", "line 2: a token of fewer"),
            ("secret-secret-secret look *", "line 1: rights are"),
            ("sha256:12 view *", "line 1: sha256: needs"),
        ] {
            let error = Tokens::parse(text).unwrap_err();
            assert!(error.starts_with(why) && !error.contains("secret"), "{error}");
        }
    }
}
