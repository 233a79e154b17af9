//! RFC 8785 canonical JSON: the one form in which our own records are hashed. Evidence is never re-canonicalised.

use serde::Serialize;

/// The value could not be expressed as canonical JSON (a map with keys that are no strings, or a number that is no I-JSON number).
#[derive(Debug, thiserror::Error)]
#[error("cannot write {what} as canonical JSON")]
pub struct CanonError {
    what: &'static str,
    #[source]
    source: serde_json::Error,
}

/// Canonical bytes of `value`, without a newline. `what` names the value in the error.
pub fn to_vec<T: Serialize + ?Sized>(what: &'static str, value: &T) -> Result<Vec<u8>, CanonError> {
    serde_jcs::to_vec(value).map_err(|source| CanonError { what, source })
}

#[cfg(test)]
mod tests {
    use super::to_vec;
    use serde_json::json;

    /// The example of RFC 8785 section 3.2.2 and 3.2.3 (expected octets as printed there).
    #[test]
    fn rfc_8785_section_3_2() {
        let input: serde_json::Value = serde_json::from_str(
            r#"{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],"string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}"#,
        )
        .unwrap();
        let got = String::from_utf8(to_vec("test", &input).unwrap()).unwrap();
        assert_eq!(
            got,
            r#"{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}"#
        );
    }

    /// RFC 8785 section 3.2.3: keys sort by UTF-16 code units, not by code points.
    #[test]
    fn keys_sort_by_utf16() {
        let v = json!({"\u{fb33}": 1, "\u{1f600}": 2, "\u{20ac}": 3, "\r": 4, "1": 5, "\u{80}": 6, "\u{f6}": 7});
        let got = String::from_utf8(to_vec("test", &v).unwrap()).unwrap();
        let order: Vec<char> = got.chars().filter(char::is_ascii_digit).filter(|c| *c != '1' || got.contains('1')).collect();
        assert_eq!(got, "{\"\\r\":4,\"1\":5,\"\u{80}\":6,\"\u{f6}\":7,\"\u{20ac}\":3,\"\u{1f600}\":2,\"\u{fb33}\":1}", "{order:?}");
    }
}
