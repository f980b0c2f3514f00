//! What a file holds, by its header.

/// What the rows of a file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Best bids and offers.
    Quotes,
    /// Trades on the tape.
    Trades,
    /// One-minute bars.
    Bars,
}

impl Kind {
    /// In a word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bars => "bars",
            Self::Quotes => "quotes",
            Self::Trades => "trades",
        }
    }

    /// Which of the figures are shares; the others are prices.
    pub(crate) const fn sizes(self) -> &'static [usize] {
        match self {
            Self::Bars => &[4],
            Self::Quotes => &[1, 3],
            Self::Trades => &[1],
        }
    }

    /// Its figures, in the order of a row's values. Only the last of a bar may be absent.
    pub(crate) const fn figures(self) -> &'static [&'static str] {
        match self {
            Self::Bars => &["open", "high", "low", "close", "volume", "vwap"],
            Self::Quotes => &["bid_price", "bid_size", "ask_price", "ask_size"],
            Self::Trades => &["price", "size"],
        }
    }
}

/// Where the columns of a file are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Columns {
    pub(crate) kind: Kind,
    pub(crate) timestamp: usize,
    pub(crate) symbol: usize,
    /// Of each figure.
    pub(crate) figures: Vec<Option<usize>>,
    /// Names of those that are passed over.
    pub(crate) others: Vec<String>,
}

impl Columns {
    /// By the names of a header; what is wrong with it, and what to do, if it is none.
    pub(crate) fn of(header: &[String]) -> Result<Self, String> {
        let place = |name: &str| header.iter().position(|column| column.trim().eq_ignore_ascii_case(name));
        let kinds = [Kind::Bars, Kind::Quotes, Kind::Trades];
        let is_kind = |kind: &Kind| place(kind.figures()[0]).is_some();
        let Some(kind) = kinds.into_iter().find(is_kind) else {
            return Err(format!(
                "the header {:?} is not one of bars (open, high, low, close, volume), quotes (bid_price, \
                 bid_size, ask_price, ask_size) or trades (price, size): name the columns so",
                header.join(",")
            ));
        };
        let needed = |name: &str| {
            place(name).ok_or_else(|| format!("the header of {} has no column {name:?}: add it", kind.name()))
        };
        let (timestamp, symbol) = (needed("timestamp")?, needed("symbol")?);
        let figure = |name: &&str| if **name == *"vwap" { Ok(place(name)) } else { needed(name).map(Some) };
        let figures = kind.figures().iter().map(figure).collect::<Result<Vec<_>, _>>()?;
        let is_other = |at: &usize| *at != timestamp && *at != symbol && !figures.contains(&Some(*at));
        let others = (0..header.len()).filter(is_other).map(|at| header[at].clone()).collect();
        Ok(Self { kind, timestamp, symbol, figures, others })
    }
}
