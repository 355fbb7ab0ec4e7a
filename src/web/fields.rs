//! The fields of a request's body, and the errors if they are not as expected.

use serde_json::{Map, Value};

use super::error::{ApiError, quoted_name, short};

/// The fields of a request's body. Each action reads its own.
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    pub(super) fn read(body: Option<Value>, known: &'static [&'static str]) -> Result<Fields, ApiError> {
        let fields = match body.unwrap_or_default() {
            Value::Null => Map::new(),
            Value::Object(fields) => fields,
            other => {
                let value = short(&other.to_string());
                return Err(ApiError::WrongType { field: "the body", value, expected: "an object" });
            }
        };
        match fields.keys().find(|field| !known.contains(&field.as_str())) {
            Some(field) => Err(ApiError::UnknownField { field: quoted_name(field), known }),
            None => Ok(Fields(fields)),
        }
    }

    pub(super) fn has(&self, field: &str) -> bool {
        self.0.contains_key(field)
    }

    /// Returns a value of the expected type.
    pub(super) fn get<'a, T>(
        &'a self,
        field: &'static str,
        expected: &'static str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<T, ApiError> {
        self.optional(field, expected, read)?.ok_or(ApiError::Missing { field, expected })
    }

    /// Returns a value of the expected type, if there is one. Null counts as missing.
    pub(super) fn optional<'a, T>(
        &'a self,
        field: &'static str,
        expected: &'static str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, ApiError> {
        let Some(value) = self.0.get(field).filter(|value| !value.is_null()) else { return Ok(None) };
        let wrong = || ApiError::WrongType { field, value: short(&value.to_string()), expected };
        read(value).map(Some).ok_or_else(wrong)
    }
}
