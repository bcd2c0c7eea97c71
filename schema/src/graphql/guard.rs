//! What stands around every request: its limits (QU-3), what it loads together, and the codes
//! of its errors.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_graphql::async_trait::async_trait;
use async_graphql::extensions::{
    Extension, ExtensionContext, ExtensionFactory, NextExecute, NextParseQuery, NextPrepareRequest,
    NextRequest, NextSubscribe, NextValidation,
};
use async_graphql::parser::{self, types::ExecutableDocument};
use async_graphql::{
    Data, Request, Response, ServerError, ServerResult, ValidationResult, Variables,
};
use futures::stream::{BoxStream, StreamExt};

use super::Base;
use super::error::ApiError;
use super::order;
use super::spread::{self, Oversized};
use super::view::Views;

/// What one request may cost. Past a limit the answer is an error with a code, and nothing of
/// the request was carried out, except for [`Self::timeout`]: a mutation that ran into it may
/// have been recorded, and its `eventId` finds out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Fields below each other; the introspection of explorers needs about 15. Default 20.
    pub depth: usize,
    /// Fields in all, those of a list counted as often as the list may be long. Default 50,000.
    pub complexity: usize,
    /// Length of the query text, variables not counted. Default 64 KiB.
    pub query_bytes: usize,
    /// From receipt to answer. Default 10 s.
    pub timeout: Duration,
    /// How long `waitFor` and a mutation's own read wait for the projection. Default 5 s.
    pub wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth: 20,
            complexity: 50_000,
            query_bytes: 64 * 1024,
            timeout: Duration::from_secs(10),
            wait: Duration::from_secs(5),
        }
    }
}

/// Most directives on one field: the schema knows two, `@skip` and `@include`.
pub const MAX_DIRECTIVES: usize = 4;

/// Puts a [`Guard`] around each request.
pub struct Guarding;

impl ExtensionFactory for Guarding {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Guard::default())
    }
}

/// What stands around one request.
#[derive(Default)]
struct Guard {
    /// What the request asks, once it is read.
    document: OnceLock<ExecutableDocument>,
}

impl Guard {
    /// The answer in the order of the question, its errors in that of their places.
    fn arrange(&self, response: &mut Response, operation_name: Option<&str>) {
        if let Some(document) = self.document.get() {
            let data = std::mem::take(&mut response.data);
            response.data = order::arranged(data, document, operation_name);
        }
        response.errors.sort_by_cached_key(|error| {
            (serde_json::to_string(&error.path).unwrap_or_default(), error.message.clone())
        });
    }
}

#[async_trait]
impl Extension for Guard {
    async fn request(&self, ctx: &ExtensionContext<'_>, next: NextRequest<'_>) -> Response {
        let limit = ctx.data_unchecked::<Base>().limits.timeout;
        let mut response = in_time(limit, next.run(ctx)).await;
        response.errors.iter_mut().for_each(describe);
        response
    }

    async fn prepare_request(
        &self,
        ctx: &ExtensionContext<'_>,
        request: Request,
        next: NextPrepareRequest<'_>,
    ) -> ServerResult<Request> {
        let base = ctx.data_unchecked::<Base>();
        let (got, most) = (request.query.len(), base.limits.query_bytes);
        if got > most {
            let message = format!("a query takes at most {most} bytes, got {got}");
            return Err(coded(ServerError::new(message, None), "query_too_long"));
        }
        next.run(ctx, request).await
    }

    async fn parse_query(
        &self,
        ctx: &ExtensionContext<'_>,
        query: &str,
        variables: &Variables,
        next: NextParseQuery<'_>,
    ) -> ServerResult<ExecutableDocument> {
        let limits = ctx.data_unchecked::<Base>().limits;
        // Read once more than needed: what comes next walks fragments as often as they are spread.
        if let Ok(document) = parser::parse_query(query) {
            spread::check(&document, limits.complexity, limits.depth)
                .map_err(|oversized| beyond(oversized, limits))?;
        }
        let document = next.run(ctx, query, variables).await;
        let document = document.map_err(|error| unreadable(error, limits.depth))?;
        self.document.get_or_init(|| document.clone());
        Ok(document)
    }

    async fn validation(
        &self,
        ctx: &ExtensionContext<'_>,
        next: NextValidation<'_>,
    ) -> Result<ValidationResult, Vec<ServerError>> {
        let limits = ctx.data_unchecked::<Base>().limits;
        next.run(ctx).await.map_err(|errors| {
            errors.into_iter().map(|error| invalid_query(error, limits)).collect()
        })
    }

    /// Around a query or a mutation, and around each item of a subscription: what one of these
    /// loads is shared by its fields and by nothing later.
    async fn execute(
        &self,
        ctx: &ExtensionContext<'_>,
        operation_name: Option<&str>,
        next: NextExecute<'_>,
    ) -> Response {
        let base = ctx.data_unchecked::<Base>();
        let mut views = Data::default();
        views.insert(Views::new(base));
        let answer = next.run_with_data(ctx, operation_name, views);
        let mut response = in_time(base.limits.timeout, answer).await;
        response.errors.iter_mut().for_each(describe);
        self.arrange(&mut response, operation_name);
        response
    }

