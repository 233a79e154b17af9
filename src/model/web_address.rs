//! The address of a service that is no AWS service: a timestamp authority.

use std::fmt;

/// `http(s)://host[:port][/path]`, of a narrow alphabet, without credentials. It is shown, written down, and given to the HTTP client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebAddress {
    origin: String,
    path: String,
}

impl WebAddress {
    pub fn parse(text: &str) -> Option<WebAddress> {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
        let (authority, _) = rest.split_once('/').unwrap_or((rest, ""));
        let scheme = text.len() - rest.len();
        let (origin, path) = text.split_at(scheme + authority.len());
        let host_ok = !authority.is_empty() && authority.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b));
        let path_ok = path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-._~%?=&+:,".contains(&b));
        let path = if path.is_empty() { "/" } else { path };
        (text.len() <= 300 && host_ok && path_ok).then(|| WebAddress { origin: origin.into(), path: path.into() })
    }

    pub fn origin(&self) -> &str {
        &self.origin
    }
    /// With its query.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for WebAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_what_is_none() {
        for (text, origin, path) in [
            ("http://timestamp.digicert.com", "http://timestamp.digicert.com", "/"),
            ("https://freetsa.org/tsr", "https://freetsa.org", "/tsr"),
            ("http://127.0.0.1:318/a?b=c", "http://127.0.0.1:318", "/a?b=c"),
        ] {
            let address = WebAddress::parse(text).unwrap();
            assert_eq!((address.origin(), address.path()), (origin, path));
        }
        for bad in ["", "ftp://h/", "https://", "https:///x", "http://user:pw@h/", "http://h/a b", "http://h/\u{1b}", "http://h/'", "h/x"] {
            assert_eq!(WebAddress::parse(bad), None, "{bad}");
        }
    }
}
