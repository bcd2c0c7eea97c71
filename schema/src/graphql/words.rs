//! The kind of fault that words tell of.

use async_graphql::{Context, SimpleObject};
use diagnosis::classify::LEAST_SURE;
use diagnosis::wording;

use super::error::{ApiError, ApiResult};
use super::load::Loaders;
use super::view::View;
use crate::rows;

/// Most characters of a text that is asked about.
const MAX_TEXT_CHARS: usize = 100_000;

/// Which kind of fault words tell of, by what was learned from labelled incidents.
#[derive(SimpleObject)]
pub struct KindsInWords {
    /// The trained model; null when there is none, or when it knows how the incident ended.
    pub model: Option<String>,
    /// The kind, when it is at least as likely as all others together; null when none is.
    pub fault_kind: Option<String>,
    /// How likely each kind is, the likeliest first; empty without a model, and when it knows no
    /// word of the text.
    pub kinds: Vec<LikelyKind>,
}

/// A kind of fault and how likely it is.
#[derive(SimpleObject)]
pub struct LikelyKind {
    /// The kind.
    pub fault_kind: String,
    /// From 0 to 1; those of all kinds add up to 1.
    pub probability: f64,
}

/// By what an incident says of itself: its title when somebody gave it one, what each component
/// showed, log lines, changes.
pub async fn of_incident(ctx: &Context<'_>, incident: &rows::Incident) -> ApiResult<KindsInWords> {
    let loaders = Loaders::of(ctx);
    let view = loaders.view();
    view.count_statement();
    let evidence = view.graph().evidence(&incident.id, view.reaches()).await;
    let Some(evidence) = evidence.map_err(ApiError::internal)? else {
        return Ok(KindsInWords { model: None, fault_kind: None, kinds: Vec::new() });
    };
    view.count_statement();
    let title = view.graph().title_given(&incident.id, view.reaches()).await;
    let title = title.map_err(ApiError::internal)?;
    let text = wording::lines(title.as_deref(), &evidence).join("\n");
    kinds(view, text, Some(incident)).await
}

/// By a text.
pub async fn of_text(ctx: &Context<'_>, text: &str) -> ApiResult<KindsInWords> {
    let length = text.chars().count();
    if length > MAX_TEXT_CHARS {
        let message = format!("expected at most {MAX_TEXT_CHARS} characters, got {length}");
        return Err(ApiError::invalid("text", message));
    }
    kinds(Loaders::of(ctx).view(), text.to_owned(), None).await
}

async fn kinds(
    view: &View,
    text: String,
    about: Option<&rows::Incident>,
) -> ApiResult<KindsInWords> {
    view.count_statement();
    let asked = (text, about.map(|incident| &incident.id));
    let told = view.base().models.kinds_in_words(view.graph(), asked, view.reaches()).await;
    let (model, kinds) = told.map_err(ApiError::internal)?;
    let decided = kinds.first().filter(|(_, likely)| *likely >= LEAST_SURE);
    Ok(KindsInWords {
        model: model.map(|model| model.to_string()),
        fault_kind: decided.map(|(kind, _)| kind.to_string()),
        kinds: kinds
            .into_iter()
            .map(|(kind, probability)| LikelyKind { fault_kind: kind.to_string(), probability })
            .collect(),
    })
}
