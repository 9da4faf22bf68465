//! Who may ask: programs of this machine, and no page in a browser.
//!
//! The port listens on loopback only. A page of any site can still send requests there from a browser on this machine, and
//! with a name that it lets point to 127.0.0.1 it could read the answers (DNS rebinding). Such a request carries that name as
//! its `Host`, or the page's site as its `Origin`; the clients of AWS send neither.

use hyper::{HeaderMap, header};

/// Where a browser says whose page a request comes from, also where it sends no `Origin`
/// (<https://www.w3.org/TR/fetch-metadata/>).
const SITE: &str = "sec-fetch-site";

/// Why a request is not let in; `None` when it is. A link of another page may lead to the sandbox's own, `to_page`, which does
/// nothing by being shown.
pub fn refusal(headers: &HeaderMap, port: u16, to_page: bool) -> Option<String> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return Some("a request needs one Host header".to_owned());
    };
    let host = host.to_str().unwrap_or_default();
    if !is_this_endpoint(host, port) {
        return Some(format!(
            "the Host {host:?} is not this endpoint; ask http://127.0.0.1:{port}"
        ));
    }
    let own = format!("http://{host}");
    let foreign = |value: &header::HeaderValue| value.as_bytes() != own.as_bytes();
    if headers.get_all(header::ORIGIN).iter().any(foreign) {
        return Some("a page of another site may not use this endpoint".to_owned());
    }
    let other = |value: &header::HeaderValue| !matches!(value.as_bytes(), b"same-origin" | b"none");
    if !to_page && headers.get_all(SITE).iter().any(other) {
        return Some("a page of another site may not use this endpoint".to_owned());
    }
    None
}

fn is_this_endpoint(host: &str, port: u16) -> bool {
    let Some(name) = host.strip_suffix(&format!(":{port}")) else {
        return port == 80 && is_loopback(host);
    };
    is_loopback(name)
}

fn is_loopback(name: &str) -> bool {
    name.eq_ignore_ascii_case("localhost") || matches!(name, "127.0.0.1" | "[::1]")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(pairs: &[(header::HeaderName, &str)]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, value.parse().unwrap());
        }
        refusal(&headers, 4566, false)
    }

    #[test]
    fn programs_of_this_machine_are_let_in() {
        for host in [
            "127.0.0.1:4566",
            "localhost:4566",
            "LocalHost:4566",
            "[::1]:4566",
        ] {
            assert_eq!(asked(&[(header::HOST, host)]), None);
        }
        let own = [
            (header::HOST, "localhost:4566"),
            (header::ORIGIN, "http://localhost:4566"),
        ];
        assert_eq!(asked(&own), None);
    }

    #[test]
    fn a_request_of_another_page_is_kept_out_where_its_browser_sends_no_origin() {
        let from = |site: &str, to_page| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, "localhost:4566".parse().unwrap());
            headers.insert(SITE, site.parse().unwrap());
            refusal(&headers, 4566, to_page)
        };
        for site in ["cross-site", "same-site"] {
            assert!(from(site, false).is_some(), "{site}");
            assert_eq!(from(site, true), None, "a link to the page");
        }
        for site in ["same-origin", "none"] {
            assert_eq!(from(site, false), None, "{site}");
        }
    }

    #[test]
    fn other_names_ports_and_pages_are_kept_out() {
        for host in [
            "evil.example:4566",
            "127.0.0.1",
            "127.0.0.1:80",
            "127.0.0.1.evil.example:4566",
            "localhost:4566:4566",
            "",
        ] {
            assert!(asked(&[(header::HOST, host)]).is_some(), "{host}");
        }
        assert!(asked(&[]).is_some());
        let twice = [
            (header::HOST, "localhost:4566"),
            (header::HOST, "localhost:4566"),
        ];
        assert!(asked(&twice).is_some());
        for origin in [
            "http://evil.example",
            "https://localhost:4566",
            "null",
            "http://localhost:80",
        ] {
            let page = [(header::HOST, "localhost:4566"), (header::ORIGIN, origin)];
            assert!(asked(&page).is_some(), "{origin}");
        }
    }
}
