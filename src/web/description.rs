//! Generates the OpenAPI description of the API from the rows of the paths and actions, and from the types of the answers and requests.

use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::info::{InfoBuilder, LicenseBuilder};
use utoipa::openapi::path::{Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, HttpMethod, ObjectBuilder, OpenApi, OpenApiBuilder, PathItem, PathsBuilder, Ref, RefOr,
    Required, Schema, Type, schema::ArrayBuilder,
};
use utoipa::{PartialSchema, ToSchema};

use super::actions::{ActionRow, Extend, Label, RetrieveBody, Transfer};
use super::conversations::{ChannelRow, ParkBody};
use super::error::ErrorBody;
use super::event_stream::StreamEventData;
use super::queries::{LotWithSlots, Me};
use crate::service::{CallRow, UserRow};
use crate::storage::{Record, Report, Tally};

/// One path: the router, the manual and the description are made from these rows.
#[derive(Clone, Copy)]
pub(crate) struct PathRow {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    /// The right that a token needs.
    pub(crate) right: &'static str,
    /// A text in Markdown.
    pub(crate) answers: &'static str,
    pub(super) body: AnswerBody,
    pub(super) query: Option<NumberParam>,
    /// The name of the body's schema, and an example.
    pub(super) request: Option<(&'static str, &'static str)>,
    pub(super) texts: &'static [TextParam],
}

