//! Draft, seal and zip together: what a stranger with `sha2` and a directory walk finds in a bag that we made.

use super::chain::tests::independent;
use super::documents::{BundleKind, Coverage, PlannedUnit, Previous, StatedTarget, Statement, ToolRecord, UnitEnd};
use super::draft::{Draft, DraftError, DraftInfo, NewItem};
use super::journal::JournalError;
use super::manifest::DiskError;
use super::seal::{SealError, Sealed, ToBeSigned};
use super::secrets::{Identities, SecretsOrder};
use crate::aws::record::{Recorder, UnitScope};
use crate::clock::{Clock, FakeClock};
use crate::model::digest::Sha256;
use crate::model::exchange::{BodyEnd, Exchange, Header};
use crate::model::gap::GapKind;
use crate::model::id::{ExchangeId, ItemId, RunId};
use crate::model::item::{Group, Item, ItemStatus, ProviderDigest};
use crate::model::journal_event::JournalEvent;
use crate::model::path::BundlePath;
use crate::model::target::Target;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;

const SCOPE: UnitScope = UnitScope { unit: "code", group: Group::Code };

fn info() -> DraftInfo {
    DraftInfo {
        case: "IR-2026-0042".parse().unwrap(),
        run: RunId("01KAGZ0000000000000000TEST".into()),
        kind: BundleKind::Acquisition,
        target: Target {
            partition: "aws".into(),
            account: "123456789012".into(),
            region: "eu-west-1".into(),
            function: "payments-export".into(),
            qualifier: None,
        },
        playbook: "snapshot-only".into(),
        operator: "ada\nlovelace".into(),
        tool: ToolRecord { name: "freezeframe".into(), version: "0.1.0".into(), commit: Some("abcdef0".into()), binary_sha256: None },
        previous: None,
        secrets: SecretsOrder { recipients: vec![Identities::make("a test's").0], ..SecretsOrder::default() },
    }
}
fn clock() -> Arc<dyn Clock> {
    Arc::new(FakeClock::at("2026-11-20T12:34:56.789Z").unwrap())
}
fn draft(case: &Path) -> Arc<Draft> {
    Draft::open(case, info(), clock()).unwrap()
}
fn path(text: &str) -> BundlePath {
    BundlePath::parse(text).unwrap()
}

fn exchange(id: ExchangeId, operation: &str, status: u16, content_type: &str, body: &[u8]) -> Exchange {
    Exchange {
        id,
        unit: "code".into(),
        service: "Lambda".into(),
        operation: operation.into(),
        region: "eu-west-1".into(),
        attempt: 1,
        invocation: None,
        method: "GET".into(),
        uri: "https://lambda.eu-west-1.amazonaws.com/".into(),
        uri_sha256: None,
        request_headers: vec![],
        request_body: None,
        sent: "2026-11-20T12:34:56.789Z".into(),
        took_ms: 3,
        status: Some(status),
        response_headers: vec![Header("content-type".into(), content_type.into())],
        request_id: Some("\"},\n\u{1b}[31m".into()),
        server_date: None,
        body_end: BodyEnd::Complete,
        body_bytes: body.len() as u64,
        body_sha256: Some(Sha256::of(body)),
        body_withheld: None,
        body: None,
        sealed: None,
    }
}

/// One whole attempt, as the tape would do it.
fn attempt(draft: &Draft, operation: &str, status: u16, content_type: &str, body: &[u8], wanted: Option<&str>) -> Exchange {
    attempt_of(&SCOPE, draft, operation, status, content_type, body, wanted)
}

fn attempt_of(
    scope: &UnitScope,
    draft: &Draft,
    operation: &str,
    status: u16,
    content_type: &str,
    body: &[u8],
    wanted: Option<&str>,
) -> Exchange {
    let id = draft.number();
    let mut out = draft.open_body(id).unwrap();
    for piece in body.chunks(7) {
        out.write_all(piece).unwrap();
    }
    let exchange = Exchange { unit: scope.unit.into(), ..exchange(id, operation, status, content_type, body) };
    draft.finish(scope, exchange, wanted.map(path))
}

/// A bag with a bit of everything.
fn sample(case: &Path) -> Sealed {
    let draft = draft(case);
    draft.set_actor("arn:aws:sts::123456789012:assumed-role/ir/ada");
    draft.journal(JournalEvent::Plan { playbook: "snapshot-only".into(), sha256: Sha256::of(b"plan") }).unwrap();
    let plan = draft.put("code", &path("data/00-plan/plan.json"), b"{}").unwrap();
    draft.add(NewItem { files: vec![plan], ..NewItem::new(Group::Plan, "plan", "the plan", ItemStatus::Collected) }).unwrap();

    let code = b"PK\x05\x06 not quite a zip \x00\xff".repeat(100);
    let got = attempt(&draft, "https", 200, "application/zip", &code, Some("data/10-code/v-LATEST.zip"));
    let digest = ProviderDigest { name: "CodeSha256".into(), value: Sha256::of(&code).to_base64(), matches: true };
    let files = vec![draft.file_of(got.id).unwrap()];
    let item = NewItem::new(Group::Code, "code", "code of $LATEST", ItemStatus::Collected);
    draft.add(NewItem { files, exchanges: vec![got.id], provider_digest: Some(digest), ..item }).unwrap();

    let denied = attempt(&draft, "GetPolicy", 403, "application/json", br#"{"message":"no"}"#, None);
    let item = NewItem::new(Group::Policy, "resource-policy", "resource policy \u{202e}", ItemStatus::Gap(GapKind::Denied));
    draft
        .add(NewItem { exchanges: vec![denied.id], detail: Some("é".repeat(900)), action: Some("lambda:GetPolicy".into()), ..item })
        .unwrap();

    draft.set_clock_skew(-1234);
    draft.set_stated_target(StatedTarget { arn: info().target.arn(), revision_id: Some("r1".into()), code_sha256: None });
    let planned = PlannedUnit {
        unit: "resource-policy".into(),
        title: "Resource policy".into(),
        question: "Who may invoke it?".into(),
        group: Group::Policy,
        ended: UnitEnd::Done,
        items: vec![ItemId(3)],
    };
    draft.seal(vec![planned], true).unwrap()
}

/// Every file of a directory with its digest, by code that shares nothing with the writer's.
fn walk(dir: &Path) -> BTreeMap<String, String> {
    fn into(root: &Path, dir: &Path, all: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                into(root, &entry.path(), all);
            } else {
                let digest = <sha2::Sha256 as sha2::Digest>::digest(fs::read(entry.path()).unwrap());
                all.insert(entry.path().strip_prefix(root).unwrap().to_str().unwrap().to_string(), hex::encode(digest));
            }
        }
    }
    let mut all = BTreeMap::new();
    into(dir, dir, &mut all);
    all
}

