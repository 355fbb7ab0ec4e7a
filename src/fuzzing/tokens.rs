//! Parses the token file.

use super::inject_fault;
use crate::web::TokenFile;

/// Reads a file of tokens.
pub fn tokens(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let tokens = match TokenFile::parse(&text, None) {
        Ok(tokens) => tokens,
        Err(why) => {
            // The type of the error can contain no token, only texts of the program and a number.
            assert!(why.to_string().starts_with("line "), "{why}");
            return;
        }
    };
    assert_eq!(tokens.rights("nobody's token"), None);
    for line in lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [token, rights, domain, user @ ..] = words.as_slice() else { panic!("accepted: {line:?}") };
        assert!(user.len() <= 1, "accepted: {line:?}");
        if token.starts_with("sha256:") {
            // The hash itself is not a token.
            assert_eq!(tokens.rights(token), None);
            continue;
        }
        assert!(token.len() >= 16);
        // The last line with a token counts.
        let last = lines().rfind(|other| other.split_whitespace().next() == Some(token));
        if last != Some(line) {
            continue;
        }
        let held = tokens.rights(token).expect("its rights");
        assert_eq!(held.view, rights.split(',').any(|right| right == "view"), "{line:?}");
        assert_eq!(held.act, rights.split(',').any(|right| right == "act"), "{line:?}");
        assert!(held.view || held.act);
        assert_eq!(held.domain.is_none(), *domain == "*");
        assert!(held.may_see(domain) || *domain == "*");
        let is_of_domain = |user: &String| user.rsplit_once('@').is_some_and(|(_, domain)| held.may_see(domain));
        assert!(held.user.is_some() == (user.len() == 1) && held.user.iter().all(is_of_domain), "{line:?}");
        inject_fault(held.act && !held.view);
    }
}
