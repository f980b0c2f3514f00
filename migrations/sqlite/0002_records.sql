-- The same tables as migrations/postgres/0001_records.sql, from those of 0001_first_light.sql; every statement of
-- the host runs on both databases. What was written before is kept: an old order is a simple one, and a limit
-- order if it has a limit price.
--
-- Decimals are TEXT, digits as they were counted (SQLite has no exact decimal).
-- Times are nanoseconds of market time since 1970-01-01T00:00:00Z.
-- `sequence` counts up in the order of writing; numbers may be missing.
--
-- A table that gets another key is made anew, filled and put in the old one's place. Foreign keys are not
-- checked meanwhile (the host turns them on after the migrations).

-- One row an order of ours, its legs at the broker included. That one id of a strategy is one order is kept by
-- the host's books, not here: after a commit of unknown outcome the id of an order that was refused may come
-- again.
CREATE TABLE new_orders (
    client_id TEXT NOT NULL PRIMARY KEY,    -- sp-STRATEGY-EPOCH-SEQUENCE; that of a leg is known here only
    strategy TEXT NOT NULL,
    epoch TEXT NOT NULL,
    incarnation BIGINT NOT NULL,            -- the strategy's life within the epoch
    strategy_id TEXT,                       -- chosen by the strategy, 64 bits unsigned; NULL when adopted
    symbol TEXT NOT NULL,
    side TEXT NOT NULL,                     -- buy or sell
    qty TEXT NOT NULL,
    kind TEXT NOT NULL,                     -- market, limit, stop, stop_limit or trailing_stop
    limit_price TEXT,                       -- of limit and stop_limit
    stop_price TEXT,                        -- of stop and stop_limit
    trail_price TEXT,                       -- of trailing_stop: US dollars a share, or
    trail_percent TEXT,                     -- percent of the best price
    class TEXT NOT NULL,                    -- empty (a simple order), bracket, oco or oto
    take_profit TEXT,                       -- limit price of the exit with a profit, if the class has one
    stop_loss TEXT,                         -- stop price of the exit with a loss, if the class has one
    stop_loss_limit TEXT,                   -- and its limit price, if it has one
    time_in_force TEXT NOT NULL,            -- day, gtc, ioc or fok
    extended_hours BOOLEAN NOT NULL,
    leg_of TEXT,                            -- client_id of the order that the broker made this leg for
    leg TEXT,                               -- take_profit or stop_loss, with leg_of
    replaces TEXT,                          -- client_id of the order that this one takes the place of
    state TEXT NOT NULL,                    -- JSON, such as "recorded" or {"working":"new"}
    is_open BOOLEAN NOT NULL,               -- whether it may still change
    broker_id TEXT,
    filled_qty TEXT NOT NULL,
    filled_notional TEXT NOT NULL,
    recorded_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL
);
INSERT INTO new_orders (client_id, strategy, epoch, incarnation, strategy_id, symbol, side, qty, kind,
    limit_price, class, time_in_force, extended_hours, state, is_open, broker_id, filled_qty, filled_notional,
    recorded_at, changed_at)
    SELECT client_id, strategy, epoch, incarnation, strategy_id, symbol, side, qty,
        CASE WHEN limit_price IS NULL THEN 'market' ELSE 'limit' END, limit_price, '',
        time_in_force, extended_hours, state, is_open, broker_id, filled_qty, filled_notional, recorded_at,
        changed_at
    FROM orders ORDER BY rowid;
DROP TABLE orders;
ALTER TABLE new_orders RENAME TO orders;
CREATE INDEX orders_open ON orders (recorded_at, client_id) WHERE is_open;
CREATE INDEX orders_recorded ON orders (recorded_at, client_id);

CREATE INDEX fills_time ON fills (time, client_id, execution_id);

-- Rows of the broker's account activities, each once.
CREATE TABLE activities (
    id TEXT NOT NULL PRIMARY KEY,           -- the broker's
    time BIGINT NOT NULL,
    kind TEXT NOT NULL,                     -- FILL, or the broker's word, such as FEE, DIV or CSD
    broker_id TEXT,                         -- of a fill: the order, as the broker calls it
    symbol TEXT,
    side TEXT,                              -- of a fill
    qty TEXT,                               -- shares; negative when they went by no order
    price TEXT,                             -- of a fill
    cumulative TEXT,                        -- of a fill: shares of the order filled after it
    net TEXT                                -- money that came, negative when it went; not of fills
);
CREATE INDEX activities_time ON activities (time, id);

