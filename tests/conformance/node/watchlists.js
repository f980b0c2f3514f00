// Watchlists.
"use strict";

const { assert, topic, refused, fresh } = require("./desk");
const { checks, check } = topic();
module.exports = { checks };

const make = (desk, name = fresh("list"), symbols = ["AAPL", "MSFT"]) =>
  desk.trading.watchlists.postWatchlist({ createWatchlistRequest: { name, symbols } });
const symbols = (list) => list.assets.map((it) => it.symbol);

check("create", "2.7 a new watchlist has its assets in order and the account's id", async (desk) => {
  const list = await make(desk, "first of conformance");
  assert.deepEqual([list.name, symbols(list)], ["first of conformance", ["AAPL", "MSFT"]]);
  assert.equal(list.accountId, (await desk.trading.account.getAccount()).id);
});

check("list", "2.7 all watchlists come without assets", async (desk) => {
  const list = await make(desk);
  assert.ok((await desk.trading.watchlists.getWatchlists()).some((it) => it.id === list.id));
  assert.ok((await desk.get("/v2/watchlists")).every((it) => it.assets === undefined));
});

check("change", "2.7 PUT replaces name and symbols, by id and by name", async (desk) => {
  const list = await make(desk);
  const [first, second] = [fresh("list"), fresh("list")];
  const changed = await desk.trading.watchlists.updateWatchlistById({
    watchlistId: list.id,
    updateWatchlistRequest: { name: first, symbols: ["KO"] },
  });
  assert.deepEqual([changed.name, symbols(changed)], [first, ["KO"]]);
  const again = await desk.trading.watchlists.updateWatchlistByName({
    name: first,
    updateWatchlistRequest: { name: second, symbols: ["F", "KO"] },
  });
  assert.deepEqual([again.name, symbols(again)], [second, ["F", "KO"]]);
});

check("add", "2.7 symbols are added by id and by name and taken away by id", async (desk) => {
  const list = await make(desk);
  const added = await desk.trading.watchlists.addAssetToWatchlist({
    watchlistId: list.id,
    addAssetToWatchlistRequest: { symbol: "KO" },
  });
  assert.deepEqual(symbols(added), ["AAPL", "MSFT", "KO"]);
  const more = await desk.trading.watchlists.addAssetToWatchlistByName({
    name: list.name,
    addAssetToWatchlistRequest: { symbol: "F" },
  });
  assert.deepEqual(symbols(more), ["AAPL", "MSFT", "KO", "F"]);
  const left = await desk.trading.watchlists.removeAssetFromWatchlist({
    watchlistId: list.id,
    symbol: "AAPL",
  });
  assert.deepEqual(symbols(left), ["MSFT", "KO", "F"]);
});

check("delete", "2.7 DELETE by id and by name is 204; afterwards there is none: 404", async (desk) => {
  const [first, second] = [await make(desk), await make(desk)];
  await desk.trading.watchlists.deleteWatchlistById({ watchlistId: first.id });
  await desk.trading.watchlists.deleteWatchlistByName({ name: second.name });
  await refused(() => desk.trading.watchlists.getWatchlistById({ watchlistId: first.id }), 404);
  await refused(() => desk.trading.watchlists.getWatchlistByName({ name: second.name }), 404);
});

check("unique", "2.1 a name that is taken is 422 40010001 watchlist name must be unique", async (desk) => {
  const name = fresh("list");
  await make(desk, name);
  await refused(() => make(desk, name), 422, 40010001, /watchlist name must be unique/);
});

check("long_name", "2.7 names have at most 64 characters", async (desk) => {
  await refused(() => make(desk, "x".repeat(65)), 422);
});
