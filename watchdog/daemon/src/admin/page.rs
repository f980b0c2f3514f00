//! The page with the button: one file, nothing from anywhere else.

/// It goes out as it is.
pub(super) const HTML: &str = include_str!("page.html");

/// Its content type.
pub(super) const TYPE: &str = "text/html; charset=utf-8";

/// What a browser may do with it: run the one script and use the one style whose hashes these are, ask this
/// port, and nothing else. A test computes the hashes anew and prints the line when the page has changed.
pub(super) const POLICY: &str = "default-src 'none'; \
script-src 'sha256-c3RMbzCFIOSnvopxOMvHDEC99PX6Y2l4N3p75wNbutY='; \
style-src 'sha256-7hDzud3fC/rUYVBaddLeBVbKYzknKU/FmtvLM0iRWsM='; \
connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::STANDARD};
    use sha2::{Digest, Sha256};

    use super::*;

    /// What stands between the tags, which are there once.
    fn inside(tag: &str) -> &'static str {
        let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
        assert_eq!((HTML.matches(&open).count(), HTML.matches(&close).count()), (1, 1), "{tag}");
        let start = HTML.find(&open).expect("just counted") + open.len();
        &HTML[start..HTML.find(&close).expect("just counted")]
    }

    #[test]
    fn the_policy_names_the_page_as_it_is() {
        for tag in ["script", "style"] {
            let hash = STANDARD.encode(Sha256::digest(inside(tag)));
            let wanted = format!("{tag}-src 'sha256-{hash}';");
            assert!(POLICY.contains(&wanted), "put into POLICY: {wanted}");
        }
        assert!(POLICY.starts_with("default-src 'none';") && !POLICY.contains("unsafe"));
    }

    #[test]
    fn the_page_needs_nothing_from_elsewhere_and_keeps_nothing() {
        for word in [
            "http:",
            "https:",
            "//",
            "src=",
            "href=",
            "url(",
            "@import",
            "style=",
            "innerHTML",
            "eval(",
            "localStorage",
            "sessionStorage",
            "indexedDB",
            "cookie",
            "location",
            "history",
            "?token",
        ] {
            assert!(!HTML.contains(word), "{word}");
        }
        assert!(has_handler("<a onclick=\"x\">"));
        assert_eq!(HTML.lines().find(|line| has_handler(line)), None);
        assert!(HTML.contains("type=\"password\"") && HTML.contains("autocomplete=\"current-password\""));
        assert!(HTML.contains("prefers-color-scheme") && HTML.contains("name=\"viewport\""));
    }

    /// ` onclick=` and its like.
    fn has_handler(line: &str) -> bool {
        line.split(" on").skip(1).any(|rest| {
            let name = rest.split('=').next().unwrap_or_default();
            rest.contains('=') && !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase())
        })
    }
}
