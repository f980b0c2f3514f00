//! What the page asks of the records: asked once for everybody, and not more often than it changes.

use std::{sync::Arc, time::Duration};

use tokio::sync::Mutex;

use super::{Clock, History, curve::Curve, view::bound};

/// An answer of the records is good for so long.
const FRESH: Duration = Duration::from_secs(2);
/// Pages of the equity curve that are read at a time; the next look goes on.
const MAX_PAGES: usize = 60;
/// Lines of the audit log that are shown.
const AUDIT_LINES: usize = 50;

/// The records as the page sees them.
pub(crate) struct Recall {
    history: Arc<dyn History>,
    now: Clock,
    audit: Mutex<Option<(Duration, String)>>,
    curve: Mutex<(Option<Duration>, Curve)>,
}

impl Recall {
    pub(crate) fn new(history: Arc<dyn History>, now: Clock) -> Self {
        Self { history, now, audit: Mutex::default(), curve: Mutex::default() }
    }

    /// The newest lines of the audit log as JSON.
    ///
    /// # Errors
    /// A sentence, when the records cannot be read.
    pub(crate) async fn audit(&self) -> Result<String, String> {
        let mut kept = self.audit.lock().await;
        let now = (self.now)();
        if let Some((at, text)) = &*kept
            && now.saturating_sub(*at) < FRESH
        {
            return Ok(text.clone());
        }
        let lines = self.history.audit(AUDIT_LINES).await?;
        let mut lines = serde_json::to_value(lines).map_err(|error| error.to_string())?;
        bound(&mut lines);
        let text = lines.to_string();
        *kept = Some((now, text.clone()));
        Ok(text)
    }

    /// The equity curve as JSON.
    ///
    /// # Errors
    /// A sentence, when the records cannot be read.
    pub(crate) async fn curve(&self) -> Result<String, String> {
        let mut kept = self.curve.lock().await;
        let now = (self.now)();
        let (read_at, curve) = &mut *kept;
        if read_at.is_some_and(|at| now.saturating_sub(at) < FRESH) {
            return Ok(curve.json());
        }
        for _ in 0..MAX_PAGES {
            let after = curve.newest_ms();
            curve.extend(self.history.equity(after).await?);
            if curve.newest_ms() == after {
                break;
            }
        }
        *read_at = Some(now);
        Ok(curve.json())
    }
}
