//! What another process makes of a bag that it finds in part: as a bucket has it when its run died.

use super::*;
use crate::aws::record::{Recorder as _, UnitScope};
use crate::bundle::documents::{PlannedUnit, UnitEnd};
use crate::bundle::payload::Follower;
use crate::bundle::secrets::{Identities, Recipient};
use crate::bundle::verify::{Level, Verdict, verify};
use crate::clock::FakeClock;
use crate::model::digest::Sha256;
use crate::model::exchange::{BodyEnd, Header};
use std::io::Write as _;
use std::sync::LazyLock;

const SCOPE: UnitScope = UnitScope { unit: "configuration", group: Group::Config };

#[derive(Debug, Default)]
struct Ear(Mutex<Vec<FileRef>>);

impl Follower for Ear {
    fn admitted(&self, file: &FileRef) {
        self.0.lock().unwrap().push(file.clone());
    }
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(FakeClock::at("2026-11-20T12:34:56.789Z").unwrap())
}

fn target() -> Target {
    let (account, region, function) = ("123456789012".into(), "eu-west-1".into(), "payments-export".into());
    Target { partition: "aws".into(), account, region, function, qualifier: None }
}

fn tool() -> ToolRecord {
    ToolRecord { name: "freezeframe".into(), version: "0.1.0".into(), commit: None, binary_sha256: None }
}

/// Somebody for whom secrets are sealed.
fn reader() -> Recipient {
    static READER: LazyLock<Recipient> = LazyLock::new(|| Identities::make("a test's").0);
    READER.clone()
}

fn begin(case: &Path) -> Arc<Draft> {
    let info = DraftInfo {
        case: "IR-1".parse().unwrap(),
        run: RunId("01KAGZ0000000000000000TEST".into()),
        kind: BundleKind::Acquisition,
        target: target(),
        playbook: "snapshot-only".into(),
        operator: "ada".into(),
        tool: tool(),
        previous: None,
        secrets: SecretsOrder { recipients: vec![reader()], ..SecretsOrder::default() },
    };
    Draft::open(case, info, clock()).unwrap()
}

fn ask(draft: &Draft, operation: &str, body: &[u8]) -> ExchangeId {
    let id = draft.number();
    draft.open_body(id).unwrap().write_all(body).unwrap();
    let exchange = Exchange {
        id,
        unit: "configuration".into(),
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
        status: Some(200),
        response_headers: vec![Header("content-type".into(), "application/json".into())],
        request_id: None,
        server_date: None,
        body_end: BodyEnd::Complete,
        body_bytes: body.len() as u64,
        body_sha256: Some(Sha256::of(body)),
        body_withheld: None,
        body: None,
        sealed: None,
    };
    draft.finish(&SCOPE, exchange, None);
    id
}

fn answer(draft: &Draft, subject: &str, x: ExchangeId) {
    let item = NewItem::new(Group::Config, "configuration", subject, ItemStatus::Collected);
    draft.add(NewItem { exchanges: vec![x], files: draft.file_of(x).into_iter().collect(), ..item }).unwrap();
}

