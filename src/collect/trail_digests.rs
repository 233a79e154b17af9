//! The digest chain of a trail's log files: every hour CloudTrail writes a digest that states the hash of each log file it delivered, and the
//! hash of the digest before it. Pure: what was read in, what agrees and what does not out.
//! A digest whose signature is wrong vouches for nothing (`digest_signature.rs`); one whose key CloudTrail would not give vouches as far as its
//! hash goes, and the table says so.

use super::digest_signature::{self, PublicKeys, Signed};
use super::trail_listing::Reach;
use crate::aws::fault::tame;
use crate::model::digest::Sha256;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A digest file that was read.
#[derive(Debug)]
pub(super) struct Digest {
    pub bucket: String,
    pub key: String,
    pub content: Sha256,
    /// `x-amz-meta-signature` of the object, in hex, and `x-amz-meta-signature-algorithm`.
    pub signature: Option<String>,
    pub algorithm: Option<String>,
    pub document: Value,
}

/// What the chain says. Lists are in the order of the keys and bounded.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Integrity {
    pub digests: usize,
    pub log_files_read: usize,
    /// Log files whose content is what a digest states; and of these, those whose digest is validly signed.
    pub agree: usize,
    pub agree_signed: usize,
    /// Log files whose content is something else: changed after delivery.
    pub differ: Vec<String>,
    /// Log files that a digest names and the bucket does not list: removed after delivery.
    pub missing: Vec<String>,
    /// Log files that a digest names, and of which a listing that broke off before says nothing.
    pub not_listed: Vec<String>,
    /// Log files that were listed and that no digest read here names: usual for the newest hour only.
    pub in_no_digest: Vec<String>,
    /// Digests whose predecessor was read and is what they state.
    pub links: usize,
    /// Digests whose predecessor was read and is something else.
    pub broken_links: Vec<String>,
    /// Digests that name a predecessor which was not read: usual for the first of the window.
    pub loose: Vec<String>,
    /// Digests that say that they lie elsewhere, or are no digests.
    pub out_of_place: Vec<String>,
    pub signatures: Signatures,
    /// Lists were cut.
    pub cut: bool,
}

/// Of the digests, by CloudTrail's public keys.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Signatures {
    pub valid: usize,
    /// Not by the key that the digest names, or not over these bytes: changed after delivery. What they state was not believed.
    pub invalid: Vec<String>,
    /// Signed by a key that CloudTrail did not give us: neither believed nor refuted.
    pub key_unknown: Vec<String>,
    /// Without a signature of the known kind.
    pub unsigned: Vec<String>,
}

const LIST: usize = 1_000;

