//! Two responders, two processes, one function, at the same time: in one case and in two. Which of them is first at what is left to the machine;
//! `contain::race` goes through the orders one by one.

use crate::support::emulator::{Stage, ok};
use freezeframe::drill::incident::names;
use serde_json::Value;

fn contain(case: &str) -> [&str; 7] {
    ["contain", names::FUNCTION, "--case", case, "--without-evidence", "two pagers rang", "--yes"]
}

/// Both at once, from two processes; what both said.
async fn both(stage: &Stage, first: &[&str], second: &[&str]) -> [(i32, Value); 2] {
    let (shell, other) = (stage.root(), stage.root());
    let (a, b) = tokio::join!(shell.run(first), other.run(second));
    [a, b].map(|ended| {
        let ended = ended.unwrap();
        assert!([0, 5, 7].contains(&ended.code), "{}\n{:#}", ended.stderr, ended.document);
        (ended.code, ended.document)
    })
}

/// Every cell, as this report says: contained, whoever did it.
fn all_contained(report: &Value) {
    let cells = report["containment"]["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 2, "{report:#}");
    for cell in cells {
        assert!(["contained", "already-contained"].contains(&cell["stand"].as_str().unwrap()), "{report:#}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn in_one_case() {
    let stage = Stage::set().await;
    for n in 0..4 {
        let case = format!("IR-{n}");
        for (code, report) in both(&stage, &contain(&case), &contain(&case)).await {
            assert_eq!(code, 0, "{report:#}");
            all_contained(&report);
        }
        ok(stage.root().run(&["restore", &case, "--yes"]).await.unwrap(), 0);
        stage.assert_as_before(&format!("restored, round {n}")).await;
        let again = ok(stage.root().run(&["restore", &case, "--yes"]).await.unwrap(), 0);
        assert_eq!(again["headline"], "nothing to restore: this case holds nothing contained");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn in_two_cases_and_while_one_of_them_lets_go() {
    let stage = Stage::set().await;
    for n in 0..3 {
        let (one, two) = (format!("IR-{n}-a"), format!("IR-{n}-b"));
        for (code, report) in both(&stage, &contain(&one), &contain(&two)).await {
            assert_eq!(code, 0, "{report:#}");
            all_contained(&report);
        }
        // One lets go while a third takes hold: what the third was told holds.
        let three = format!("IR-{n}-c");
        let [_, (code, told)] = both(&stage, &["restore", &one, "--yes"], &contain(&three)).await;
        assert_eq!(code, 0, "{told:#}");
        all_contained(&told);
        let reserved = stage.aws.lambda.get_function_concurrency().function_name(names::FUNCTION).send().await.unwrap();
        assert_eq!(reserved.reserved_concurrent_executions(), Some(0), "round {n}");

        // All let go at once; who gave way to another one is done when that one is.
        both(&stage, &["restore", &two, "--yes"], &["restore", &three, "--yes"]).await;
        for case in [&one, &two, &three, &one, &two, &three] {
            stage.root().run(&["restore", case, "--yes"]).await.unwrap();
        }
        for case in [&one, &two, &three] {
            ok(stage.root().run(&["restore", case, "--yes"]).await.unwrap(), 0);
        }
        stage.assert_as_before(&format!("all have let go, round {n}")).await;
    }
}
