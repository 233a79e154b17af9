//! The envelope against the statement: what was signed is what lies here.

use super::Check;
use super::facts::{ENVELOPE, Facts, STATEMENT, TAG_MANIFEST};
use super::findings::{Findings, remedy};
use super::signatures::{MAX_SIGNATURES, carries_the_statement};
use crate::bundle::documents::Statement;
use crate::bundle::dsse::PAYLOAD_TYPE;
use std::collections::BTreeSet;

pub struct EnvelopeCheck;

impl Check for EnvelopeCheck {
    fn id(&self) -> &'static str {
        "envelope"
    }
    fn title(&self) -> &'static str {
        "if it is signed, then the signed statement is this one"
    }
    fn run(&self, facts: &Facts, out: &mut Findings) {
        let Some(envelope) = &facts.envelope else { return };
        let at = Some(ENVELOPE);
        if envelope.payload_type != PAYLOAD_TYPE {
            let what = format!("its payload is a `{}`, which this build does not know", envelope.payload_type);
            out.error(at, what, remedy::NEWER_BUILD);
        }
        match envelope.payload() {
            None => out.error(at, "its payload is no base64, so nobody can tell what was signed", remedy::OTHER_COPY),
            Some(_) if facts.digest(STATEMENT).is_none() || carries_the_statement(facts, envelope) => {}
            Some(payload) => {
                let root = facts.digest(TAG_MANIFEST).map(|r| r.to_string());
                let subject = serde_json::from_slice::<Statement>(&payload).ok();
                let subject = subject.as_ref().and_then(|s| s.subject.first()?.digest.get("sha256"));
                let what = match (subject, root) {
                    (Some(signed), Some(root)) if *signed == root => {
                        "what was signed is another statement about this root than the one in seal/statement.json".to_string()
                    }
                    (Some(signed), Some(root)) => {
                        format!("what was signed is a statement about the root {signed}, and this bundle's root is {root}")
                    }
                    _ => "what was signed is not the statement that lies beside it".to_string(),
                };
                out.error(at, what, remedy::OTHER_COPY);
            }
        }
        if envelope.signatures.is_empty() {
            out.error(at, "it is an envelope without a signature", remedy::OTHER_COPY);
        }
        if envelope.signatures.len() > MAX_SIGNATURES {
            let what = format!("it has {} signatures, and no more than {MAX_SIGNATURES} are looked at", envelope.signatures.len());
            out.error(at, what, remedy::OTHER_COPY);
        }
        let mut seen = BTreeSet::new();
        for signature in envelope.signatures.iter().take(MAX_SIGNATURES).filter(|s| !seen.insert(s.keyid)) {
            out.error(at, format!("it has two signatures of the key {}", signature.keyid), remedy::OTHER_COPY);
        }
    }
}