/// `read` are the log files whose content could be unpacked, `listed` all that the bucket lists. `reach` says of a key whether it would have been
/// listed: what was not looked for, or not to the end, is not missing.
pub(super) fn check(
    digests: &[Digest],
    keys: &PublicKeys,
    read: &BTreeMap<String, Sha256>,
    listed: &BTreeSet<String>,
    reach: impl Fn(&str) -> Reach,
) -> Integrity {
    let mut out = Integrity { digests: digests.len(), log_files_read: read.len(), ..Integrity::default() };
    let mut cut = false;
    let mut push = |list: &mut Vec<String>, text: &str| {
        if list.len() < LIST { list.push(tame(text, 500)) } else { cut = true }
    };
    let by_key: BTreeMap<&str, &Digest> = digests.iter().map(|d| (d.key.as_str(), d)).collect();
    let mut named: BTreeSet<&str> = BTreeSet::new();
    for digest in by_key.values() {
        let says = |member: &str| digest.document.get(member).and_then(Value::as_str);
        let Some(files) = digest.document.get("logFiles").and_then(Value::as_array) else {
            push(&mut out.out_of_place, &digest.key);
            continue;
        };
        if says("digestS3Object") != Some(digest.key.as_str()) || says("digestS3Bucket") != Some(digest.bucket.as_str()) {
            push(&mut out.out_of_place, &digest.key);
            continue;
        }
        let signed = digest_signature::check(digest, keys);
        match signed {
            Signed::Valid => out.signatures.valid += 1,
            Signed::Invalid => push(&mut out.signatures.invalid, &digest.key),
            Signed::KeyUnknown => push(&mut out.signatures.key_unknown, &digest.key),
            Signed::Unsigned => push(&mut out.signatures.unsigned, &digest.key),
        }
        if signed == Signed::Invalid {
            continue;
        }
        for file in files {
            let said = |member: &str| file.get(member).and_then(Value::as_str);
            let Some(key) = said("s3Object") else {
                push(&mut out.out_of_place, &digest.key);
                continue;
            };
            named.insert(key);
            let stated = said("hashValue").filter(|_| said("hashAlgorithm") == Some("SHA-256")).and_then(Sha256::from_hex);
            match read.get(key) {
                Some(ours) if Some(*ours) == stated => {
                    out.agree += 1;
                    out.agree_signed += usize::from(signed == Signed::Valid);
                }
                Some(_) => push(&mut out.differ, key),
                None if listed.contains(key) => {}
                None => match reach(key) {
                    Reach::Within => push(&mut out.missing, key),
                    Reach::BrokeOff => push(&mut out.not_listed, key),
                    Reach::Outside => {}
                },
            }
        }
        match says("previousDigestS3Object") {
            // The first digest of a trail has no predecessor.
            None => {}
            Some(before) => match by_key.get(before) {
                None => push(&mut out.loose, &digest.key),
                Some(before) => {
                    let hash = says("previousDigestHashValue").and_then(Sha256::from_hex) == Some(before.content);
                    let signature = says("previousDigestSignature") == before.signature.as_deref();
                    if hash && signature { out.links += 1 } else { push(&mut out.broken_links, &digest.key) }
                }
            },
        }
    }
    for key in listed.iter().filter(|k| !named.contains(k.as_str())) {
        push(&mut out.in_no_digest, key);
    }
    out.cut = cut;
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sha(text: &str) -> Sha256 {
        Sha256::of(text.as_bytes())
    }

    fn digest(key: &str, before: Option<(&str, &str, &str)>, files: &[(&str, &str)]) -> Digest {
        let files: Vec<Value> = files
            .iter()
            .map(|(k, content)| json!({"s3Object": k, "hashAlgorithm": "SHA-256", "hashValue": sha(content).to_string()}))
            .collect();
        let document = json!({"digestS3Bucket": "b", "digestS3Object": key, "logFiles": files,
            "previousDigestS3Object": before.map(|b| b.0), "previousDigestHashValue": before.map(|b| sha(b.1).to_string()),
            "previousDigestSignature": before.map(|b| b.2)});
        Digest {
            bucket: "b".into(),
            key: key.into(),
            content: sha(key),
            signature: Some(format!("signed-{key}")),
            algorithm: None,
            document,
        }
    }

    fn run(digests: &[Digest], read: &[(&str, &str)], listed: &[&str]) -> Integrity {
        let read = read.iter().map(|(k, content)| (k.to_string(), sha(content))).collect();
        let reach = |key: &str| match key {
            "log-from-before" => Reach::Outside,
            "log-beyond" => Reach::BrokeOff,
            _ => Reach::Within,
        };
        check(digests, &PublicKeys::new(), &read, &listed.iter().map(ToString::to_string).collect(), reach)
    }

    #[test]
    fn what_agrees_is_counted_and_what_does_not_is_named() {
        let chain = [
            digest("d1", None, &[("log-a", "A"), ("log-from-before", "Z")]),
            digest("d2", Some(("d1", "d1", "signed-d1")), &[("log-b", "B"), ("log-gone", "G")]),
        ];
        let fine = run(&chain, &[("log-a", "A"), ("log-b", "B")], &["log-a", "log-b", "log-newest"]);
        assert_eq!((fine.agree, fine.links, fine.differ.len(), fine.broken_links.len()), (2, 1, 0, 0));
        assert_eq!(fine.missing, ["log-gone"]);
        assert_eq!(fine.in_no_digest, ["log-newest"]);
        let broke_off = run(&[digest("d1", None, &[("log-beyond", "B"), ("log-gone", "G")])], &[], &[]);
        assert_eq!((broke_off.missing, broke_off.not_listed), (vec!["log-gone".to_string()], vec!["log-beyond".to_string()]));
        let changed = run(&chain, &[("log-a", "A"), ("log-b", "not B")], &["log-a", "log-b"]);
        assert_eq!((changed.agree, changed.differ), (1, vec!["log-b".to_string()]));
        // Listed and not read (a bound, a refusal): nothing is known about it.
        let unread = run(&chain, &[("log-a", "A")], &["log-a", "log-b", "log-gone"]);
        assert_eq!((unread.missing.len(), unread.differ.len()), (0, 0));
        assert_eq!((unread.signatures.valid, unread.signatures.unsigned.len(), unread.agree_signed), (0, 2, 0), "no signature that is one");
    }

    #[test]
    fn a_link_needs_the_hash_and_the_signature_of_the_digest_before() {
        for (before, links, broken) in
            [(("d1", "d1", "signed-d1"), 1, 0), (("d1", "other", "signed-d1"), 0, 1), (("d1", "d1", "forged"), 0, 1)]
        {
            let out = run(&[digest("d1", None, &[]), digest("d2", Some(before), &[])], &[], &[]);
            assert_eq!((out.links, out.broken_links.len()), (links, broken));
        }
        let out = run(&[digest("d2", Some(("d1", "d1", "signed-d1")), &[])], &[], &[]);
        assert_eq!(out.loose, ["d2"]);
    }

    #[test]
    fn a_digest_that_lies_elsewhere_or_is_none_vouches_for_nothing() {
        let mut moved = digest("d1", None, &[("log-a", "A")]);
        moved.key = "copied".into();
        let mut nonsense = digest("d2", None, &[]);
        nonsense.document = json!({"logFiles": "many"});
        let out = run(&[moved, nonsense], &[("log-a", "A")], &["log-a"]);
        assert_eq!((out.agree, out.out_of_place.len(), out.in_no_digest.len()), (0, 2, 1));
        let mut weak = digest("d3", None, &[("log-a", "A")]);
        weak.document["logFiles"][0]["hashAlgorithm"] = json!("MD5");
        assert_eq!(run(&[weak], &[("log-a", "A")], &["log-a"]).differ, ["log-a"]);
    }
}
