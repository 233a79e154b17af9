//! Connecting: a server that is not there, keys that are missing or refused, and which keys are used at all.

use super::Terminal;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::{self, Receiver};

/// A server on loopback that answers every request with this, and says which access key each was signed with.
fn server(status: &'static str, body: &'static str) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (seen, keys) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok).take_while(|l| !l.is_empty());
            let signed = lines.filter_map(|l| Some(l.split_once("Credential=")?.1.split('/').next()?.to_string())).last();
            let _ = seen.send(signed.unwrap_or_default());
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\ncontent-type: text/xml\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    (url, keys)
}

const REFUSED: &str = "<ErrorResponse><Error><Type>Sender</Type><Code>ExpiredToken</Code><Message>The security token included in the request is expired</Message></Error><RequestId>r</RequestId></ErrorResponse>";

#[test]
fn nobody_listens() {
    // A port that was free a moment ago.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let terminal = Terminal::new().with_keys();
    insta::assert_snapshot!(terminal.transcript(&["snapshot", "payments-export", "--case", "IR-1", "--endpoint-url", &format!("http://{free}")]), @r"
    $ freezeframe snapshot payments-export --case IR-1 --endpoint-url http://127.0.0.1:[PORT]
    --- stderr
    error: could not begin
      caused by: could not connect to AWS
      caused by: could not ask AWS STS who we are
      caused by: no answer: dispatch failure: io error: client error (Connect): tcp connect error: Connection refused (os error [N])
      hint: check the network, the proxy and --endpoint-url
    --- exit 1
    ");
    assert_eq!(std::fs::read_dir(terminal.path()).unwrap().count(), 0, "a run that did not begin leaves no case");
}

#[test]
fn no_keys_at_all() {
    let told = Terminal::new().env("AWS_REGION", "eu-west-1").transcript(&["snapshot", "payments-export", "--case", "IR-1"]);
    // What the SDK tried is its own words; ours are around it.
    let ours: Vec<&str> = told.lines().filter(|l| !l.contains("dispatch failure")).collect();
    insta::assert_snapshot!(ours.join("\n"), @r"
    $ freezeframe snapshot payments-export --case IR-1
    --- stderr
    error: could not begin
      caused by: could not connect to AWS
      caused by: there are no credentials to work with
      hint: sign in again (`aws sso login --profile …`), choose another --profile, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY
    --- exit 1
    ");
}

#[test]
fn keys_that_have_expired() {
    let (url, _) = server("403 Forbidden", REFUSED);
    let terminal = Terminal::new().with_keys();
    insta::assert_snapshot!(terminal.transcript(&["snapshot", "payments-export", "--case", "IR-1", "--endpoint-url", &url]), @r"
    $ freezeframe snapshot payments-export --case IR-1 --endpoint-url http://127.0.0.1:[PORT]
    --- stderr
    error: could not begin
      caused by: could not connect to AWS
      caused by: the credentials were not accepted by AWS STS
      caused by: ExpiredToken: The security token included in the request is expired
      hint: sign in again (`aws sso login --profile …`), choose another --profile, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY
    --- exit 1
    ");
}

#[test]
fn a_profile_that_is_named_beats_keys_in_the_environment() {
    let (url, keys) = server("403 Forbidden", REFUSED);
    let terminal = Terminal::new().with_keys();
    let config = terminal.path().join("config");
    std::fs::write(&config, "[profile victim]\naws_access_key_id = AKIAVICTIM\naws_secret_access_key = x\nregion = eu-north-1\n").unwrap();
    let terminal = terminal.env("AWS_CONFIG_FILE", config.to_str().unwrap());
    let snapshot =
        |more: &[&str]| terminal.transcript(&[&["snapshot", "payments-export", "--case", "IR-1", "--endpoint-url", &url], more].concat());
    snapshot(&[]);
    assert_eq!(keys.try_iter().last().as_deref(), Some("AKIAIOSFODNN7EXAMPLE"));
    snapshot(&["--profile", "victim"]);
    assert_eq!(
        keys.try_iter().last().as_deref(),
        Some("AKIAVICTIM"),
        "another account's keys in the environment must not be used for the account that was named"
    );
    let told = snapshot(&["--profile", "victm"]);
    assert_eq!(keys.try_iter().last(), None, "nothing is sent under a profile that does not exist: {told}");
    assert!(told.contains("victm") && told.contains("there are no credentials to work with") && told.ends_with("exit 1"), "{told}");
}
