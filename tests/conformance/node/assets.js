// Assets.
"use strict";

const { assert, topic, refused, DECIMAL, UUID } = require("./desk");
const { checks, check } = topic();
module.exports = { checks };

const one = (desk, symbolOrAssetId) => desk.trading.assets.getV2AssetsSymbolOrAssetId({ symbolOrAssetId });

check("list", "2.7 active US stocks are listed, with what each allows", async (desk) => {
  const assets = await desk.trading.assets.getV2Assets({ status: "active", assetClass: "us_equity" });
  assert.ok(assets.length >= 16);
  const apple = assets.find((it) => it.symbol === "AAPL");
  assert.equal(apple._class, "us_equity");
  assert.ok(apple.tradable && apple.marginable && apple.shortable && apple.fractionable);
});

check("filters", "2.7 exchange and status filter the list", async (desk) => {
  const nyse = await desk.trading.assets.getV2Assets({ exchange: "NYSE" });
  assert.deepEqual([...new Set(nyse.map((it) => it.exchange))], ["NYSE"]);
  assert.deepEqual(await desk.trading.assets.getV2Assets({ status: "inactive" }), []);
});

check("one", "2.7 an asset is found by symbol and by id", async (desk) => {
  const asset = await one(desk, "KO");
  assert.match(asset.id, UUID);
  assert.equal((await one(desk, asset.id)).symbol, "KO");
});

check("margins", "2.7 margin requirements are strings, attributes a list", async (desk) => {
  const asset = await desk.get("/v2/assets/AAPL");
  assert.match(asset.margin_requirement_long, DECIMAL);
  assert.match(asset.margin_requirement_short, DECIMAL);
  assert.ok(Array.isArray(asset.attributes) && "cusip" in asset);
});

check("unknown", "2.1 an unknown asset is 404 40410000 asset not found for X", async (desk) => {
  await refused(() => one(desk, "ZZZZ"), 404, 40410000, /asset not found for ZZZZ/);
});
