//! Cards in the forms that chat services take. Text from callers cannot format anything, mention anybody, or become a link.

use serde_json::{Value, json};

use super::card::Card;

/// The colours at the edge of a card of Mattermost.
const COLOUR: &str = "#2e7d32";
const URGENT_COLOUR: &str = "#c62828";

/// A message for an incoming webhook of Slack: text for notifications, and blocks.
pub(super) fn slack(card: &Card<'_>) -> Value {
    // Without `verbatim`, Slack makes links and mentions of what looks like one.
    let text = |text: String| json!({"type": "mrkdwn", "text": text, "verbatim": true});
    let fields: Vec<Value> =
        card.facts.iter().map(|(what, fact)| text(format!("*{what}*\n{}", escape_slack(fact)))).collect();
    let sentence = escape_slack(&card.sentence);
    let mut blocks = vec![
        json!({"type": "section", "text": text(format!("*{sentence}*"))}),
        json!({"type": "section", "fields": fields}),
    ];
    if let Some(link) = card.link {
        blocks.push(json!({"type": "context", "elements": [text(format!("<{link}|{}>", Card::LINK))]}));
    }
    json!({"text": sentence, "blocks": blocks})
}

/// A message for an incoming webhook of Mattermost.
pub(super) fn mattermost(card: &Card<'_>) -> Value {
    let field = |(what, fact): &(&str, String)| json!({"title": what, "value": escape_markdown(fact), "short": true});
    let sentence = escape_markdown(&card.sentence);
    let mut attachment = json!({
        "fallback": sentence,
        "color": if card.is_urgent { URGENT_COLOUR } else { COLOUR },
        "text": sentence,
        "fields": card.facts.iter().map(field).collect::<Vec<_>>(),
    });
    if let Some(link) = card.link {
        attachment["title"] = json!(Card::LINK);
        attachment["title_link"] = json!(link);
    }
    json!({"attachments": [attachment]})
}

/// An Adaptive Card for a webhook of Workflows in Microsoft Teams.
pub(super) fn teams(card: &Card<'_>) -> Value {
    let fact = |(what, fact): &(&str, String)| json!({"title": what, "value": escape_markdown(fact)});
    let colour = if card.is_urgent { "attention" } else { "default" };
    let mut content = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [
            {"type": "TextBlock", "text": escape_markdown(&card.sentence), "weight": "bolder", "color": colour, "wrap": true},
            {"type": "FactSet", "facts": card.facts.iter().map(fact).collect::<Vec<_>>()},
        ],
    });
    if let Some(link) = card.link {
        content["actions"] = json!([{"type": "Action.OpenUrl", "title": Card::LINK, "url": link}]);
    }
    let attachment =
        json!({"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null, "content": content});
    json!({"type": "message", "attachments": [attachment]})
}

/// Escapes what Slack reads as markup: `<!channel>`, `<http://...|text>`. The characters of `*bold*` have no escape; an invisible character after
/// each keeps them from pairing.
fn escape_slack(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '*' | '_' | '~' | '`' => escaped.extend([NO_SPACE, c, NO_SPACE]),
            _ => escaped.push(c),
        }
    }
    escaped
}

/// A space without width.
const NO_SPACE: char = '\u{200b}';

/// Escapes Markdown. A mention and a URL, which have no escape, are interrupted by a space without width.
fn escape_markdown(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if "\\`*_{}[]()#+-!|~>".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
        if matches!(c, '@' | ':' | '<') {
            escaped.push(NO_SPACE);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::card::tests::row;
    use super::*;
    use crate::parking::NotifyEvent;
    use crate::service::CallRow;

    const HOSTILE: &str = "<!channel> *b* [x](http://evil.test) @all & `c`";

    fn told(make: fn(&Card<'_>) -> Value) -> Value {
        let call = CallRow { caller_name: HOSTILE.into(), ..row() };
        make(&Card::new(NotifyEvent::Remind, &call, "", "", Some("https://p.example.com/?lot=main&slot=701")))
    }

    #[test]
    fn each_card_has_slot_caller_label_wait_and_link() {
        for make in [slack, mattermost, teams] {
            let text =
                make(&Card::new(NotifyEvent::Park, &row(), "", "", Some("https://p.example.com/?x=1"))).to_string();
            for part in ["701", "Mr Chen", "030123", "invoice", "1 min 5 s", "https://p.example.com/?x=1"] {
                assert!(text.contains(part), "{part} not in {text}");
            }
        }
    }

    #[test]
    fn text_of_callers_formats_nothing_in_slack() {
        let text = told(slack).to_string();
        assert!(text.contains("&lt;!channel&gt;") && text.contains("&amp;"), "{text}");
        assert!(!text.contains("<!channel") && !text.contains("*b*") && !text.contains("`c`"), "{text}");
        assert_eq!(text.matches('<').count(), 1, "only the link of the module: {text}");
        assert_eq!(text.matches(r#""verbatim":true"#).count(), text.matches("mrkdwn").count());
    }

    #[test]
    fn text_of_callers_formats_nothing_in_markdown() {
        for make in [mattermost, teams] {
            let text = told(make).to_string();
            // JSON writes each backslash twice.
            assert!(text.contains(r"\\*b\\*") && text.contains(r"\\[x\\]\\(http:"), "{text}");
            assert!(!text.contains("http://evil.test") && !text.contains("@all"), "{text}");
        }
    }

    #[test]
    fn a_card_of_teams_is_an_adaptive_card() {
        let card = told(teams);
        let attachment = &card["attachments"][0];
        assert_eq!(attachment["contentType"], "application/vnd.microsoft.card.adaptive");
        assert_eq!(attachment["content"]["actions"][0]["url"], "https://p.example.com/?lot=main&slot=701");
    }
}
