import { denoPeer, medianNs, type Peers, type Report } from "./support.ts";

/** Beside the benchmarks of flock: locking and unlocking a range of bytes. */
export async function measureRecordLocks(peers: Peers): Promise<Report> {
  const { directory, floor, quick } = peers;
  const count = quick ? 20_000 : 200_000;
  const rounds = quick ? 3 : 7;
  const path = `${directory}/records.lock`;
  const task = ["records", path, `${count}`];
  const ns = await medianNs([
    ["C", { command: floor, args: task }],
    ["", denoPeer("acquire", ...task)],
  ], rounds);
  return {
    title: "Record locks",
    method: `Ten bytes of one file, locked and unlocked ` +
      `${count.toLocaleString("en")} times, median of ${rounds} runs; ` +
      "`tryRecordLock` also opens the file, checks it and closes it.",
    columns: ["µs", "times the C floor"],
    rows: NAMES.map(([key, name, floor]) => {
      const value = ns.get(key)!;
      const times = floor === undefined ? undefined : value / ns.get(floor)!;
      return { name, values: [value / 1000, times] };
    }),
    chartColumn: 0,
    chart: "records",
  };
}

const NAMES: [key: string, name: string, floor?: string][] = [
  ["C ofd", "C, F_OFD_SETLK (floor)", "C ofd"],
  ["ofd", "holdfast fOfdSetlk", "C ofd"],
  ["C posix", "C, F_SETLK (floor)", "C posix"],
  ["posix", "holdfast fSetlk", "C posix"],
  ["acquire", "holdfast tryRecordLock"],
];
