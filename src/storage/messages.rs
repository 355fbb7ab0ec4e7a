//! Messages between the nodes of a cluster. Each is a row, which the receiver reads and deletes in one statement.

use super::connection::{Connection, StorageError, number_at, text_at};
use crate::service::NodeMessage;

/// How long a message can be read. Whoever waits for the answer waits a little longer, so nothing is done that nobody learns of.
const MESSAGE_LIFETIME_MS: i64 = 5_000;

/// Writes a message. Returns whether the database has it. `clock` is the time of the database, in milliseconds since 1970.
pub(super) fn send(connection: &Connection, message: &NodeMessage, clock: i64) -> Result<bool, StorageError> {
    let (id, node, body) = (connection.text(&message.id), connection.text(&message.to), connection.text(&message.body));
    let (kind, expires) = (i32::from(message.is_answer), clock.saturating_add(MESSAGE_LIFETIME_MS));
    connection.execute(&format!("DELETE FROM callpark_messages WHERE expires < {clock}"))?;
    connection.execute(&format!(
        "INSERT INTO callpark_messages (id, node, answer, body, expires) VALUES ({id}, {node}, {kind}, {body}, {expires})"
    ))?;
    // The receiver may have read it already.
    Ok(true)
}

/// Reads and deletes the requests for this node. Returns the id and the body of each.
pub(super) fn take_requests(
    connection: &Connection,
    own_node: &str,
    clock: i64,
) -> Result<Vec<(String, String)>, StorageError> {
    let node = connection.text(own_node);
    let mut requests = Vec::new();
    let sql = format!("DELETE FROM callpark_messages WHERE node = {node} AND answer = 0 RETURNING id, body, expires");
    connection.query(&sql, &mut |row| {
        if number_at(row, 2) >= clock {
            requests.push((text_at(row, 0), text_at(row, 1)));
        }
    })?;
    Ok(requests)
}

/// Reads and deletes the answer to a request of this node.
pub(super) fn take_answer(connection: &Connection, id: &str, own_node: &str) -> Result<Option<String>, StorageError> {
    let (id, node) = (connection.text(id), connection.text(own_node));
    let mut answer = None;
    let sql = format!("DELETE FROM callpark_messages WHERE id = {id} AND node = {node} AND answer = 1 RETURNING body");
    connection.query(&sql, &mut |row| answer = Some(text_at(row, 0)))?;
    Ok(answer)
}
