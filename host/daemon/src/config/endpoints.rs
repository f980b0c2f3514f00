//! Where the broker is reached.

use super::{
    Mode,
    file::{BrokerName, BrokerSection},
};

/// Where `sandpit-sim` listens unless told otherwise.
const SIM_URL: &str = "http://127.0.0.1:8090";

/// Where the broker is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoints {
    /// Trading REST, no path.
    pub(crate) trading_url: String,
    /// Market-data REST, no path.
    pub(crate) data_url: String,
    /// Trade updates, a complete WebSocket address.
    pub(crate) trading_stream_url: String,
    /// Market data, a complete WebSocket address.
    pub(crate) data_stream_url: String,
    /// News, a complete WebSocket address.
    pub(crate) news_stream_url: String,
}

/// The broker's own addresses, or those below the one address that the file names.
pub(super) fn endpoints(broker: &BrokerSection, mode: Mode) -> Endpoints {
    let own = |base: &str| {
        let base = base.trim_end_matches('/');
        let ws = base.replacen("http", "ws", 1);
        Endpoints {
            trading_url: base.to_owned(),
            data_url: base.to_owned(),
            trading_stream_url: format!("{ws}/stream"),
            data_stream_url: format!("{ws}/v2/{}", broker.feed),
            news_stream_url: format!("{ws}/v1beta1/news"),
        }
    };
    match (&broker.url, &broker.name) {
        (Some(url), BrokerName::Sim | BrokerName::Alpaca) => own(url),
        (None, BrokerName::Sim) => own(SIM_URL),
        (None, BrokerName::Alpaca) => {
            let host = if mode == Mode::Live { "api.alpaca.markets" } else { "paper-api.alpaca.markets" };
            Endpoints {
                trading_url: format!("https://{host}"),
                data_url: "https://data.alpaca.markets".into(),
                trading_stream_url: format!("wss://{host}/stream"),
                data_stream_url: format!("wss://stream.data.alpaca.markets/v2/{}", broker.feed),
                news_stream_url: "wss://stream.data.alpaca.markets/v1beta1/news".into(),
            }
        }
    }
}
