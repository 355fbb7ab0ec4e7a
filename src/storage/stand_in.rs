//! Stand-ins: what tells a row that the database refuses from a database that takes no row at this moment.
//!
//! That others of a batch went in proves nothing: on a full disk a row still fits into a page that has room, and the next does not. So a
//! row counts as refused only if a stand-in goes in where it does not: a row of the same size, for the same pages, of harmless texts. It
//! is inserted and deleted in one transaction, so that nobody sees it.

/// A harmless text of so many bytes. It does not repeat itself: PostgreSQL compresses long texts, and this one must not take less room
/// than the text that it stands for.
pub(super) fn filler(bytes: usize) -> String {
    let mut state: u32 = 0x9e37_79b9;
    let letter = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'a' + (state >> 24) as u8 % 26)
    };
    (0..bytes).map(letter).collect()
}

/// A text of a key, of as many bytes, without what could be refused: an index has it beside the one that it stands for.
pub(super) fn plain(key: &str) -> String {
    let harmless = |byte: u8| byte.is_ascii_alphanumeric() || b"-.*#".contains(&byte);
    key.bytes().map(|byte| if harmless(byte) { char::from(byte) } else { 'x' }).collect()
}

/// The same, and another than the one that it stands for.
pub(super) fn other(key: &str) -> String {
    let mut other = plain(key);
    let last = other.pop();
    other.push(if last == Some('x') { 'y' } else { 'x' });
    other
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stand_in_is_as_long_and_says_nothing() {
        assert_eq!(filler(0), "");
        let long = filler(4096);
        assert_eq!(long.len(), 4096);
        let triples: std::collections::HashSet<&[u8]> = long.as_bytes().windows(3).collect();
        assert!(triples.len() > 3000, "it repeats itself: {}", triples.len());
        assert_eq!(plain("a.b-7*é';"), "a.b-7*xxxx");
        assert_eq!((other("call-1"), other("call-x")), ("call-x".into(), "call-y".into()));
    }
}
