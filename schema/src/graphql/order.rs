//! Answers in the order of the query.
//!
//! The executor puts fields down as they are resolved, which differs from time to time. The
//! GraphQL specification asks for the order of the query, and an answer as of a position is the
//! same to the byte (QU-2).

use std::collections::{HashMap, HashSet};

use async_graphql::indexmap::IndexMap;
use async_graphql::parser::types::{
    ExecutableDocument, FragmentDefinition, Selection, SelectionSet,
};
use async_graphql::{Name, Positioned, Value};

type Fragments = HashMap<Name, Positioned<FragmentDefinition>>;
/// By response key, in the order of the query, what is selected below it.
type Fields<'a> = IndexMap<&'a Name, Vec<&'a SelectionSet>>;

/// `data` with the fields of every object in the order in which `document` asks for them.
pub fn arranged(data: Value, document: &ExecutableDocument, operation: Option<&str>) -> Value {
    let chosen = document.operations.iter().find(|(name, _)| {
        operation.is_none_or(|operation| name.is_some_and(|name| name.as_str() == operation))
    });
    match chosen {
        Some((_, chosen)) => arrange(data, &[&chosen.node.selection_set.node], &document.fragments),
        None => data,
    }
}

fn arrange(value: Value, sets: &[&SelectionSet], fragments: &Fragments) -> Value {
    // A scalar, which may be an object, has nothing selected below it.
    if sets.iter().all(|set| set.items.is_empty()) {
        return value;
    }
    let mut fields = Fields::new();
    let mut spread = HashSet::new();
    for set in sets {
        collect(set, fragments, &mut spread, &mut fields);
    }
    with_fields(value, &fields, fragments)
}

/// Of a list every object has the same fields.
fn with_fields(value: Value, fields: &Fields<'_>, fragments: &Fragments) -> Value {
    match value {
        Value::List(items) => {
            let items = items.into_iter().map(|item| with_fields(item, fields, fragments));
            Value::List(items.collect())
        }
        Value::Object(mut object) => {
            let mut arranged = IndexMap::with_capacity(object.len());
            for (key, below) in fields {
                if let Some((key, value)) = object.swap_remove_entry(*key) {
                    arranged.insert(key, arrange(value, below, fragments));
                }
            }
            arranged.extend(object);
            Value::Object(arranged)
        }
        scalar => scalar,
    }
}

/// Fragments for other types than the object's are collected as well: it has none of the fields
/// that only they select.
fn collect<'a>(
    set: &'a SelectionSet,
    fragments: &'a Fragments,
    spread: &mut HashSet<&'a Name>,
    fields: &mut Fields<'a>,
) {
    for selection in &set.items {
        match &selection.node {
            Selection::Field(field) => {
                let key = &field.node.response_key().node;
                fields.entry(key).or_default().push(&field.node.selection_set.node);
            }
            Selection::InlineFragment(inline) => {
                collect(&inline.node.selection_set.node, fragments, spread, fields);
            }
            Selection::FragmentSpread(name) => {
                let name = &name.node.fragment_name.node;
                if let Some(fragment) = fragments.get(name)
                    && spread.insert(name)
                {
                    collect(&fragment.node.selection_set.node, fragments, spread, fields);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;
    use serde_json::json;

    use super::*;

    fn order(query: &str, operation: Option<&str>, answer: serde_json::Value) -> String {
        let data = Value::from_json(answer).unwrap();
        serde_json::to_string(&arranged(data, &parse_query(query).unwrap(), operation)).unwrap()
    }

    #[test]
    fn fields_come_as_they_were_asked_for_at_every_level() {
        let query = "{ z b: a { y x ...F } l { n m } ... on Query { c } }
                     fragment F on T { w x { q p } }";
        let answer = json!({
            "b": {"w": 1, "x": {"p": 1, "q": 2}, "y": 3}, "c": 1,
            "l": [{"m": 1, "n": 2}, null], "z": 0,
        });
        assert_eq!(
            order(query, None, answer),
            r#"{"z":0,"b":{"y":3,"x":{"q":2,"p":1},"w":1},"l":[{"n":2,"m":1},null],"c":1}"#
        );
    }

    #[test]
    fn the_operation_that_was_named_decides() {
        let query = "query A { a b } query B { b a }";
        let answer = json!({"a": 1, "b": 2});
        assert_eq!(order(query, Some("B"), answer.clone()), r#"{"b":2,"a":1}"#);
        assert_eq!(order(query, Some("A"), answer), r#"{"a":1,"b":2}"#);
    }

    #[test]
    fn what_a_scalar_holds_is_left_as_it_is() {
        let answer = json!({"event": {"specversion": 1, "data": {"b": 1, "a": 2}}});
        let kept = serde_json::to_string(&Value::from_json(answer.clone()).unwrap()).unwrap();
        assert_eq!(order("{ event }", None, answer), kept);
    }
}
