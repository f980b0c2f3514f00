//! The files of the page, and what goes with every answer.

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};

/// The page behind the sign-in.
const PANEL: &str = include_str!("page/panel.html");
/// The sign-in page. What it says last stands for [`SAID`]. Its form says where it comes from: with the
/// policy of the other answers, a browser would call that `null`.
const SIGN_IN: &str = include_str!("page/sign-in.html");
const SAID: &str = "<!-- said -->";

/// What a browser may do with any answer of ours: run our files, ask us, and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

/// Name, content type and text of each further file.
const FILES: [(&str, &str, &str); 6] = [
    ("panel.css", "text/css; charset=utf-8", include_str!("page/panel.css")),
    ("panel.js", "text/javascript; charset=utf-8", include_str!("page/panel.js")),
    ("show.js", "text/javascript; charset=utf-8", include_str!("page/show.js")),
    ("plot.js", "text/javascript; charset=utf-8", include_str!("page/plot.js")),
    ("deeds.js", "text/javascript; charset=utf-8", include_str!("page/deeds.js")),
    ("icon.svg", "image/svg+xml", include_str!("page/icon.svg")),
];

/// The file of this name.
pub(crate) fn file(name: &str) -> Option<Response> {
    let (_, content_type, text) = FILES.into_iter().find(|(known, ..)| *known == name)?;
    Some(([(header::CONTENT_TYPE, content_type)], text).into_response())
}

/// The page.
pub(crate) fn panel() -> Response {
    html(PANEL.to_owned())
}

/// The sign-in page; `said` is a sentence of ours, never anything that came from outside.
pub(crate) fn sign_in(said: &'static str) -> Response {
    html(SIGN_IN.replace(SAID, said))
}

fn html(text: String) -> Response {
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], text).into_response()
}

/// Puts on what every answer wears.
pub(crate) fn dress(headers: &mut HeaderMap) {
    let mut put = |name: HeaderName, value: &'static str| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    put(header::CONTENT_SECURITY_POLICY, POLICY);
    put(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    put(header::REFERRER_POLICY, "no-referrer");
    put(header::CACHE_CONTROL, "no-store");
    put(header::X_FRAME_OPTIONS, "DENY");
    put(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    put(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    let nothing = "camera=(), microphone=(), geolocation=(), payment=(), usb=()";
    put(HeaderName::from_static("permissions-policy"), nothing);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pages_have_nothing_inline_and_nothing_from_elsewhere() {
        assert!(!POLICY.contains("unsafe") && POLICY.starts_with("default-src 'none';"));
        for page in [PANEL, SIGN_IN] {
            for word in ["style=", "<style", "http:", "https:", "javascript:", "<iframe", "<base"] {
                assert!(!page.contains(word), "{word}");
            }
            for tag in page.split("<script").skip(1) {
                assert!(tag.contains("src=\"/panel/") && tag.contains("></script>"), "{tag}");
            }
            let is_handler = |word: &&str| word.starts_with("on") && word.contains('=');
            assert_eq!(page.split_whitespace().find(is_handler), None);
            assert!(page.contains("name=\"viewport\"") && page.contains("lang=\"en\""));
        }
        assert_eq!(SIGN_IN.matches(SAID).count(), 1);
        assert!(SIGN_IN.contains("<meta name=\"referrer\" content=\"same-origin\">"));
    }

    #[test]
    fn the_scripts_make_no_markup_of_texts_and_keep_nothing() {
        for (name, _, text) in FILES {
            for word in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "new Function",
                "DOMParser",
                "localStorage",
                "sessionStorage",
                "indexedDB",
                "document.cookie",
                "https:",
                "@import",
            ] {
                assert!(!text.contains(word), "{word} in {name}");
            }
            let links = text.replace("http://www.w3.org/2000/svg", "");
            assert!(!links.contains("http:") && !links.contains("url("), "{name}");
        }
    }
}
