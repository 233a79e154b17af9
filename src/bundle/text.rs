//! The tag files that people and stock tools read: BagIt's own, a README, and how to verify without freezeframe.
//!
//! Nothing that AWS said is pasted into them: text from outside only ever goes into JSON. What they hold is ours (names, digests, numbers)
//! or was parsed into a narrow alphabet (case, target), and what a person typed is brought to one plain line.

use super::documents::{BundleKind, Predicate};
use super::manifest::{PAYLOAD_MANIFEST, TAG_MANIFEST};
use super::secrets::{WHOLE_SUFFIX, WRAPPED_IDENTITY};
use super::signer::SignerKind;
use crate::model::item::Item;

pub(super) const BAGIT: &str = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n";

/// `bag-info.txt`. Who the source organization is, nobody told us, so it is left out.
pub(super) fn bag_info(about: &Predicate, (octets, streams): (u64, usize)) -> String {
    let commit = about.tool.commit.as_deref().map(|c| format!(" ({})", line(c))).unwrap_or_default();
    format!(
        "Bag-Group-Identifier: {case}\n\
         Bag-Software-Agent: {tool} {version}{commit}\n\
         Bagging-Date: {date}\n\
         External-Description: {what} {target}\n\
         External-Identifier: {case}\n\
         Payload-Oxum: {octets}.{streams}\n\
         {source}",
        source = match (about.kind, &about.previous) {
            (BundleKind::Disclosure, Some(source)) => format!("Source-Bag-Digest: {}\n", source.root),
            _ => String::new(),
        },
        case = about.case,
        tool = line(&about.tool.name),
        version = line(&about.tool.version),
        date = about.opened.get(..10).unwrap_or(&about.opened),
        what = what(about.kind),
        target = line(&about.target.arn),
    )
}

/// `meta/README.txt`
pub(super) fn readme(about: &Predicate) -> String {
    let previous = match &about.previous {
        Some(p) => format!("It follows the bundle {} of the same case, whose root digest is\n{}.\n", line(&p.bundle), p.root),
        None => "No earlier bundle of this case was known when it was begun.\n".into(),
    };
    let unfinished = if about.finished {
        ""
    } else {
        "\nTHE RUN WAS INTERRUPTED. Questions may be missing here that were planned: see meta/coverage.json.\n"
    };
    format!(
        "{what}\n  {target}\n\n\
         Case      {case}\n\
         Bundle    {bundle}\n\
         Opened    {opened} by {operator}\n\
         Playbook  {playbook}\n\
         Tool      {tool} {version}\n\
         Items     {items}\n\
         Gaps      {gaps}\n\
         {unfinished}\n\
         {previous}\n\
         This directory is a BagIt 1.0 bag (RFC 8493).\n\n\
         data/                   what AWS answered, byte for byte; beside each body, <n>-<Operation>.http.json\n\
         \x20                       tells the request, the status, the headers and the request id\n\
         meta/items.jsonl        one line for each question that was asked, with its one outcome\n\
         meta/coverage.json      what was planned, what came of it, and every gap with the question it leaves open\n\
         meta/journal/           what happened in which order; each line holds the digest of the line before\n\
         meta/CERTIFICATION.md   a form for the person who will vouch for all this before a court; nobody has signed it\n\
         meta/VERIFY.txt         how to check all this with sha256sum, jq, openssl and bagit.py alone\n\
         {payload}     digests of everything in data/\n\
         {tags}  digests of everything else; its own digest is the ROOT of the bundle\n\
         seal/statement.json     states the root, and who collected what with which tool\n\
         {signed}\n\
         Outcomes: collected, empty, not_applicable and not_found are answers (that something does not exist is\n\
         evidence). Every other outcome is a gap: something that was meant to be learnt and was not.\n\n\
         {secrets}",
        what = title(about.kind),
        target = line(&about.target.arn),
        case = about.case,
        bundle = about.bundle,
        opened = about.opened,
        operator = line(&about.operator),
        playbook = line(&about.playbook),
        tool = line(&about.tool.name),
        version = line(&about.tool.version),
        items = about.items,
        gaps = about.gaps,
        payload = PAYLOAD_MANIFEST,
        tags = TAG_MANIFEST,
        secrets = secrets(about),
        signed = if about.signers.is_empty() {
            "This bundle is sealed, and not signed.\n".to_string()
        } else {
            let keys: String = about.signers.iter().map(|s| format!("                        {}\n", line(&s.name()))).collect();
            format!("seal/statement.dsse.json  the same, signed (DSSE) with\n{keys}")
        },
    )
}

