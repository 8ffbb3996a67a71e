//! `GET /`: what this is, for whoever opens the address in a browser.

use axum::response::Html;

/// A page without scripts.
pub(super) async fn get() -> Html<&'static str> {
    Html(
        "<!doctype html><meta charset=\"utf-8\"><title>Vitrina</title>\
         <h1>Vitrina</h1><p>The agent of this shop. Terminals use its API under <code>/v1/</code> with a token \
         (<code>vitrina-agent terminal add NAME</code>).\
         <p lang=\"ru\">Агент магазина. Кассы и терминалы работают через API <code>/v1/</code> с токеном \
         (<code>vitrina-agent terminal add NAME</code>).",
    )
}
