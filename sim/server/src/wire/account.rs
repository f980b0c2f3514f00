//! The account and its configuration.

use sandpit_types::Usd;
use sandpit_venue::{PdtCheck, Venue, VenueAccount};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// `GET /v2/account`. The day-trade fields went away on 2026-07-06; some clients still demand two of them.
/// `asof` is the day of the last close.
pub(crate) fn account(account: &VenueAccount, asof: jiff::civil::Date) -> Value {
    let mut json = json!({
        "id": &*account.id,
        "admin_configurations": {},
        "user_configurations": null,
        "account_number": &*account.account_number,
        "status": "ACTIVE",
        "crypto_status": "INACTIVE",
        "crypto_tier": 0,
        "currency": "USD",
        "created_at": account.created_at,
        "balance_asof": asof.to_string(),
        "multiplier": account.multiplier.to_string(),
        "trading_blocked": false,
        "transfers_blocked": false,
        "account_blocked": false,
        "trade_suspended_by_user": account.suspended,
        "shorting_enabled": account.shorting_enabled,
        "options_approved_level": 0,
        "options_trading_level": 0,
        "pattern_day_trader": account.pattern_day_trader,
        "daytrade_count": account.day_trade_count,
    });
    for (name, amount) in amounts(account) {
        json[name] = amount.to_string().into();
    }
    json
}

/// The fields that are decimals, written as texts.
fn amounts(account: &VenueAccount) -> [(&'static str, Usd); 23] {
    [
        ("buying_power", account.buying_power),
        ("regt_buying_power", account.regt_buying_power),
        ("daytrading_buying_power", account.intraday_buying_power),
        ("effective_buying_power", account.buying_power),
        ("non_marginable_buying_power", account.non_marginable_buying_power),
        ("options_buying_power", account.non_marginable_buying_power),
        ("bod_dtbp", Usd::ZERO),
        ("cash", account.cash),
        ("accrued_fees", account.accrued_fees),
        ("pending_transfer_in", Usd::ZERO),
        ("pending_transfer_out", Usd::ZERO),
        ("pending_reg_taf_fees", account.accrued_fees),
        ("portfolio_value", account.equity),
        ("equity", account.equity),
        ("last_equity", account.last_equity),
        ("long_market_value", account.long_market_value),
        ("short_market_value", account.short_market_value),
        ("position_market_value", account.long_market_value - account.short_market_value),
        ("initial_margin", account.initial_margin),
        ("maintenance_margin", account.maintenance_margin),
        ("last_maintenance_margin", account.last_maintenance_margin),
        ("sma", account.sma),
        ("intraday_adjustments", Usd::ZERO),
    ]
}

/// `GET /v2/account/configurations`. The two checks of day trades went away on 2026-07-06; they count under
/// the old rule. What is about mails, options and nights is kept and has no effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Configuration {
    dtbp_check: &'static str,
    pdt_check: &'static str,
    trade_confirm_email: &'static str,
    suspend_trade: bool,
    no_shorting: bool,
    fractional_trading: bool,
    max_margin_multiplier: &'static str,
    ptp_no_exception_entry: bool,
    max_options_trading_level: Option<u8>,
    disable_overnight_trading: bool,
}

impl Default for Configuration {
    fn default() -> Self {
        Self {
            dtbp_check: "entry",
            pdt_check: "entry",
            trade_confirm_email: "all",
            suspend_trade: false,
            no_shorting: false,
            fractional_trading: true,
            max_margin_multiplier: "4",
            ptp_no_exception_entry: false,
            max_options_trading_level: None,
            disable_overnight_trading: false,
        }
    }
}

/// `PATCH /v2/account/configurations`: what is null or missing is left alone, what is unknown is passed over.
#[derive(Debug, Deserialize)]
pub(crate) struct ConfigurationChange {
    dtbp_check: Option<String>,
    pdt_check: Option<String>,
    trade_confirm_email: Option<String>,
    suspend_trade: Option<bool>,
    no_shorting: Option<bool>,
    fractional_trading: Option<bool>,
    max_margin_multiplier: Option<String>,
    ptp_no_exception_entry: Option<bool>,
    max_options_trading_level: Option<u8>,
    disable_overnight_trading: Option<bool>,
}

/// When the checks of day trades may look.
const CHECKS: [&str; 3] = ["both", "entry", "exit"];
/// Highest level of options trading.
const MAX_OPTIONS_LEVEL: u8 = 3;

