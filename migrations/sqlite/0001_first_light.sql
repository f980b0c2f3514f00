-- What has to survive a crash: orders, fills, sub-books, and the story around them.
-- Decimals are TEXT (SQLite has no exact decimal).
-- Times are nanoseconds of market time since 1970-01-01T00:00:00Z.

CREATE TABLE host_starts (
    epoch TEXT NOT NULL PRIMARY KEY,        -- 16 hex digits, fresh at every start
    mode TEXT NOT NULL,
    time BIGINT NOT NULL
);

CREATE TABLE orders (
    client_id TEXT NOT NULL PRIMARY KEY,    -- sp-STRATEGY-EPOCH-SEQUENCE
    strategy TEXT NOT NULL,
    epoch TEXT NOT NULL,
    incarnation BIGINT NOT NULL,            -- the strategy's life within the epoch
    strategy_id TEXT,                       -- chosen by the strategy, 64 bits unsigned; NULL when adopted
    symbol TEXT NOT NULL,
    side TEXT NOT NULL,
    qty TEXT NOT NULL,
    limit_price TEXT,                       -- NULL for a market order
    time_in_force TEXT NOT NULL,
    extended_hours BOOLEAN NOT NULL,
    state TEXT NOT NULL,                    -- JSON, such as "recorded" or {"working":"new"}
    is_open BOOLEAN NOT NULL,
    broker_id TEXT,
    filled_qty TEXT NOT NULL,
    filled_notional TEXT NOT NULL,
    recorded_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    -- The same id again is the same order.
    UNIQUE (epoch, strategy, incarnation, strategy_id)
);
CREATE INDEX orders_open ON orders (is_open);

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

CREATE TABLE sub_books (
    strategy TEXT NOT NULL,
    symbol TEXT NOT NULL,
    qty TEXT NOT NULL,
    cost TEXT NOT NULL,
    cash TEXT NOT NULL,
    PRIMARY KEY (strategy, symbol)
);

CREATE TABLE equity (
    time BIGINT NOT NULL,
    equity TEXT NOT NULL,
    cash TEXT NOT NULL
);
CREATE INDEX equity_time ON equity (time);

CREATE TABLE signals (
    time BIGINT NOT NULL,
    strategy TEXT NOT NULL,
    symbol TEXT,
    reason TEXT NOT NULL
);

CREATE TABLE refusals (
    time BIGINT NOT NULL,
    strategy TEXT NOT NULL,
    strategy_id TEXT NOT NULL,
    reason TEXT NOT NULL
);

CREATE TABLE notices (
    time BIGINT NOT NULL,
    subject TEXT NOT NULL,                  -- what differed or went wrong, such as foreign-order
    detail TEXT NOT NULL
);