/// Three questions: one told of in the segment that ended, one whose line is lost with its item, one whose record is lost as well.
fn torn(case: &Path, carried: bool) -> (Arc<Draft>, Arc<Ear>, u32) {
    let (draft, ear) = (begin(case), Arc::new(Ear::default()));
    if carried {
        draft.carried_by(ear.clone()).unwrap();
    }
    draft.journal(JournalEvent::Plan { playbook: "snapshot-only".into(), sha256: Sha256::of(b"plan") }).unwrap();
    let first = ask(&draft, "GetFunctionConfiguration", br#"{"Environment":{"Variables":{"PASSWORD":"hunter2"}}}"#);
    answer(&draft, "configuration of $LATEST", first);
    let ended = draft.cut(1);
    let second = ask(&draft, "ListTags", br#"{"Environment":{"Variables":{"TOKEN":"swordfish"}}}"#);
    answer(&draft, "tags", second);
    ask(&draft, "GetPolicy", b"{\"c\":3}");
    (draft, ear, ended)
}

/// Copies these files of the bag to where another process finds them.
fn found(draft: &Draft, to: &Path, files: impl IntoIterator<Item = String>) -> PathBuf {
    let dir = to.join(draft.name());
    for file in files {
        let at = dir.join(&file);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        fs::copy(draft.dir().join(&file), at).unwrap();
    }
    dir
}

fn salvager() -> Salvager<'static> {
    let previous = Some(Previous { bundle: "earlier".into(), root: Sha256::of(b"root") });
    Salvager {
        operator: "grace",
        tool: tool(),
        tool_words: "freezeframe 0.1.0".into(),
        from: "s3://vault/IR-1/b",
        target: target(),
        previous,
    }
}

#[track_caller]
fn told(dir: &Path) -> (Verdict, Vec<String>) {
    let v = verify(dir).unwrap();
    (v.verdict, v.findings.iter().filter(|f| f.level == Level::Error).map(|f| format!("{}: {}", f.check, f.message)).collect())
}

fn planned() -> Vec<PlannedUnit> {
    let (unit, title, question) = (SALVAGE_UNIT.into(), "Salvage".into(), SALVAGE_QUESTION.into());
    vec![PlannedUnit { unit, title, question, group: Group::Plan, ended: UnitEnd::Done, items: vec![] }]
}

#[test]
fn what_was_carried_becomes_an_unfinished_bag_that_contradicts_nothing() {
    let (case, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (draft, ear, ended) = torn(case.path(), true);
    assert_eq!(ended, 1);
    let heard = ear.0.lock().unwrap().clone();
    // Every file, body before record, and all before the segment that tells of it.
    let names: Vec<&str> = heard.iter().map(|f| f.path.as_str()).collect();
    let first = ["sealed/commitment-key.age", "sealed/20-config/000001-GetFunctionConfiguration.json.age"];
    let first =
        first.into_iter().chain(["20-config/000001-GetFunctionConfiguration.json", "20-config/000001-GetFunctionConfiguration.http.json"]);
    assert_eq!(names[..4], first.map(|name| format!("data/{name}")).collect::<Vec<_>>());
    assert_eq!(names.len(), 9);
    let (lost, kept) = heard.split_last().unwrap();
    assert!(lost.path.as_str().ends_with("GetPolicy.http.json"));
    let files = kept.iter().map(|f| f.path.as_str().to_string()).chain(["meta/journal/000001.jsonl".into()]);
    let dir = found(&draft, other.path(), files);
    assert_eq!(told(&dir), (Verdict::Unfinished, vec![]), "as it was left");

    let remains = Remains::read(&dir, draft.name()).unwrap();
    assert_eq!((remains.items().len(), remains.segments(), remains.closed(), remains.playbook()), (1, 1, None, Some("snapshot-only")));
    assert_eq!(remains.items(), &draft.items()[..1], "the journal holds the item whole");
    let reopened = remains.reopen(&salvager(), clock()).unwrap();
    let sealed = reopened.seal(planned(), false).unwrap();
    assert_eq!(told(sealed.dir()), (Verdict::Unfinished, vec![]));
    let [one, gap] = sealed.items() else { panic!("{:#?}", sealed.items()) };
    assert_eq!(
        (one.subject.as_str(), gap.subject.as_str(), gap.status),
        ("configuration of $LATEST", "the run ended here", ItemStatus::Gap(GapKind::OutOfTime))
    );
    assert_eq!(gap.exchanges, [ExchangeId(2)], "a record that no item names");
    let stray: Vec<&str> = gap.files.iter().map(|f| f.path.as_str()).collect();
    let lost = ["data/20-config/000003-GetPolicy.json", "data/sealed/20-config/000002-ListTags.json.age"];
    assert_eq!(stray, lost, "a body without its record, and an original whose line was lost");
    let predicate = &sealed.statement().predicate;
    assert_eq!((predicate.finished, predicate.operator.as_str(), predicate.run.0.as_str()), (false, "grace", "01KAGZ0000000000000000TEST"));
    assert_eq!(predicate.previous.as_ref().unwrap().bundle, "earlier");
    // For whom its secrets are sealed is what it was: by an identity that died with the run, and by whom the run named.
    let secrets = predicate.secrets.as_ref().unwrap();
    assert_eq!(
        (secrets.sealed, &secrets.identity, &secrets.recipients[..]),
        (1, &draft.originals().identity(), &[reader().to_string()][..])
    );
    let redactions = fs::read_to_string(sealed.dir().join("meta/redactions.jsonl")).unwrap();
    assert!(redactions.contains("\"at\":\"/Environment/Variables/PASSWORD\"") && !redactions.contains("hunter2"), "{redactions}");
    assert_eq!(redactions.lines().count(), 1, "{redactions}");
    // What was there is as it was; what was added stands in a segment of its own.
    let segment = |dir: &Path, n: u32| fs::read_to_string(dir.join(format!("meta/journal/{n:06}.jsonl"))).unwrap();
    assert_eq!(segment(sealed.dir(), 1), segment(draft.dir(), 1));
    let added: Vec<serde_json::Value> = segment(sealed.dir(), 2).lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let words: Vec<&str> = added.iter().map(|l| l["ev"].as_str().unwrap()).collect();
    assert_eq!(words, ["reopen", "req", "item-stored", "gap", "seal"]);
    assert!(added.iter().all(|l| l["actor"] == "grace"));

    // And once more, when whoever salvaged died right after he had claimed it.
    let third = tempfile::tempdir().unwrap();
    let files = kept.iter().map(|f| f.path.as_str().to_string());
    let dir = found(&reopened, third.path(), files.chain(["meta/journal/000001.jsonl".into(), "meta/journal/000002.jsonl".into()]));
    let sealed = Remains::read(&dir, draft.name()).unwrap().reopen(&salvager(), clock()).unwrap().seal(planned(), false).unwrap();
    assert_eq!((told(sealed.dir()), sealed.items().len()), ((Verdict::Unfinished, vec![]), 3));
    assert_eq!((sealed.items()[2].exchanges.len(), sealed.items()[2].files.len()), (0, 0), "everything has its item by then");
}

#[test]
fn what_was_closed_is_only_completed() {
    let (case, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (draft, ear, _) = torn(case.path(), true);
    let sealed = draft.seal(vec![], true).unwrap();
    let files: Vec<String> = ear.0.lock().unwrap().iter().map(|f| f.path.as_str().to_string()).collect();
    let journal = ["meta/journal/000001.jsonl".to_string(), "meta/journal/000002.jsonl".to_string()];
    let all = || files.iter().cloned().chain(journal.iter().cloned());

    let dir = found(&draft, &other.path().join("covered"), all().chain(["meta/coverage.json".into(), "bag-info.txt".into()]));
    let remains = Remains::read(&dir, draft.name()).unwrap();
    assert_eq!(remains.closed(), Some(true));
    let again = remains.reopen(&salvager(), clock()).unwrap().seal(vec![], true).unwrap();
    assert_eq!(told(again.dir()), (Verdict::Whole, vec![]));
    assert_eq!(again.statement().predicate.journal_head, sealed.statement().predicate.journal_head, "no line was added");
    assert_eq!(fs::read(again.dir().join("bag-info.txt")).unwrap(), fs::read(sealed.dir().join("bag-info.txt")).unwrap());

    // Without the coverage nobody knows what was planned and not asked: unfinished.
    let dir = found(&draft, &other.path().join("bare"), all());
    let remains = Remains::read(&dir, draft.name()).unwrap();
    assert_eq!(remains.closed(), None);
    let again = remains.reopen(&salvager(), clock()).unwrap().seal(planned(), false).unwrap();
    assert_eq!((told(again.dir()), again.items().len()), ((Verdict::Unfinished, vec![]), 3));
}

#[test]
fn what_cannot_be_trusted_is_not_taken_up() {
    let (case, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (draft, _, _) = torn(case.path(), true);
    let journal = ["meta/journal/000001.jsonl".to_string()];
    let read = |to: &str, change: &dyn Fn(String) -> String, name: &str| {
        let dir = found(&draft, &other.path().join(to), journal.clone());
        let path = dir.join(&journal[0]);
        fs::write(&path, change(fs::read_to_string(&path).unwrap())).unwrap();
        Remains::read(&dir, name)
    };
    assert!(read("same", &|text| text, draft.name()).is_ok());
    assert!(matches!(read("other", &|text| text, "another-bundle"), Err(ReopenError::Other { .. })));
    assert!(matches!(read("changed", &|text| text.replacen("ada", "eve", 1), draft.name()), Err(ReopenError::Chain { line: 2, .. })));
    assert!(matches!(read("torn", &|text| text[..text.len() - 9].into(), draft.name()), Err(ReopenError::Torn { .. })));
    assert!(matches!(Remains::read(&other.path().join("nowhere"), draft.name()), Err(ReopenError::NoJournal)));

    // A journal that was not meant to be carried lacks what items are.
    let plain = tempfile::tempdir().unwrap();
    let (draft, ear, _) = torn(plain.path(), false);
    assert!(ear.0.lock().unwrap().is_empty());
    let dir = found(&draft, &other.path().join("plain"), journal.clone());
    assert!(matches!(Remains::read(&dir, draft.name()), Err(ReopenError::NotPlaced { .. })));
}
