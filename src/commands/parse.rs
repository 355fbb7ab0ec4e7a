//! Splits a command line into arguments.

/// The maximum length of a command line, in bytes.
pub(super) const MAX_COMMAND_BYTES: usize = 4096;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum OutputFormat {
    Table,
    Json,
    Xml,
    Csv,
}

/// The arguments of a command.
#[derive(Debug)]
pub(super) struct Arguments<'a>(Vec<&'a str>);

impl<'a> Arguments<'a> {
    pub(super) fn split(line: &'a str) -> Result<Arguments<'a>, super::CommandError> {
        if line.len() > MAX_COMMAND_BYTES {
            return Err(super::CommandError::TooLong(line.len()));
        }
        Ok(Arguments(line.split_ascii_whitespace().collect()))
    }

    pub(super) fn first(mut self) -> (Option<&'a str>, Arguments<'a>) {
        let first = (!self.0.is_empty()).then(|| self.0.remove(0));
        (first, self)
    }

    pub(super) fn rest(&self) -> &[&'a str] {
        &self.0
    }

    /// Removes `as json`, `as xml` or `as csv` from the end. It is an error if another word follows `as`.
    pub(super) fn format(mut self) -> Result<(OutputFormat, Arguments<'a>), super::CommandError> {
        let format = match self.0.as_slice() {
            [.., "as", "json"] => OutputFormat::Json,
            [.., "as", "xml"] => OutputFormat::Xml,
            [.., "as", "csv"] => OutputFormat::Csv,
            [.., "as", _] | [.., "as"] => return Err(super::CommandError::Usage),
            _ => return Ok((OutputFormat::Table, self)),
        };
        self.0.truncate(self.0.len() - 2);
        Ok((format, self))
    }
}
