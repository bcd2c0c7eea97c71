//! One connection of a client: its statements, run on its own SQLite connection.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures::stream;
use pgwire::api::auth::StartupHandler;
use pgwire::api::auth::noop::NoopStartupHandler;
use pgwire::api::portal::{Format, Portal};
use pgwire::api::query::{ExtendedQueryHandler, SimpleQueryHandler};
use pgwire::api::results::{
    DataRowEncoder, DescribePortalResponse, DescribeStatementResponse, FieldInfo, QueryResponse,
    Response, Tag,
};
use pgwire::api::stmt::{NoopQueryParser, StoredStatement};
use pgwire::api::{ClientInfo, PgWireServerHandlers, Type};
use pgwire::error::{ErrorInfo, PgWireError, PgWireResult};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{CachedStatement, Connection};

use super::{Activity, Counted};

/// A client's session.
pub(super) struct Session(Arc<Statements>);

/// The handler of the session's messages. The server takes it out of the session by `Arc`.
struct Statements {
    sqlite: Arc<Mutex<Connection>>,
    activity: Arc<Activity>,
    parser: Arc<NoopQueryParser>,
}

impl Session {
    pub(super) fn new(sqlite: Connection, activity: Arc<Activity>) -> Self {
        Self(Arc::new(Statements {
            sqlite: Arc::new(Mutex::new(sqlite)),
            activity,
            parser: Arc::new(NoopQueryParser::new()),
        }))
    }
}

impl PgWireServerHandlers for Session {
    fn simple_query_handler(&self) -> Arc<impl SimpleQueryHandler> {
        Arc::clone(&self.0)
    }

    fn extended_query_handler(&self) -> Arc<impl ExtendedQueryHandler> {
        Arc::clone(&self.0)
    }

    fn startup_handler(&self) -> Arc<impl StartupHandler> {
        Arc::clone(&self.0)
    }
}

impl NoopStartupHandler for Statements {}

impl Statements {
    /// Runs one statement beside the async workers: SQLite may wait for another's write.
    async fn run(
        &self,
        sql: String,
        parameters: Vec<Value>,
        format: Format,
    ) -> PgWireResult<Response> {
        let sqlite = Arc::clone(&self.sqlite);
        let activity = Arc::clone(&self.activity);
        let run = move || {
            let _counted = Counted::one(&activity.statements);
            let sqlite = sqlite.lock().unwrap_or_else(PoisonError::into_inner);
            execute(&sqlite, &sql, parameters, &format)
        };
        let ran = tokio::task::spawn_blocking(run).await;
        ran.map_err(|error| PgWireError::ApiError(Box::new(error)))?
    }
}

fn execute(
    sqlite: &Connection,
    sql: &str,
    parameters: Vec<Value>,
    format: &Format,
) -> PgWireResult<Response> {
    let command = sql.split_whitespace().next().unwrap_or_default().to_uppercase();
    let mut statement = sqlite.prepare_cached(sql).map_err(sqlite_error)?;
    if statement.column_count() > 0 {
        return rows(&mut statement, parameters, format).map(Response::Query);
    }
    let changed =
        statement.execute(rusqlite::params_from_iter(parameters)).map_err(sqlite_error)?;
    let tag = Tag::new(&command);
    Ok(match command.as_str() {
        "BEGIN" => Response::TransactionStart(tag),
        "COMMIT" | "ROLLBACK" => Response::TransactionEnd(tag),
        _ => Response::Execution(tag.with_rows(changed)),
    })
}

fn rows(
    statement: &mut CachedStatement<'_>,
    parameters: Vec<Value>,
    format: &Format,
) -> PgWireResult<QueryResponse> {
    let fields = Arc::new(fields(statement, format));
    let mut encoder = DataRowEncoder::new(Arc::clone(&fields));
    let mut encoded = Vec::new();
    let mut rows = statement.query(rusqlite::params_from_iter(parameters)).map_err(sqlite_error)?;
    while let Some(row) = rows.next().map_err(sqlite_error)? {
        for column in 0..fields.len() {
            match row.get_ref(column).map_err(sqlite_error)? {
                ValueRef::Null => encoder.encode_field(&None::<i64>)?,
                ValueRef::Integer(number) => encoder.encode_field(&number)?,
                ValueRef::Real(number) => encoder.encode_field(&number)?,
                ValueRef::Text(text) => {
                    encoder.encode_field(&String::from_utf8_lossy(text).as_ref())?;
                }
                ValueRef::Blob(bytes) => encoder.encode_field(&bytes)?,
            }
        }
        encoded.push(Ok(encoder.take_row()));
    }
    Ok(QueryResponse::new(fields, stream::iter(encoded)))
}

