//! Checks whether a request comes directly from a program on this machine, which alone is answered without a token.
//!
//! A connection to a loopback address is no proof. A proxy on this machine forwards requests of others, and a page of another site can make a browser
//! on this machine connect under a name of that site that resolves to 127.0.0.1 (DNS rebinding).

use std::net::IpAddr;

use axum::http::HeaderMap;
use axum::http::header::{FORWARDED, HOST, VIA};

/// The headers that proxies add, besides those that begin with `x-forwarded-`.
const OF_PROXIES: &[&str] = &[
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-original-forwarded-for",
    "true-client-ip",
    "cf-connecting-ip",
];

pub(super) fn is_direct(headers: &HeaderMap) -> bool {
    let forwarded = headers.keys().any(|name| {
        let text = name.as_str();
        *name == FORWARDED || *name == VIA || text.starts_with("x-forwarded") || OF_PROXIES.contains(&text)
    });
    let names_us = |host: &axum::http::HeaderValue| host.to_str().is_ok_and(is_of_this_machine);
    // Browsers always send a Host header.
    !forwarded && headers.get_all(HOST).iter().all(names_us)
}

/// Whether a host is `localhost` or a loopback address, with or without a port.
fn is_of_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|c| c.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || address.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(given: &[(&str, &str)]) -> HeaderMap {
        given
            .iter()
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    #[test]
    fn who_asks_for_this_machine_by_its_own_name_is_direct() {
        for host in ["127.0.0.1:8099", "127.0.0.1", "127.1.2.3:1", "localhost:8099", "LOCALHOST", "[::1]:8099", "[::1]"]
        {
            assert!(is_direct(&headers(&[("host", host)])), "{host}");
        }
        assert!(is_direct(&headers(&[("x-prometheus-scrape-timeout-seconds", "10")])), "HTTP/1.0 without a host");
    }

    #[test]
    fn another_name_is_a_proxy_or_an_attack() {
        for host in [
            "pbx.example.com",
            "evil.test:8099",
            "127.0.0.1.evil.test",
            "localhost.evil.test",
            "10.0.0.1",
            "0.0.0.0",
            "",
            "x",
        ] {
            assert!(!is_direct(&headers(&[("host", host)])), "{host}");
        }
        let mut two = headers(&[("host", "localhost")]);
        two.append("host", HeaderValue::from_static("evil.test"));
        assert!(!is_direct(&two));
    }

    #[test]
    fn a_header_of_a_proxy_tells_that_there_is_one() {
        for name in
            ["Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded", "X-Real-IP", "CF-Connecting-IP"]
        {
            assert!(!is_direct(&headers(&[("host", "localhost"), (name, "127.0.0.1")])), "{name}");
        }
    }
}
