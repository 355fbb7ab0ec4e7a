//! Probe rows, which show whether the database refuses a certain row or accepts no row at present.
//!
//! If the database writes other rows of a batch, that proves nothing: on a full disk one row may fit into a page, and the next may not. So a row counts
//! as refused only if the database accepts a probe row: a row of the same size with harmless texts, whose key leads to the same page of the
//! index. It is inserted and deleted in one transaction, so no other connection sees it.

/// Returns a harmless text of `length` bytes. It does not repeat, because PostgreSQL compresses long texts, and this one must not need less space
/// than the text that it replaces.
pub(super) fn filler(bytes: usize) -> String {
    let mut state: u32 = 0x9e37_79b9;
    let letter = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'a' + (state >> 24) as u8 % 26)
    };
    (0..bytes).map(letter).collect()
}

/// Returns a key of as many bytes and with as much in common as possible, without characters that the database could refuse. So an index has it next
/// to the key that it replaces.
pub(super) fn plain(key: &str) -> String {
    let harmless = |byte: u8| byte.is_ascii_alphanumeric() || b"-.*#".contains(&byte);
    key.bytes().map(|byte| if harmless(byte) { char::from(byte) } else { 'x' }).collect()
}

/// As [`plain`], but always different from the key that it replaces.
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
