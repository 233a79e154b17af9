//! Documentation that cannot lie. What stands between `<!-- generated:NAME -->` and `<!-- /generated -->` is what the slices say now
//! (`FREEZEFRAME_BLESS=1` rewrites it), and every path of this repository that a Markdown file names in backticks exists.

use freezeframe::plan::tables::TABLES;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Files of the repository: what git tracks or would track, or everything outside `target/` where there is no git.
fn files() -> Vec<PathBuf> {
    let git = Command::new("git").args(["ls-files", "--cached", "--others", "--exclude-standard"]).current_dir(root()).output();
    match git {
        Ok(out) if out.status.success() => {
            String::from_utf8(out.stdout).unwrap().lines().map(|l| root().join(l)).filter(|p| p.exists()).collect()
        }
        _ => {
            let mut found = vec![];
            let mut dirs = vec![root().to_path_buf()];
            while let Some(dir) = dirs.pop() {
                for entry in std::fs::read_dir(dir).unwrap() {
                    let path = entry.unwrap().path();
                    match path.is_dir() {
                        true if path.ends_with("target") || path.ends_with(".git") => {}
                        true => dirs.push(path),
                        false => found.push(path),
                    }
                }
            }
            found
        }
    }
}

fn markdown() -> Vec<PathBuf> {
    let md: Vec<PathBuf> = files().into_iter().filter(|p| p.extension().is_some_and(|e| e == "md")).collect();
    assert!(md.iter().any(|p| p.ends_with("README.md")), "the README went missing");
    md
}

/// The text with every generated part made anew, and the names of the parts.
fn regenerated(text: &str) -> (String, Vec<String>) {
    let mut out = String::new();
    let mut names = vec![];
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("<!-- generated:") {
        let (name, after) = after.split_once(" -->\n").expect("a marker ends its line");
        let (_, after) = after.split_once("<!-- /generated -->").unwrap_or_else(|| panic!("generated:{name} has no end"));
        let (_, table) = TABLES.iter().find(|(n, _)| *n == name).unwrap_or_else(|| panic!("nobody generates `{name}`"));
        out += &format!("{before}<!-- generated:{name} -->\n{}<!-- /generated -->", table());
        names.push(name.to_string());
        rest = after;
    }
    (out + rest, names)
}

#[test]
fn generated_tables_are_what_the_program_says() {
    let bless = std::env::var_os("FREEZEFRAME_BLESS").is_some();
    let mut named = BTreeSet::new();
    for path in markdown() {
        let text = std::fs::read_to_string(&path).unwrap();
        let (fresh, names) = regenerated(&text);
        named.extend(names);
        if bless && fresh != text {
            std::fs::write(&path, &fresh).unwrap();
        } else {
            let differs = fresh.lines().zip(text.lines()).find(|(a, b)| a != b);
            assert!(
                fresh == text,
                "{}: FREEZEFRAME_BLESS=1 cargo test docs brings it up to date; first difference: {differs:?}",
                path.display()
            );
        }
    }
    for (name, table) in TABLES {
        assert!(named.contains(*name), "no Markdown file shows generated:{name}");
        let table = table();
        let columns: BTreeSet<usize> = table.lines().map(|l| l.replace("\\|", "").matches('|').count()).collect();
        assert!(table.lines().count() > 2 && columns.len() == 1, "generated:{name} is no table:\n{table}");
    }
}

/// `src/plan/mod.rs`, `tests/it/`, `Cargo.toml`: words in backticks that begin with something of the top level, or look like a file of it.
fn paths_named(text: &str) -> BTreeSet<String> {
    let top: BTreeSet<String> = std::fs::read_dir(root()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    // Fenced blocks show commands and output, not places.
    let prose: String = text.split("```").step_by(2).collect();
    let spans = prose.split('`').skip(1).step_by(2);
    spans
        .filter(|s| !s.is_empty() && s.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c)))
        .filter(|s| !s.starts_with("target/") && !s.starts_with(".."))
        .filter(|s| {
            let (head, below) = s.split_once('/').map_or((*s, false), |(head, _)| (head, true));
            let sources = ["rs", "toml", "yaml", "md"].iter().any(|e| s.ends_with(&format!(".{e}")));
            if below { top.contains(head) || sources } else { sources && s.starts_with(|c: char| c.is_uppercase()) }
        })
        .map(str::to_string)
        .collect()
}

#[test]
fn every_path_that_is_named_exists() {
    let mut wrong = vec![];
    for path in markdown() {
        for named in paths_named(&std::fs::read_to_string(&path).unwrap()) {
            // Relative to the root, or to the file that speaks of it.
            if !root().join(&named).exists() && !path.parent().unwrap().join(&named).exists() {
                wrong.push(format!("{}: `{named}`", path.strip_prefix(root()).unwrap().display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_reader_of_paths_sees_paths_and_nothing_else() {
    let text = "`src/none.rs` and `src/lib.rs`, `and/or`, `Cargo.tomll`, `NONE.md`, `configuration.rs`, `lambda/x`, `tests/it/`\n```\n`src/fenced.rs`\n```\n`bundle/none.rs`";
    let named: Vec<String> = paths_named(text).into_iter().collect();
    assert_eq!(named, ["NONE.md", "bundle/none.rs", "src/lib.rs", "src/none.rs", "tests/it/"]);
}
