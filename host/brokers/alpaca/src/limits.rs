//! What the headers of an answer say about the broker's request limit.

use std::time::Duration;

use reqwest::header::HeaderMap;
use sandpit_broker::RateHint;
use sandpit_types::MarketTime;

/// How long a 429 pauses us when the broker does not say (DESIGN: rate limits).
pub(crate) const DEFAULT_PAUSE: Duration = Duration::from_secs(60);

/// `X-RateLimit-Remaining` and `X-RateLimit-Reset` (seconds since 1970), if both are there.
pub(crate) fn remaining(headers: &HeaderMap) -> Option<RateHint> {
    let requests = number(headers, "x-ratelimit-remaining")?;
    let reset = number(headers, "x-ratelimit-reset")?;
    Some(RateHint::Remaining {
        requests: u32::try_from(requests).unwrap_or(u32::MAX),
        reset: MarketTime::from_secs(i64::try_from(reset).ok()?),
    })
}

/// `Retry-After` in seconds. Alpaca does not document it; a proxy before it may send it.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    number(headers, "retry-after").map(Duration::from_secs)
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_need_both_headers() {
        let check = |pairs: &[(&'static str, &str)], expected: Option<RateHint>| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, value.parse().expect("header"));
            }
            assert_eq!(remaining(&headers), expected, "{pairs:?}");
        };
        let reset = MarketTime::from_secs(1_381_152_660);
        check(
            &[("x-ratelimit-remaining", "7"), ("x-ratelimit-reset", "1381152660")],
            Some(RateHint::Remaining { requests: 7, reset }),
        );
        check(&[("x-ratelimit-remaining", "7")], None);
        check(&[("x-ratelimit-remaining", "many"), ("x-ratelimit-reset", "1381152660")], None);
        check(&[], None);
    }
}
