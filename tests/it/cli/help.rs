//! Help: what somebody reads at three in the morning.

use super::Terminal;

#[test]
fn the_first_thing_that_is_read() {
    insta::assert_snapshot!(Terminal::new().transcript(&["--help"]), @r"
    $ freezeframe --help
    --- stdout
    Incident-response forensics for AWS Lambda: freeze the frame, contain, restore exactly

    Usage: freezeframe [OPTIONS] <COMMAND>

    Commands:
      snapshot  Snapshot one function into a verified evidence bundle; changes nothing in AWS
      verify    Check a bundle (zip or directory) and say everything that is wrong with it
      archive   Archive a bundle in S3: locked, checksummed, read back; resumes where it was cut off
      salvage   Seal what a run that died had carried to S3 (--straight), from any machine
      fetch     Fetch an archived bundle, checked while it is written
      list      List cases: their bundles, gaps, where they are archived, whether they hold something
                contained
      key       The keys that sign bundles: make one, show one
      custody   Tell the chain of custody: who did what to a bundle and its case, when, and which line
                says so
      unseal    Open the sealed originals of a bundle; the opening is written into custody first
      disclose  Copy a bundle without its sealed originals, for whoever may not have the secrets
      show      List what is in a bundle, or print one item's bytes
      plan      Dry run of a playbook: every call, what it stops and does not stop, the IAM policy it
                needs
      run       Run a playbook; asks before containing
      approve   Put a second person's word under a pinned plan; AWS proves who it was
      contain   Contain a function of which the case already holds verified evidence
      watch     See whether containment holds: follow settings, invocations, throttles, logs and events
                for a while; changes nothing in AWS
      restore   Put back exactly what a case changed
      halt      Nothing more is contained, by anybody who reads this store, until `resume`; restoring
                stays possible
      resume    Lift what `halt` said, or close the breaker that a failed containment opened
      guard     The guard policy, which says what must not be contained: check, show
      playbook  The playbooks: list, show, check
      explain   Say what the responder would do with an event; asks nobody
      drill     Practise: seed a compromised function in a local AWS emulator and run the whole job
                against it
      help      Print this message or the help of the given subcommand(s)

    Options:
      -h, --help     Print help
      -V, --version  Print version

    Connection:
          --profile <NAME>      AWS profile to use
          --region <REGION>     AWS Region of the function
          --endpoint-url <URL>  Talk to this endpoint instead of AWS (an emulator, a proxy)

    Output:
          --json     One JSON document on stdout, everything else on stderr
      -q, --quiet    No progress
      -v, --verbose  More of what happens on stderr (RUST_LOG is respected)

    Exit codes: 0 complete · 1 failed · 2 usage or playbook invalid · 3 finished with gaps · 4
    verification failed · 5 partly contained · 6 unwound · 7 stuck or drift · 8 refused · 130
    interrupted after draining

    Start with:  freezeframe snapshot my-function --case IR-2026-0042
    --- exit 0
    ");
}

#[test]
fn without_a_command_the_help_goes_to_stderr() {
    let output = Terminal::new().run(&[]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
    assert!(String::from_utf8_lossy(&output.stderr).contains("Usage: freezeframe"));
}

#[test]
fn a_commands_help_in_full() {
    insta::assert_snapshot!(Terminal::new().transcript(&["snapshot", "--help"]), @r"
    $ freezeframe snapshot --help
    --- stdout
    Snapshot one function into a verified evidence bundle; changes nothing in AWS

    Usage: freezeframe snapshot [OPTIONS] --case <ID> <FUNCTION>

    Arguments:
      <FUNCTION>  The function: a name, `name:qualifier` or an ARN

    Options:
          --case <ID>      The case: a directory of this name is made or joined
          --cases <DIR>    Where cases lie [env: FREEZEFRAME_CASES=] [default: .]
          --depth <DEPTH>  How much is read: triage (seconds), standard, or deep; each is a shipped
                           playbook [default: standard]
      -h, --help           Print help

    What is collected:
          --since <TIME>                 Begin every window here: a duration (24h, 7d) or a time
                                         ([TIME])
          --until <TIME>                 End every window here: a time, or so long ago
          --skip <COLLECTOR>             Leave this collector out (may be repeated); its question stays
                                         open, and the bundle says so
          --only <COLLECTOR>             Run this collector and what it needs, and no other (may be
                                         repeated)
          --max-log-bytes <SIZE>         Stop reading logs after so many bytes (64MiB); what is older is
                                         a gap
          --max-events <COUNT>           Stop each search of CloudTrail after about so many events; what
                                         is older is a gap
          --trail <s3://BUCKET/PREFIX>   Read a trail's own files instead of searching CloudTrail's
                                         event history: the place that the trail delivers to
          --regions <REGIONS>            Where to look for what the credentials did, and for who shares
                                         the role: home, all, or names with commas between
          --set <COLLECTOR.PARAM=VALUE>  Set a collector's parameter (may be repeated)

    A function that was deleted:
          --gone         Go on although there is no such function: collect what it left behind
          --role <ROLE>  The execution role that it had, by name or ARN, if CloudTrail does not remember

    Archive:
          --archive <PLACE>             Archive what is sealed below s3://BUCKET/PREFIX, and read back
                                        what S3 says of it [env: FREEZEFRAME_ARCHIVE=]
          --straight                    Carry each file there as soon as it is gathered: what a run that
                                        dies had gathered can be salvaged there
          --retain <SPAN>               Nobody may delete it for so long from now (7y, 90d)
          --retain-until <DATE>         The same until a date (2033-11-20, or with a time)
          --lock <MODE>                 Who may shorten that: whoever may bypass governance (governance,
                                        the default), or nobody (compliance)
          --legal-hold                  Nobody may delete it until somebody takes this off
          --event-hold <SPAN>           Held until the hold is released, and then so long (7y, 90d)
          --sse-kms-key <KEY>           Encrypt with this KMS key instead of the bucket's default
          --expected-bucket-owner <ID>  Stop unless the bucket belongs to this account
          --bucket-region <REGION>      Region of the bucket, when it is not the function's
          --accept <WORD>               Archive all the same (may be repeated): unlocked-bucket,
                                        public-bucket, unfinished-bundle

    Seal:
          --sign-key <FILE>    Sign with this P-256 key (PKCS#8 in PEM); otherwise with the one that
                               `freezeframe key new` made, if there is one [env: FREEZEFRAME_SIGN_KEY=]
          --kms-key <ARN>      Sign with this key of AWS KMS (ECC_NIST_P256), alone or beside a local
                               one [env: FREEZEFRAME_KMS_KEY=]
          --secrets-key <ARN>  Whoever may decrypt with this (symmetric) key of AWS KMS may open the
                               secrets in the evidence; CloudTrail then tells of each opening [env:
                               FREEZEFRAME_SECRETS_KEY=]
          --tsa <URL>          Have the signature stamped by this timestamp authority (RFC 3161) [env:
                               FREEZEFRAME_TSA=]

    Secrets:
          --recipient <AGE1…>       Who may open the secrets in the evidence: a recipient of age (may be
                                    repeated; `age-keygen` makes one) [env: FREEZEFRAME_RECIPIENTS=]
          --seal-whole <COLLECTOR>  Seal all that this collector reads, not only the secrets in it (may
                                    be repeated) [env: FREEZEFRAME_SEAL_WHOLE=]

    Connection:
          --profile <NAME>      AWS profile to use
          --region <REGION>     AWS Region of the function
          --endpoint-url <URL>  Talk to this endpoint instead of AWS (an emulator, a proxy)

    Output:
          --json     One JSON document on stdout, everything else on stderr
      -q, --quiet    No progress
      -v, --verbose  More of what happens on stderr (RUST_LOG is respected)

    Examples:
      freezeframe snapshot payments-export --case IR-2026-0042 --region eu-west-1
      freezeframe snapshot payments-export --case IR-2026-0042 --depth triage
      freezeframe snapshot payments-export --case IR-2026-0042 --since 7d --skip control-plane-history
      freezeframe snapshot payments-export --case IR-2026-0042 --since 14d --trail s3://org-trail
      --regions all
      freezeframe snapshot payments-export --case IR-2026-0042 --gone
    --- exit 0
    ");
    insta::assert_snapshot!(Terminal::new().transcript(&["contain", "--help"]), @r#"
    $ freezeframe contain --help
    --- stdout
    Contain a function of which the case already holds verified evidence

    Usage: freezeframe contain [OPTIONS] --case <ID> <FUNCTION>

    Arguments:
      <FUNCTION>  The function: a name, `name:qualifier` or an ARN

    Options:
          --case <ID>               The case: a directory of this name is made or joined
          --cases <DIR>             Where cases lie [env: FREEZEFRAME_CASES=] [default: .]
          --playbook <NAME|FILE>    Take the actions from this playbook's contain phase [default:
                                    snapshot-and-contain]
          --without-evidence <WHY>  Contain although the case holds no verified bundle of this function;
                                    the reason goes into the journal
          --accept-shared-role      Contain on the role although others use it too: they are stopped
                                    with it
          --yes                     Do not ask
      -h, --help                    Print help

    Guardrails:
          --guard <FILE>             The guard policy; otherwise `guard.yaml` beside the cases, if there
                                     is one [env: FREEZEFRAME_GUARD=]
          --in-earnest               Contain although the guard policy says `dry-run: true`
          --control <STORE>          Where halt, breaker and rate lie: s3://bucket/prefix or a
                                     directory; otherwise beside the cases [env: FREEZEFRAME_CONTROL=]
          --control-region <REGION>  Region of that bucket, when it is not the function's [env:
                                     FREEZEFRAME_CONTROL_REGION=]

    Seal:
          --sign-key <FILE>    Sign with this P-256 key (PKCS#8 in PEM); otherwise with the one that
                               `freezeframe key new` made, if there is one [env: FREEZEFRAME_SIGN_KEY=]
          --kms-key <ARN>      Sign with this key of AWS KMS (ECC_NIST_P256), alone or beside a local
                               one [env: FREEZEFRAME_KMS_KEY=]
          --secrets-key <ARN>  Whoever may decrypt with this (symmetric) key of AWS KMS may open the
                               secrets in the evidence; CloudTrail then tells of each opening [env:
                               FREEZEFRAME_SECRETS_KEY=]
          --tsa <URL>          Have the signature stamped by this timestamp authority (RFC 3161) [env:
                               FREEZEFRAME_TSA=]

    Secrets:
          --recipient <AGE1…>       Who may open the secrets in the evidence: a recipient of age (may be
                                    repeated; `age-keygen` makes one) [env: FREEZEFRAME_RECIPIENTS=]
          --seal-whole <COLLECTOR>  Seal all that this collector reads, not only the secrets in it (may
                                    be repeated) [env: FREEZEFRAME_SEAL_WHOLE=]

    Connection:
          --profile <NAME>      AWS profile to use
          --region <REGION>     AWS Region of the function
          --endpoint-url <URL>  Talk to this endpoint instead of AWS (an emulator, a proxy)

    Output:
          --json     One JSON document on stdout, everything else on stderr
      -q, --quiet    No progress
      -v, --verbose  More of what happens on stderr (RUST_LOG is respected)

    Examples:
      freezeframe contain payments-export --case IR-2026-0042
      freezeframe contain payments-export --case IR-2026-0042 --without-evidence "exfiltration is
      running"
    --- exit 0
    "#);
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
