// Screener and corporate actions.
"use strict";

const { assert, topic } = require("./desk");
const { checks, check } = topic();
module.exports = { checks };

check("most_actives", "5 the most active stocks by volume, most active first", async (desk) => {
  const { mostActives } = await desk.data.screener.mostActives({ by: "volume", top: 2 });
  assert.equal(mostActives.length, 2);
  assert.ok(mostActives[0].volume >= mostActives[1].volume);
});

check("movers", "5 gainers rise and losers fall", async (desk) => {
  const { gainers, losers } = await desk.data.screener.movers({ marketType: "stocks", top: 3 });
  assert.ok(gainers.length > 0 && gainers.every((it) => it.percentChange > 0));
  assert.ok(losers.every((it) => it.percentChange < 0));
});

check("corporate_actions", "5 corporate actions are an object by kind", async (desk) => {
  const found = await desk.data.corporateActions.corporateActions({ symbols: "AAPL" });
  assert.equal(found.nextPageToken, null);
});
