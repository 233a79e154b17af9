//! Every file of `tests/data/playbooks/` is a test. `valid/` must parse; a file of `invalid/` opens with what must be said about it, in
//! comments: `# expect: line:column: message` and, below, `# help: …`, one pair for each problem, and no problem may be left unsaid.
//! `FREEZEFRAME_BLESS=1` rewrites these comments: read the difference before you commit it.

pub mod units;

use freezeframe::playbook::{self, LoadError, PhaseKind, Problem, parse_with, shipped};
use std::path::{Path, PathBuf};
use units::registry;

fn files(below: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/playbooks").join(below);
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    files
}

fn said(problems: &[Problem]) -> String {
    let mut out = String::new();
    for p in problems {
        out += &format!("# expect: {}:{}: {}\n", p.at.line, p.at.column, p.message);
        if let Some(help) = &p.help {
            out += &format!("# help: {help}\n");
        }
    }
    out
}

#[test]
fn every_invalid_playbook_is_refused_in_exactly_these_words() {
    let bless = std::env::var_os("FREEZEFRAME_BLESS").is_some();
    let files = files("invalid");
    assert!(files.len() >= 40, "the files went missing");
    let mut wrong = String::new();
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let (expected, rest): (Vec<&str>, Vec<&str>) =
            text.split_inclusive('\n').partition(|l| l.starts_with("# expect: ") || l.starts_with("# help: "));
        let problems = match parse_with(&registry(), "x.yaml", &text) {
            Ok(playbook) => panic!("{} was accepted: {playbook:?}", path.display()),
            Err(invalid) => invalid.problems().to_vec(),
        };
        let mut got = said(&problems);
        if bless {
            // The comments move the lines that they speak of; a second reading settles it.
            for _ in 0..2 {
                let text = got.clone() + &rest.concat();
                got = said(parse_with(&registry(), "x.yaml", &text).unwrap_err().problems());
            }
            std::fs::write(&path, got + &rest.concat()).unwrap();
        } else if got != expected.concat() {
            wrong += &format!("── {}\nexpected\n{}got\n{got}", path.display(), expected.concat());
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_valid_playbook_is_read() {
    for path in files("valid") {
        let text = std::fs::read_to_string(&path).unwrap();
        let playbook = parse_with(&registry(), "x.yaml", &text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert_eq!(path.file_stem().unwrap().to_str(), Some(playbook.name.as_str()));
    }
}

fn valid(name: &str) -> playbook::Playbook {
    let path = files("valid").into_iter().find(|p| p.file_stem().unwrap() == name).unwrap();
    parse_with(&registry(), name, &std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn all_means_every_collector_and_a_step_of_its_own_overrules_it() {
    let playbook = valid("all-overruled");
    let steps = &playbook.phase(PhaseKind::Collect).unwrap().steps;
    let mut ids: Vec<&str> = steps.iter().map(|s| s.unit.id()).collect();
    ids.sort_unstable();
    let mut every: Vec<&str> = registry().collectors.iter().map(|c| c.id).collect();
    every.sort_unstable();
    assert_eq!(ids, every);
    let step = |id: &str| steps.iter().find(|s| s.unit.id() == id).unwrap();
    assert!(!step("function-code").enabled);
    assert_eq!(step("recent-invocations").params.text("window").as_deref(), Some("7d"));
    assert_eq!(step("recent-invocations").params.count("max-pages"), Some(20));
}

#[test]
fn a_problem_shows_the_line_and_points_at_the_place() {
    let text = std::fs::read_to_string(files("invalid").into_iter().find(|p| p.ends_with("unknown-unit.yaml")).unwrap()).unwrap();
    let invalid = parse_with(&registry(), "mine.yaml", &text).unwrap_err();
    insta::assert_snapshot!(invalid.problems()[0].lines().join("\n"), @r"
    mine.yaml:8:14: there is no collector `function-cod`
      8 |       - use: function-cod
        |              ^
        = did you mean `function-code`?
    ");
}

#[test]
fn several_problems_are_told_at_once() {
    let text = "playbook: X\ntitel: x\nphases:\n  - phase: collect\n    steps: [ { use: nonsense }, { use: configuration, with: { a: 1 } } ]\n  - phase: sael\n";
    let invalid = parse_with(&registry(), "mine.yaml", text).unwrap_err();
    let lines: Vec<usize> = invalid.problems().iter().map(|p| p.at.line).collect();
    assert_eq!(lines, [1, 2, 5, 5, 6], "{:#?}", invalid.problems());
    assert!(invalid.to_string().ends_with("(and 4 more problems)"), "{invalid}");
}

#[test]
fn what_ships_is_valid_and_named_as_its_file() {
    for s in shipped() {
        let (playbook, text) = playbook::load(s.name).unwrap_or_else(|e| panic!("{}: {e}", s.name));
        assert_eq!((playbook.name.as_str(), text.as_str()), (s.name, s.text));
        assert!(!playbook.description.is_empty());
    }
    let names: Vec<&str> = shipped().iter().map(|s| s.name).collect();
    let mut files: Vec<String> = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("playbooks"))
        .unwrap()
        .map(|e| e.unwrap().path().file_stem().unwrap().to_str().unwrap().to_string())
        .collect();
    files.sort();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, files, "a file of playbooks/ is not compiled in");
}

#[test]
fn detaching_policies_is_off_by_default_and_one_word_away() {
    for name in ["snapshot-and-contain", "contain-first"] {
        let (playbook, text) = playbook::load(name).unwrap();
        let steps = &playbook.phase(PhaseKind::Contain).unwrap().steps;
        let on: Vec<&str> = steps.iter().filter(|s| s.enabled).map(|s| s.unit.id()).collect();
        assert_eq!(on, ["freeze-concurrency", "quarantine-role"], "{name}");
        let (before, detach) = text.split_at(text.find("use: detach-permissions").unwrap());
        let turned_on = playbook::parse("x.yaml", &format!("{before}{}", detach.replacen("enabled: false", "enabled: true", 1))).unwrap();
        assert_eq!(turned_on.phase(PhaseKind::Contain).unwrap().steps.iter().filter(|s| s.enabled).count(), 3, "{name}");
    }
}

#[test]
fn asynchronous_events_are_captured_before_the_freeze() {
    let contain = |steps: &str| {
        let text = format!("playbook: x\ntitle: x\nphases:\n  - phase: contain\n    override: x\n    steps:\n{steps}");
        playbook::parse("x.yaml", &text)
    };
    let (freeze, capture) = ("      - use: freeze-concurrency\n", "      - use: capture-async-events\n");
    let off = "      - use: capture-async-events\n        enabled: false\n";
    assert!(contain(&format!("{capture}{freeze}")).is_ok());
    assert!(contain(&format!("{freeze}{off}")).is_ok(), "what is off is in nobody's way");
    let invalid = contain(&format!("{freeze}      - use: quarantine-role\n{capture}")).unwrap_err();
    let problem = &invalid.problems()[0];
    assert_eq!((invalid.problems().len(), problem.at.line), (1, 9));
    assert!(problem.message.contains("would be lost"), "{problem}");
    assert_eq!(problem.help.as_deref(), Some("move it before `freeze-concurrency` (line 7)"));
}

#[test]
fn loading_tells_apart_names_and_paths() {
    let Err(LoadError::Unknown { help, .. }) = playbook::load("snapshot-onyl") else { panic!() };
    assert_eq!(help, "did you mean `snapshot-only`?");
    assert!(matches!(playbook::load("./no/such/file.yaml"), Err(LoadError::ReadFile { .. })));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mine.yaml");
    std::fs::write(&path, shipped()[0].text).unwrap();
    assert_eq!(playbook::load(path.to_str().unwrap()).unwrap().0.name, "snapshot-only");
    std::fs::write(&path, "x".repeat(300 << 10)).unwrap();
    let e = playbook::load(path.to_str().unwrap()).unwrap_err();
    assert!(e.to_string().contains("at most 256 KiB"), "{e}");
}

proptest::proptest! {
    /// Whatever is done to a playbook, it is read or refused at a place that exists; nothing panics, nothing steers the terminal.
    #[test]
    fn a_damaged_playbook_is_read_or_refused(
        which in 0..shipped().len(),
        at in 0..4096usize,
        cut in 0..40usize,
        junk in "[ -~\\n\\t\\x1b\\u{202e}é&*!|>{}\\[\\]:#-]{0,12}",
    ) {
        let text = shipped()[which].text;
        let mut chars: Vec<char> = text.chars().collect();
        let from = at % chars.len();
        let to = (from + cut).min(chars.len());
        chars.splice(from..to, junk.chars());
        let text: String = chars.into_iter().collect();
        if let Err(invalid) = playbook::parse("x.yaml", &text) {
            for p in invalid.problems() {
                assert!(p.at.line <= text.lines().count() + 1, "{p}");
                assert!(!p.lines().concat().contains(['\u{1b}', '\u{202e}', '\n']), "{p}");
            }
        }
    }
}
