//! Times as operators read them.

/// A day, seconds.
pub(crate) const DAY_S: u64 = 86_400;

/// `unix_s` as RFC 3339 in UTC.
pub(crate) fn stamp(unix_s: u64) -> String {
    let at = i64::try_from(unix_s).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    at.map_or_else(|| format!("{unix_s} (Unix s)"), |at| at.to_string())
}

/// How long, in the unit that suits it.
pub(crate) fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / DAY_S),
    }
}

/// An HTTP date such as `Sun, 22 Nov 2026 21:43:56 GMT`, Unix seconds.
pub(crate) fn http_date(text: &str) -> Option<u64> {
    let at = jiff::fmt::rfc2822::parse(&text.replace("GMT", "+0000")).ok()?;
    u64::try_from(at.timestamp().as_second()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_said() {
        assert_eq!(http_date("Thu, 01 Jan 1970 00:02:00 GMT"), Some(120));
        assert_eq!(http_date("soon"), None);
        assert_eq!(stamp(120), "1970-01-01T00:02:00Z");
        assert_eq!([59, 180, 7_200, 3 * DAY_S].map(span), ["59 s", "3 min", "2 h", "3 days"]);
    }
}
