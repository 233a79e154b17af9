//! A file may use its own module and lower floors; modules of one floor do not know each other. What a comment says does not count, and
//! neither do tests inside `src/`: `#[cfg(test)]` modules may look down and sideways, but the house stands without them.
//!
//! The reading is a scanner's, not a compiler's: comments and literals are blanked, and then every path that begins with `crate::`,
//! `freezeframe::` or enough `super::` to leave its module is followed to the module it names, in `use` groups too.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Module → floor. A module that is missing here fails the test: somebody has to say where it lives.
const FLOORS: &[(&str, u8)] = &[
    ("model", 0),
    ("intake", 1),
    ("aws", 1),
    ("store", 1),
    ("clock", 1),
    ("bundle", 2),
    ("collect", 3),
    ("contain", 3),
    ("examine", 3),
    ("archive", 3),
    ("playbook", 4),
    ("plan", 5),
    ("engine", 6),
    ("cli", 7),
    ("handler", 7),
    ("infra", 7),
    ("drill", 7),
];

/// Who may know a neighbour of the same floor, and why.
const NEIGHBOURS: &[(&str, &str, &str)] = &[
    ("aws", "clock", "pace and retries wait, and every attempt is stamped"),
    ("store", "aws", "a store in S3 speaks through its client, and asks `fault` what an error means"),
    ("store", "clock", "a store in S3 waits before it tries again"),
    ("cli", "drill", "`freezeframe drill` is a command"),
    ("cli", "handler", "`freezeframe explain` says what the handler would do"),
];

/// The faces themselves: thin, and above everything.
const FREE: &[&str] = &["lib", "bin"];

fn floor(module: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == module).map(|(_, floor)| *floor)
}

/// One mention of another module.
#[derive(Debug, PartialEq)]
struct Mention {
    line: usize,
    module: String,
}

/// Complaints about one file. `path` is relative to `src/`: `collect/cx.rs`.
fn complaints(path: &str, source: &str) -> Vec<String> {
    let own = path.split('/').next().unwrap_or(path).trim_end_matches(".rs");
    if FREE.contains(&own) {
        return vec![];
    }
    let Some(mine) = floor(own) else {
        return vec![format!("src/{path}: the module `{own}` has no floor; give it one in tests/it/floors.rs")];
    };
    let mut out = vec![];
    for Mention { line, module } in mentions(path, source) {
        if module == own {
            continue;
        }
        match floor(&module) {
            None => out.push(format!("src/{path}:{line}: names `{module}`, which has no floor")),
            Some(other) if other < mine => {}
            Some(other) if NEIGHBOURS.iter().any(|(a, b, _)| *a == own && *b == module) && other == mine => {}
            Some(other) => out.push(format!("src/{path}:{line}: `{own}` (floor {mine}) uses `{module}` (floor {other})")),
        }
    }
    out
}

/// Every module of the crate that the file names, its own included.
fn mentions(path: &str, source: &str) -> Vec<Mention> {
    let code = without_tests(&blanked(source));
    // How many modules deep the file lies: `collect/cx.rs` is `collect::cx`, `collect/mod.rs` is `collect`.
    let file = path.trim_end_matches(".rs");
    let depth = file.trim_end_matches("/mod").split('/').count();
    let mut out = vec![];
    let line = |at: usize| code[..at].matches('\n').count() + 1;
    for root in ["crate::", "freezeframe::"] {
        for (at, _) in code.match_indices(root).filter(|(at, _)| starts_a_path(&code, *at)) {
            out.extend(heads(&code[at + root.len()..]).into_iter().map(|module| Mention { line: line(at), module }));
        }
    }
    for (at, _) in code.match_indices("super::").filter(|(at, _)| starts_a_path(&code, *at)) {
        let mut rest = &code[at..];
        let mut ups = 0;
        while let Some(next) = rest.strip_prefix("super::") {
            (rest, ups) = (next, ups + 1);
        }
        // Inside an inline module there is one level more than the file shows; those are tests, which are gone by now.
        if ups >= depth {
            out.extend(heads(rest).into_iter().map(|module| Mention { line: line(at), module }));
        }
    }
    out
}

fn starts_a_path(code: &str, at: usize) -> bool {
    !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
}

