//! What the JSON reader found wrong, in the words of JSON: a client need not know which types
//! of which language its document is read into.

/// Longest value that a message repeats, in characters.
const MAX_SHOWN: usize = 120;

/// Rewrites a message of the reader. What it does not know it leaves, but for the quotes.
pub fn in_json_words(message: &str) -> String {
    if let Some(name) = quoted_after(message, "missing field ") {
        return format!("missing field {name:?}");
    }
    if let Some(name) = quoted_after(message, "unknown field ") {
        return match alternatives(message) {
            Some(known) => format!("unknown field {name:?}; known here: {known}"),
            None => format!("unknown field {name:?}; no fields are known here"),
        };
    }
    if let Some(name) = quoted_after(message, "unknown variant ") {
        let known = alternatives(message).unwrap_or_else(|| "another value".to_owned());
        return format!("expected one of {known}, got {:?}", clipped(name));
    }
    if let Some(name) = quoted_after(message, "duplicate field ") {
        return format!("field {name:?} stands here twice");
    }
    for prefix in ["invalid type: ", "invalid value: ", "invalid length "] {
        if let Some(rest) = message.strip_prefix(prefix)
            && let Some((got, expected)) = rest.rsplit_once(", expected ")
        {
            let got = if prefix == "invalid length " { format!("{got} items") } else { found(got) };
            return format!("expected {}, got {got}", wanted(expected));
        }
    }
    if message.starts_with("data did not match any variant of untagged enum") {
        return "expected one of the forms that the schema lists".to_owned();
    }
    message.replace('`', "\"")
}

/// The name in backquotes right behind `prefix`, with which the message begins.
fn quoted_after<'a>(message: &'a str, prefix: &str) -> Option<&'a str> {
    message.strip_prefix(prefix)?.strip_prefix('`')?.split('`').next()
}

/// The names in backquotes behind "expected", as a list.
fn alternatives(message: &str) -> Option<String> {
    let (_, list) = message.rsplit_once(", expected ")?;
    let names: Vec<String> =
        list.split('`').skip(1).step_by(2).map(|name| format!("{name:?}")).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// What the reader expected.
fn wanted(expected: &str) -> String {
    let first = expected.split(' ').next().unwrap_or_default();
    match (first, expected) {
        ("struct" | "map" | "internally" | "adjacently", _) | (_, "a map") => "an object",
        ("enum" | "variant" | "identifier" | "field", _) => "a string",
        (_, "a string" | "a borrowed string" | "string" | "a character") => "a string",
        ("u8" | "u16" | "u32" | "u64" | "u128" | "usize", _) => "an integer that is 0 or more",
        ("i8" | "i16" | "i32" | "i64" | "i128" | "isize", _) => "an integer",
        ("f32" | "f64", _) => "a number",
        ("sequence" | "tuple", _) | (_, "a sequence") => "a list",
        ("unit", _) => "null",
        (_, other) => return other.replace('`', "\""),
    }
    .to_owned()
}

/// What the reader found.
fn found(got: &str) -> String {
    let plain = match got {
        "map" => "an object",
        "sequence" => "a list",
        "unit value" | "null" | "Option value" => "null",
        "unit variant" | "newtype variant" | "tuple variant" | "struct variant" => "another form",
        _ => "",
    };
    if !plain.is_empty() {
        return plain.to_owned();
    }
    for prefix in ["boolean ", "integer ", "floating point ", "character "] {
        if let Some(value) = got.strip_prefix(prefix) {
            return clipped(value.trim_matches('`'));
        }
    }
    clipped(got.strip_prefix("string ").unwrap_or(got)).replace('`', "\"")
}

fn clipped(text: &str) -> String {
    if text.chars().count() <= MAX_SHOWN {
        return text.to_owned();
    }
    text.chars().take(MAX_SHOWN).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only read into")]
    struct Sample {
        count: u64,
        #[serde(default)]
        share: f64,
        #[serde(default)]
        names: Vec<String>,
        #[serde(default)]
        colour: Colour,
        #[serde(default)]
        inner: Option<Inner>,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Colour {
        #[default]
        Red,
        Green,
    }

    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only read into")]
    struct Inner {
        a: bool,
    }

    fn refusal(document: Value) -> String {
        in_json_words(&serde_json::from_value::<Sample>(document).expect_err("refused").to_string())
    }

    #[test]
    fn refusals_speak_of_json() {
        let cases = [
            (json!({}), "missing field \"count\""),
            (json!({ "count": "ten" }), "expected an integer that is 0 or more, got \"ten\""),
            (json!({ "count": -1 }), "expected an integer that is 0 or more, got -1"),
            (json!({ "count": 1.5 }), "expected an integer that is 0 or more, got 1.5"),
            (json!({ "count": null }), "expected an integer that is 0 or more, got null"),
            (json!({ "count": 1, "share": [] }), "expected a number, got a list"),
            (json!({ "count": 1, "names": {} }), "expected a list, got an object"),
            (json!({ "count": 1, "names": [true] }), "expected a string, got true"),
            (
                json!({ "count": 1, "colour": "blue" }),
                "expected one of \"red\", \"green\", got \"blue\"",
            ),
            (json!({ "count": 1, "inner": 3 }), "expected an object, got 3"),
            (
                json!({ "count": 1, "sum": 3 }),
                "unknown field \"sum\"; known here: \"count\", \"share\", \"names\", \"colour\", \
                 \"inner\"",
            ),
            (json!("text"), "expected an object, got \"text\""),
        ];
        for (document, expected) in cases {
            assert_eq!(refusal(document.clone()), expected, "{document}");
        }
    }

    #[test]
    fn a_long_value_is_not_repeated_whole() {
        assert!(refusal(json!({ "count": "x".repeat(10_000) })).len() < 300);
    }

    #[test]
    fn our_own_words_are_left() {
        assert_eq!(in_json_words("expected 0 to 1, got 2"), "expected 0 to 1, got 2");
    }
}
