// Every type of message on the data streams.
"use strict";

const { assert, topic, STAMP } = require("./desk");
const { Data } = require("./listen");
const { until } = require("./market");
const { checks, check } = topic();
module.exports = { checks };

const kept = {};

check("status", "4 a status tells halt and resumption with its reason", async (desk) => {
  kept.stream = desk.stock("/v2/sip");
  kept.seen = { luld: [], imbalance: [], correction: [], cancel_error: [] };
  for (const name of Object.keys(kept.seen)) kept.stream.stream.on(name, (it) => kept.seen[name].push(it));
  await kept.stream.open((it) => it.subscribeForStatuses(["AAPL"]));
  for (const channel of ["Trades", "Lulds", "Imbalances", "UpdatedBars"]) {
    await kept.stream.change((it) => it[`subscribeFor${channel}`](["AAPL"]));
  }
  await desk.market.message({
    T: "s",
    S: "AAPL",
    sc: "H",
    sm: "Trading Halt",
    rc: "T12",
    rm: "Information",
    z: "C",
  });
  const status = await kept.stream.wait("status", (it) => it.statusCode === "H");
  assert.deepEqual([status.symbol, status.reasonCode, status.tape], ["AAPL", "T12", "C"]);
  assert.match(status.timestampRaw, STAMP);
});

check("bands", "4 limit-up limit-down bands and imbalances reach the SDK", async (desk) => {
  await desk.market.message({ T: "l", S: "AAPL", u: 230.5, d: 210.5, i: "B", z: "C" });
  const [band] = await until("the band", () => kept.seen.luld.length > 0 && kept.seen.luld);
  assert.deepEqual([band.limitUpPrice, band.limitDownPrice, band.indicator], [230.5, 210.5, "B"]);
  await desk.market.message({ T: "i", S: "AAPL", p: 220.25, z: "C" });
  const [imbalance] = await until(
    "the imbalance",
    () => kept.seen.imbalance.length > 0 && kept.seen.imbalance,
  );
  assert.equal(imbalance.price, 220.25);
});

check(
  "corrections",
  "4 corrections and cancels come with the trades, without being asked for",
  async (desk) => {
    await desk.market.message({ T: "c", S: "AAPL", oi: 7, op: 221, os: 100, ci: 8, cp: 221.5, cs: 90 });
    const [correction] = await until(
      "the correction",
      () => kept.seen.correction.length > 0 && kept.seen.correction,
    );
    assert.deepEqual(
      [correction.originalId, correction.correctedPrice, correction.correctedSize],
      [7, 221.5, 90],
    );
    await desk.market.message({ T: "x", S: "AAPL", i: 8, p: 221.5, s: 90, a: "E" });
    const [cancel] = await until(
      "the cancel",
      () => kept.seen.cancel_error.length > 0 && kept.seen.cancel_error,
    );
    assert.deepEqual([cancel.id, cancel.action], [8, "E"]);
  },
);

check("updated_bar", "4 an updated bar repeats its minute", async (desk) => {
  const start = new Date(Math.floor((await desk.market.now()) / 60_000) * 60_000);
  await desk.market.message({
    T: "u",
    S: "AAPL",
    o: 1,
    h: 3,
    l: 1,
    c: 2,
    v: 999,
    n: 9,
    vw: 2,
    t: start.toISOString(),
  });
  const bar = await kept.stream.wait("updated_bar", (it) => it.volume === 999);
  assert.deepEqual([Number(bar.timestamp), bar.tradeCount], [Number(start), 9]);
  kept.stream.close();
});

check("news", "4 news are streamed by symbol", async (desk) => {
  const stream = new Data(desk.data.newsStream({ url: `${desk.ws}/v1beta1/news`, reconnect: false }));
  await stream.open((it) => it.subscribeForNews(["KO"]));
  await desk.market.control("POST", "inject", { news: { headline: "Not for us", symbols: ["AAPL"] } });
  await desk.market.control("POST", "inject", { news: { headline: "Something happened", symbols: ["KO"] } });
  const article = await stream.wait("news", () => true);
  assert.equal(article.headline, "Something happened");
  stream.close();
});
