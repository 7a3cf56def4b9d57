//! What pages load: our own style sheet and script, and the two libraries. All of it is in the program.

use axum::Router;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use axum::routing::MethodRouter;

use crate::state::Shared;

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

listed! {
    ASSET_ROUTES, files:
    "/assets/console.css" => get style;
    "/assets/console.js" => get script;
    "/assets/htmx.js" => get htmx;
    "/assets/uplot.js" => get uplot;
    "/assets/uplot.css" => get uplot_style;
}

async fn style() -> Response {
    asset(STYLE, include_str!("../../../../assets/console.css"))
}

async fn script() -> Response {
    asset(SCRIPT, include_str!("../../../../assets/console.js"))
}

async fn htmx() -> Response {
    asset(SCRIPT, include_str!("../../../../assets/vendor/htmx.min.js"))
}

async fn uplot() -> Response {
    asset(SCRIPT, include_str!("../../../../assets/vendor/uPlot.iife.min.js"))
}

async fn uplot_style() -> Response {
    asset(STYLE, include_str!("../../../../assets/vendor/uPlot.min.css"))
}

fn asset(media_type: &'static str, content: &'static str) -> Response {
    ([(header::CONTENT_TYPE, media_type), (header::CACHE_CONTROL, "public, max-age=300")], content)
        .into_response()
}