impl Configuration {
    /// Applies a change, or names the field that has a value which is not one of the broker's; then nothing
    /// changed.
    pub(crate) fn apply(&mut self, change: ConfigurationChange) -> Result<(), &'static str> {
        let mut new = self.clone();
        one_of(&mut new.dtbp_check, change.dtbp_check, &CHECKS, "dtbp_check")?;
        one_of(&mut new.pdt_check, change.pdt_check, &CHECKS, "pdt_check")?;
        let mails = ["all", "none"];
        one_of(&mut new.trade_confirm_email, change.trade_confirm_email, &mails, "trade_confirm_email")?;
        let multipliers = ["1", "2", "4"];
        let multiplier = change.max_margin_multiplier;
        one_of(&mut new.max_margin_multiplier, multiplier, &multipliers, "max_margin_multiplier")?;
        if change.max_options_trading_level.is_some_and(|level| level > MAX_OPTIONS_LEVEL) {
            return Err("max_options_trading_level");
        }
        set(&mut new.suspend_trade, change.suspend_trade);
        set(&mut new.no_shorting, change.no_shorting);
        set(&mut new.fractional_trading, change.fractional_trading);
        set(&mut new.ptp_no_exception_entry, change.ptp_no_exception_entry);
        set(&mut new.disable_overnight_trading, change.disable_overnight_trading);
        new.max_options_trading_level = change.max_options_trading_level.or(new.max_options_trading_level);
        *self = new;
        Ok(())
    }

    /// Makes the venue go by it.
    pub(crate) fn rule(&self, venue: &mut Venue) {
        venue.set_suspended(self.suspend_trade);
        venue.set_no_shorting(self.no_shorting);
        venue.set_fractional(self.fractional_trading);
        venue.set_margin_limit(self.max_margin_multiplier.parse().expect("1, 2 or 4"));
        venue.set_pdt_check(match self.pdt_check {
            "both" => PdtCheck::Both,
            "exit" => PdtCheck::Exit,
            _ => PdtCheck::Entry,
        });
    }
}

fn one_of(
    field: &mut &'static str,
    value: Option<String>,
    words: &[&'static str],
    name: &'static str,
) -> Result<(), &'static str> {
    if let Some(value) = value {
        *field = words.iter().find(|word| **word == value).ok_or(name)?;
    }
    Ok(())
}

fn set(field: &mut bool, value: Option<bool>) {
    *field = value.unwrap_or(*field);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_leaves_alone() {
        let change = |text: &str| serde_json::from_str::<ConfigurationChange>(text).expect(text);
        let mut configuration = Configuration::default();
        let body = r#"{"suspend_trade":true,"no_shorting":null,"dtbp_check":null,"pdt_check":"exit"}"#;
        configuration.apply(change(body)).expect("sound");
        let expected = Configuration { suspend_trade: true, pdt_check: "exit", ..Configuration::default() };
        assert_eq!(configuration, expected);
        configuration.apply(change("{}")).expect("sound");
        assert_eq!(configuration, expected);
        let all = r#"{"max_margin_multiplier":"1","fractional_trading":false,"max_options_trading_level":2,
            "trade_confirm_email":"none","ptp_no_exception_entry":true,"disable_overnight_trading":true,
            "dtbp_check":"both","no_shorting":true,"suspend_trade":false,"pdt_check":"entry"}"#;
        configuration.apply(change(all)).expect("sound");
        let expected = Configuration {
            dtbp_check: "both",
            pdt_check: "entry",
            trade_confirm_email: "none",
            suspend_trade: false,
            no_shorting: true,
            fractional_trading: false,
            max_margin_multiplier: "1",
            ptp_no_exception_entry: true,
            max_options_trading_level: Some(2),
            disable_overnight_trading: true,
        };
        assert_eq!(configuration, expected);
        for (field, name) in [
            (r#""max_margin_multiplier":"3""#, "max_margin_multiplier"),
            (r#""pdt_check":"never""#, "pdt_check"),
            (r#""dtbp_check":"""#, "dtbp_check"),
            (r#""trade_confirm_email":"some""#, "trade_confirm_email"),
            (r#""max_options_trading_level":4"#, "max_options_trading_level"),
        ] {
            let wrong = change(&format!(r#"{{"no_shorting":false,{field}}}"#));
            assert_eq!(configuration.apply(wrong), Err(name));
            assert_eq!(configuration, expected, "nothing of a wrong change is applied");
        }
    }
}
