// Locks of a server in Node: lock_servers.cjs KIND SERVER NAME. It answers each
// line of its input: "round" takes the lock and releases it, "wait" waits for it
// and says when it is there, "end" gives that up.
"use strict";
const process = require("node:process");
const readline = require("node:readline");
const [kind, server, name] = process.argv.slice(2);

const KINDS = {
  etcd3() {
    const { Etcd3 } = require("etcd3");
    const client = new Etcd3({ hosts: server });
    return {
      round: async () => {
        const lock = await client.lock(name).ttl(15).acquire();
        await lock.release();
      },
      // Its locks don't wait: a campaign in an election does.
      wait: async () => {
        const campaign = client.election(name, 15).campaign("bench");
        await campaign.wait();
        return () => campaign.resign();
      },
    };
  },
  "advisory-lock"() {
    const { lock } = require("advisory-lock").default(server)(name);
    return { round: async () => (await lock())(), wait: lock };
  },
};

async function main() {
  const { round, wait } = KINDS[kind]();
  let end;
  console.log("ready");
  for await (const line of readline.createInterface({ input: process.stdin })) {
    if (line === "round") await round();
    else if (line === "wait") end = await wait();
    else await end();
    console.log(line);
  }
  process.exit();
}

main();
