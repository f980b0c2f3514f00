// News.
"use strict";

const { assert, topic, refused } = require("./desk");
const { checks, check } = topic();
module.exports = { checks };

check("shape", "5 news have an integer id, a headline, symbols and dates", async (desk) => {
  const { news } = await desk.data.news.news({ limit: 5 });
  assert.ok(news.length > 0);
  for (const item of news) {
    assert.ok(Number.isInteger(item.id) && item.headline && Array.isArray(item.symbols) && item.images);
    assert.ok(item.updatedAt instanceof Date && !Number.isNaN(item.updatedAt.getTime()));
  }
});

check("pages", "5 the SDK collects every page once", async (desk) => {
  const all = await desk.data.collectNews({ limit: 3 });
  assert.equal(new Set(all.map((it) => it.id)).size, all.length);
});

check("limit", "5 at most fifty at a time: more is 400", async (desk) => {
  await refused(() => desk.data.news.news({ limit: 51 }), 400);
});

check("symbol", "5 news are found by symbol", async (desk) => {
  const { news } = await desk.data.news.news({ symbols: "ZZZZ" });
  assert.deepEqual(news, []);
});
