//! Payload against `manifest-sha256.txt`: changed, missing, extra.

use super::Check;
use super::documents::Manifest;
use super::facts::{Facts, MANIFEST};
use super::findings::{Findings, remedy};

pub struct Payload;

impl Check for Payload {
    fn id(&self) -> &'static str {
        "manifest"
    }
    fn title(&self) -> &'static str {
        "every file below data/ is listed, and has the digest that is listed"
    }
    fn run(&self, facts: &Facts, out: &mut Findings) {
        let Some(manifest) = &facts.manifest else { return }; // layout says so
        lines(MANIFEST, manifest, facts, out);
        for path in manifest.lines.keys().filter(|p| p.top() != "data") {
            out.error(Some(MANIFEST), format!("it lists `{}`, which is not below data/", path.as_str()), remedy::OTHER_COPY);
        }
        for path in facts.files.keys().filter(|p| p.top() == "data" && !manifest.lines.contains_key(*p)) {
            out.add(facts.absence(), Some(path.as_str()), "it is not listed: somebody added it, or took its line away", remedy::OTHER_COPY);
        }
    }
}

/// What any manifest must hold to: its lines are lines, and each names a file that is there and has that digest.
pub fn lines(name: &'static str, manifest: &Manifest, facts: &Facts, out: &mut Findings) {
    for (number, what) in &manifest.bad {
        out.add(facts.absence(), Some(name), format!("line {number}: {what}"), remedy::OTHER_COPY);
    }
    for (path, listed) in &manifest.lines {
        match facts.files.get(path) {
            None => out.add(
                facts.absence(),
                Some(path.as_str()),
                format!("{name} lists it, and it is not there: it was removed or renamed"),
                remedy::OTHER_COPY,
            ),
            Some(None) => {} // could not be read: the container check says why
            Some(Some((digest, _))) if digest == listed => {}
            Some(Some((digest, bytes))) => out.error(
                Some(path.as_str()),
                format!("its bytes were changed: {name} lists {listed}, and the {bytes} bytes here have {digest}"),
                remedy::OTHER_COPY,
            ),
        }
    }
}