/// The first segments of what follows a root: `a::b` names `a`; `{a::{x, y}, b}` names `a` and `b`.
fn heads(rest: &str) -> Vec<String> {
    let word = |text: &str| text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let Some(group) = rest.trim_start().strip_prefix('{') else {
        let word = word(rest);
        // `crate::Thing` and `crate::f()` would be items of lib.rs, which has none.
        return if word.is_empty() { vec![] } else { vec![word] };
    };
    let mut depth = 0;
    let mut heads = vec![word(group)];
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => heads.push(word(&group[at + 1..])),
            _ => {}
        }
    }
    heads.retain(|h| !h.is_empty() && h != "self");
    heads
}

/// Comments, strings and character literals as blanks; line breaks stay.
fn blanked(source: &str) -> String {
    let bytes: Vec<char> = source.chars().collect();
    let mut out = String::with_capacity(source.len());
    let mut i = 0;
    let blank = |c: char| if c == '\n' { '\n' } else { ' ' };
    while i < bytes.len() {
        let rest = |n: usize| bytes.get(i + n).copied().unwrap_or('\0');
        let end = match (bytes[i], rest(1)) {
            ('/', '/') => (i..bytes.len()).find(|&j| bytes[j] == '\n').unwrap_or(bytes.len()),
            ('/', '*') => (i + 2..bytes.len()).find(|&j| bytes[j - 1] == '*' && bytes[j] == '/').map_or(bytes.len(), |j| j + 1),
            ('r', '"' | '#') if !out.ends_with(|c: char| c.is_alphanumeric() || c == '_') => {
                let hashes = bytes[i + 1..].iter().take_while(|c| **c == '#').count();
                if rest(1 + hashes) == '"' {
                    let close: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
                    let from = i + 2 + hashes;
                    (from..bytes.len()).find(|&j| bytes[j..].starts_with(&close)).map_or(bytes.len(), |j| j + close.len())
                } else {
                    i
                }
            }
            ('"', _) => {
                let mut j = i + 1;
                while j < bytes.len() && bytes[j] != '"' {
                    j += if bytes[j] == '\\' { 2 } else { 1 };
                }
                (j + 1).min(bytes.len())
            }
            // A character, not a lifetime.
            ('\'', '\\') => (i + 3..bytes.len()).find(|&j| bytes[j] == '\'').map_or(bytes.len(), |j| j + 1),
            ('\'', _) if rest(2) == '\'' => i + 3,
            _ => i,
        };
        if end > i {
            out.extend(bytes[i..end].iter().map(|c| blank(*c)));
            i = end;
        } else {
            out.push(bytes[i]);
            i += 1;
        }
    }
    out
}

/// Blocks under `#[cfg(test)]` as blanks. Works on blanked source, so every brace is a brace.
fn without_tests(code: &str) -> String {
    let mut out = code.to_string();
    while let Some(at) = out.find("#[cfg(test)]") {
        let after = &out[at..];
        let item_end = after.find([';', '{']).map_or(after.len(), |end| end + 1);
        let end = if after[..item_end].ends_with('{') {
            let mut depth = 0usize;
            let close = after.char_indices().skip_while(|(i, _)| *i < item_end - 1).find(|(_, c)| {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    _ => {}
                }
                depth == 0
            });
            close.map_or(after.len(), |(i, _)| i + 1)
        } else {
            item_end
        };
        let blanks: String = after[..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
        out.replace_range(at..at + end, &blanks);
    }
    out
}

