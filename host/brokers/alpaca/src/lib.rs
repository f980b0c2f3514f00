//! The adapter for Alpaca: trading, market data over REST, and both streams, behind the broker port.
//!
//! Every request and every stream handshake passes a [`Gate`] first. Nothing is repeated here: no retries, no
//! redirects, no proxies, and the bytes of an order leave at most once, if their permit says yes at that
//! moment. The facts about the broker are those of its API in 2026; `wire` holds its shapes, `map` what they
//! mean to us, `outcome` what an answer means to the caller.

#![forbid(unsafe_code)]

mod activities;
mod answered;
mod archive;
mod body;
mod broker;
mod config;
mod data_stream;
mod decode;
#[cfg(test)]
mod fuzz_tests;
mod greeting;
mod history;
mod limits;
mod map;
mod news;
mod oddities;
mod order_frame;
mod order_greeting;
mod order_stream;
mod orders;
mod outcome;
mod rest;
mod socket;
mod tls;
mod wire;

use std::sync::Arc;

pub use answered::AnsweredCounts;
pub use config::{AlpacaConfig, ConfigError, Encoding, Secret};
pub use data_stream::{AlpacaData, AlpacaNews};
pub use decode::DataFrames;
pub use oddities::OddityCounts;
pub use order_stream::AlpacaOrders;
use sandpit_broker::Gate;

use crate::{answered::Answered, oddities::Oddities, rest::Rest, socket::Endpoint};

/// Alpaca, as [`sandpit_broker::Broker`], [`sandpit_broker::History`], [`sandpit_broker::NewsHistory`],
/// [`sandpit_broker::DataFeed`] and [`sandpit_broker::OrderFeed`]. Share it in an `Arc`.
pub struct Alpaca {
    trading: Rest,
    data: Rest,
    order_stream: Endpoint,
    data_stream: Endpoint,
    news_stream: Endpoint,
    oddities: Arc<Oddities>,
    answered: Arc<Answered>,
    feed: String,
    key_id: Secret,
    secret: Secret,
}

impl Alpaca {
    /// Prepares the connections; nothing is sent. Trading requests pass `gate`, market data passes
    /// `data_gate`: Alpaca counts them apart.
    ///
    /// # Errors
    /// When an address or key of `config` cannot be used; see [`ConfigError`].
    pub fn new(
        config: AlpacaConfig,
        gate: Arc<dyn Gate>,
        data_gate: Arc<dyn Gate>,
    ) -> Result<Self, ConfigError> {
        config.check()?;
        let tls = tls::client_config()?;
        let client = rest::client(&config, tls.clone())?;
        let tls = Arc::new(tls);
        let news_stream_url = config.news_stream_url();
        let stream = |url, encoding, gate: &Arc<dyn Gate>| Endpoint {
            url,
            encoding,
            tls: Arc::clone(&tls),
            gate: Arc::clone(gate),
            timeout: config.timeout,
        };
        let answered = Arc::<Answered>::default();
        Ok(Self {
            order_stream: stream(config.trading_stream_url, Encoding::Json, &gate),
            data_stream: stream(config.data_stream_url, config.encoding, &data_gate),
            news_stream: stream(news_stream_url, config.encoding, &data_gate),
            oddities: Arc::default(),
            trading: Rest::new(client.clone(), &config.trading_url, gate, answered.clone()),
            data: Rest::new(client, &config.data_url, data_gate, answered.clone()),
            answered,
            feed: config.feed,
            key_id: config.key_id,
            secret: config.secret,
        })
    }

    /// What the streams and the rows of activities said so far that nobody uses.
    pub fn oddities(&self) -> OddityCounts {
        self.oddities.counts()
    }

    /// How it answered requests over REST so far, trading and market data together.
    pub fn answered(&self) -> AnsweredCounts {
        self.answered.counts()
    }
}
