//! The files of the dashboard, which are part of the module.

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const DRAWING: &str = "image/svg+xml";
const IMAGE: &str = "image/png";
const MANIFEST: &str = "application/manifest+json";

macro_rules! files {
    ($($name:literal $kind:ident),* $(,)?) => { &[$((concat!("/", $name), $kind, include_bytes!(concat!("page/", $name)).as_slice())),*] };
}

const FILES: &[(&str, &str, &[u8])] = files![
    "actions.js" SCRIPT,
    "alerts.js" SCRIPT,
    "announcer.js" SCRIPT,
    "api.js" SCRIPT,
    "base.css" STYLE,
    "board.css" STYLE,
    "board.js" SCRIPT,
    "boards.js" SCRIPT,
    "calls.js" SCRIPT,
    "charts.js" SCRIPT,
    "colleagues.js" SCRIPT,
    "connection.js" SCRIPT,
    "dashboard.js" SCRIPT,
    "desk.css" STYLE,
    "desk.js" SCRIPT,
    "dom.js" SCRIPT,
    "drags.js" SCRIPT,
    "feed.js" SCRIPT,
    "history.js" SCRIPT,
    "icon-192.png" IMAGE,
    "icon-512.png" IMAGE,
    "icon-maskable.png" IMAGE,
    "icon.svg" DRAWING,
    "icons.js" SCRIPT,
    "index.html" HTML,
    "main.js" SCRIPT,
    "manifest.json" MANIFEST,
    "mine.js" SCRIPT,
    "notices.js" SCRIPT,
    "records.css" STYLE,
    "refresher.js" SCRIPT,
    "report.css" STYLE,
    "report.js" SCRIPT,
    "report_figures.js" SCRIPT,
    "sign_in.js" SCRIPT,
    "slot.js" SCRIPT,
    "stream.js" SCRIPT,
    "takes.js" SCRIPT,
    "text.js" SCRIPT,
    "text_de.js" SCRIPT,
    "text_en.js" SCRIPT,
    "text_es.js" SCRIPT,
    "text_fr.js" SCRIPT,
    "text_pt.js" SCRIPT,
    "text_ru.js" SCRIPT,
    "time.js" SCRIPT,
    "today.js" SCRIPT,
    "totals.js" SCRIPT,
    "wall.css" STYLE,
    "wall.js" SCRIPT,
];

pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let index = FILES.iter().filter(|(path, ..)| *path == "/index.html").map(|(_, kind, text)| ("/", *kind, *text));
    FILES.iter().copied().chain(index).fold(Router::new(), |router, (path, kind, text)| {
        router.route(path, get(move || async move { ([(CONTENT_TYPE, kind)], text) }))
    })
}

#[cfg(test)]
mod tests {
    use super::FILES;

    #[test]
    fn every_file_of_the_page_is_served() {
        let mut there: Vec<String> = std::fs::read_dir("src/web/page")
            .unwrap()
            .map(|entry| format!("/{}", entry.unwrap().file_name().into_string().unwrap()))
            .collect();
        there.sort();
        let mut served: Vec<&str> = FILES.iter().map(|(path, ..)| *path).collect();
        served.sort_unstable();
        assert_eq!(there, served);
    }
}
