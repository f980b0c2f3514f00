use super::*;

#[test]
fn a_row_has_a_cell_of_its_kind_for_each_column() {
    use sandpit_types::{
        ClientOrderId, ExecutionId, Fill, HostEpoch, MarketTime, Price, Qty, Side, StrategyName, Symbol,
    };
    let fill = Fill {
        client_id: ClientOrderId {
            strategy: StrategyName::parse("a").expect("a name"),
            epoch: HostEpoch(1),
            sequence: 1,
        },
        execution_id: ExecutionId::new("e"),
        symbol: Symbol::new("SPY"),
        side: Side::Buy,
        qty: Qty::from_nanos(1),
        price: Price::from_nanos(2),
        time: MarketTime::EPOCH,
    };
    let cells = rows::fill(fill);
    assert_eq!(cells.len(), rows::FILLS.len());
    for (cell, column) in cells.iter().zip(rows::FILLS) {
        let fits = matches!(
            (cell, column.kind),
            (Cell::Text(_), Kind::Text) | (Cell::Decimal(_), Kind::Decimal) | (Cell::Time(_), Kind::Time)
        );
        assert!(fits, "{column:?}: {cell:?}");
    }
}
