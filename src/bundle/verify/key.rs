//! The keys that the reader asked for: each of them has signed.

use super::Check;
use super::facts::{ENVELOPE, Facts};
use super::findings::Findings;
use super::signatures::{SignatureResult, carries_the_statement};

pub struct Key;

const NOT_HIS: &str = "Do not rely on this bundle: it does not come from the holder of that key, or was changed since. Fetch it again from \
                       where it was first kept, or ask the collector which key was used.";

impl Check for Key {
    fn id(&self) -> &'static str {
        "key"
    }
    fn title(&self) -> &'static str {
        "it is signed by every key that was asked for"
    }
    fn run(&self, facts: &Facts, out: &mut Findings) {
        let of_this = facts.envelope.as_ref().is_some_and(|e| carries_the_statement(facts, e));
        for wanted in facts.demanded.iter().map(|d| d.fingerprint()) {
            let signed = |result| facts.signatures.iter().any(|s| s.key == wanted && s.result == result);
            if of_this && signed(SignatureResult::Holds) {
                continue;
            }
            let others: Vec<String> =
                facts.signatures.iter().filter(|s| s.result == SignatureResult::Holds).map(|s| s.key.to_string()).collect();
            let what = match &others[..] {
                _ if !of_this && !facts.signatures.is_empty() => format!("the key {wanted} did not sign this statement"),
                _ if signed(SignatureResult::DoesNotHold) => format!("the signature of the key {wanted} is wrong"),
                _ if signed(SignatureResult::NoKey) => {
                    format!("the key {wanted} is named, but its public half is not here: give the key itself, not its fingerprint alone")
                }
                [] => format!("it is not signed, and the key {wanted} was to have signed it"),
                others => format!("it is not signed by the key {wanted}, but by {}", others.join(", ")),
            };
            out.error(Some(ENVELOPE), what, NOT_HIS);
        }
    }
}
