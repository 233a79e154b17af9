//! Help: what somebody reads at three in the morning.

use super::Terminal;

#[test]
fn the_first_thing_that_is_read() {
    insta::assert_snapshot!(Terminal::new().transcript(&["--help"]), @"");
}

#[test]
fn without_a_command_the_help_goes_to_stderr() {
    let output = Terminal::new().run(&[]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
    assert!(String::from_utf8_lossy(&output.stderr).contains("Usage: freezeframe"));
}

#[test]
fn a_commands_help_in_full() {
    insta::assert_snapshot!(Terminal::new().transcript(&["snapshot", "--help"]), @"");
    insta::assert_snapshot!(Terminal::new().transcript(&["contain", "--help"]), @"");
}

/// The commands that `text` lists, hidden ones not among them.
fn commands(text: &str) -> Vec<String> {
    let listed = text.split("Commands:\n").nth(1).and_then(|t| t.split("\n\n").next()).unwrap_or_default();
    let names = listed.lines().filter_map(|l| l.strip_prefix("  ").filter(|l| !l.starts_with(' ')));
    names.filter_map(|l| l.split_whitespace().next()).filter(|n| *n != "help").map(str::to_string).collect()
}

#[test]
fn every_command_says_what_it_does_what_it_takes_and_gives_an_example() {
    let terminal = Terminal::new();
    let help = |path: &[String]| {
        let mut args: Vec<&str> = path.iter().map(String::as_str).collect();
        args.push("--help");
        let output = terminal.run(&args);
        assert!(output.status.success() && output.stderr.is_empty(), "{args:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let mut todo: Vec<Vec<String>> = commands(&help(&[])).into_iter().map(|c| vec![c]).collect();
    assert!(todo.len() >= 9, "{todo:?}");
    todo.push(vec!["completions".into()]);
    let mut seen = 0;
    while let Some(path) = todo.pop() {
        let text = help(&path);
        todo.extend(commands(&text).into_iter().map(|c| path.iter().cloned().chain([c]).collect()));
        let example = text.split("Example").nth(1).unwrap_or_default();
        assert!(example.contains(&format!("\n  freezeframe {}", path.join(" "))), "{path:?} has no example:\n{text}");
        assert!(text.lines().next().is_some_and(|l| l.len() > 15), "{path:?} does not say what it does");
        for line in text.lines().filter(|l| l.starts_with("  <") || l.starts_with("  [") || l.starts_with("      --")) {
            assert!(line.trim().split("  ").count() > 1, "{path:?}: `{line}` is not explained");
        }
        seen += 1;
    }
    assert!(seen >= 12, "{seen}");
}

#[test]
fn completions_are_a_script_that_knows_the_commands() {
    let output = Terminal::new().run(&["completions", "bash"]);
    let script = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && output.stderr.is_empty());
    for word in ["_freezeframe()", "snapshot", "--endpoint-url", "complete -F _freezeframe"] {
        assert!(script.contains(word), "{word}");
    }
    // Whether bash agrees that it is a script.
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("freezeframe.bash");
    std::fs::write(&file, script).unwrap();
    let checked = std::process::Command::new("bash").arg("-n").arg(&file).output();
    assert!(checked.is_ok_and(|o| o.status.success()));
}
