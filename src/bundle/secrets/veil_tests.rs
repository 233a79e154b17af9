//! What is found in a document, and what of it lies in clear.

use super::twin::missing;
use super::veil::shown;
use super::{CommitKey, Veiled, veil};
use crate::model::redaction::{Field, Rule};
use proptest::prelude::*;
use serde_json::json;

fn key() -> CommitKey {
    CommitKey::parse(format!("{}\n", "07".repeat(32)).as_bytes()).unwrap()
}
fn twin(text: &str) -> (String, Vec<(String, Rule)>) {
    match veil(text.as_bytes(), false, &key()) {
        Veiled::Twin { bytes, fields } => {
            assert_eq!(missing(&bytes, &fields), None, "{}", String::from_utf8_lossy(&bytes));
            (String::from_utf8(bytes).unwrap(), fields.into_iter().map(|f| (f.at, f.rule)).collect())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn environment_values_go_and_everything_else_stays_to_the_byte() {
    let text = "{ \"FunctionName\" :\"f\",\n \"Environment\":{\"Variables\":{\"A\":\"s\\u0065cret\" , \"B\":\"\"}}}\n";
    let (said, fields) = twin(text);
    let at = |name: &str| (format!("/Environment/Variables/{name}"), Rule::Environment);
    assert_eq!(fields, [at("A"), at("B")]);
    let a = shown(Rule::Environment, 6, &key().of(b"secret"));
    let b = shown(Rule::Environment, 0, &key().of(b""));
    assert_eq!(said, format!("{{ \"FunctionName\" :\"f\",\n \"Environment\":{{\"Variables\":{{\"A\":{a} , \"B\":{b}}}}}}}\n"));
}

#[test]
fn tokens_in_an_event_in_a_string_go_and_the_access_key_stays() {
    let inner =
        json!({"eventName": "AssumeRole", "responseElements": {"credentials": {"accessKeyId": "ASIA1", "sessionToken": "FwoG \"x\""}}});
    let text = json!({"Events": [{"EventId": "1"}, {"CloudTrailEvent": inner.to_string()}]}).to_string();
    let (said, fields) = twin(&text);
    assert_eq!(fields, [("/Events/1/CloudTrailEvent#/responseElements/credentials/sessionToken".to_string(), Rule::SessionToken)]);
    assert!(!said.contains("FwoG"), "{said}");
    assert!(said.contains("ASIA1"), "{said}");
}

#[test]
fn a_json_text_in_any_string_is_looked_into_and_one_that_is_torn_is_redacted_if_in_doubt() {
    let state = json!({"environment": {"variables": {"DB": "hunter2"}}}).to_string();
    let torn = &state[..state.len() - 4];
    let policy = json!({"Version": "2012-10-17"}).to_string();
    let (said, fields) =
        twin(&json!({"configurationItems": [{"configuration": state}, {"configuration": torn}, {"policy": policy}]}).to_string());
    let at = |n: usize, rest: &str| format!("/configurationItems/{n}/configuration{rest}");
    assert_eq!(fields, [(at(0, "#/environment/variables/DB"), Rule::Environment), (at(1, ""), Rule::Unreadable)]);
    assert!(!said.contains("hunter2") && said.contains("2012-10-17"), "{said}");
}

#[test]
fn presigned_addresses_go_wherever_they_stand() {
    let (said, fields) = twin(
        r#"{"Code":{"Location":"https://b.s3.amazonaws.com/k?versionId=1&x-amz-SIGNATURE=abc"},"L":["no","https://x/?X-Amz-Security-Token=t"]}"#,
    );
    assert_eq!(fields, [("/Code/Location".to_string(), Rule::Presigned), ("/L/1".to_string(), Rule::Presigned)]);
    assert!(!said.contains("abc") && !said.contains("Token=t"), "{said}");
}

#[test]
fn what_holds_none_is_clear_and_what_cannot_be_read_is_said() {
    for clear in ["", " \n", "{}", "[1,2]", r#"{"Environment":{"Error":{"Message":"denied"}},"environment":{"variables":"HIDDEN"}}"#] {
        assert_eq!(veil(clear.as_bytes(), false, &key()), Veiled::Clear, "{clear}");
    }
    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
    for torn in [
        r#"{"Environment":{"Variables":{"A":"se"#,
        "{} {}",
        "\u{0}",
        r#"{"a":1,"\u0061":2}"#,
        &deep,
        r#"{"CloudTrailEvent":"{torn"}"#,
        "[1e999]",
    ] {
        assert_eq!(veil(torn.as_bytes(), false, &key()), Veiled::Unreadable, "{torn}");
    }
    assert_eq!(veil(b"\"\xff\"", false, &key()), Veiled::Unreadable);
}

/// serde_json walks over the raw text of these, and does not give the value that stands there.
#[test]
fn a_text_that_another_reader_does_not_read_alike_is_redacted_as_one() {
    let digits = "9".repeat(400);
    for inner in [
        r#"{"sessionToken":"hunter2","n":1e999}"#,
        r#"{"n":-1e999,"sessionToken":"hunter2"}"#,
        &format!(r#"[{digits},{{"sessionToken":"hunter2"}}]"#),
        r#"{"$serde_json::private::RawValue":1,"sessionToken":"hunter2"}"#,
        r#"{"$serde_json::private::RawValue":"{\"sessionToken\":\"hunter2\"}"}"#,
    ] {
        let outer = json!({ "Description": inner }).to_string();
        let (said, fields) = twin(&outer);
        assert_eq!(fields, [("/Description".to_string(), Rule::Unreadable)], "{inner}");
        assert!(!said.contains("hunter2"), "{said}");
        assert_eq!(veil(inner.as_bytes(), false, &key()), Veiled::Unreadable, "{inner}");
        assert_eq!(veil(format!("{{}}\n{inner}\n").as_bytes(), true, &key()), Veiled::Unreadable, "{inner}");
        let event = json!({ "CloudTrailEvent": inner }).to_string();
        assert_eq!(veil(event.as_bytes(), false, &key()), Veiled::Unreadable, "{inner}");
    }
    let harmless = json!({"Description": r#"{"n":1e999}"#, "n": 1e308}).to_string();
    assert_eq!(veil(harmless.as_bytes(), false, &key()), Veiled::Clear);
}

#[test]
fn a_list_of_places_that_no_line_could_hold_is_not_made() {
    let long = |name: &str, places: usize| {
        let all = vec![r#"{"sessionToken":"hunter2"}"#; places].join(",");
        json!({ "Input": format!("{{{}:[{all}]}}", json!(name)) }).to_string()
    };
    assert_eq!(twin(&long(&"n".repeat(20), 900)).1.len(), 900);
    // As long as they are written: a control character is one byte in a name and six in a list.
    for (name, places) in [("n".repeat(4_000), 900), ("\u{1}".repeat(1_000), 500), ("n".repeat(20), 5_001)] {
        let (said, fields) = twin(&long(&name, places));
        assert_eq!(fields, [("/Input".to_string(), Rule::Unreadable)], "{places}");
        assert!(!said.contains("hunter2"));
    }
    let nine = json!((0..9).map(|_| long(&"n".repeat(1_000), 300)).collect::<Vec<_>>()).to_string();
    assert_eq!(veil(nine.as_bytes(), false, &key()), Veiled::Unreadable, "each would fit, all do not");
}

#[test]
fn lines_are_numbered() {
    let text = "{\"a\":1}\n\n{\"sessionToken\":\"t\"}\n";
    let Veiled::Twin { bytes, fields } = veil(text.as_bytes(), true, &key()) else { panic!() };
    assert_eq!(fields, [Field { at: "3:/sessionToken".into(), rule: Rule::SessionToken }]);
    assert!(bytes.starts_with(b"{\"a\":1}\n\n{\"sessionToken\":{\"redacted\":true,"));
}

proptest! {
    /// However a document is built around it, a variable's value is not in the twin, and the twin is JSON of the same shape.
    #[test]
    fn no_value_survives(names in proptest::collection::vec("[A-Za-z_~/#]{0,6}", 0..5), secret in "[a-z]{12}", pad in "[ \n\t]{0,3}") {
        let mut value = json!({"Environment": {"Variables": {"X": secret}}});
        for name in names {
            value = json!({ name: [value], "!": 1 });
        }
        let text = format!("{pad}{value}{pad}");
        let (said, fields) = twin(&text);
        prop_assert_eq!(fields.len(), 1);
        prop_assert!(!said.contains(&secret));
    }

    /// Whatever number stands beside it, and however deep in texts: a secret is not in the twin, and what is listed stands there.
    #[test]
    fn no_number_lets_a_secret_through(number in "-?(0|[1-9][0-9]{0,400})([.][0-9]{1,3})?(e-?[0-9]{1,4})?", secret in "[a-z]{12}", within in 0..3) {
        let mut text = format!(r#"{{"n":{number},"sessionToken":"{secret}"}}"#);
        for _ in 0..within {
            text = json!([{ "Description": text }]).to_string();
        }
        match veil(text.as_bytes(), false, &key()) {
            Veiled::Twin { bytes, fields } => {
                prop_assert_eq!(missing(&bytes, &fields), None);
                prop_assert_eq!(fields.len(), 1);
                prop_assert!(!String::from_utf8(bytes).unwrap().contains(&secret));
            }
            said => prop_assert_eq!((said, within), (Veiled::Unreadable, 0)),
        }
    }

    #[test]
    fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "[\\[\\]{}\",:a-zA-Z\\\\ ]{0,80}") {
        let _ = veil(&bytes, false, &key());
        let _ = veil(text.as_bytes(), true, &key());
    }
}
