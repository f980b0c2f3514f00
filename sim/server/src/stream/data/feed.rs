//! The feeds of market data, and the channels each of them has.

use crate::wire::market::MarketMessage;

/// One endpoint of the data stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feed {
    /// What trades on IEX.
    #[default]
    Iex,
    /// What trades on all exchanges; here the same.
    Sip,
    /// The same fifteen minutes later.
    DelayedSip,
    /// A symbol that always trades.
    Test,
    /// What trades over night at Blue Ocean.
    Boats,
    /// What trades over night.
    Overnight,
    /// Articles.
    News,
}

impl Feed {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Iex, Self::Sip, Self::DelayedSip, Self::Test, Self::Boats, Self::Overnight, Self::News];

    /// Where it is served.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Iex => "/v2/iex",
            Self::Sip => "/v2/sip",
            Self::DelayedSip => "/v2/delayed_sip",
            Self::Test => "/v2/test",
            Self::Boats => "/v1beta1/boats",
            Self::Overnight => "/v1beta1/overnight",
            Self::News => "/v1beta1/news",
        }
    }

    /// Whether the free plan lacks it. Of `boats` the facts say nothing; like `sip` it is an exchange's own
    /// data in real time.
    pub const fn needs_plus(self) -> bool {
        matches!(self, Self::Sip | Self::Boats)
    }

    /// Its channels, in the order in which subscriptions are acknowledged.
    pub const fn channels(self) -> &'static [Channel] {
        match self {
            Self::Iex | Self::Sip | Self::DelayedSip | Self::Boats | Self::Overnight => &Channel::STOCKS,
            Self::Test => &[Channel::Trades, Channel::Quotes, Channel::Bars],
            Self::News => &[Channel::News],
        }
    }
}

/// One kind of message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the broker's own words for kinds of messages")]
pub enum Channel {
    Trades,
    Quotes,
    Bars,
    UpdatedBars,
    DailyBars,
    Statuses,
    Lulds,
    Corrections,
    CancelErrors,
    Imbalances,
    News,
}

impl Channel {
    const STOCKS: [Self; 10] = [
        Self::Trades,
        Self::Quotes,
        Self::Bars,
        Self::UpdatedBars,
        Self::DailyBars,
        Self::Statuses,
        Self::Lulds,
        Self::Corrections,
        Self::CancelErrors,
        Self::Imbalances,
    ];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trades => "trades",
            Self::Quotes => "quotes",
            Self::Bars => "bars",
            Self::UpdatedBars => "updatedBars",
            Self::DailyBars => "dailyBars",
            Self::Statuses => "statuses",
            Self::Lulds => "lulds",
            Self::Corrections => "corrections",
            Self::CancelErrors => "cancelErrors",
            Self::Imbalances => "imbalances",
            Self::News => "news",
        }
    }

    /// The channel a message goes out on.
    pub const fn of(message: &MarketMessage) -> Self {
        match message {
            MarketMessage::Trade(_) => Self::Trades,
            MarketMessage::Quote(_) => Self::Quotes,
            MarketMessage::Bar(_) => Self::Bars,
            MarketMessage::UpdatedBar(_) => Self::UpdatedBars,
            MarketMessage::DailyBar(_) => Self::DailyBars,
            MarketMessage::Status(_) => Self::Statuses,
            MarketMessage::Luld(_) => Self::Lulds,
            MarketMessage::Correction(_) => Self::Corrections,
            MarketMessage::CancelError(_) => Self::CancelErrors,
            MarketMessage::Imbalance(_) => Self::Imbalances,
            MarketMessage::News(_) => Self::News,
        }
    }

    /// Whether the free plan's limit of symbols counts it.
    pub(super) const fn is_limited(self) -> bool {
        matches!(self, Self::Trades | Self::Quotes)
    }

    /// Whether an acknowledgement names it when nothing of it is wanted. The documents' complete sets lack
    /// imbalances.
    pub(super) const fn is_always_shown(self) -> bool {
        !matches!(self, Self::Imbalances)
    }
}
