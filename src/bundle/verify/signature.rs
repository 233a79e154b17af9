//! Signatures. None are made yet; the finding says so, so that nobody mistakes digests for a signature.

use super::Check;
use super::facts::{Facts, STATEMENT};
use super::findings::{Findings, Level};

pub struct Signature;

impl Check for Signature {
    fn id(&self) -> &'static str {
        "signature"
    }
    fn title(&self) -> &'static str {
        "who sealed it can be proven"
    }
    fn run(&self, facts: &Facts, out: &mut Findings) {
        if facts.sealed() {
            out.add(
                Level::Info,
                Some(STATEMENT),
                "unsigned: the digests show that nothing changed since sealing only if the root digest is known from elsewhere",
                "Compare the root digest with the one that was noted when the bundle was made (report, case file, object store).",
            );
        }
    }
}
