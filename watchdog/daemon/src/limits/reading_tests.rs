use proptest::prelude::*;
use serde_json::json;

use super::*;

#[test]
fn what_is_missing_is_none_and_what_is_no_account_an_error() {
    let check = |account: Value, positions: Value, has_values: bool| {
        let reading = reading(&account, &positions).expect("an account");
        let values = reading.positions.and_then(|all| all.iter().map(|one| one.value).sum::<Option<Money>>());
        assert_eq!((reading.equity, values.is_some()), (None, has_values), "{account} {positions}");
    };
    check(json!({}), json!([]), true);
    check(
        json!({"equity": null, "cash": "x"}),
        json!([{"symbol": "A", "qty": "1", "market_value": null}]),
        false,
    );
    let at = |key: &str| json!([{"symbol": "A", "qty": "2", "market_value": null, key: "3"}]);
    check(json!({"equity": "NaN"}), at("current_price"), true);
    check(json!({"equity": []}), at("lastday_price"), true);
    check(json!({}), at("avg_entry_price"), false);
    check(json!({}), json!([{"symbol": "A"}]), false);
    let six = reading(&json!({}), &at("current_price")).expect("an account").positions.expect("all");
    assert_eq!(six[0].value, Some(Money::whole(6)));
    assert!(reading(&json!([]), &json!([])).is_err());
    assert!(reading(&json!({}), &json!({})).is_err());
    assert!(transfers(&json!({})).is_err() && listed(&json!("x"), Scope::Account).is_err());
    assert!(listed(&json!([{"id": "a", "submitted_at": "&x"}]), Scope::Account).is_err());
}

proptest! {
    #[test]
    fn any_json_is_an_answer_not_a_panic(text in r#"[\[\]{}",:a-z0-9.-]{0,60}"#) {
        if let Ok(value) = serde_json::from_str::<Value>(&text) {
            let _: Result<Reading, Error> = reading(&value, &value);
            let _: Result<Vec<Row>, Error> = transfers(&value);
            let _: Result<Vec<Listed>, Error> = listed(&value, Scope::Ours);
        }
    }
}