fn sources(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

/// Files that are declared under `#[cfg(test)]`, by name or by `#[path]`: tests like those inside a file.
fn test_files(src: &Path, files: &[PathBuf]) -> Vec<PathBuf> {
    let mut out = vec![];
    for file in files {
        let source = std::fs::read_to_string(file).unwrap();
        for item in source.split("#[cfg(test)]\n").skip(1) {
            let beside = file.parent().unwrap();
            let own = file.file_name().unwrap();
            let below = if own == "mod.rs" || (own == "lib.rs" && beside == src) { beside.to_path_buf() } else { file.with_extension("") };
            let (first, second) = (item.lines().next().unwrap_or("").trim(), item.lines().nth(1).unwrap_or("").trim());
            if let Some(path) = first.strip_prefix("#[path = \"").and_then(|p| p.strip_suffix("\"]")) {
                assert!(second.ends_with(';'), "{}: a path without a module", file.display());
                out.push(beside.join(path));
            } else if let Some((_, name)) = first.strip_suffix(';').and_then(|item| item.rsplit_once("mod ")) {
                out.push(below.join(format!("{name}.rs")));
                out.push(below.join(name).join("mod.rs"));
            }
        }
    }
    out
}

#[test]
fn everybody_stays_on_his_floor() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = vec![];
    sources(&src, &mut files);
    files.sort();
    assert!(files.len() > 50, "the sources went missing");
    let tests = test_files(&src, &files);
    let mut wrong = vec![];
    for file in files.iter().filter(|f| !tests.contains(f)) {
        let path = file.strip_prefix(&src).unwrap().to_str().unwrap().replace('\\', "/");
        wrong.extend(complaints(&path, &std::fs::read_to_string(file).unwrap()));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn no_exception_has_outlived_its_use() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = vec![];
    sources(&src, &mut files);
    let mut used: BTreeMap<(String, String), usize> = BTreeMap::new();
    for file in &files {
        let path = file.strip_prefix(&src).unwrap().to_str().unwrap().to_string();
        let own = path.split('/').next().unwrap().trim_end_matches(".rs").to_string();
        for mention in mentions(&path, &std::fs::read_to_string(file).unwrap()) {
            *used.entry((own.clone(), mention.module)).or_default() += 1;
        }
    }
    for (a, b, why) in NEIGHBOURS {
        assert!(used.contains_key(&(a.to_string(), b.to_string())), "{a} no longer uses {b} ({why}): remove the exception");
    }
}

// ── the test of the test ──

#[test]
fn a_violation_is_named_with_file_line_and_both_floors() {
    let source = "use crate::model::id::CaseId;\nuse crate::engine::Report;\n";
    assert_eq!(complaints("collect/evil.rs", source), ["src/collect/evil.rs:2: `collect` (floor 3) uses `engine` (floor 6)"]);
    assert_eq!(
        complaints("contain/evil.rs", "use crate::collect::find;"),
        ["src/contain/evil.rs:1: `contain` (floor 3) uses `collect` (floor 3)"]
    );
    assert!(complaints("attic/mod.rs", "").first().unwrap().contains("has no floor"));
    assert!(complaints("model/evil.rs", "use crate::attic::Thing;").first().unwrap().contains("`attic`, which has no floor"));
}

#[test]
fn no_hiding_place_is_overlooked() {
    let all = |path: &str, source: &str| -> Vec<String> { mentions(path, source).into_iter().map(|m| m.module).collect() };
    assert_eq!(all("bundle/x.rs", "use crate::{model::{id::A, gap}, engine, self, plan::{self, B}};"), ["model", "engine", "plan"]);
    assert_eq!(all("bundle/x.rs", "fn f() -> crate::cli::Thing { freezeframe::engine::run() }"), ["cli", "engine"]);
    assert_eq!(all("bundle/x.rs", "use super::super::engine::X; use super::draft::Y;"), ["engine"]);
    assert_eq!(all("bundle/verify/mod.rs", "use super::super::engine::X; use super::draft::Y;"), ["engine"]);
    assert_eq!(all("bundle/verify/x.rs", "use super::super::draft::X; pub(crate) use super::super::super::{engine};"), ["engine"]);
    assert_eq!(all("clock.rs", "use super::engine;"), ["engine"]);
    assert_eq!(all("bundle/x.rs", "macro_rules! m { () => { $crate::engine::f() } }"), ["engine"]);
}

#[test]
fn words_about_others_are_no_use_of_them() {
    let source = r##"
//! See [`crate::engine`].
/* crate::cli */
fn f<'a>(s: &'a str) -> char { let _ = ("crate::plan", r#"crate::drill "quoted" "#, b'"', '\'', '"'); 'x' }
mycrate::engine::x();
#[cfg(test)]
mod tests {
    use crate::engine::Report;
    fn g() { if true {} }
}
#[cfg(test)]
use crate::cli::Args;
use crate::model::gap;
"##;
    let found = mentions("bundle/x.rs", source);
    assert_eq!(found, [Mention { line: 13, module: "model".into() }]);
}
