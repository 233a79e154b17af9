//! What differs from run to run, replaced by what it is: the temporary directory, times, run ids, ports.

use std::path::Path;

pub fn redact(text: &str, dir: &Path) -> String {
    let canonical = dir.canonicalize().unwrap_or_else(|_| dir.to_path_buf());
    let text = text.replace(&*canonical.to_string_lossy(), "[DIR]").replace(&*dir.to_string_lossy(), "[DIR]");
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(first) = rest.chars().next() {
        // Only at the beginning of a word, so that nothing is cut out of a longer one.
        let word_begins = !out.chars().next_back().is_some_and(|c| c.is_ascii_alphanumeric());
        match WHAT.iter().find_map(|(shape, name)| fits(rest, shape).filter(|_| word_begins).map(|length| (length, name))) {
            Some((length, name)) => {
                out.push_str(name);
                rest = &rest[length..];
            }
            None => {
                out.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    out
}

/// `9` stands for a digit, `U` for a character of a ULID, `p` for the digits of a port; anything else for itself.
const WHAT: &[(&str, &str)] = &[
    ("9999-99-99T99:99:99.999Z", "[TIME]"),
    ("9999-99-99T99:99:99Z", "[TIME]"),
    ("99999999T999999Z", "[TIME]"),
    ("01UUUUUUUUUUUUUUUUUUUUUUUU", "[RUN]"),
    ("127.0.0.1:p", "127.0.0.1:[PORT]"),
    // Numbered otherwise on each system.
    ("(os error p)", "(os error [N])"),
];

/// How many bytes of `text` have this shape.
fn fits(text: &str, shape: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    for s in shape.bytes() {
        if s == b'p' {
            let digits = bytes[at..].iter().take_while(|b| b.is_ascii_digit()).count();
            at += if digits > 0 { digits } else { return None };
            continue;
        }
        let b = *bytes.get(at)?;
        let fits = match s {
            b'9' => b.is_ascii_digit(),
            b'U' => b.is_ascii_digit() || b.is_ascii_uppercase(),
            literal => b == literal,
        };
        at += if fits { 1 } else { return None };
    }
    Some(at)
}

#[test]
fn what_differs_is_replaced_and_nothing_else() {
    let dir = Path::new("/tmp/x1");
    let redacted =
        redact("/tmp/x1/a 2026-11-20T12:00:00.123Z b-20261120T120000Z-01JD4M3Q3VY0000000000000AB http://127.0.0.1:4711/é 2026", dir);
    assert_eq!(redacted, "[DIR]/a [TIME] b-[TIME]-[RUN] http://127.0.0.1:[PORT]/é 2026");
}
