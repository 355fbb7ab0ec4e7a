//! Tokens: who may view and who may act, and in which domain. They are stored as hashes and compared in constant time.

use std::os::unix::fs::PermissionsExt;
use std::{fs, io};

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use thiserror::Error;

use crate::freeswitch;
use crate::parking::is_name;
use crate::service::is_part_of_address;

type Hash = [u8; 32];

/// The rights of a token.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Rights {
    pub(crate) view: bool,
    pub(crate) act: bool,
    /// The domain; `None` for every domain.
    pub(crate) domain: Option<String>,
    /// The user of the token (`1002@example.com`).
    pub(crate) user: Option<String>,
    /// The beginning of the token's hash, by which a token without a user is told from others.
    pub(super) fingerprint: String,
}

impl Rights {
    pub(crate) fn may_see(&self, domain: &str) -> bool {
        self.domain.as_ref().is_none_or(|own| own.eq_ignore_ascii_case(domain))
    }

    /// Returns who acts with this token: its user, or the token itself.
    pub(crate) fn actor(&self) -> String {
        self.user.clone().unwrap_or_else(|| format!("token:{}", self.fingerprint))
    }
}

/// Why `http-token-file` is not used.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub(super) enum TokenFileError {
    #[error("{0}")]
    Unreadable(String),
    #[error("others can read it (mode {0:o}); make it 0600")]
    Mode(u32),
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// An invalid line of the token file. It names the line and never its contents.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("line {line}: {why}")]
pub(crate) struct TokenError {
    line: usize,
    why: TokenLineError,
}

#[derive(Clone, PartialEq, Eq, Debug, Error)]
enum TokenLineError {
    #[error("got {0} words, expected <token or sha256:hex> <rights, comma-separated> <domain or *> [<user>]")]
    Words(usize),
    #[error("no hash after sha256:, expected 64 hexadecimal digits")]
    Hash,
    #[error("a token of fewer than 16 characters can be guessed: got {0} characters")]
    Short(usize),
    #[error("unknown right, expected view, act or both")]
    Right,
    #[error("invalid domain, expected a SIP domain such as example.com, or *")]
    Domain,
    #[error("invalid user, expected the name of a user such as 1002, or 1002@example.com")]
    User,
    #[error("the user is of another domain than the token")]
    UserOfOtherDomain,
    #[error("a user of a token for all domains needs a domain, expected 1002@example.com")]
    UserWithoutDomain,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Tokens(Vec<(Hash, Rights)>);

impl Tokens {
    pub(super) fn read(file: &str) -> Result<Tokens, TokenFileError> {
        let unreadable = |why: io::Error| TokenFileError::Unreadable(why.to_string());
        let mode = fs::metadata(file).map_err(unreadable)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(TokenFileError::Mode(mode));
        }
        let text = fs::read_to_string(file).map_err(unreadable)?;
        Ok(Tokens::parse(&text, freeswitch::usual_domain().as_deref())?)
    }

