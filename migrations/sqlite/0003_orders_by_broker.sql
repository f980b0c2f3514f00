-- A fill that the broker tells of names its order as the broker does. The order may long be over, and a leg has no
-- other name at the broker.
CREATE INDEX orders_broker ON orders (broker_id) WHERE broker_id IS NOT NULL;
