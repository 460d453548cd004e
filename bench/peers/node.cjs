// One task of the benchmark in Node: node.cjs KIND TASK PATH [COUNT].
"use strict";
const fs = require("node:fs");
const process = require("node:process");
const readline = require("node:readline");
const [kind, task, path, rawCount] = process.argv.slice(2);
const count = Number(rawCount);

const KINDS = {
  "fs-ext": {
    async take() {
      const { flock } = require("fs-ext");
      const fd = fs.openSync(path, "a+");
      await new Promise((resolve, reject) =>
        flock(fd, "ex", (error) => (error ? reject(error) : resolve()))
      );
      return () => fs.closeSync(fd);
    },
    once() {
      const { flockSync } = require("fs-ext");
      const fd = fs.openSync(path, "a+");
      flockSync(fd, "exnb");
      fs.closeSync(fd);
    },
  },
  "proper-lockfile": {
    async take() {
      const { lock } = require("proper-lockfile");
      const release = await lock(path, {
        stale: 60_000,
        retries: { forever: true, minTimeout: 5, maxTimeout: 50, factor: 1.5 },
      });
      return release;
    },
    once() {
      const { lockSync } = require("proper-lockfile");
      lockSync(path)();
    },
  },
};

const { take, once } = KINDS[kind];

async function main() {
  if (!fs.existsSync(path)) fs.writeFileSync(path, "");
  if (task === "uncontended") {
    for (let i = 0; i < Math.min(count, 2000); i++) once();
    const start = process.hrtime.bigint();
    for (let i = 0; i < count; i++) once();
    const ns = Number(process.hrtime.bigint() - start) / count;
    console.log(JSON.stringify({ name: kind, ns: Math.round(ns) }));
    return;
  }
  console.log("ready");
  for await (const line of readline.createInterface({ input: process.stdin })) {
    if (task === "waiter") {
      const waits = Array.from({ length: Number(line) || 1 }, async () => {
        const release = await take();
        const taken = process.hrtime.bigint();
        const released = process.hrtime.bigint();
        await release();
        return `${taken} ${released}`;
      });
      console.log((await Promise.all(waits)).join("\n"));
      continue;
    }
    const waits = [];
    const before = process.cpuUsage();
    for (let i = 0; i < count; i++) {
      const start = performance.now();
      const release = await take();
      waits.push(performance.now() - start);
      const end = performance.now() + 0.1;
      while (performance.now() < end);
      await release();
    }
    const { user, system } = process.cpuUsage(before);
    waits.sort((a, b) => a - b);
    console.log(JSON.stringify({
      worst: waits.at(-1),
      median: waits[count >> 1],
      cpu: (user + system) / 1000,
    }));
    process.exit(0);
  }
}

main();
