//! The library in memory, which may be older than its file.
//!
//! Threads of FreeSWITCH that have used the module hold data of it, so the system keeps the library in memory after `dlclose`, and the next `dlopen` of
//! the same path returns it. A new file is loaded only by the next start of FreeSWITCH.

use std::fs;

/// Whether the file of this library has been replaced or deleted since FreeSWITCH was started.
pub(crate) fn is_replaced() -> bool {
    let here = is_replaced as fn() -> bool as usize;
    let Ok(maps) = fs::read_to_string("/proc/self/maps") else { return false };
    maps.lines().any(|line| contains(line, here) && line.ends_with("(deleted)"))
}

/// Whether a line of `/proc/self/maps` describes the memory at an address.
fn contains(line: &str, address: usize) -> bool {
    let range = line.split(' ').next().and_then(|range| range.split_once('-'));
    let number = |text| usize::from_str_radix(text, 16).ok();
    range.and_then(|(from, to)| Some(number(from)? <= address && address < number(to)?)).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_there_is_not_replaced() {
        assert!(!is_replaced());
        assert!(contains("1000-2000 r-xp 00000000 fe:00 7 /usr/lib/x.so (deleted)", 0x1fff));
        assert!(!contains("1000-2000 r-xp 00000000 fe:00 7 /usr/lib/x.so", 0x2000));
    }
}
