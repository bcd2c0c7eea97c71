//! Who may do what: tokens, their scopes, and the one table of what each route and each GraphQL
//! field asks for.

mod caller;
mod operation;
mod scope;
mod store;
mod table;
mod token;

pub(crate) use caller::Caller;
pub(crate) use operation::needed;
pub use scope::{Scope, Scopes};
pub(crate) use store::{Denied, Tokens};
pub use store::{TokenFile, TokenRecord};
pub(crate) use table::{Access, access, scope_of_event};
#[cfg(test)]
pub(crate) use table::{MUTATIONS, ROUTES};
pub use token::NewToken;