    /// Parses the file. `usual_domain` is the domain of a user for whom neither the user nor the token names one.
    pub(crate) fn parse(text: &str, usual_domain: Option<&str>) -> Result<Tokens, TokenError> {
        let lines =
            text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
        let tokens =
            lines.map(|(line, number)| read_line(line, usual_domain).map_err(|why| TokenError { line: number, why }));
        tokens.collect::<Result<_, _>>().map(Tokens)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the rights of `token`. All tokens are compared, so that the time does not tell which one matches.
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

/// Parses a line: `<token or sha256:hex> <rights> <domain or *> [<user>]`.
fn read_line(line: &str, usual_domain: Option<&str>) -> Result<(Hash, Rights), TokenLineError> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (token, rights, domain, user) = match *words.as_slice() {
        [token, rights, domain] => (token, rights, domain, None),
        [token, rights, domain, user] => (token, rights, domain, Some(user)),
        _ => return Err(TokenLineError::Words(words.len())),
    };
    let hash = match token.strip_prefix("sha256:") {
        Some(hex) => from_hex(hex).ok_or(TokenLineError::Hash)?,
        None if token.len() < 16 => return Err(TokenLineError::Short(token.chars().count())),
        None => hash(token),
    };
    let domain = (domain != "*").then(|| domain.to_ascii_lowercase());
    if domain.as_deref().is_some_and(|domain| !is_name(domain)) {
        return Err(TokenLineError::Domain);
    }
    let user = user.map(|user| user_of_token(user, domain.as_deref(), usual_domain)).transpose()?;
    let fingerprint = hash[..4].iter().map(|byte| format!("{byte:02x}")).collect();
    let mut read = Rights { domain, user, fingerprint, ..Rights::default() };
    for right in rights.split(',') {
        match right {
            "view" => read.view = true,
            "act" => read.act = true,
            _ => return Err(TokenLineError::Right),
        }
    }
    Ok((hash, read))
}

/// Parses the user of a token: `1002` of the token's domain or of the usual one, or `1002@example.com`.
fn user_of_token(user: &str, domain: Option<&str>, usual_domain: Option<&str>) -> Result<String, TokenLineError> {
    let (name, own) = user.split_once('@').map_or((user, None), |(name, own)| (name, Some(own.to_ascii_lowercase())));
    if !is_user_name(name) || own.as_deref().is_some_and(|own| !is_name(own)) {
        return Err(TokenLineError::User);
    }
    match (own.as_deref(), domain) {
        (Some(own), Some(domain)) if own != domain => Err(TokenLineError::UserOfOtherDomain),
        (Some(domain), _) | (None, Some(domain)) => Ok(format!("{name}@{domain}")),
        (None, None) => match usual_domain.filter(|domain| is_name(domain)) {
            Some(domain) => Ok(format!("{name}@{}", domain.to_ascii_lowercase())),
            None => Err(TokenLineError::UserWithoutDomain),
        },
    }
}

/// Whether a text can be the name of a user, which becomes a part of a dial string.
pub(super) fn is_user_name(text: &str) -> bool {
    is_part_of_address(text) && !text.contains(['@', ':'])
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
        let tokens = Tokens::parse(text, None).unwrap();
        let desk = tokens.rights("reception-0123456789").unwrap();
        assert!(desk.view && desk.act && desk.may_see("example.com") && !desk.may_see("other.com"));
        let empty = tokens.rights("").unwrap();
        assert!(empty.view && !empty.act && empty.may_see("other.com"), "the hash is that of the empty text");
        assert_eq!(tokens.rights("reception-012345678"), None);
    }

    #[test]
    fn a_token_may_have_a_user() {
        let user =
            |line: &str| Tokens::parse(line, None).unwrap().rights("secret-secret-secret").unwrap().user.unwrap();
        assert_eq!(user("secret-secret-secret view,act A.test 1002"), "1002@a.test");
        assert_eq!(user("secret-secret-secret view,act a.test 1002@A.TEST"), "1002@a.test");
        assert_eq!(user("secret-secret-secret view,act * 1002@b.test"), "1002@b.test");
        let usual = Tokens::parse("secret-secret-secret act * 1002", Some("Usual.test")).unwrap();
        assert_eq!(usual.rights("secret-secret-secret").unwrap().user.as_deref(), Some("1002@usual.test"));
        let without =
            Tokens::parse("secret-secret-secret act *", None).unwrap().rights("secret-secret-secret").unwrap();
        assert_eq!(without.actor().len(), "token:12345678".len());
        assert!(without.actor().starts_with("token:"));
    }

    #[test]
    fn a_domain_is_the_same_in_capitals() {
        let tokens = Tokens::parse("reception-0123456789 view B\u{fc}RO.test", None).unwrap();
        let rights = tokens.rights("reception-0123456789").unwrap();
        assert!(rights.may_see("b\u{fc}ro.test") && rights.may_see("B\u{fc}RO.TEST") && !rights.may_see("buro.test"));
    }

    #[test]
    fn a_bad_line_is_named_and_not_shown() {
        for (text, why) in [
            ("secret-secret-secret", "line 1: got 1 words, expected <token"),
            ("\nshort view *", "line 2: a token of fewer"),
            ("secret-secret-secret look *", "line 1: unknown right, expected view"),
            ("sha256:12 view *", "line 1: no hash after sha256:"),
            ("secret-secret-secret view * 1002", "line 1: a user of a token for all domains needs a domain"),
            ("secret-secret-secret view a.test 1002@b.test", "line 1: the user is of another domain"),
            ("secret-secret-secret view 1002@a.test", "line 1: invalid domain"),
            ("secret-secret-secret view a.test 10/02", "line 1: invalid user"),
            ("secret-secret-secret view a.test 1002@", "line 1: invalid user"),
            ("secret-secret-secret view a.test 1002 more", "line 1: got 5 words, expected <token"),
        ] {
            let error = Tokens::parse(text, None).unwrap_err().to_string();
            assert!(error.starts_with(why) && !error.contains("secret"), "{error}");
        }
    }
}
