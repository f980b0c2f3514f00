//! What the account is worth, as the broker shows it.

/// An account that is all cash, unless a test changes it.
#[derive(Clone, Debug)]
pub(crate) struct Worth {
    pub(crate) id: String,
    /// Shown instead of cash and shares.
    pub(crate) equity: Option<String>,
    pub(crate) cash: i64,
    /// Shares of one symbol, and their price.
    pub(crate) shares: i64,
    pub(crate) price: i64,
    /// Transfers: day and amount.
    pub(crate) transfers: Vec<(String, i64)>,
    /// Orders that were accepted so far.
    pub(crate) accepted: usize,
}

impl Default for Worth {
    fn default() -> Self {
        Self {
            id: "bench-account-0001".into(),
            equity: None,
            cash: 100_000,
            shares: 0,
            price: 100,
            transfers: Vec::new(),
            accepted: 0,
        }
    }
}

impl Worth {
    pub(super) fn account(&self) -> String {
        let equity =
            self.equity.clone().unwrap_or_else(|| (self.cash + self.shares * self.price).to_string());
        let close = r#""last_equity":"100000","balance_asof":"2026-03-02""#;
        format!(r#"{{"id":"{}","equity":"{equity}","cash":"{}",{close}}}"#, self.id, self.cash)
    }

    pub(super) fn positions(&self) -> String {
        if self.shares == 0 {
            return "[]".into();
        }
        let value = self.shares * self.price;
        format!(r#"[{{"symbol":"A","qty":"{}","market_value":"{value}"}}]"#, self.shares)
    }

    pub(super) fn activities(&self) -> String {
        let row = |(n, (day, net)): (usize, &(String, i64))| {
            format!(r#"{{"id":"{n:04}","activity_type":"CSD","date":"{day}","net_amount":"{net}"}}"#)
        };
        format!("[{}]", self.transfers.iter().enumerate().map(row).collect::<Vec<_>>().join(","))
    }

    /// All that were accepted after the stamp in the request; one a millisecond.
    pub(super) fn accepted_since(&self, request: &str) -> String {
        let stamp = |n: usize| format!("2026-03-02T15:00:{:02}.{:03}Z", n / 1000, n % 1000);
        let after = request.split("after=").nth(1).and_then(|rest| rest.split('&').next()).unwrap_or("");
        let order = |n: usize| {
            format!(r#"{{"id":"h{n}","status":"filled","symbol":"A","submitted_at":"{}"}}"#, stamp(n))
        };
        let newer = (0..self.accepted).filter(|n| stamp(*n).as_str() > after);
        format!("[{}]", newer.map(order).collect::<Vec<_>>().join(","))
    }
}
