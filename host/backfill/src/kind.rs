//! The two kinds of data: how a page of each is asked for, and which row belongs where.

use std::future::Future;

use sandpit_broker::{Archive, BrokerError, Page};
use sandpit_types::{Bar, MarketTime, News, Symbol};

use crate::{checkpoint::Origin, parquet_file};

/// A row of an archive.
pub trait Row: Send + 'static {
    /// What orders the rows of a day, and is of each row its own.
    type Id: Ord;

    /// The moment that puts it into its day.
    fn time(&self) -> MarketTime;

    /// Two rows of the same id are the same row.
    fn id(&self) -> Self::Id;
}

impl Row for Bar {
    type Id = MarketTime;

    fn time(&self) -> MarketTime {
        self.start
    }

    fn id(&self) -> MarketTime {
        self.start
    }
}

/// News belongs to the day on which its newest version came out: the broker searches by that.
impl Row for News {
    type Id = (MarketTime, u64);

    fn time(&self) -> MarketTime {
        self.updated
    }

    fn id(&self) -> (MarketTime, u64) {
        (self.updated, self.id)
    }
}

/// A kind of data.
pub trait Kind: Send + Sync + 'static {
    /// Its rows.
    type Row: Row;

    /// Its name: of the folder and in the checkpoint.
    const NAME: &'static str;

    /// Asks for one page.
    fn page<A: Archive>(
        archive: &A,
        symbol: &Symbol,
        from: MarketTime,
        to: MarketTime,
        page: Option<&str>,
    ) -> impl Future<Output = Result<Page<Self::Row>, BrokerError>> + Send;

    /// One day of one symbol as a Parquet file.
    ///
    /// # Errors
    /// When the writer refuses.
    fn encode(
        symbol: &Symbol,
        rows: &[Self::Row],
        origin: &Origin,
    ) -> Result<Vec<u8>, parquet::errors::ParquetError>;
}

/// One-minute bars.
#[derive(Clone, Copy, Debug)]
pub struct Bars;

impl Kind for Bars {
    type Row = Bar;

    const NAME: &'static str = "bars";

    fn page<A: Archive>(
        archive: &A,
        symbol: &Symbol,
        from: MarketTime,
        to: MarketTime,
        page: Option<&str>,
    ) -> impl Future<Output = Result<Page<Bar>, BrokerError>> + Send {
        archive.bars_page(symbol, from, to, page)
    }

    fn encode(
        symbol: &Symbol,
        rows: &[Bar],
        origin: &Origin,
    ) -> Result<Vec<u8>, parquet::errors::ParquetError> {
        parquet_file::bars(symbol, rows, origin)
    }
}

/// News.
#[derive(Clone, Copy, Debug)]
pub struct NewsItems;

impl Kind for NewsItems {
    type Row = News;

    const NAME: &'static str = "news";

    fn page<A: Archive>(
        archive: &A,
        symbol: &Symbol,
        from: MarketTime,
        to: MarketTime,
        page: Option<&str>,
    ) -> impl Future<Output = Result<Page<News>, BrokerError>> + Send {
        archive.news_page(symbol, from, to, page)
    }

    fn encode(
        symbol: &Symbol,
        rows: &[News],
        origin: &Origin,
    ) -> Result<Vec<u8>, parquet::errors::ParquetError> {
        parquet_file::news(symbol, rows, origin)
    }
}

/// Puts the rows of a day into their order and drops what came twice, so that a file does not depend on
/// where its pages ended.
pub(crate) fn settle<R: Row>(rows: &mut Vec<R>) {
    rows.sort_by_key(Row::id);
    rows.dedup_by(|later, earlier| later.id() == earlier.id());
}