/// The manifests hold every file once, sorted, and say its digest; the statement names the root.
fn check_manifests(dir: &Path) {
    let mut all = walk(dir);
    let listed = |name: &str| -> Vec<(String, String)> {
        let text = fs::read_to_string(dir.join(name)).unwrap();
        text.lines().map(|l| l.split_once("  ").map(|(d, p)| (p.to_string(), d.to_string())).unwrap()).collect()
    };
    let (payload, tags) = (listed("manifest-sha256.txt"), listed("tagmanifest-sha256.txt"));
    let statement: Statement = serde_json::from_slice(&fs::read(dir.join("seal/statement.json")).unwrap()).unwrap();
    assert_eq!(all.remove("tagmanifest-sha256.txt").as_ref(), statement.subject[0].digest.get("sha256"));
    assert!(all.remove("seal/statement.json").is_some());
    for list in [&payload, &tags] {
        assert!(list.is_sorted_by(|a, b| a.0.as_bytes() < b.0.as_bytes()));
    }
    assert!(payload.iter().all(|(p, _)| p.starts_with("data/")) && tags.iter().all(|(p, _)| !p.starts_with("data/")));
    assert_eq!(payload.into_iter().chain(tags).collect::<BTreeMap<_, _>>(), all);
}

fn journal(dir: &Path) -> Vec<u8> {
    let mut segments: Vec<_> = fs::read_dir(dir.join("meta/journal")).unwrap().map(|e| e.unwrap().path()).collect();
    segments.sort();
    segments.into_iter().flat_map(|s| fs::read(s).unwrap()).collect()
}

#[test]
fn a_sealed_bag_is_what_it_says() {
    let case = tempfile::tempdir().unwrap();
    let sealed = sample(case.path());
    assert_eq!(sealed.name(), "123456789012-eu-west-1-payments-export-20261120T123456Z-01KAGZ0000000000000000TEST");
    check_manifests(sealed.dir());
    assert!(!sealed.dir().join("tmp").exists());
    assert_eq!(sealed.root(), Sha256::of(&fs::read(sealed.dir().join("tagmanifest-sha256.txt")).unwrap()));

    let (head, names) = independent(&journal(sealed.dir()));
    assert_eq!(names, ["bundle-open", "plan", "item-stored", "req", "item-stored", "req", "item-stored", "gap", "seal"]);
    let said = &sealed.statement().predicate;
    assert_eq!((said.journal_head, said.journal_count, said.items, said.gaps), (head, 9, 3, 1));
    assert_eq!((said.clock_skew_ms, said.target.revision_id.as_deref(), said.finished), (Some(-1234), Some("r1"), true));

    let lines = fs::read_to_string(sealed.dir().join("meta/items.jsonl")).unwrap();
    let items: Vec<Item> = lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(items, sealed.items());
    assert_eq!(items[2].detail.as_ref().unwrap().chars().count(), 500);

    let coverage: Coverage = serde_json::from_slice(&fs::read(sealed.dir().join("meta/coverage.json")).unwrap()).unwrap();
    assert_eq!(coverage.gaps, sealed.gaps());
    assert_eq!((coverage.gaps[0].question.as_str(), coverage.gaps[0].exchanges.as_slice()), ("Who may invoke it?", &[ExchangeId(2)][..]));
    assert_eq!(coverage.groups["policy"]["denied"], 1);

    let oxum = fs::read_to_string(sealed.dir().join("bag-info.txt")).unwrap();
    let payload: Vec<_> = walk(sealed.dir()).into_keys().filter(|p| p.starts_with("data/")).collect();
    let octets: u64 = payload.iter().map(|p| fs::metadata(sealed.dir().join(p)).unwrap().len()).sum();
    assert!(oxum.contains(&format!("Payload-Oxum: {octets}.{}\n", payload.len())), "{oxum}");
    let readme = fs::read_to_string(sealed.dir().join("meta/README.txt")).unwrap();
    assert!(readme.contains("by ada lovelace\n"), "{readme}");
    let verify = fs::read_to_string(sealed.dir().join("meta/VERIFY.txt")).unwrap();
    assert!(verify.contains("-binary data/10-code/v-LATEST.zip"), "{verify}");
}

