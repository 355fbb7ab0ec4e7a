//! The request for a report, as JSON or as CSV.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::access::Rights;
use super::description::TextParam;
use super::error::{ApiError, quoted};
use super::queries::from_storage;
use super::state::{HttpState, Viewer};
use crate::freeswitch;
use crate::parking::{LotName, Refusal};
use crate::service::ParkingService;
use crate::storage::{HistoryFilter, ReportQuery, ReportWords};

/// The parameters, for the description of the API.
pub(super) const PARAMS: &[TextParam] = &[
    TextParam {
        name: "from",
        meaning: "The beginning: a date, a time (RFC 3339), today, yesterday, now, or 7d for the last 7 days. Without it: today.",
    },
    TextParam { name: "to", meaning: "The end, in the same words; a day is included. Without it: today." },
    TextParam { name: "by", meaning: "hour, day (without it), lot, parker or retriever." },
    TextParam { name: "lot", meaning: "One lot: its name, or name@domain. Without it: all." },
    TextParam {
        name: "tz",
        meaning: "The time zone of days and hours, such as Europe/Berlin. Without it: the server's.",
    },
];

#[derive(Deserialize)]
pub(super) struct ReportParams {
    from: Option<String>,
    to: Option<String>,
    by: Option<String>,
    lot: Option<String>,
    tz: Option<String>,
}

pub(super) async fn report(
    State(state): State<HttpState>,
    Viewer(rights): Viewer,
    headers: HeaderMap,
    asked: Result<Query<ReportParams>, QueryRejection>,
) -> Result<Response, ApiError> {
    let asked = asked?.0;
    // `?from=&to=` asks for the defaults.
    let word = |given: Option<String>, default: &str| {
        given.filter(|text| !text.is_empty()).unwrap_or_else(|| default.to_owned())
    };
    let (from, to) = (word(asked.from, "today"), word(asked.to, "today"));
    let (by, tz) = (word(asked.by, "day"), word(asked.tz, ""));
    let lot = asked.lot.filter(|lot| !lot.is_empty());
    let filter = filter(rights, lot.as_deref())?;
    let words = ReportWords { from: &from, to: &to, by: &by, tz: &tz };
    let query = ReportQuery::parse(words, filter.clone(), freeswitch::epoch_ms(), quoted)?;
    let Json(report) = from_storage(&state, move |storage| storage.recent_report(query)).await?;
    if report.total.parked == 0 && !is_known(&state.sources.service, &filter) {
        return Err(Refusal::NoSuchLot(lot.unwrap_or_default()).into());
    }
    if !wants_csv(&headers) {
        return Ok(Json(report).into_response());
    }
    let csv = report.csv().map_err(|_| ApiError::Panicked)?;
    let headers = [
        (CONTENT_TYPE, "text/csv; charset=utf-8"),
        (CONTENT_DISPOSITION, "attachment; filename=\"callpark-report.csv\""),
    ];
    Ok((headers, csv).into_response())
}

/// Selects the rows that the token may see: those of its domain and, if a lot is named, of that lot.
fn filter(rights: Rights, lot: Option<&str>) -> Result<HistoryFilter, ApiError> {
    let Some(given) = lot else { return Ok(HistoryFilter { domain: rights.domain, ..HistoryFilter::default() }) };
    let expected = "a lot, expected <lot> or <lot>@<domain>";
    let lot =
        LotName::parse(given).ok_or_else(|| ApiError::OutOfRange { field: "lot", value: quoted(given), expected })?;
    match lot.domain {
        Some(domain) if !rights.may_see(&domain) => Err(ApiError::OtherDomain),
        domain => Ok(HistoryFilter { domain: domain.or(rights.domain), lot: Some(lot.name), caller: None }),
    }
}

/// Whether there is a lot that the filter names. A lot that is no longer in the configuration may still have a history.
fn is_known(service: &ParkingService, filter: &HistoryFilter) -> bool {
    let Some(name) = &filter.lot else { return true };
    let lots = filter.domain.as_deref().map_or_else(|| service.lots(), |domain| service.lots_of(domain));
    lots.iter().any(|lot| *lot.id.name == **name)
}

fn wants_csv(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut types =
        accepted.flat_map(|value| value.split(',')).map(|part| part.split(';').next().unwrap_or_default().trim());
    types.any(|kind| kind.eq_ignore_ascii_case("text/csv"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_of_one_domain_reports_its_domain_only() {
        let rights = || Rights { view: true, domain: Some("a.b".into()), ..Rights::default() };
        let of = |lot| filter(rights(), lot).map(|filter| (filter.domain.unwrap(), filter.lot));
        assert_eq!(of(None).unwrap(), ("a.b".into(), None));
        assert_eq!(of(Some("main")).unwrap(), ("a.b".into(), Some("main".into())));
        assert_eq!(of(Some("main@A.b")).unwrap(), ("a.b".into(), Some("main".into())));
        assert!(matches!(of(Some("main@c.d")), Err(ApiError::OtherDomain)));
        assert!(matches!(of(Some("ma in")), Err(ApiError::OutOfRange { .. })));
        let all = filter(Rights::default(), Some("main")).unwrap();
        assert_eq!(all, HistoryFilter { domain: None, lot: Some("main".into()), caller: None });
    }

    #[test]
    fn csv_is_answered_only_where_it_is_accepted() {
        let headers = |accept: &str| [(ACCEPT, accept.parse().unwrap())].into_iter().collect();
        assert!(wants_csv(&headers("text/csv")) && wants_csv(&headers("application/json;q=0.5, Text/CSV;q=0.9")));
        assert!(!wants_csv(&headers("*/*")) && !wants_csv(&HeaderMap::new()));
    }
}
