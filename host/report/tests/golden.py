"""Makes golden.json: figures of daily equities by an independent library.

pip install empyrical-reloaded==0.5.12 pytz ; python golden.py > golden.json
The file was made with the versions that are named here: empyrical-reloaded 0.5.12, numpy 2.4.6, pandas 3.1.1.
"""
import json

import empyrical
import pandas


def series(name, seed, days, drift, swing):
    equity, x, equities = 100_000.0, seed, [100_000.0]
    for _ in range(days):
        x = (x * 1103515245 + 12345) % 2**31
        equity *= 1 + drift + swing * (x / 2**31 - 0.5)
        equities.append(round(equity, 2))
    returns = pandas.Series(equities).pct_change().dropna()
    # As empyrical has it, the fall counts from the start.
    return {
        "name": name,
        "equities": equities,
        "total_return": float(empyrical.cum_returns_final(returns)),
        "annual_return": float(empyrical.annual_return(returns)),
        "annual_volatility": float(empyrical.annual_volatility(returns)),
        "sharpe": float(empyrical.sharpe_ratio(returns)),
        "sortino": float(empyrical.sortino_ratio(returns)),
        "max_drawdown": float(empyrical.max_drawdown(returns)),
        "calmar": float(empyrical.calmar_ratio(returns)),
    }


print(json.dumps([
    series("a month", 41, 21, 0.0005, 0.02),
    series("a year", 42, 252, 0.0002, 0.03),
    series("a losing year", 43, 252, -0.001, 0.03),
    series("two wild years", 44, 504, 0.001, 0.1),
    series("two days", 45, 2, 0.0, 0.05),
]))
