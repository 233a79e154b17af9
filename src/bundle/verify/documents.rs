//! Readers of the small forms: tag files and manifests (RFC 8493), and our own JSON, held strictly to its types.

use super::room::OVERFULL;
use crate::bundle::zip_reader::MAX_ENTRIES;
use crate::model::digest::Sha256;
use crate::model::path::BundlePath;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;

/// A manifest: path → digest, and what was wrong with its lines.
#[derive(Debug, Default)]
pub struct Manifest {
    pub lines: BTreeMap<BundlePath, Sha256>,
    /// Line number and what is wrong with it. Bounded, as are the lines: no more files are read than could be listed.
    pub bad: Vec<(u64, String)>,
    count: u64,
}

impl Manifest {
    pub fn line(&mut self, line: Option<&[u8]>) {
        self.count += 1;
        if self.count > MAX_ENTRIES as u64 {
            if self.count == MAX_ENTRIES as u64 + 1 {
                self.bad.insert(0, (self.count, OVERFULL.into()));
            }
            return;
        }
        if let Err(what) = self.take(line)
            && self.bad.len() < 200
        {
            self.bad.push((self.count, what));
        }
    }
    fn take(&mut self, line: Option<&[u8]>) -> Result<(), String> {
        let text = line.and_then(|l| std::str::from_utf8(l).ok()).ok_or("it is no UTF-8, or endless")?;
        let (digest, path) = text.split_once([' ', '\t']).ok_or("it is not of the form `digest  path`")?;
        let digest = Sha256::from_hex(digest).ok_or("it does not begin with a SHA-256 in hexadecimal")?;
        // `sha256sum` marks binary mode with an asterisk, which changes nothing.
        let path = path.trim_start_matches([' ', '\t']);
        let path = BundlePath::parse(path.strip_prefix('*').unwrap_or(path)).map_err(|e| e.to_string())?;
        match self.lines.insert(path.clone(), digest) {
            Some(_) => Err(format!("`{}` is listed twice", path.as_str())),
            None => Ok(()),
        }
    }
}

/// `Label: value` lines. Labels may repeat; a line that begins with white space continues the one before.
#[derive(Debug, Default)]
pub struct TagFile {
    pub fields: Vec<(String, String)>,
    pub bad: Option<String>,
}

impl TagFile {
    pub fn parse(bytes: &[u8]) -> TagFile {
        let mut out = TagFile::default();
        let Ok(text) = std::str::from_utf8(bytes) else {
            out.bad = Some("it is no UTF-8".into());
            return out;
        };
        for line in text.lines().filter(|l| !l.trim().is_empty()) {
            if line.starts_with([' ', '\t'])
                && let Some(last) = out.fields.last_mut()
            {
                last.1.push(' ');
                last.1.push_str(line.trim());
            } else if let Some((label, value)) = line.split_once(':') {
                out.fields.push((label.trim().to_string(), value.trim().to_string()));
            } else {
                out.bad.get_or_insert_with(|| "a line is not of the form `Label: value`".into());
            }
        }
        out
    }
    pub fn all<'a>(&'a self, label: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields.iter().filter(move |(l, _)| l.eq_ignore_ascii_case(label)).map(|(_, v)| v.as_str())
    }
}

/// Parse `bytes` as `T` and nothing else: a member that the type does not know is an error, for it would be evidence that no check looks at.
/// `version` is the value that member `v` must have, for documents that carry one.
pub fn strict<T: DeserializeOwned + Serialize>(bytes: &[u8], version: Option<u32>) -> Result<T, Strict> {
    let stated: Value = serde_json::from_slice(bytes).map_err(|e| Strict::Form(format!("it is no JSON: {e}")))?;
    if let (Some(known), Some(v)) = (version, stated.get("v"))
        && v.as_u64() != Some(u64::from(known))
    {
        return Err(Strict::Version(v.to_string()));
    }
    // From the bytes once more, not from the value, which has forgotten members that stood there twice.
    let typed: T = serde_json::from_slice(bytes).map_err(|e| Strict::Form(e.to_string()))?;
    let back = serde_json::to_value(&typed).map_err(|e| Strict::Form(e.to_string()))?;
    match difference(&stated, &back, &mut String::new()) {
        Some(at) => Err(Strict::Form(format!("member `{at}` is unknown to this form, or not written as this form writes it"))),
        None => Ok(typed),
    }
}

#[derive(Debug, PartialEq, Eq)]
pub enum Strict {
    Form(String),
    Version(String),
}

/// JSON pointer to the first place where two values differ.
fn difference(a: &Value, b: &Value, at: &mut String) -> Option<String> {
    let mut deeper = |key: &str, a: Option<&Value>, b: Option<&Value>| {
        let length = at.len();
        at.push('/');
        at.push_str(key);
        let found = match (a, b) {
            (Some(a), Some(b)) => difference(a, b, at),
            _ => Some(at.clone()),
        };
        at.truncate(length);
        found
    };
    match (a, b) {
        (Value::Object(x), Value::Object(y)) => {
            let keys = x.keys().chain(y.keys().filter(|k| !x.contains_key(*k)));
            keys.into_iter().find_map(|k| deeper(k, x.get(k), y.get(k)))
        }
        (Value::Array(x), Value::Array(y)) => (0..x.len().max(y.len())).find_map(|i| deeper(&i.to_string(), x.get(i), y.get(i))),
        _ => (a != b).then(|| at.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::item::FileRef;

    #[test]
    fn strict_knows_every_member_or_refuses() {
        let good = format!(r#"{{"path":"data/a","bytes":1,"sha256":"{}"}}"#, Sha256::ZERO);
        assert!(strict::<FileRef>(good.as_bytes(), None).is_ok());
        for (bad, says) in [
            (good.replace("\"bytes\":1", "\"bytes\":1,\"x\":2"), "/x"),
            (good.replace("\"bytes\":1", "\"bytes\":1,\"bytes\":2"), "duplicate"),
            (good.replace("\"bytes\":1,", ""), "missing"),
            (good.replace("data/a", "../a"), "path"),
            (good.clone() + "x", "no JSON"),
        ] {
            let Err(Strict::Form(e)) = strict::<FileRef>(bad.as_bytes(), None) else { panic!("{bad}") };
            assert!(e.contains(says), "{e}");
        }
        assert_eq!(strict::<FileRef>(br#"{"v":7}"#, Some(1)).unwrap_err(), Strict::Version("7".into()));
    }

    #[test]
    fn manifests_take_sha256sum_lines_and_name_bad_ones() {
        let mut m = Manifest::default();
        let z = Sha256::ZERO;
        for l in [
            format!("{z}  data/a"),
            format!("{z} *data/b"),
            format!("{z}  data/a"),
            "x  data/c".into(),
            format!("{z}  ../c"),
            String::new(),
        ] {
            m.line(Some(l.as_bytes()));
        }
        assert_eq!(m.lines.len(), 2);
        assert_eq!(m.bad.iter().map(|b| b.0).collect::<Vec<_>>(), [3, 4, 5, 6]);
    }

    #[test]
    fn tag_files_fold() {
        let t = TagFile::parse(b"A: 1\n  2\nb: 3\nB:4\n");
        assert_eq!(t.all("a").collect::<Vec<_>>(), ["1 2"]);
        assert_eq!(t.all("B").collect::<Vec<_>>(), ["3", "4"]);
        assert!(TagFile::parse(b"nonsense").bad.is_some());
    }
}