fn secrets(about: &Predicate) -> &'static str {
    match (&about.secrets, about.kind) {
        (Some(_), BundleKind::Disclosure) => {
            "Secrets are redacted here; the originals are sealed in the bundle that this was copied from. What a function printed stands here\n\
             as it printed it, secrets or not.\n"
        }
        (Some(_), _) => {
            "Secrets that AWS sent (environment variables, presigned addresses, session tokens) are redacted: meta/redactions.jsonl says where.\n\
             The originals lie encrypted in data/sealed/ (age). What a function printed stands here as it printed it, secrets or not.\n"
        }
        (None, _) => "What a function printed stands here as it printed it, secrets or not: keep this bundle as you would keep those.\n",
    }
}

/// `meta/VERIFY.txt`: comments and commands, so that it can be read, pasted step by step, or given to `bash -e`: a step that finds something
/// says so in capitals and fails, without closing the shell of whoever pasted it.
pub(super) fn verify(about: &Predicate, items: &[Item]) -> String {
    let bundle = &about.bundle;
    let compare = if about.signers.is_empty() {
        "Compare it with what the collector wrote down as well: this bundle\n#    is not signed, so whoever could change all of it could change its statement too."
    } else {
        "That nobody changed both, step 7 shows."
    };
    let mut text = format!(
        r#"# How to check {bundle}
# without freezeframe. Read before you paste. It needs sha256sum, jq (1.6 or later), openssl, base64, and bagit.py 1.9.0
# (pip install bagit==1.9.0). From the directory that holds the zip:
#
#   sha256sum -c {bundle}.zip.sha256 && unzip -t {bundle}.zip && unzip {bundle}.zip
#   cd {bundle}

# 1. Every file is what the manifests say. (No output is good news.)
sha256sum -c --strict --quiet {PAYLOAD_MANIFEST} && sha256sum -c --strict --quiet {TAG_MANIFEST} && echo content-ok || {{ echo CONTENT DIFFERS; false; }}

# 2. Nothing was added: sha256sum does not look for additional files, bagit.py does.
bagit.py --validate .

# 3. The root digest is the one that the statement names. {compare}
sha256sum {TAG_MANIFEST}
test "$(jq -r '.subject[0].digest.sha256' seal/statement.json)" = "$(sha256sum {TAG_MANIFEST} | cut -d' ' -f1)" && echo root-ok || {{ echo ROOT DIFFERS; false; }}

# 4. The journal is one unbroken chain, and ends where the statement says. (A few seconds for each thousand lines.)
cat meta/journal/*.jsonl | {{
  p=$(printf '0%.0s' $(seq 64))
  while IFS= read -r l; do
    [ "$(printf %s "$l" | jq -r .prev)" = "$p" ] || {{ echo CHAIN BROKEN behind "$p"; break; }}
    p=$(printf %s "$l" | sha256sum | cut -d' ' -f1)
  done
  test "$(jq -r .predicate.journalHead seal/statement.json)" = "$p" && echo chain-ok || {{ echo CHAIN ENDS ELSEWHERE; false; }}
}}

# 5. What was not learnt, and why.
jq -ac '.gaps[] | [.kind, .subject, .question, .detail]' meta/coverage.json
"#
    );
    let code: Vec<_> = items
        .iter()
        .filter(|i| i.provider_digest.as_ref().is_some_and(|d| d.name == "CodeSha256"))
        .filter_map(|i| Some((i.id, i.files.first().filter(|f| !f.path.as_str().ends_with(WHOLE_SUFFIX))?)))
        .collect();
    if !code.is_empty() {
        text.push_str("\n# 6. The code is what AWS says it is: CodeSha256 is the SHA-256 in base64.\n");
    }
    for (item, file) in code {
        let path = file.path.as_str();
        text.push_str(&format!(
            "test \"$(openssl dgst -sha256 -binary {path} | base64)\" = \"$(jq -r 'select(.id==\"{item}\").provider_digest.value' meta/items.jsonl)\" && echo code-ok {path} || {{ echo CODE DIFFERS {path}; false; }}\n"
        ));
    }
    if !about.signers.is_empty() {
        text.push_str(&signature(about));
    }
    if about.kind != BundleKind::Disclosure
        && let Some(sealed) = &about.secrets
    {
        text.push_str(OPEN);
        if let Some(arn) = &sealed.kms_key {
            let region = arn.split(':').nth(3).unwrap_or_default();
            text.push_str(&format!(
                "# Whoever may use the KMS key has an identity so; CloudTrail keeps that he did, with the case:
#   aws kms decrypt --region {region} --key-id {arn} --ciphertext-blob fileb://{WRAPPED_IDENTITY} \\
#     --encryption-context case={},bundle={bundle} --query Plaintext --output text | base64 -d > identity.txt
",
                about.case
            ));
        }
    }
    text
}

/// Opening is no part of verifying, so it is all comment but for what anybody can see.
const OPEN: &str = r#"
# 9. Secrets are redacted, and their originals sealed. Each begins as an age file does. Whoever holds an identity opens one so:
#   age -d -i identity.txt data/sealed/20-config/….json.age
#    That a leaked value is a redacted one, the commitment shows: HMAC-SHA256 of it, under the key in data/sealed/commitment-key.age, is what stands in
#    the redaction's `commit`:
#   printf %s "$VALUE" | openssl dgst -sha256 -mac HMAC -macopt hexkey:"$(age -d -i identity.txt data/sealed/commitment-key.age)"
for f in $(jq -r .sealed.path meta/redactions.jsonl); do [ "$(head -c 21 "$f")" = age-encryption.org/v1 ] || { echo NOT SEALED "$f"; false; }; done && echo sealed-ok
"#;

/// The step about the signatures: commands alone, for what they find is not known when this text is written.
fn signature(about: &Predicate) -> String {
    let mut kinds: Vec<SignerKind> = about.signers.iter().map(|s| s.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let files: Vec<&str> = kinds.into_iter().map(SignerKind::file).collect();
    let mut text = format!(
        r#"
# 7. What was signed is this statement, and every key that was to sign it did. (DSSE: the signature is over the pre-authentication encoding.)
#    Whose keys these are, no file in here can prove: compare the fingerprints that are printed with those that the collector gave you.
W=$(mktemp -d); E=seal/statement.dsse.json
jq -r .payload $E | base64 -d > $W/st && cmp $W/st seal/statement.json && echo statement-ok || {{ echo STATEMENT DIFFERS; false; }}
T=$(jq -r .payloadType $E); {{ printf 'DSSEv1 %d %s %d ' ${{#T}} "$T" $(wc -c < $W/st); cat $W/st; }} > $W/pae
for K in {files}; do
  F=$(openssl pkey -pubin -in $K -outform DER | sha256sum | cut -d' ' -f1)
  jq -r --arg f "$F" '.signatures[] | select(.keyid == $f) | .sig' $E | base64 -d > $W/sig
  openssl dgst -sha256 -verify $K -signature $W/sig $W/pae > /dev/null && echo signature-ok $F || {{ echo SIGNATURE WRONG $K; false; }}
done
"#,
        files = files.join(" ")
    );
    for arn in about.signers.iter().filter_map(|s| s.arn.as_deref()) {
        // An ARN of a narrow alphabet (`KmsKey`); its fourth part is the Region.
        let region = arn.split(':').nth(3).unwrap_or_default();
        text.push_str(&format!(
            "# That the key is yours, AWS says: aws kms get-public-key --region {region} --key-id {arn} --query PublicKey --output text | base64 -d | sha256sum
"
        ));
    }
    if about.timestamp_authority.is_some() {
        text.push_str(TIME);
    }
    text
}

/// The certificate must come from elsewhere: one that lies beside the stamp could have been made together with it.
const TIME: &str = r#"
# 8. The time of the signature, by a clock that is not the collector's. Set TSA_CA to a file with the certificate of the authority's CA, had from
#    the authority itself (seal/statement.json names it); without that, this step only shows what the stamp says.
W=$(mktemp -d); jq -r '.signatures[0].sig' seal/statement.dsse.json | base64 -d > $W/sig
openssl ts -reply -in seal/root.tsr -text 2> /dev/null | grep '^Time stamp:' || { echo NO TIME; false; }
if [ -n "${TSA_CA-}" ]; then openssl ts -verify -data $W/sig -in seal/root.tsr -CAfile "$TSA_CA" && echo time-ok || { echo TIME WRONG; false; }; fi
"#;

fn title(kind: BundleKind) -> &'static str {
    match kind {
        BundleKind::Acquisition => "Evidence about an AWS Lambda function, read by freezeframe:",
        BundleKind::Containment => "What freezeframe changed to contain an AWS Lambda function:",
        BundleKind::Restore => "What freezeframe put back at an AWS Lambda function:",
        BundleKind::Disclosure => "A copy, without sealed originals, of what freezeframe recorded about an AWS Lambda function:",
    }
}

fn what(kind: BundleKind) -> &'static str {
    match kind {
        BundleKind::Acquisition => "Evidence about",
        BundleKind::Containment => "Containment of",
        BundleKind::Restore => "Restore of",
        BundleKind::Disclosure => "A disclosed copy about",
    }
}

/// One line of visible characters, whatever was typed.
pub(super) fn line(text: &str) -> String {
    text.chars().take(300).map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().trim().to_string()
}
