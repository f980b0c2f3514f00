//! Whose orders the host takes for its own although others placed them.

use sandpit_types::{ClientOrderId, StrategyName};

use super::file::{ClaimSection, OrdersSection};

/// How many rules there may be.
const MAX_CLAIMS: usize = 32;
/// The longest beginning of a client id: the broker takes ids of 128 characters.
const MAX_PREFIX_CHARS: usize = 64;

/// One rule as it is written; which symbols it reaches, only the strategy knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClaimRule {
    /// How the client ids of the orders begin.
    pub(crate) client_id_prefix: String,
    /// Whose they become.
    pub(crate) strategy: StrategyName,
}

/// Checks what the file says.
///
/// # Errors
/// A sentence that names the key and what is allowed.
pub(super) fn claims(section: &OrdersSection) -> Result<Vec<ClaimRule>, String> {
    let count = section.claim.len();
    if count > MAX_CLAIMS {
        return Err(format!("orders.claim has {count} rules, at most {MAX_CLAIMS} are allowed"));
    }
    section.claim.iter().map(claim).collect()
}

fn claim(section: &ClaimSection) -> Result<ClaimRule, String> {
    let ClaimSection { client_id_prefix: prefix, strategy } = section;
    if !(1..=MAX_PREFIX_CHARS).contains(&prefix.chars().count()) {
        return Err(format!(
            "orders.claim has the client_id_prefix {prefix:?}, it must be 1 to {MAX_PREFIX_CHARS} \
            characters: \
             an empty one would take every order of the account"
        ));
    }
    let own = ClientOrderId::PREFIX;
    if prefix.starts_with(own) || own.starts_with(prefix.as_str()) {
        return Err(format!(
            "orders.claim has the client_id_prefix {prefix:?}, but {own:?} is how the host's own orders begin"
        ));
    }
    let strategy = StrategyName::parse(strategy).map_err(|error| format!("orders.claim: {error}"))?;
    Ok(ClaimRule { client_id_prefix: prefix.clone(), strategy })
}
