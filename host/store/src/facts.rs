//! The names of the values that outlive the process ([`crate::Record::Fact`]).

/// Whose records these are: the mode and the broker's number of the account.
pub const ACCOUNT: &str = "account";
/// The highest equity seen, re-based by transfers.
pub const PEAK_EQUITY: &str = "peak-equity";
/// The equity at the start of the session's day, and which day.
pub const DAY_START: &str = "day-start";
/// When an operator had peak and day measured anew, and from which equity, once that is known.
pub const REBASED: &str = "rebased";
/// Which cash that nothing explains trading is frozen for; there is none when it is not.
pub const FREEZE: &str = "freeze";
/// Who froze trading, and why; there is none when nobody did.
pub const OPERATOR_FREEZE: &str = "operator-freeze";
/// Which strategies operators have paused, and why: an object of JSON; there is none when no one is.
pub const PAUSED: &str = "paused";
/// The newest account activity applied.
pub const LAST_ACTIVITY: &str = "last-activity";
/// Cash at the last reading that agreed with the books.
pub const AGREED_CASH: &str = "agreed-cash";
/// Until when equity is thinned to a row a minute, in nanoseconds: the store's own.
pub const EQUITY_THINNED: &str = "equity-thinned";
/// Until when equity is thinned to a row a day, in nanoseconds: the store's own.
pub const EQUITY_DAYS: &str = "equity-days";
/// Before when orders and their fills were forgotten, in nanoseconds: sub-books hold more than the fills
/// since.
pub const ORDERS_FORGOTTEN: &str = "orders-forgotten";
/// Which session of a PostgreSQL server was the last that opened the database to write: the store's own.
pub(crate) const WRITER: &str = "writer";

/// Reads one.
pub(crate) const READ: &str = "SELECT value FROM facts WHERE name = $1";
