//! Global ids: `incident:inc-42`. They name one node among all kinds, as Relay asks, and stay
//! readable. Arguments take them, and the bare key as well, because the key is what events,
//! the REST API and people use.

use async_graphql::ID;
use events::id::InvalidId;

use super::error::{ApiError, ApiResult};

/// The global id of the node of `kind` with `key`.
pub fn global(kind: &str, key: impl std::fmt::Display) -> ID {
    ID(format!("{kind}:{key}"))
}

/// The key that `id` names for an argument `field` that wants a `kind`. An id that begins with
/// the kind and a colon is a global one, so a key that looks like that itself is only reached
/// by its global id.
pub fn key<T>(kind: &'static str, field: &str, id: &ID) -> ApiResult<T>
where
    T: TryFrom<String, Error = InvalidId>,
{
    let text = id.as_str();
    let key = text.strip_prefix(kind).and_then(|rest| rest.strip_prefix(':')).unwrap_or(text);
    T::try_from(key.to_owned()).map_err(|error| ApiError::invalid(field, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use events::IncidentId;

    #[test]
    fn both_forms_name_the_same_node() {
        let bare: IncidentId = key("incident", "id", &ID("inc:7".into())).unwrap();
        let round: IncidentId = key("incident", "id", &global("incident", &bare)).unwrap();
        assert_eq!(bare, round);
    }

    #[test]
    fn an_impossible_key_names_the_argument() {
        let error = key::<IncidentId>("incident", "incident", &ID(String::new())).unwrap_err();
        assert_eq!((error.code(), error.field()), ("invalid_input", Some("incident")));
    }
}