#[test]
fn a_file_is_written_once() {
    let case = tempfile::tempdir().unwrap();
    let draft = draft(case.path());
    let file = draft.put("code", &path("data/20-config/a.bin"), b"first").unwrap();
    assert_eq!((file.bytes, file.sha256), (5, Sha256::of(b"first")));
    for again in ["data/20-config/a.bin", "data/20-config/A.bin"] {
        assert!(matches!(draft.put("code", &path(again), b"second"), Err(DraftError::WriteTwice { .. })), "{again}");
    }
    assert_eq!(fs::read(draft.dir().join("data/20-config/a.bin")).unwrap(), b"first");
    for outside in ["meta/items.jsonl", "bagit.txt", "seal/statement.json", "data", "tmp/x"] {
        assert!(matches!(draft.put("code", &path(outside), b"x"), Err(DraftError::OutsidePayload { .. })), "{outside}");
    }
}

#[test]
fn a_sealed_draft_takes_nothing() {
    let case = tempfile::tempdir().unwrap();
    let draft = draft(case.path());
    let (running, id) = (draft.number(), draft.number());
    let mut body = draft.open_body(running).unwrap();
    body.write_all(b"half").unwrap();
    let sealed = draft.seal(vec![], false).unwrap();
    assert!(!sealed.statement().predicate.finished);
    let before = walk(sealed.dir());

    assert!(body.write_all(b"more").is_err());
    assert!(draft.open_body(id).is_err());
    assert!(matches!(draft.finish(&SCOPE, exchange(running, "GetFunction", 200, "", b"half"), None).body_end, BodyEnd::Unsaved(_)));
    assert!(matches!(draft.put("code", &path("data/x"), b"x"), Err(DraftError::Closed)));
    assert!(matches!(draft.journal(JournalEvent::Interrupted { by: "x".into() }), Err(DraftError::Closed)));
    assert!(matches!(draft.add(NewItem::new(Group::Code, "c", "s", ItemStatus::Empty)), Err(DraftError::Closed)));
    assert!(matches!(draft.seal(vec![], true), Err(SealError::Closed)));
    assert_eq!(walk(sealed.dir()), before);
}

#[test]
fn an_item_names_only_files_that_are_there() {
    let case = tempfile::tempdir().unwrap();
    let draft = draft(case.path());
    let mut file = draft.put("code", &path("data/x"), b"x").unwrap();
    file.sha256 = Sha256::of(b"y");
    let item = NewItem { files: vec![file], ..NewItem::new(Group::Code, "c", "s", ItemStatus::Collected) };
    assert!(matches!(draft.add(item), Err(DraftError::NameFile { .. })));
    assert_eq!(draft.items(), []);
}

#[test]
fn a_poisoned_journal_ends_the_draft() {
    let case = tempfile::tempdir().unwrap();
    let draft = draft(case.path());
    draft.inner.journal.fill_disk();
    assert!(matches!(
        draft.add(NewItem::new(Group::Code, "c", "s", ItemStatus::Empty)),
        Err(DraftError::Journal(JournalError::AppendLine { .. }))
    ));
    assert_eq!(draft.items(), []);
    let kept = attempt(&draft, "GetFunction", 200, "application/json", b"{}", None);
    assert!(matches!(kept.body_end, BodyEnd::Unsaved(_)));
    assert!(matches!(draft.seal(vec![], true), Err(SealError::Journal(JournalError::Poisoned))));
    assert!(!draft.dir().join("seal").exists() && draft.dir().join("tmp").exists());
}

#[test]
fn exchanges_get_their_names() {
    let case = tempfile::tempdir().unwrap();
    let draft = draft(case.path());
    let named = |e: &Exchange| e.body.as_ref().map(|b| b.as_str().to_string());
    let wanted = Some("data/10-code/v-LATEST.zip");
    let first = attempt(&draft, "https", 200, "application/zip", b"PK", wanted);
    assert_eq!(named(&first).as_deref(), wanted);
    let taken = attempt(&draft, "https", 200, "application/zip", b"PK2", wanted);
    assert_eq!(named(&taken).as_deref(), Some("data/10-code/000002-https.zip"));
    let refused = attempt(&draft, "https", 403, "application/xml", b"<Error/>", Some("data/10-code/v-2.zip"));
    assert_eq!(named(&refused).as_deref(), Some("data/10-code/000003-https.xml"));
    let outside = attempt(&draft, "GetFunction", 200, "application/x-amz-json-1.1; charset=x", b"{}", Some("meta/items.jsonl"));
    assert_eq!(named(&outside).as_deref(), Some("data/10-code/000004-GetFunction.json"));
    let empty = attempt(&draft, "DeleteX", 204, "", b"", None);
    assert_eq!((named(&empty), &empty.body_end), (None, &BodyEnd::Complete));
    let hostile = attempt(&draft, "../../etc/passwd", 200, "text/html", b"<html>", None);
    assert!(named(&hostile).unwrap().starts_with("data/10-code/n-000006-"), "{hostile:?}");

    for e in [&first, &taken, &refused, &outside, &empty, &hostile] {
        let record = fs::read_dir(draft.dir().join("data/10-code")).unwrap().map(|e| e.unwrap().path()).find(|p| {
            let name = p.file_name().unwrap().to_str().unwrap();
            name.trim_start_matches("n-").starts_with(&format!("{:06}-", e.id.0)) && name.ends_with(".http.json")
        });
        let on_disk: Exchange = serde_json::from_slice(&fs::read(record.unwrap()).unwrap()).unwrap();
        assert_eq!((&on_disk, draft.exchange(e.id).as_ref()), (e, Some(e)));
        assert_eq!(draft.file_of(e.id).map(|f| (f.path, Some(f.sha256))), e.body.clone().map(|b| (b, e.body_sha256)));
    }
    check_manifests(draft.seal(vec![], true).unwrap().dir());
}