    /// An error that ends a subscription passes nothing else on its way out.
    fn subscribe<'s>(
        &self,
        ctx: &ExtensionContext<'_>,
        stream: BoxStream<'s, Response>,
        next: NextSubscribe<'_>,
    ) -> BoxStream<'s, Response> {
        let described = next.run(ctx, stream).map(|mut response| {
            response.errors.iter_mut().for_each(describe);
            response
        });
        described.boxed()
    }
}

async fn in_time(limit: Duration, answer: impl Future<Output = Response>) -> Response {
    match tokio::time::timeout(limit, answer).await {
        Ok(response) => response,
        Err(_) => Response::from_errors(vec![coded(
            ServerError::new(format!("no answer within {} ms", limit.as_millis()), None),
            "query_timeout",
        )]),
    }
}

/// The library has no typed errors for its limits; these texts are its constants. The parser
/// stops at two depths of its own, in the first words and the second, and the executor at
/// another, in the third.
const TOO_DEEP: [&str; 3] =
    ["stack limit reached", "recursion limit exceeded", "The recursion depth of the query"];
/// Longest message of a syntax error: it repeats the line at fault.
const MAX_SYNTAX_CHARS: usize = 1_000;

fn unreadable(mut error: ServerError, depth: usize) -> ServerError {
    if TOO_DEEP.iter().any(|text| error.message.contains(text)) {
        error.message = too_deep(depth);
        return coded(error, "query_too_deep");
    }
    if error.message.chars().count() > MAX_SYNTAX_CHARS {
        error.message = error.message.chars().take(MAX_SYNTAX_CHARS).chain(['…']).collect();
    }
    coded(error, "query_syntax")
}

fn too_deep(depth: usize) -> String {
    format!("a query takes at most {depth} nested fields")
}

fn too_complex(complexity: usize) -> String {
    format!(
        "the query may return more than {complexity} fields; ask for less, or for shorter lists \
         with `first`"
    )
}

fn beyond(oversized: Oversized, limits: Limits) -> ServerError {
    match oversized {
        Oversized::Wide => {
            let error = ServerError::new(too_complex(limits.complexity), None);
            coded(error, "query_too_complex")
        }
        Oversized::Deep => {
            let message = format!(
                "a query takes at most {} fragments spread within each other",
                limits.depth
            );
            coded(ServerError::new(message, None), "query_too_deep")
        }
    }
}

fn invalid_query(mut error: ServerError, limits: Limits) -> ServerError {
    match error.message.as_str() {
        "Query is too complex." => {
            error.message = too_complex(limits.complexity);
            coded(error, "query_too_complex")
        }
        "Query is nested too deep." => {
            error.message = too_deep(limits.depth);
            coded(error, "query_too_deep")
        }
        _ => coded(error, "query_invalid"),
    }
}

fn coded(mut error: ServerError, code: &str) -> ServerError {
    error.extensions.get_or_insert_default().set("code", code);
    error
}

/// Writes an [`ApiError`]'s code and field beside its message. Every other error that reaches
/// this place without a code is an argument that could not be read.
fn describe(error: &mut ServerError) {
    // It has passed an inner place of this kind.
    if error.extensions.as_ref().is_some_and(|known| known.get("code").is_some()) {
        return;
    }
    let api = error.source::<ApiError>().cloned();
    let extensions = error.extensions.get_or_insert_default();
    match api {
        Some(api) => {
            if let ApiError::Internal(cause) = &api {
                tracing::error!(
                    error = &**cause as &dyn std::error::Error,
                    "a GraphQL field failed"
                );
            }
            extensions.set("code", api.code());
            if let Some(field) = api.field() {
                extensions.set("field", field);
            }
        }
        None => extensions.set("code", "invalid_input"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(error: ApiError) -> ServerError {
        let mut error =
            async_graphql::Error::from(error).into_server_error(async_graphql::Pos::default());
        describe(&mut error);
        error
    }

    fn extension(error: &ServerError, name: &str) -> Option<String> {
        let value = error.extensions.as_ref()?.get(name)?.clone().into_json().ok()?;
        value.as_str().map(str::to_owned)
    }

    #[test]
    fn what_failed_inside_is_not_told() {
        let error = answered(ApiError::internal(std::io::Error::other("/var/lib/secret")));
        assert_eq!(error.message, "internal error; the server's log has the cause");
        assert_eq!(extension(&error, "code").as_deref(), Some("internal"));
        assert_eq!(extension(&error, "field"), None);
    }

    #[test]
    fn a_refusal_names_its_code_and_field() {
        let error = answered(ApiError::not_found("input.incident", "incident", "inc-9"));
        assert_eq!(error.message, "input.incident: unknown incident \"inc-9\"");
        assert_eq!(extension(&error, "code").as_deref(), Some("not_found"));
        assert_eq!(extension(&error, "field").as_deref(), Some("input.incident"));
    }

    #[test]
    fn an_error_of_the_library_keeps_the_code_it_was_given() {
        let mut error = coded(ServerError::new("x", None), "query_invalid");
        describe(&mut error);
        assert_eq!(extension(&error, "code").as_deref(), Some("query_invalid"));
        let mut error = ServerError::new("a variable of the wrong type", None);
        describe(&mut error);
        assert_eq!(extension(&error, "code").as_deref(), Some("invalid_input"));
    }

    #[test]
    fn a_syntax_error_does_not_repeat_a_long_query() {
        let long = ServerError::new("x".repeat(100_000), None);
        assert_eq!(unreadable(long, 20).message.chars().count(), MAX_SYNTAX_CHARS + 1);
    }
}