-- What operators set by hand: by how much a sub-book differs from what its fills make.
CREATE TABLE corrections (
    strategy TEXT NOT NULL,
    symbol TEXT NOT NULL,
    time BIGINT NOT NULL,
    qty TEXT NOT NULL,                      -- shares that came, negative when they went
    cash TEXT NOT NULL,                     -- what leaves the profit that was realised as it was
    PRIMARY KEY (strategy, symbol, time)
);

-- Values that outlive the process, such as peak-equity (host/store/src/facts.rs has their names).
CREATE TABLE facts (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

-- What each strategy gave to be kept, the newest only.
CREATE TABLE strategy_state (
    strategy TEXT NOT NULL PRIMARY KEY,
    time BIGINT NOT NULL,
    version TEXT NOT NULL,                  -- of the strategy that wrote it
    state BLOB NOT NULL
);

DROP INDEX equity_time;
-- What the account was worth. After a week one row a minute is kept, after `keep_days` one a day.
CREATE TABLE new_equity (
    sequence INTEGER NOT NULL PRIMARY KEY,
    time BIGINT NOT NULL,
    equity TEXT NOT NULL,                   -- cash plus market values
    cash TEXT NOT NULL
);
INSERT INTO new_equity (time, equity, cash)
    SELECT time, equity, cash
    FROM equity ORDER BY rowid;
DROP TABLE equity;
ALTER TABLE new_equity RENAME TO equity;
CREATE INDEX equity_time ON equity (time);

-- The strategies' recorded decisions.
CREATE TABLE new_signals (
    sequence INTEGER NOT NULL PRIMARY KEY,
    time BIGINT NOT NULL,
    strategy TEXT NOT NULL,
    symbol TEXT,
    reason TEXT NOT NULL
);
INSERT INTO new_signals (time, strategy, symbol, reason)
    SELECT time, strategy, symbol, reason
    FROM signals ORDER BY rowid;
DROP TABLE signals;
ALTER TABLE new_signals RENAME TO signals;
CREATE INDEX signals_time ON signals (time);

-- Orders that were not sent.
CREATE TABLE new_refusals (
    sequence INTEGER NOT NULL PRIMARY KEY,
    time BIGINT NOT NULL,
    strategy TEXT NOT NULL,
    strategy_id TEXT NOT NULL,
    reason TEXT NOT NULL                    -- such as position-limit
);
INSERT INTO new_refusals (time, strategy, strategy_id, reason)
    SELECT time, strategy, strategy_id, reason
    FROM refusals ORDER BY rowid;
DROP TABLE refusals;
ALTER TABLE new_refusals RENAME TO refusals;
CREATE INDEX refusals_time ON refusals (time);

-- What a human had to see.
CREATE TABLE alerts (
    sequence INTEGER NOT NULL PRIMARY KEY,
    time BIGINT NOT NULL,
    text TEXT NOT NULL
);
CREATE INDEX alerts_time ON alerts (time);

-- Who did what: an operator's cancel and a strategy's fill have one shape. Rows are only ever added.
CREATE TABLE audit (
    sequence INTEGER NOT NULL PRIMARY KEY,
    time BIGINT NOT NULL,
    actor TEXT NOT NULL,                    -- strategy, operator, host or broker
    name TEXT NOT NULL,                     -- the strategy's or the operator's; else empty
    action TEXT NOT NULL,                   -- such as submit, cancel, fill or freeze
    client_id TEXT,                         -- the order, if it is about one
    symbol TEXT,
    detail TEXT NOT NULL                    -- in words: how much, at which price, why
);
CREATE INDEX audit_time ON audit (time);

-- What a post-mortem wants to know.
CREATE TABLE new_notices (
    sequence INTEGER NOT NULL PRIMARY KEY,
    time BIGINT NOT NULL,
    subject TEXT NOT NULL,                  -- what differed or went wrong, such as foreign-order
    detail TEXT NOT NULL
);
INSERT INTO new_notices (time, subject, detail)
    SELECT time, subject, detail
    FROM notices ORDER BY rowid;
DROP TABLE notices;
ALTER TABLE new_notices RENAME TO notices;
CREATE INDEX notices_time ON notices (time);
