//! JSON as it was sent: UTF-8, no NaN, no field twice.

use std::borrow::Cow;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::error::ApiError;

/// Reads a document, or says where it stops being one.
pub(super) fn parse(bytes: &[u8]) -> Result<Value, ApiError> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let (line, column) = place(&bytes[..error.valid_up_to()]);
        malformed(&format!("the body is not UTF-8 at line {line} column {column}"), line, column)
    })?;
    check(text)
        .and_then(|()| serde_json::from_str(text))
        .map_err(|error| malformed(&error.to_string(), error.line(), error.column()))
}

/// The text of a document that [`parse`] reads, for those who read it their own way; `None` where
/// `parse` says what is wrong.
pub(super) fn right_text(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    check(text).is_ok().then_some(text)
}

fn check(text: &str) -> Result<(), serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_str(text);
    Checked.deserialize(&mut reader).and_then(|()| reader.end())
}

fn malformed(message: &str, line: usize, column: usize) -> ApiError {
    ApiError::bad_request("malformed_json", message).with("line", line).with("column", column)
}

fn place(read: &[u8]) -> (usize, usize) {
    let line = read.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = read.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
    (line, column)
}

/// Passes over any value and refuses an object that names a field twice: which of the two was meant
/// would be a guess.
struct Checked;

impl<'de> DeserializeSeed<'de> for Checked {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Checked {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Checked)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let mut names = Vec::new();
        while let Some(Name(name)) = fields.next_key()? {
            fields.next_value_seed(Checked)?;
            names.push(name);
        }
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(twice) => Err(A::Error::custom(format!("field {:?} stands here twice", twice[0]))),
            None => Ok(()),
        }
    }
}

/// Borrowed from the text unless something in it is escaped.
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(bytes: &[u8]) -> (String, usize, usize) {
        let error = parse(bytes).expect_err("refused");
        let number = |name: &str| error.details()[name].as_u64().expect("a number") as usize;
        (error.message().to_owned(), number("line"), number("column"))
    }

    #[test]
    fn documents_come_back_as_they_were_written() {
        let text = r#"{"a":[1,-2,1.5,true,null,"ü\n"],"b":{"a":18446744073709551615}}"#;
        assert_eq!(parse(text.as_bytes()).expect("valid").to_string(), text);
    }

    #[test]
    fn malformed_documents_are_located() {
        let (message, line, column) = refusal(b"{\n  \"a\": NaN}");
        assert!(message.contains("expected value"), "{message}");
        assert_eq!((line, column), (2, 8));
        let (message, ..) = refusal(br#"{"a":1,"a":2}"#);
        assert!(message.contains("\"a\" stands here twice"), "{message}");
        assert_eq!(refusal(b"[\n\"\xff\"]").1, 2);
        assert!(refusal(b"{} {}").0.contains("trailing characters"));
        assert!(refusal(b"1e999").0.contains("number out of range"));
        assert!(refusal("[".repeat(10_000).as_bytes()).0.contains("recursion limit"));
    }

    #[test]
    fn what_is_read_otherwise_is_as_strict() {
        let deep = "[".repeat(10_000);
        let texts: [&[u8]; 12] = [
            br#"{"a":[1,-2,1.5,true,null,"\u00fc\n"],"b":{"a":18446744073709551615}}"#,
            b"[]",
            b" 7 ",
            br#"{"a":1,"b":2,"a":3}"#,
            br#"{"a":1,"\u0061":3}"#,
            br#"{"b":[{"a":1,"a":3}]}"#,
            b"{\"a\": NaN}",
            b"[\"\xff\"]",
            b"{} {}",
            b"1e999",
            b"",
            deep.as_bytes(),
        ];
        for text in texts {
            assert_eq!(right_text(text).is_some(), parse(text).is_ok(), "{text:?}");
        }
    }
}