/// What an answer contains.
#[derive(Clone, Copy)]
pub(super) enum AnswerBody {
    /// An object, by the name of its schema.
    Object(&'static str),
    List(&'static str),
    /// An object by the name of its schema, or CSV.
    ObjectOrCsv(&'static str),
    /// An object without a schema.
    Any,
    /// Another type than JSON.
    Text(&'static str),
}

/// A number in the query, from 1 on.
#[derive(Clone, Copy)]
pub(super) struct NumberParam {
    pub(super) name: &'static str,
    pub(super) default: u32,
    pub(super) most: u32,
}

/// An optional text in the query.
#[derive(Clone, Copy)]
pub(super) struct TextParam {
    pub(super) name: &'static str,
    pub(super) meaning: &'static str,
}

/// The statuses of errors, and when each is returned.
const ERRORS: &[(u16, &str)] = &[
    (400, "A field, a part of the path or a number of the query is missing or out of its range."),
    (401, "There is no token, or it is unknown."),
    (403, "The token does not have the right, or is of another domain."),
    (404, "Nobody is parked there, or there is no such channel or lot."),
    (409, "This cannot be done to the call now."),
    (413, "The body is longer than 8 kB."),
    (415, "The body is not `application/json`."),
    (422, "A field of the body is unknown, or of another type."),
    (503, "The database or the node of the call does not answer, or the request took more than 15 seconds."),
];
const OF_TOKENS: &[u16] = &[401, 403, 503];
const OF_QUERIES: &[u16] = &[400, 401, 403, 503];
const OF_REPORTS: &[u16] = &[400, 401, 403, 404, 503];
const OF_ACTIONS: &[u16] = &[400, 401, 403, 404, 409, 413, 415, 422, 503];

pub(crate) fn describe(paths: &[PathRow], actions: &[ActionRow]) -> OpenApi {
    let license = LicenseBuilder::new().name("MPL-2.0").identifier(Some("MPL-2.0")).build();
    let info = InfoBuilder::new()
        .title("mod_callpark")
        .version("1")
        .description(Some(
            "Parked calls of a FreeSWITCH. A token of one domain sees and changes the calls of that domain only.",
        ))
        .license(Some(license));
    let mut all = PathsBuilder::new();
    for row in paths {
        if row.path.contains("{action}") {
            for action in actions {
                let path = row.path.replace("{action}", action.name);
                all = all.path(path, PathItem::new(method(row), action_operation(row, action)));
            }
        } else {
            let operation = if row.request.is_some() { park_operation(row) } else { query_operation(row) };
            all = all.path(row.path, PathItem::new(method(row), operation));
        }
    }
    let token = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
    let mut schemas = Vec::new();
    add::<CallRow>(&mut schemas);
    add::<LotWithSlots>(&mut schemas);
    add::<Tally>(&mut schemas);
    add::<Record>(&mut schemas);
    add::<Report>(&mut schemas);
    add::<StreamEventData<'static>>(&mut schemas);
    add::<Me>(&mut schemas);
    add::<ErrorBody>(&mut schemas);
    add::<ChannelRow>(&mut schemas);
    add::<UserRow>(&mut schemas);
    add::<ParkBody<'static>>(&mut schemas);
    add::<RetrieveBody<'static>>(&mut schemas);
    add::<Transfer>(&mut schemas);
    add::<Label<'static>>(&mut schemas);
    add::<Extend>(&mut schemas);
    let components = ComponentsBuilder::new().security_scheme("token", token).schemas_from_iter(schemas);
    OpenApiBuilder::new().info(info.build()).paths(all.build()).components(Some(components.build())).build()
}

fn add<T: ToSchema>(schemas: &mut Vec<(String, RefOr<Schema>)>) {
    schemas.push((T::name().into_owned(), T::schema()));
    T::schemas(schemas);
}

fn method(row: &PathRow) -> HttpMethod {
    if row.method == "POST" { HttpMethod::Post } else { HttpMethod::Get }
}

fn query_operation(row: &PathRow) -> Operation {
    let errors = match row.query {
        Some(_) => OF_QUERIES,
        None if !row.texts.is_empty() => OF_REPORTS,
        None if row.right == "none" => &[],
        None => OF_TOKENS,
    };
    // A program on the server itself needs no token for the metrics.
    let secured = row.right != "none" && row.path != "/metrics";
    let parameters = row.query.map(|NumberParam { name, default, most }| {
        let number = whole_number().minimum(Some(1)).maximum(Some(most)).default(Some(default.into()));
        ParameterBuilder::new().name(name).parameter_in(ParameterIn::Query).schema(Some(number)).build()
    });
    let texts = row.texts.iter().map(|TextParam { name, meaning }| {
        let text = ParameterBuilder::new().name(*name).parameter_in(ParameterIn::Query).description(Some(*meaning));
        text.schema(Some(String::schema())).build()
    });
    let parameters: Vec<Parameter> = parameters.into_iter().chain(texts).collect();
    let parameters = (!parameters.is_empty()).then_some(parameters);
    operation(row.answers, answer(row, row.answers), errors, secured).parameters(parameters).build()
}

fn action_operation(row: &PathRow, action: &ActionRow) -> Operation {
    let operation = operation(action.does, answer(row, "The new state of the call."), OF_ACTIONS, true)
        .parameters(Some([in_path("domain", None), in_path("slot", Some("Percent-encoded: `*5901` is `%2A5901`."))]));
    with_body(operation, action.request).build()
}

/// The operation that is no action on a parked call, and has a body.
fn park_operation(row: &PathRow) -> Operation {
    with_body(operation(row.answers, answer(row, "The state of the call."), OF_ACTIONS, true), row.request).build()
}

fn with_body(operation: OperationBuilder, request: Option<(&str, &str)>) -> OperationBuilder {
    let Some((schema, example)) = request else { return operation };
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(schema)))
        .example(serde_json::from_str(example).ok())
        .build();
    let body = RequestBodyBuilder::new().required(Some(Required::True)).content("application/json", content);
    operation.request_body(Some(body.build()))
}

fn operation(summary: &str, answer: Response, errors: &[u16], secured: bool) -> OperationBuilder {
    let mut operation = OperationBuilder::new().summary(Some(without_links(summary))).response("200", answer);
    for (status, when) in ERRORS.iter().filter(|(status, _)| errors.contains(status)) {
        operation = operation.response(status.to_string(), json(when, Ref::from_schema_name("Error")));
    }
    match secured {
        true => operation.security(SecurityRequirement::new("token", [""; 0])),
        false => operation,
    }
}

fn answer(row: &PathRow, description: &str) -> Response {
    match row.body {
        AnswerBody::Object(schema) => json(description, Ref::from_schema_name(schema)),
        AnswerBody::ObjectOrCsv(schema) => {
            let text = ContentBuilder::new().schema(Some(String::schema())).build();
            let object = ContentBuilder::new().schema(Some(Ref::from_schema_name(schema))).build();
            let answer = ResponseBuilder::new().description(without_links(description));
            answer.content("application/json", object).content("text/csv", text).build()
        }
        AnswerBody::Any => json(description, ObjectBuilder::new().schema_type(Type::Object)),
        AnswerBody::List(schema) => json(description, ArrayBuilder::new().items(Ref::from_schema_name(schema))),
        AnswerBody::Text(media_type) => {
            let text = ContentBuilder::new().schema(Some(String::schema())).build();
            ResponseBuilder::new().description(without_links(description)).content(media_type, text).build()
        }
    }
}

/// Removes the links of Markdown, because they lead to pages of the manual.
pub(crate) fn without_links(markdown: &str) -> String {
    let mut pieces = markdown.split("](");
    let first = pieces.next().unwrap_or_default().to_owned();
    let rest = pieces.map(|piece| piece.split_once(')').map_or(piece, |(_, after)| after));
    rest.fold(first, |text, piece| text + piece).replace('[', "")
}

fn json(description: &str, schema: impl Into<RefOr<Schema>>) -> Response {
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new().description(description).content("application/json", content).build()
}

fn in_path(name: &str, description: Option<&str>) -> Parameter {
    let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path).required(Required::True);
    parameter.description(description).schema(Some(String::schema())).build()
}

fn whole_number() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Integer)
}