#[test]
fn what_was_not_kept_is_said() {
    let case = tempfile::tempdir().unwrap();
    let draft = draft(case.path());
    // Cut short by the network: the part that came is kept, and not under the name that promises the whole.
    let id = draft.number();
    draft.open_body(id).unwrap().write_all(b"half of").unwrap();
    let cut = Exchange { body_end: BodyEnd::Failed("reset".into()), ..exchange(id, "https", 200, "application/zip", b"half of") };
    let cut = draft.finish(&SCOPE, cut, Some(path("data/10-code/v-LATEST.zip")));
    assert_eq!((cut.body.unwrap().as_str(), cut.body_end), ("data/10-code/000001-https.zip", BodyEnd::Failed("reset".into())));

    // Less arrived here than the tape says it saw.
    let id = draft.number();
    draft.open_body(id).unwrap().write_all(b"some").unwrap();
    let less = draft.finish(&SCOPE, exchange(id, "GetFunction", 200, "", b"something"), None);
    assert!(matches!(less.body_end, BodyEnd::Unsaved(_)));
    assert_eq!((less.body_bytes, less.body_sha256), (4, Some(Sha256::of(b"some"))));

    // No answer at all.
    let id = draft.number();
    let none = Exchange { body_end: BodyEnd::NoResponse, status: None, body_sha256: None, ..exchange(id, "GetFunction", 0, "", b"") };
    assert_eq!(draft.finish(&SCOPE, none, None).body_end, BodyEnd::NoResponse);

    // No room for body nor record while it ran; there is room again when the bag is sealed.
    fs::rename(draft.dir().join("tmp"), draft.dir().join("gone")).unwrap();
    let id = draft.number();
    assert!(draft.open_body(id).is_err());
    let lost = draft.finish(&SCOPE, exchange(id, "GetFunction", 200, "", b"lost"), None);
    assert!(matches!(lost.body_end, BodyEnd::Unsaved(_)));
    fs::rename(draft.dir().join("gone"), draft.dir().join("tmp")).unwrap();
    let sealed = draft.seal(vec![], true).unwrap();
    check_manifests(sealed.dir());
    let record = fs::read(sealed.dir().join("data/10-code/000004-GetFunction.http.json")).unwrap();
    assert_eq!(serde_json::from_slice::<Exchange>(&record).unwrap(), lost);
    assert_eq!(independent(&journal(sealed.dir())).1.iter().filter(|n| *n == "req").count(), 4);
}

#[test]
fn a_foreign_file_is_not_sealed() {
    let case = tempfile::tempdir().unwrap();
    let draft = draft(case.path());
    fs::write(draft.dir().join("data/planted"), "x").unwrap();
    assert!(matches!(draft.seal(vec![], true), Err(SealError::Disk(DiskError::Foreign(f))) if f == "data/planted"));
    assert!(!draft.dir().join("seal").exists());
}

#[test]
fn a_bundle_begins_only_where_there_is_none_and_is_private() {
    let case = tempfile::tempdir().unwrap();
    let draft = draft(&case.path().join("a/case"));
    assert!(matches!(Draft::open(&case.path().join("a/case"), info(), clock()), Err(DraftError::BeginBundle { .. })));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        draft.put("code", &path("data/x"), b"x").unwrap();
        let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode() & 0o777;
        assert_eq!(
            (mode(draft.dir()), mode(&draft.dir().join("data/x")), mode(&draft.dir().join("meta/journal/000001.jsonl"))),
            (0o700, 0o600, 0o600)
        );
    }
}

#[test]
fn names_fit_one_segment() {
    let case = tempfile::tempdir().unwrap();
    let mut long = info();
    long.target.function = "f".repeat(64);
    long.kind = BundleKind::Containment;
    let draft = Draft::open(case.path(), long, clock()).unwrap();
    assert_eq!(draft.name().len(), 120);
    assert!(draft.name().ends_with("-20261120T123456Z-01KAGZ0000000000000000TEST-containment"));
}

#[test]
fn the_same_bag_gives_the_same_zip() {
    let cases = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let zips = cases.each_ref().map(|case| sample(case.path()).zip().unwrap());
    let bytes = zips.each_ref().map(|z| fs::read(z).unwrap());
    assert!(bytes[0] == bytes[1]);
    let beside = fs::read_to_string(zips[0].with_extension("zip.sha256")).unwrap();
    assert_eq!(beside, format!("{}  {}\n", Sha256::of(&bytes[0]), zips[0].file_name().unwrap().to_str().unwrap()));
}

