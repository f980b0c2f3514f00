//! The account and its configuration.

use sandpit_types::Usd;
use sandpit_venue::VenueAccount;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// `GET /v2/account`. The day-trade fields went away on 2026-07-06; some clients still demand two of them.
pub(crate) fn account(account: &VenueAccount, today: jiff::civil::Date) -> Value {
    let text = |value: Usd| value.to_string();
    json!({
        "id": &*account.id,
        "account_number": &*account.account_number,
        "status": "ACTIVE",
        "crypto_status": "INACTIVE",
        "currency": "USD",
        "created_at": account.created_at,
        "balance_asof": today.to_string(),
        "buying_power": text(account.buying_power),
        "regt_buying_power": text(account.buying_power),
        "non_marginable_buying_power": text(account.non_marginable_buying_power),
        "options_buying_power": text(account.non_marginable_buying_power),
        "cash": text(account.cash),
        "accrued_fees": "0",
        "pending_transfer_in": "0",
        "pending_transfer_out": "0",
        "pending_reg_taf_fees": "0",
        "portfolio_value": text(account.equity),
        "equity": text(account.equity),
        "last_equity": text(account.last_equity),
        "long_market_value": text(account.long_market_value),
        "short_market_value": text(account.short_market_value),
        "initial_margin": text(account.initial_margin),
        "maintenance_margin": text(account.maintenance_margin),
        "last_maintenance_margin": "0",
        "sma": text(account.equity),
        "multiplier": account.multiplier.to_string(),
        "intraday_adjustments": "0",
        "trading_blocked": false,
        "transfers_blocked": false,
        "account_blocked": false,
        "trade_suspended_by_user": account.suspended,
        "shorting_enabled": account.shorting_enabled,
        "options_approved_level": 0,
        "options_trading_level": 0,
        "pattern_day_trader": false,
        "daytrade_count": 0,
    })
}

/// `GET /v2/account/configurations`. Only `suspend_trade` and `no_shorting` have an effect; what else would
/// change what the broker takes cannot be changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Configuration {
    trade_confirm_email: String,
    suspend_trade: bool,
    no_shorting: bool,
    fractional_trading: bool,
    max_margin_multiplier: String,
    ptp_no_exception_entry: bool,
    max_options_trading_level: Option<u8>,
    disable_overnight_trading: bool,
}

impl Default for Configuration {
    fn default() -> Self {
        Self {
            trade_confirm_email: "all".into(),
            suspend_trade: false,
            no_shorting: false,
            fractional_trading: true,
            max_margin_multiplier: "2".into(),
            ptp_no_exception_entry: false,
            max_options_trading_level: None,
            disable_overnight_trading: false,
        }
    }
}

/// `PATCH /v2/account/configurations`: what is null or missing is left alone, what is unknown is passed over.
#[derive(Debug, Deserialize)]
pub(crate) struct ConfigurationChange {
    trade_confirm_email: Option<String>,
    suspend_trade: Option<bool>,
    no_shorting: Option<bool>,
    fractional_trading: Option<bool>,
    max_margin_multiplier: Option<String>,
    ptp_no_exception_entry: Option<bool>,
    max_options_trading_level: Option<u8>,
    disable_overnight_trading: Option<bool>,
}

impl Configuration {
    /// Whether new orders are rejected.
    pub(crate) fn suspends_trade(&self) -> bool {
        self.suspend_trade
    }

    /// Whether short sales are rejected.
    pub(crate) fn forbids_shorting(&self) -> bool {
        self.no_shorting
    }

    /// Applies a change, or says what is wrong with it: a value that is not one of the broker's, or a change
    /// that would have no effect here.
    pub(crate) fn apply(&mut self, change: ConfigurationChange) -> Result<(), String> {
        let one_of = |value: &Option<String>, words: &[&str]| {
            value.as_deref().is_none_or(|value| words.contains(&value))
        };
        if !one_of(&change.trade_confirm_email, &["all", "none"]) {
            return Err("invalid trade_confirm_email".into());
        }
        if !one_of(&change.max_margin_multiplier, &["1", "2", "4"]) {
            return Err("invalid max_margin_multiplier".into());
        }
        let fixed = |field| {
            Err(format!("{field} cannot be changed: only suspend_trade and no_shorting are supported yet"))
        };
        if change.max_margin_multiplier.is_some_and(|wanted| wanted != self.max_margin_multiplier) {
            return fixed("max_margin_multiplier");
        }
        if change.fractional_trading.is_some_and(|wanted| wanted != self.fractional_trading) {
            return fixed("fractional_trading");
        }
        set(&mut self.trade_confirm_email, change.trade_confirm_email);
        set(&mut self.suspend_trade, change.suspend_trade);
        set(&mut self.no_shorting, change.no_shorting);
        set(&mut self.ptp_no_exception_entry, change.ptp_no_exception_entry);
        set(&mut self.disable_overnight_trading, change.disable_overnight_trading);
        self.max_options_trading_level = change.max_options_trading_level.or(self.max_options_trading_level);
        Ok(())
    }
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_leaves_alone() {
        let change = |text: &str| serde_json::from_str::<ConfigurationChange>(text).expect(text);
        let mut configuration = Configuration::default();
        let body = r#"{"suspend_trade":true,"no_shorting":null,"dtbp_check":null,"pdt_check":"entry"}"#;
        configuration.apply(change(body)).expect("sound");
        assert_eq!(configuration, Configuration { suspend_trade: true, ..Configuration::default() });
        configuration.apply(change("{}")).expect("sound");
        assert!(configuration.suspends_trade());
        let same = change(r#"{"max_margin_multiplier":"2","fractional_trading":true,"no_shorting":true}"#);
        configuration.apply(same).expect("sound");
        assert!(configuration.forbids_shorting());
        let fixed = "cannot be changed: only suspend_trade and no_shorting are supported yet";
        for (field, why) in [
            (r#""max_margin_multiplier":"3""#, "invalid max_margin_multiplier"),
            (r#""max_margin_multiplier":"4""#, &format!("max_margin_multiplier {fixed}")),
            (r#""fractional_trading":false"#, &format!("fractional_trading {fixed}")),
        ] {
            let wrong = change(&format!(r#"{{"suspend_trade":false,{field}}}"#));
            assert_eq!(configuration.apply(wrong), Err(why.to_owned()));
            assert!(configuration.suspends_trade(), "nothing of a wrong change is applied");
        }
    }
}
