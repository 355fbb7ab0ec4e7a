//! Splits a command line into arguments.

/// The maximum length of a command line, in bytes.
pub(super) const MAX_LENGTH: usize = 4096;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Format {
    Table,
    Json,
    Xml,
    Csv,
}

/// The arguments of a command.
#[derive(Debug)]
pub(super) struct Words<'a>(Vec<&'a str>);

impl<'a> Words<'a> {
    pub(super) fn split(line: &'a str) -> Result<Words<'a>, super::CommandError> {
        if line.len() > MAX_LENGTH {
            return Err(super::CommandError::TooLong(line.len()));
        }
        Ok(Words(line.split_ascii_whitespace().collect()))
    }

    pub(super) fn first(mut self) -> (Option<&'a str>, Words<'a>) {
        let first = (!self.0.is_empty()).then(|| self.0.remove(0));
        (first, self)
    }

    pub(super) fn rest(&self) -> &[&'a str] {
        &self.0
    }

    /// Removes `as json`, `as xml` or `as csv` from the end. It is an error if another word follows `as`.
    pub(super) fn format(mut self) -> Result<(Format, Words<'a>), super::CommandError> {
        let format = match self.0.as_slice() {
            [.., "as", "json"] => Format::Json,
            [.., "as", "xml"] => Format::Xml,
            [.., "as", "csv"] => Format::Csv,
            [.., "as", _] | [.., "as"] => return Err(super::CommandError::Usage),
            _ => return Ok((Format::Table, self)),
        };
        self.0.truncate(self.0.len() - 2);
        Ok((format, self))
    }
}
