//! Issues and redeems tickets: the one-time right to retrieve a call from another node.

use super::connection::{Connection, StorageError, number_at, text_at, truncated};
use super::messages;
use super::pending_slots::TicketRequest;
use super::schema::width;
use crate::service::RetrieveTicket;

/// How long a ticket can be redeemed.
const TICKET_LIFETIME_MS: i64 = 30_000;

/// Executes a request for which a caller waits. `clock` is the time of the database, in milliseconds since 1970.
pub(super) fn execute(
    connection: &Connection,
    request: TicketRequest,
    own_node: &str,
    clock: i64,
) -> Result<(), StorageError> {
    match request {
        TicketRequest::Issue { code, node, ticket, done } => {
            let issued = issue(connection, &code, &node, &ticket, clock)?;
            // The caller may have given up.
            let _ = done.try_send(issued);
        }
        TicketRequest::Redeem { code, done } => {
            let _ = done.try_send(redeem(connection, &code, own_node, clock)?);
        }
        TicketRequest::Send { message, done } => {
            let _ = done.try_send(messages::send(connection, &message, clock)?);
        }
        TicketRequest::TakeAnswer { id, done } => {
            let _ = done.try_send(messages::take_answer(connection, &id, own_node)?);
        }
    }
    Ok(())
}

fn issue(
    connection: &Connection,
    code: &str,
    node: &str,
    ticket: &RetrieveTicket,
    clock: i64,
) -> Result<bool, StorageError> {
    let text = |value: &str| connection.text(value);
    let (code, node, uuid) = (text(code), text(node), text(&ticket.uuid));
    let (retriever, expires) =
        (text(truncated(&ticket.retriever, width::USER)), clock.saturating_add(TICKET_LIFETIME_MS));
    connection.execute(&format!("DELETE FROM callpark_tickets WHERE expires < {clock}"))?;
    connection.execute(&format!(
        "INSERT INTO callpark_tickets (ticket, node, uuid, retriever, expires) VALUES ({code}, {node}, {uuid}, {retriever}, {expires})"
    ))?;
    let mut count = 0;
    let sql = format!("SELECT COUNT(*) FROM callpark_tickets WHERE ticket = {code}");
    connection.query(&sql, &mut |row| count = number_at(row, 0))?;
    Ok(count == 1)
}

/// Reads and deletes the row of a ticket, because a ticket is valid once.
fn redeem(
    connection: &Connection,
    code: &str,
    own_node: &str,
    clock: i64,
) -> Result<Option<RetrieveTicket>, StorageError> {
    let (code, node) = (connection.text(code), connection.text(own_node));
    let mut ticket = None;
    let sql = format!(
        "DELETE FROM callpark_tickets WHERE ticket = {code} AND node = {node} AND expires >= {clock} RETURNING uuid, retriever"
    );
    connection.query(&sql, &mut |row| ticket = read(row))?;
    Ok(ticket)
}

/// Parses a row. Returns `None` if it names no call.
pub(crate) fn read(row: &super::connection::DbRow) -> Option<RetrieveTicket> {
    let uuid = Some(text_at(row, 0)).filter(|uuid| !uuid.is_empty())?;
    Some(RetrieveTicket { uuid, retriever: text_at(row, 1) })
}