fn fields(statement: &CachedStatement<'_>, format: &Format) -> Vec<FieldInfo> {
    let columns = statement.columns();
    let field = |(place, column): (usize, rusqlite::Column<'_>)| {
        // SQLite's INTEGER holds 64 bits; a column that is an expression has no declared type.
        let kind = match column.decl_type().map(str::to_uppercase).as_deref() {
            Some("TEXT") => Type::TEXT,
            Some("REAL") => Type::FLOAT8,
            Some("BLOB") => Type::BYTEA,
            _ => Type::INT8,
        };
        FieldInfo::new(column.name().to_owned(), None, None, kind, format.format_for(place))
    };
    columns.enumerate().map(field).collect()
}

fn sqlite_error(error: rusqlite::Error) -> PgWireError {
    let code = match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => "55P03",
        Some(rusqlite::ErrorCode::ConstraintViolation) => "23000",
        _ => "42601",
    };
    user_error(code, error.to_string())
}

fn user_error(code: &str, message: String) -> PgWireError {
    let info = ErrorInfo::new("ERROR".to_owned(), code.to_owned(), message);
    PgWireError::UserError(Box::new(info))
}

fn parameters(portal: &Portal<String>) -> PgWireResult<Vec<Value>> {
    let parameter = |place: usize| {
        let declared = portal.statement.parameter_types.get(place).cloned().flatten();
        let declared = declared.unwrap_or(Type::TEXT);
        let value = match declared {
            Type::INT8 => portal.parameter::<i64>(place, &declared)?.map(Value::Integer),
            Type::INT4 => {
                portal.parameter::<i32>(place, &declared)?.map(|n| Value::Integer(n.into()))
            }
            Type::FLOAT8 => portal.parameter::<f64>(place, &declared)?.map(Value::Real),
            Type::TEXT | Type::VARCHAR => {
                portal.parameter::<String>(place, &declared)?.map(Value::Text)
            }
            other => {
                let message = format!("parameters of type {other} are not supported");
                return Err(user_error("0A000", message));
            }
        };
        Ok(value.unwrap_or(Value::Null))
    };
    (0..portal.parameter_len()).map(parameter).collect()
}

#[async_trait]
impl SimpleQueryHandler for Statements {
    async fn do_query<C>(&self, _client: &mut C, query: &str) -> PgWireResult<Vec<Response>>
    where
        C: ClientInfo + Unpin + Send + Sync,
    {
        let mut responses = Vec::new();
        for sql in query.split(';').map(str::trim).filter(|sql| !sql.is_empty()) {
            responses.push(self.run(sql.to_owned(), Vec::new(), Format::UnifiedText).await?);
        }
        Ok(if responses.is_empty() { vec![Response::EmptyQuery] } else { responses })
    }
}

#[async_trait]
impl ExtendedQueryHandler for Statements {
    type Statement = String;
    type QueryParser = NoopQueryParser;

    fn query_parser(&self) -> Arc<Self::QueryParser> {
        Arc::clone(&self.parser)
    }

    async fn do_query<C>(
        &self,
        _client: &mut C,
        portal: &Portal<Self::Statement>,
        _max_rows: usize,
    ) -> PgWireResult<Response>
    where
        C: ClientInfo + Unpin + Send + Sync,
    {
        let sql = portal.statement.statement.clone();
        self.run(sql, parameters(portal)?, portal.result_column_format.clone()).await
    }

    async fn do_describe_statement<C>(
        &self,
        _client: &mut C,
        statement: &StoredStatement<Self::Statement>,
    ) -> PgWireResult<DescribeStatementResponse>
    where
        C: ClientInfo + Unpin + Send + Sync,
    {
        let declared = statement.parameter_types.iter().cloned();
        let types = declared.map(|kind| kind.unwrap_or(Type::TEXT)).collect();
        let sqlite = self.sqlite.lock().unwrap_or_else(PoisonError::into_inner);
        let prepared = sqlite.prepare_cached(&statement.statement).map_err(sqlite_error)?;
        Ok(DescribeStatementResponse::new(types, fields(&prepared, &Format::UnifiedBinary)))
    }

    async fn do_describe_portal<C>(
        &self,
        _client: &mut C,
        portal: &Portal<Self::Statement>,
    ) -> PgWireResult<DescribePortalResponse>
    where
        C: ClientInfo + Unpin + Send + Sync,
    {
        let sqlite = self.sqlite.lock().unwrap_or_else(PoisonError::into_inner);
        let prepared = sqlite.prepare_cached(&portal.statement.statement).map_err(sqlite_error)?;
        Ok(DescribePortalResponse::new(fields(&prepared, &portal.result_column_format)))
    }
}
