//! Which scopes a GraphQL operation asks for, found before it is carried out.

use std::collections::{BTreeSet, HashSet};

use async_graphql::Positioned;
use async_graphql::parser::types::{
    ExecutableDocument, OperationDefinition, OperationType, Selection, SelectionSet,
};

use super::scope::Scope;
use super::table::{MUTATIONS, QUERIES, SUBSCRIPTIONS};

/// The scopes that the operation of this name asks for, with the field that asks. Where the name
/// does not decide, all operations of the document count.
pub(crate) fn needed(
    document: &ExecutableDocument,
    operation_name: Option<&str>,
) -> BTreeSet<(Scope, String)> {
    let operations = document.operations.iter();
    let named: Vec<&Positioned<OperationDefinition>> = operations
        .clone()
        .filter(|(name, _)| name.map(|name| name.as_str()) == operation_name)
        .map(|(_, operation)| operation)
        .collect();
    let chosen =
        if named.len() == 1 { named } else { operations.map(|(_, operation)| operation).collect() };
    let mut scopes = BTreeSet::new();
    for operation in chosen {
        let operation = &operation.node;
        let mut fields = BTreeSet::new();
        roots(document, &operation.selection_set.node, &mut HashSet::new(), &mut fields);
        scopes
            .extend(fields.into_iter().map(|field| (scope(operation.ty, field), field.to_owned())));
    }
    scopes
}

fn scope(operation: OperationType, field: &str) -> Scope {
    let (table, otherwise) = match operation {
        OperationType::Query => (QUERIES, Scope::Read),
        OperationType::Subscription => (SUBSCRIPTIONS, Scope::Read),
        OperationType::Mutation => (MUTATIONS, Scope::Admin),
    };
    // What a mutation type tells of itself is no change.
    let otherwise = if field.starts_with("__") { Scope::Read } else { otherwise };
    table.iter().find(|(name, _)| *name == field).map_or(otherwise, |(_, scope)| *scope)
}

/// The fields of the root, through fragments; each fragment once, so that a circle ends.
fn roots<'a>(
    document: &'a ExecutableDocument,
    selection: &'a SelectionSet,
    seen: &mut HashSet<&'a str>,
    fields: &mut BTreeSet<&'a str>,
) {
    for item in &selection.items {
        match &item.node {
            Selection::Field(field) => {
                fields.insert(field.node.name.node.as_str());
            }
            Selection::InlineFragment(inline) => {
                roots(document, &inline.node.selection_set.node, seen, fields);
            }
            Selection::FragmentSpread(spread) => {
                let name = &spread.node.fragment_name.node;
                if seen.insert(name.as_str())
                    && let Some(fragment) = document.fragments.get(name)
                {
                    roots(document, &fragment.node.selection_set.node, seen, fields);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;

    fn scopes(query: &str, name: Option<&str>) -> Vec<&'static str> {
        let document = parse_query(query).expect("a query");
        let scopes: BTreeSet<Scope> =
            needed(&document, name).into_iter().map(|(scope, _)| scope).collect();
        scopes.into_iter().map(Scope::as_str).collect()
    }

    #[test]
    fn operations_ask_for_the_scopes_of_their_root_fields() {
        assert_eq!(scopes("{ incidents { nodes { key } } }", None), ["read"]);
        assert_eq!(scopes("{ __schema { types { name } } }", None), ["read"]);
        assert_eq!(scopes("mutation { assignLabel { position } }", None), ["label"]);
        assert_eq!(scopes("mutation { __typename }", None), ["read"]);
        assert_eq!(scopes("subscription { events { id } }", None), ["read"]);
        assert_eq!(scopes("{ a: incidents { x } b: auditEvents { x } }", None), ["read", "admin"]);
    }

    #[test]
    fn an_unknown_mutation_asks_for_everything() {
        assert_eq!(scopes("mutation { dropEverything }", None), ["admin"]);
        assert_eq!(scopes("mutation { assignLabel: dropEverything }", None), ["admin"]);
    }

    #[test]
    fn fragments_hide_nothing() {
        let spread = "query { ...a } fragment a on Query { ...b ... on Query { auditEvents } }
                      fragment b on Query { ...a components }";
        assert_eq!(scopes(spread, None), ["read", "admin"]);
    }

    #[test]
    fn only_the_operation_that_is_carried_out_counts() {
        let both = "query Ask { incidents } mutation Say { assignLabel }";
        assert_eq!(scopes(both, Some("Ask")), ["read"]);
        assert_eq!(scopes(both, Some("Say")), ["label"]);
        assert_eq!(scopes(both, None), ["read", "label"]);
        assert_eq!(scopes(both, Some("Neither")), ["read", "label"]);
    }
}
