-- Everything that has to survive a crash: orders, fills, sub-books, and the story around them. This file and
-- migrations/sqlite/0002_records.sql make the same tables, and every statement of the host runs on both.
--
-- Decimals are TEXT, digits as they were counted (SQLite has no exact decimal).
-- Times are nanoseconds of market time since 1970-01-01T00:00:00Z.
-- `sequence` counts up in the order of writing; numbers may be missing.

-- The lives of the host that this database has seen.
CREATE TABLE host_starts (
    epoch TEXT NOT NULL PRIMARY KEY,        -- 16 hex digits, fresh at every start
    mode TEXT NOT NULL,
    time BIGINT NOT NULL
);

-- One row an order of ours, its legs at the broker included. That one id of a strategy is one order is kept by
-- the host's books, not here: after a commit of unknown outcome the id of an order that was refused may come
-- again.
CREATE TABLE orders (
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
CREATE INDEX orders_open ON orders (recorded_at, client_id) WHERE is_open;
CREATE INDEX orders_recorded ON orders (recorded_at, client_id);

-- Every state an order went through.
CREATE TABLE order_changes (
    client_id TEXT NOT NULL REFERENCES orders (client_id),
    change_number BIGINT NOT NULL,          -- counts up per order
    time BIGINT NOT NULL,
    state TEXT NOT NULL,
    filled_qty TEXT NOT NULL,
    note TEXT NOT NULL,                     -- why, in words; may be empty
    PRIMARY KEY (client_id, change_number)
);

CREATE TABLE fills (
    client_id TEXT NOT NULL REFERENCES orders (client_id),
    execution_id TEXT NOT NULL,
    strategy TEXT NOT NULL,
    symbol TEXT NOT NULL,
    side TEXT NOT NULL,
    qty TEXT NOT NULL,
    price TEXT NOT NULL,
    time BIGINT NOT NULL,
    -- A fill applies once.
    PRIMARY KEY (client_id, execution_id)
);
CREATE INDEX fills_time ON fills (time, client_id, execution_id);

-- What each strategy holds of each symbol. Over all strategies they sum to the broker's positions.
CREATE TABLE sub_books (
    strategy TEXT NOT NULL,
    symbol TEXT NOT NULL,
    qty TEXT NOT NULL,                      -- negative when short
    cost TEXT NOT NULL,                     -- what the shares held have cost, with the position's sign
    cash TEXT NOT NULL,                     -- money received less money paid
    PRIMARY KEY (strategy, symbol)
);

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
    state BYTEA NOT NULL
);

-- What the account was worth. After a week one row a minute is kept, after `keep_days` one a day.
CREATE TABLE equity (
    sequence BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    time BIGINT NOT NULL,
    equity TEXT NOT NULL,                   -- cash plus market values
    cash TEXT NOT NULL
);
CREATE INDEX equity_time ON equity (time);

-- The strategies' recorded decisions.
CREATE TABLE signals (
    sequence BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    time BIGINT NOT NULL,
    strategy TEXT NOT NULL,
    symbol TEXT,
    reason TEXT NOT NULL
);
CREATE INDEX signals_time ON signals (time);

-- Orders that were not sent.
CREATE TABLE refusals (
    sequence BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    time BIGINT NOT NULL,
    strategy TEXT NOT NULL,
    strategy_id TEXT NOT NULL,
    reason TEXT NOT NULL                    -- such as position-limit
);
CREATE INDEX refusals_time ON refusals (time);

-- What a human had to see.
CREATE TABLE alerts (
    sequence BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    time BIGINT NOT NULL,
    text TEXT NOT NULL
);
CREATE INDEX alerts_time ON alerts (time);

-- Who did what: an operator's cancel and a strategy's fill have one shape. Rows are only ever added.
CREATE TABLE audit (
    sequence BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
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
CREATE TABLE notices (
    sequence BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    time BIGINT NOT NULL,
    subject TEXT NOT NULL,                  -- what differed or went wrong, such as foreign-order
    detail TEXT NOT NULL
);
CREATE INDEX notices_time ON notices (time);