#[test]
fn the_zip_holds_the_bag_and_then_the_directory_can_go() {
    let case = tempfile::tempdir().unwrap();
    let sealed = sample(case.path());
    assert!(matches!(sealed.discard_dir(), Err(SealError::NotZipped { .. })));
    fs::write(sealed.dir().join("seal/statement.dsse.json"), "signed later").unwrap();
    let expected = walk(sealed.dir());
    let zip = sealed.zip().unwrap();
    assert_eq!(zip, case.path().join(format!("{}.zip", sealed.name())));
    assert!(sealed.zip().is_err(), "a zip is never replaced");

    let mut archive = zip::ZipArchive::new(fs::File::open(&zip).unwrap()).unwrap();
    let mut found = BTreeMap::new();
    let mut order = Vec::new();
    for n in 0..archive.len() {
        let mut entry = archive.by_index(n).unwrap();
        assert_eq!((entry.unix_mode().map(|m| m & 0o7777), entry.last_modified()), (Some(0o600), Some(zip::DateTime::default())));
        let mut bytes = Vec::new();
        std::io::copy(&mut entry, &mut bytes).unwrap();
        let name = entry.name().unwrap().strip_prefix(&format!("{}/", sealed.name())).unwrap().to_string();
        let stored = entry.compression() == zip::CompressionMethod::Stored;
        assert_eq!(stored, name.ends_with(".zip"), "{name}");
        order.push(name.clone());
        found.insert(name, Sha256::of(&bytes).to_string());
    }
    assert_eq!(found, expected);
    assert!(order.is_sorted());

    sealed.discard_dir().unwrap();
    let mut left: Vec<_> = fs::read_dir(case.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    left.sort();
    assert_eq!(left, [format!("{}.zip", sealed.name()), format!("{}.zip.sha256", sealed.name())]);
}

#[test]
fn a_bag_that_changed_after_sealing_is_not_zipped() {
    let case = tempfile::tempdir().unwrap();
    let sealed = sample(case.path());
    fs::write(sealed.dir().join("data/00-plan/plan.json"), "[]").unwrap();
    assert!(matches!(sealed.zip(), Err(SealError::Changed { path }) if path.as_str() == "data/00-plan/plan.json"));
    assert!(!sealed.zip_path().exists() && !sealed.zip_path().with_extension("zip.part").exists());
    assert!(sealed.discard_dir().is_err());
}

#[test]
fn a_following_bundle_names_the_one_before() {
    let case = tempfile::tempdir().unwrap();
    let first = sample(case.path());
    let previous = Some(Previous { bundle: first.name().into(), root: first.root() });
    let draft = Draft::open(case.path(), DraftInfo { kind: BundleKind::Restore, previous: previous.clone(), ..info() }, clock()).unwrap();
    let sealed = draft.seal(vec![], true).unwrap();
    assert_eq!(sealed.statement().predicate.previous, previous);
    check_manifests(sealed.dir());
}

/// 200 MB pass through in pieces; run alone under `/usr/bin/time -v`, the process stays below 20 MB.
#[test]
fn a_large_body_streams() {
    const PIECE: usize = 64 << 10;
    const PIECES: u64 = 3200;
    let case = tempfile::tempdir().unwrap();
    let draft = draft(case.path());
    let id = draft.number();
    let mut out = draft.open_body(id).unwrap();
    let mut hasher = crate::model::digest::Hasher::default();
    let mut piece = vec![0u8; PIECE];
    for n in 0..PIECES {
        piece[..8].copy_from_slice(&n.to_le_bytes());
        hasher.update(&piece);
        out.write_all(&piece).unwrap();
    }
    let (sha256, bytes) = hasher.finish();
    let said = Exchange { body_bytes: bytes, body_sha256: Some(sha256), ..exchange(id, "https", 200, "application/zip", b"") };
    let kept = draft.finish(&SCOPE, said, Some(path("data/10-code/v-LATEST.zip")));
    assert_eq!(kept.body_end, BodyEnd::Complete);
    let sealed = draft.seal(vec![], true).unwrap();
    let zip = sealed.zip().unwrap();
    assert!(fs::metadata(zip).unwrap().len() > PIECES * PIECE as u64);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn any_files_make_a_bag_whose_manifests_match(
        files in proptest::collection::vec((".{1,30}", proptest::collection::vec(any::<u8>(), 0..3000), any::<bool>()), 0..12),
    ) {
        let case = tempfile::tempdir().unwrap();
        let draft = draft(case.path());
        let mut put = 0;
        let mut kept = vec![];
        for (name, bytes, by_wire) in &files {
            if *by_wire {
                let got = attempt(&draft, name, 200, "text/plain", bytes, None);
                prop_assert_eq!(got.body_end, BodyEnd::Complete);
                // The record, and the body where there is one.
                put += 1 + usize::from(!bytes.is_empty());
                kept.extend(draft.file_of(got.id).map(|file| (file, bytes)));
            } else if let Ok(file) = draft.put("code", &BundlePath::below("data/60-invocation", name, "bin"), bytes) {
                put += 1;
                kept.push((file, bytes));
            }
        }
        for (file, bytes) in &kept {
            prop_assert_eq!(&opened(&draft, file), *bytes);
        }
        let sealed = draft.seal(vec![], true).unwrap();
        check_manifests(sealed.dir());
        // Any bytes may begin like JSON and be none: then a twin lies where they would, and there is an original beside it.
        let originals = usize::try_from(sealed.statement().predicate.secrets.as_ref().map_or(0, |s| s.sealed)).unwrap();
        prop_assert_eq!(originals, kept.iter().filter(|(file, _)| file.path.as_str().ends_with(".redacted.json")).count());
        let lines = fs::read_to_string(sealed.dir().join("manifest-sha256.txt")).unwrap().lines().count();
        prop_assert_eq!(lines, put + originals + usize::from(originals > 0), "files, originals and the key of their commitments");
        independent(&journal(sealed.dir()));
    }
}

/// Everything that lies in clear in the bag.
fn clear(dir: &Path) -> Vec<u8> {
    walk(dir).into_keys().filter(|p| !p.starts_with("data/sealed/")).flat_map(|p| fs::read(dir.join(p)).unwrap()).collect()
}

fn opened(draft: &Draft, file: &crate::model::item::FileRef) -> Vec<u8> {
    let mut bytes = vec![];
    draft.open_file(file).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn secrets_lie_sealed_and_are_read_again_as_they_came() {
    let case = tempfile::tempdir().unwrap();
    let draft = draft(case.path());
    let text = br#"{"FunctionName":"f","Environment":{"Variables":{"DB_PASSWORD":"hunter2"}}}"#;
    let got = attempt(&draft, "GetFunctionConfiguration", 200, "application/json", text, None);
    assert_eq!((got.body_bytes, got.body_sha256), (text.len() as u64, Some(Sha256::of(text))), "the caller compares what came");
    let file = draft.file_of(got.id).unwrap();
    assert_ne!(file.sha256, Sha256::of(text));
    assert_eq!(opened(&draft, &file), text);
    let put = draft.put("plan", &path("data/00-plan/trigger-event.json"), br#"{"sessionToken":"FwoGZXIvYXdz"}"#).unwrap();
    assert_eq!(opened(&draft, &put), br#"{"sessionToken":"FwoGZXIvYXdz"}"#);
    let torn = attempt(&draft, "GetFunction", 200, "application/json", br#"{"Environment":{"Variables":{"A":"torn-secret"#, None);
    assert!(torn.body.as_ref().unwrap().as_str().ends_with("-GetFunction.json.redacted.json"), "{torn:?}");
    let plain = draft.put("plan", &path("data/00-plan/plan.json"), b"{\"v\":1}").unwrap();
    assert_eq!(plain.sha256, Sha256::of(b"{\"v\":1}"), "what holds none lies as it came");

    let sealed = draft.seal(vec![], true).unwrap();
    let all = clear(sealed.dir());
    for secret in ["hunter2", "FwoGZXIvYXdz", "torn-secret"] {
        assert!(!all.windows(secret.len()).any(|w| w == secret.as_bytes()), "{secret} lies in clear");
    }
    let digests = [&text[..], b"hunter2"].map(|s| Sha256::of(s).to_string());
    assert!(digests.iter().all(|d| !all.windows(64).any(|w| w == d.as_bytes())), "a digest by which it could be guessed lies in clear");
    let stated = sealed.statement().predicate.secrets.clone().unwrap();
    assert_eq!((stated.sealed, stated.recipients.len(), stated.kms_key), (3, 1, None));
}

#[test]
fn a_unit_is_sealed_whole_and_its_digest_is_still_the_one_that_came() {
    let case = tempfile::tempdir().unwrap();
    let mut order = info();
    order.secrets.whole = ["code".to_string()].into();
    let draft = Draft::open(case.path(), order, clock()).unwrap();
    let got = attempt(&draft, "GetFunction", 200, "application/zip", b"PK code", Some("data/10-code/v-LATEST.zip"));
    assert_eq!(got.body.as_ref().unwrap().as_str(), "data/10-code/v-LATEST.zip.redacted.json");
    assert_eq!(got.body_sha256, Some(Sha256::of(b"PK code")), "what AWS states of it can be compared");
    assert_eq!(opened(&draft, &draft.file_of(got.id).unwrap()), b"PK code");
    let sealed = draft.seal(vec![], true).unwrap();
    assert!(sealed.dir().join("data/sealed/10-code/v-LATEST.zip.age").is_file());
    assert!(!clear(sealed.dir()).windows(7).any(|w| w == b"PK code"));
}

#[test]
fn without_a_reader_a_secret_is_neither_kept_in_clear_nor_sealed_for_nobody() {
    let case = tempfile::tempdir().unwrap();
    let draft = Draft::open(case.path(), DraftInfo { secrets: SecretsOrder::default(), ..info() }, clock()).unwrap();
    let got =
        attempt(&draft, "GetFunctionConfiguration", 200, "application/json", br#"{"Environment":{"Variables":{"A":"hunter2"}}}"#, None);
    assert!(matches!(got.body_end, BodyEnd::Unsaved(_)) && got.body.is_none() && got.body_sha256.is_none(), "{got:?}");
    let sealed = draft.seal(vec![], true).unwrap();
    assert!(!clear(sealed.dir()).windows(7).any(|w| w == b"hunter2"));
}

#[test]
fn secrets_are_looked_for_whatever_the_answer_is_called() {
    let case = tempfile::tempdir().unwrap();
    let draft = draft(case.path());
    let text = br#" {"Environment":{"Variables":{"A":"hunter2"}}}"#;
    for content_type in ["", "text/plain", "application/octet-stream", "application/xml"] {
        let got = attempt(&draft, "GetFunctionConfiguration", 200, content_type, text, None);
        assert!(got.sealed.is_some(), "{content_type}: {got:?}");
    }
    for operation in ["GetTemplate", "DescribeStackEvents"] {
        let got = attempt(&draft, operation, 200, "text/xml", b"<TemplateBody>Environment: hunter2</TemplateBody>", None);
        assert!(got.body.as_ref().unwrap().as_str().ends_with(".xml.redacted.json"), "{got:?}");
    }
    let xml = attempt(&draft, "GetRole", 200, "text/xml", b"<GetRoleResponse/>", None);
    assert!(xml.sealed.is_none() && xml.body_sha256 == Some(Sha256::of(b"<GetRoleResponse/>")));
    let sealed = draft.seal(vec![], true).unwrap();
    assert!(!clear(sealed.dir()).windows(7).any(|w| w == b"hunter2"));
}

#[test]
fn an_answer_in_xml_that_echoes_our_token_is_sealed() {
    let case = tempfile::tempdir().unwrap();
    let draft = draft(case.path());
    // As S3 answers when credentials ran out on the way.
    let token = "FwoGZXIvYXdzEHoaDDhQOHb0not-a-real-token";
    let expired = format!("<?xml version=\"1.0\"?>\n<Error><Code>ExpiredToken</Code><Token-0>{token}</Token-0><HostId>h</HostId></Error>");
    let unsigned = format!(
        "<Error><Code>SignatureDoesNotMatch</Code><CanonicalRequest>GET\n/\n\nX-AMZ-Security-Token:{token}\n</CanonicalRequest></Error>"
    );
    for text in [&expired, &unsigned] {
        for wanted in [None, Some("data/10-code/v-LATEST.zip")] {
            let got = attempt(&draft, "GetObject", 400, "application/xml", text.as_bytes(), wanted);
            assert!(got.sealed.is_some(), "{got:?}");
        }
    }
    let other = attempt(&draft, "ListObjectsV2", 200, "application/xml", b"<R><NextContinuationToken>1</NextContinuationToken></R>", None);
    assert!(other.sealed.is_none() && other.body.is_some());
    let sealed = draft.seal(vec![], true).unwrap();
    assert!(!clear(sealed.dir()).windows(token.len()).any(|w| w == token.as_bytes()));
}

/// Of a refusal in JSON: where a signature does not match, what would have been signed is told, our headers included.
#[test]
fn an_answer_in_json_that_echoes_our_token_is_redacted() {
    let case = tempfile::tempdir().unwrap();
    let draft = draft(case.path());
    let token = "FwoGZXIvYXdzEHoaDDhQOHb0not-a-real-token";
    let told = format!("GET\n/2015-03-31/functions/f\n\nhost:lambda\nx-amz-date:20261120T123456Z\nX-Amz-Security-Token:{token}\n");
    let message =
        format!("The request signature we calculated does not match.\n\nThe Canonical String for this request should have been\n'{told}'");
    let json = serde_json::json!({ "message": message }).to_string();
    // In CBOR a text stands as it is, and so it does where nothing is quoted. (Of code only what begins like JSON is looked into.)
    let cbor = [b"\xa1\x67message\x79\x01\x23", message.as_bytes()].concat();
    for (content_type, text) in [("application/json", json.as_bytes()), ("application/cbor", &cbor), ("text/plain", message.as_bytes())] {
        let got =
            attempt_of(&UnitScope { unit: "alarms", group: Group::Triggers }, &draft, "DescribeAlarms", 403, content_type, text, None);
        assert!(got.sealed.is_some(), "{got:?}");
        assert_eq!(opened(&draft, &draft.file_of(got.id).unwrap()), text);
    }
    let other = attempt(&draft, "GetFunction", 403, "text/plain", b"The security token included in the request is invalid", None);
    assert!(other.sealed.is_none() && other.body.is_some());
    let sealed = draft.seal(vec![], true).unwrap();
    assert!(!clear(sealed.dir()).windows(token.len()).any(|w| w == token.as_bytes()));
}

/// Whoever may write a description could otherwise break the bundle, and with it keep the function from being contained.
#[test]
fn no_string_of_a_stranger_s_makes_the_bundle_broken() {
    use crate::bundle::verify::{Verdict, verify};
    for inner in [
        r#"{"sessionToken":"hunter2","n":1e999}"#,
        r#"{"$serde_json::private::RawValue":1,"sessionToken":"hunter2"}"#,
        r#"{"$serde_json::private::RawValue":"{\"sessionToken\":\"hunter2\"}"}"#,
    ] {
        let case = tempfile::tempdir().unwrap();
        let draft = draft(case.path());
        let described = serde_json::json!({"Description": inner, "Environment": {"Variables": {"A": "hunter2"}}}).to_string();
        let lines = format!("{{\"n\":1}}\n{described}\n");
        let torn = format!("{{\"n\":1}}\n{inner}\n");
        for text in [&described[..], inner] {
            let got = attempt(&draft, "GetFunctionConfiguration", 200, "application/json", text.as_bytes(), None);
            assert!(got.sealed.is_some(), "{got:?}");
            assert_eq!(opened(&draft, &draft.file_of(got.id).unwrap()), text.as_bytes());
        }
        for (name, text) in [("a", &lines), ("b", &torn)] {
            draft.put("plan", &path(&format!("data/00-plan/{name}.jsonl")), text.as_bytes()).unwrap();
        }
        let sealed = draft.seal(vec![], true).unwrap();
        assert!(!clear(sealed.dir()).windows(7).any(|w| w == b"hunter2"), "{inner}");
        assert!(sealed.dir().join("data/00-plan/a.jsonl").is_file() && sealed.dir().join("data/00-plan/b.jsonl.redacted.json").is_file());
        let v = verify(sealed.dir()).unwrap();
        assert_eq!(v.verdict(), Verdict::Whole, "{inner}: {:#?}", v.findings);
    }
}

/// Carries nothing.
#[derive(Debug)]
struct Deaf;
impl super::Follower for Deaf {
    fn admitted(&self, _: &crate::model::item::FileRef) {}
}

/// What a carried bag's journal tells of places must fit into a line, as it is written: a control character has six bytes there.
#[test]
fn places_that_no_line_of_the_journal_could_hold_are_left_out_of_it() {
    let case = tempfile::tempdir().unwrap();
    let draft = draft(case.path());
    draft.carried_by(Arc::new(Deaf)).unwrap();
    let all = vec![r#"{"sessionToken":"hunter2"}"#; 300].join(",");
    let text = format!("{{{}:[{all}]}}", serde_json::json!("\u{1}".repeat(1_000)));
    let got = attempt(&draft, "GetFunctionConfiguration", 200, "application/json", text.as_bytes(), None);
    assert!(got.sealed.is_some() && got.body_end == BodyEnd::Complete, "{:?}", got.body_end);
    draft.seal(vec![], true).unwrap();
}

#[test]
fn gzip_is_looked_into_as_far_as_json_goes() {
    let case = tempfile::tempdir().unwrap();
    let draft = draft(case.path());
    let packed = |text: &str| {
        let mut out = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
        out.write_all(text.as_bytes()).unwrap();
        out.finish().unwrap()
    };
    let inner = serde_json::json!({"responseElements": {"credentials": {"sessionToken": "hunter2"}}}).to_string();
    for (n, text) in [
        r#"{"Records":[{"credentials":{"sessionToken":"hunter2"}}]}"#.to_string(),
        // A JSON text within a string, and an address whose `=` is escaped.
        serde_json::json!({ "Records": [{ "CloudTrailEvent": inner }] }).to_string(),
        r#"{"url":"https://b.s3.amazonaws.com/k?X-Amz-Signature\u003dhunter2"}"#.to_string(),
        r#"line 1 \"sessionToken\": hunter2"#.to_string(),
    ]
    .iter()
    .enumerate()
    {
        let wanted = format!("data/70-control/{n}.json.gz");
        let got = attempt(&draft, "GetObject", 200, "application/x-gzip", &packed(text), Some(&wanted));
        assert!(got.sealed.is_some(), "{text}");
    }
    let wanted = Some("data/70-control/plain.json.gz");
    let plain = attempt(&draft, "GetObject", 200, "application/x-gzip", &packed(r#"{"Records":[{"eventName":"Invoke"}]}"#), wanted);
    assert!(plain.sealed.is_none() && plain.body.is_some(), "{plain:?}");
}

#[test]
fn no_header_tells_the_digest_of_what_is_sealed() {
    let case = tempfile::tempdir().unwrap();
    let draft = draft(case.path());
    let told = [("etag", "\"d41d8cd98f00b204e9800998ecf8427e\""), ("x-amz-checksum-sha256", "47DEQpj8HBSa"), ("x-amz-version-id", "v1")];
    let asked = |body: &[u8]| {
        let id = draft.number();
        draft.open_body(id).unwrap().write_all(body).unwrap();
        let mut one = exchange(id, "GetObject", 200, "application/json", body);
        one.response_headers.extend(told.map(|(name, value)| Header(name.into(), value.into())));
        draft.finish(&SCOPE, one, None)
    };
    let (secret, plain) = (asked(br#"{"sessionToken":"hunter2"}"#), asked(b"{\"v\":1}"));
    assert_eq!((secret.response_headers.len(), plain.response_headers.len()), (4, 4), "the caller compares what came");
    let dir = draft.dir().to_path_buf();
    draft.seal(vec![], true).unwrap();
    let names = |id: ExchangeId| {
        let file = dir.join(SCOPE.group.dir()).join(format!("{:06}-GetObject.http.json", id.0));
        let record: Exchange = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        record.response_headers.into_iter().map(|h| h.0).collect::<Vec<_>>()
    };
    assert_eq!(names(secret.id), ["content-type", "x-amz-version-id"]);
    assert_eq!(names(plain.id), ["content-type", "etag", "x-amz-checksum-sha256", "x-amz-version-id"]);
}

#[test]
fn a_signed_statement_of_another_bag_is_not_taken_for_this_ones() {
    use crate::bundle::begun_seal::BegunSeal;
    use crate::bundle::dsse::Envelope;
    let closed = |case: &Path| {
        let draft = draft(case);
        draft.put("plan", &path("data/00-plan/plan.json"), case.as_os_str().as_encoded_bytes()).unwrap();
        (draft.dir().to_path_buf(), draft.close(vec![], true, ToBeSigned::default()).unwrap())
    };
    let cases = [0, 1].map(|_| tempfile::tempdir().unwrap());
    let ((dir, mine), (_, other)) = (closed(cases[0].path()), closed(cases[1].path()));
    let begun = |statement: &[u8]| {
        let envelope = Envelope::of(statement, &[(Sha256::ZERO, vec![1])]);
        fs::create_dir_all(dir.join("seal")).unwrap();
        fs::write(dir.join("seal/statement.dsse.json"), serde_json::to_vec(&envelope).unwrap()).unwrap();
        BegunSeal::read(&dir).unwrap().unwrap()
    };
    let (theirs, own) = (begun(other.statement()), begun(mine.statement()));
    assert_eq!(own.signed_by(), [Sha256::ZERO]);
    let bytes = mine.statement().to_vec();
    let mine = mine.as_begun(&own).unwrap();
    assert_eq!(mine.statement(), bytes);
    assert!(matches!(mine.as_begun(&theirs), Err(SealError::OtherStatement)));
}
