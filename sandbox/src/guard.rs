//! Who may ask: programs of this machine, and no page in a browser.
//!
//! The port listens on loopback only. A page of any site can still send requests there from a browser on this machine, and
//! with a name that it lets point to 127.0.0.1 it could read the answers (DNS rebinding). Such a request carries that name as
//! its `Host`, or the page's site as its `Origin`; the clients of AWS send neither.

use hyper::{HeaderMap, header};

/// Why a request is not let in; `None` when it is.
pub fn refusal(headers: &HeaderMap, port: u16) -> Option<String> {
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
        refusal(&headers, 4566)
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
