//! The file as it is written, before anything is checked.

use std::{net::SocketAddr, path::PathBuf};

use sandpit_risk::Overrides;
use serde::{Deserialize, Serialize};

use super::{
    Mode,
    alerts::AlertsSection,
    budget::{DATA_DEFAULT, TRADING_CEILING},
    database::{self, DatabaseSection},
    journal::JournalSection,
    market_data::{DEFAULT_CANARY, Encoding},
    panel::PanelSection,
};

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    pub(super) mode: Mode,
    pub(super) state_dir: PathBuf,
    pub(super) plugins_dir: PathBuf,
    #[serde(default = "default_listen")]
    pub(super) listen: SocketAddr,
    #[serde(default = "default_kill_switch_file")]
    pub(super) kill_switch_file: PathBuf,
    pub(super) control_socket: Option<PathBuf>,
    #[serde(default)]
    pub(super) broker: BrokerSection,
    #[serde(default)]
    pub(super) market_data: MarketDataSection,
    #[serde(default)]
    pub(super) budget: BudgetSection,
    #[serde(default)]
    pub(super) sources: Vec<SourceSection>,
    #[serde(default)]
    pub(super) orders: OrdersSection,
    #[serde(default)]
    pub(super) watchdog: WatchdogSection,
    #[serde(default, deserialize_with = "database::section")]
    pub(super) database: DatabaseSection,
    #[serde(default)]
    pub(super) journal: JournalSection,
    #[serde(default)]
    pub(super) panel: PanelSection,
    #[serde(default)]
    pub(super) strategies: StrategiesSection,
    #[serde(default)]
    pub(super) limits: Overrides,
    #[serde(default)]
    pub(super) alerts: AlertsSection,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum BrokerName {
    #[default]
    Sim,
    Alpaca,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct BrokerSection {
    pub(super) name: BrokerName,
    pub(super) url: Option<String>,
    pub(super) feed: String,
    pub(super) clock_speed: f64,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct MarketDataSection {
    pub(super) canary: String,
    pub(super) encoding: Encoding,
    pub(super) news: Vec<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct BudgetSection {
    pub(super) trading_per_minute: u32,
    pub(super) data_per_minute: u32,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SourceSection {
    pub(super) name: String,
    pub(super) requests_per_minute: Option<u64>,
    pub(super) requests_per_day: Option<u64>,
    pub(super) tokens_per_minute: Option<u64>,
    pub(super) tokens_per_day: Option<u64>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct OrdersSection {
    pub(super) claim: Vec<ClaimSection>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClaimSection {
    pub(super) client_id_prefix: String,
    pub(super) strategy: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct WatchdogSection {
    pub(super) socket: PathBuf,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct StrategiesSection {
    pub(super) event_deadline_ms: u64,
    pub(super) memory_mb: u64,
    pub(super) trusted_keys: Vec<String>,
    pub(super) require_signature: bool,
}

impl Default for BrokerSection {
    fn default() -> Self {
        Self { name: BrokerName::Sim, url: None, feed: "iex".into(), clock_speed: 1.0 }
    }
}

impl Default for MarketDataSection {
    fn default() -> Self {
        Self { canary: DEFAULT_CANARY.into(), encoding: Encoding::default(), news: Vec::new() }
    }
}

impl Default for BudgetSection {
    fn default() -> Self {
        Self { trading_per_minute: TRADING_CEILING, data_per_minute: DATA_DEFAULT }
    }
}

impl Default for WatchdogSection {
    fn default() -> Self {
        Self { socket: "/run/sandpit/lease.sock".into() }
    }
}

impl Default for StrategiesSection {
    fn default() -> Self {
        Self { event_deadline_ms: 100, memory_mb: 64, trusted_keys: Vec::new(), require_signature: false }
    }
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8080))
}

fn default_kill_switch_file() -> PathBuf {
    "/run/sandpit/kill".into()
}
