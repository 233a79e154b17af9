//! Signatures: every one that is there holds, and every one that was to be there is. A bundle without any is told as such, so that nobody
//! mistakes digests for a signature.

use super::Check;
use super::facts::{ENVELOPE, Facts, STATEMENT};
use super::findings::{Findings, Level, remedy};
use super::signatures::SignatureResult;
use crate::bundle::signer::{Ended, StatedSigner};

pub struct Signature;

const COMPARE_ROOT: &str =
    "Compare the root digest with the one that was noted when the bundle was made (report, case file, object store).";
const COMPARE_KEY: &str = "Compare that fingerprint with the one that the collector gave you by another way, and demand it with `--key`: \
                           whoever made a bundle anew could have signed it with a key of his own.";

impl Check for Signature {
    fn id(&self) -> &'static str {
        "signature"
    }
    fn title(&self) -> &'static str {
        "every signature that it carries holds, and none is missing that the statement names"
    }
    fn run(&self, facts: &Facts, out: &mut Findings) {
        if !facts.sealed() {
            return;
        }
        for (path, key) in &facts.keys {
            match key {
                None => out.error(Some(path), "it is no public key of P-256 in PEM", remedy::OTHER_COPY),
                Some(key) if facts.signatures.iter().any(|s| s.key == key.fingerprint()) => {}
                Some(_) => out.warn(Some(path), "it is the key of no signature here", remedy::OTHER_COPY),
            }
        }
        for s in &facts.signatures {
            let stated = facts.stated_signers().any(|k| k.key == Some(s.key));
            let whose = match &s.arn {
                Some(arn) => format!("the KMS key {arn}, {}", s.key),
                None => format!("the key {}", s.key),
            };
            match s.result {
                SignatureResult::DoesNotHold => {
                    out.error(Some(ENVELOPE), format!("the signature of {whose} is wrong"), remedy::OTHER_COPY);
                }
                SignatureResult::NoKey => {
                    let what = format!("it has a signature of {whose}, whose public half lies neither here nor was given");
                    out.error(Some(ENVELOPE), what, "Give the public key: `--key FILE`.");
                }
                SignatureResult::Holds if !stated => {
                    let what = format!("it is signed by {whose}, which the statement does not name: somebody signed it afterwards");
                    out.warn(
                        Some(ENVELOPE),
                        what,
                        "Ask whose key that is, and why he signed; the other signatures say what they said before.",
                    );
                }
                SignatureResult::Holds if s.demanded => {}
                SignatureResult::Holds => {
                    out.add(Level::Info, Some(ENVELOPE), format!("signed by {whose}, which you must compare"), COMPARE_KEY);
                }
            }
        }
        for signer in facts.stated_signers().filter(|k| !facts.signatures.iter().any(|s| Some(s.key) == k.key)) {
            missing(facts, signer, out);
        }
        if facts.envelope.is_none() && facts.stated_signers().next().is_none() && !facts.has(ENVELOPE) {
            out.add(
                Level::Info,
                Some(STATEMENT),
                "unsigned: the digests show that nothing changed since sealing only if the root digest is known from elsewhere",
                COMPARE_ROOT,
            );
        }
    }
}

/// A signature that was to be made and is not here. That it could not be made is an excuse only where somebody wrote it down at once.
fn missing(facts: &Facts, signer: &StatedSigner, out: &mut Findings) {
    let ended = facts.sealing.iter().flat_map(|r| &r.signatures).find(|e| e.signer == *signer);
    match ended.filter(|e| e.ended == Ended::Failed) {
        Some(end) => {
            let why = end.detail.as_deref().unwrap_or("the reason was not noted");
            let what = format!("{} was to sign it, and could not: {why}", signer.name());
            out.warn(Some(STATEMENT), what, COMPARE_ROOT);
        }
        None => {
            let what = format!("{} was to sign it, and its signature is not here: it was taken away", signer.name());
            out.error(Some(STATEMENT), what, remedy::OTHER_COPY);
        }
    }
}
