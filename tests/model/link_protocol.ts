/**
 * The protocol of link locks, one step for each system call that others can
 * see, as `lib/lock/link/protocol.ts` and `link_lock.ts` make them.
 *
 * A process that crashes or has released the lock is followed by a new one in
 * its place, so an id is dead for good once no place has it.
 */
import type { Step } from "./explore.ts";

/** Which protocol, and what is left out of it. */
export interface Variant {
  /** The old one: data after the link, and removal by name. */
  scheme?: "old";
  /** Owners may lose a lease while they live; release goes by a claim. */
  lease?: boolean;
  /** Leaves out the second look at the lock, when the claim is won. */
  omitVerify?: boolean;
  /** Lets a claim be taken over while its maker lives. */
  ignoreClaimLife?: boolean;
  /** The host of each process. */
  hosts: readonly (0 | 1)[];
  /** How many crashes and expiries there may be in all. */
  failures: number;
}

type Pc =
  | "look"
  | "link"
  | "write"
  | "hold"
  | "unlinkOwn"
  | "unlinkStale"
  | "claim"
  | "readClaim"
  | "verify"
  | "rename"
  | "unclaim"
  | "lookAgain"
  | "unclaimLower";

interface Place {
  pc: Pc;
  /** The process, and the token of the lock it takes; even ids on host 0. */
  id: number;
  /** The token it wants to remove. */
  target: number;
  /** The number of its claim. */
  n: number;
}

/** Everything that can be seen by somebody. */
export interface State {
  /** The token at the lock's name; 0: no such name. */
  lock: number;
  /** Whether the record has been written; always, but in the old scheme. */
  written: boolean;
  /** Makers of claims by token and number; 0: no such name. */
  claims: [token: number, makers: number[]][];
  /** Ids whose lease has run out while they live. */
  expired: number[];
  places: Place[];
  failures: number;
  nextId: number;
}

/** Nobody has done anything. */
export function startState({ hosts }: Variant): State {
  return {
    lock: 0,
    written: true,
    claims: [],
    expired: [],
    places: hosts.map((host, index) => newPlace(2 * (index + 1) + host)),
    failures: 0,
    nextId: hosts.length + 1,
  };
}

function newPlace(id: number): Place {
  return { pc: "look", id, target: 0, n: 0 };
}

/** All that can happen next. */
export function nextSteps(state: State, variant: Variant): Step<State>[] {
  const steps: Step<State>[] = [];
  state.places.forEach((place, index) => {
    steps.push(...move(state, index, variant));
    if (state.failures >= variant.failures) return;
    // Where nothing has been done yet, a crash changes nothing.
    if (place.pc !== "look" && place.pc !== "link") {
      const crashed = copy(state);
      crashed.failures++;
      replace(crashed, index);
      const label = `${index} crashes before ${place.pc}`;
      steps.push({ state: crashed, label, isFailure: true });
    }
    if (
      variant.lease && place.id === state.lock &&
      !state.expired.includes(place.id)
    ) {
      const expired = copy(state);
      expired.failures++;
      expired.expired.push(place.id);
      const label = `the lease of ${index} runs out`;
      steps.push({ state: expired, label, isFailure: true });
    }
  });
  return steps;
}

function copy(state: State): State {
  return {
    ...state,
    claims: state.claims.map(([token, makers]) => [token, [...makers]]),
    expired: [...state.expired],
    places: state.places.map((place) => ({ ...place })),
  };
}

function replace(state: State, index: number): void {
  const host = state.places[index]!.id % 2;
  state.places[index] = newPlace(2 * state.nextId++ + host);
}

const lives = (state: State, id: number) =>
  state.places.some((place) => place.id === id);

function move(
  before: State,
  index: number,
  variant: Variant,
): Step<State>[] {
  const state = copy(before);
  const me = state.places[index]!;
  const label = `${index} ${me.pc}`;
  const step = (more: Partial<Step<State>> = {}) => [{ state, label, ...more }];
  const makers = () => {
    let found = state.claims.find(([token]) => token === me.target);
    if (found === undefined) {
      found = [me.target, []];
      state.claims.push(found);
    }
    return found[1];
  };
  const isDead = (id: number) => id % 2 === me.id % 2 && !lives(state, id);
  const isStale = (id: number) =>
    isDead(id) ||
    variant.lease === true && (!lives(state, id) || state.expired.includes(id));
  const enter = () => {
    const rival = state.places.some((place, other) =>
      other !== index && place.pc === "hold" &&
      !state.expired.includes(place.id)
    );
    me.pc = "hold";
    return step({
      isProgress: true,
      ...(rival ? { violation: "two owners" } : {}),
    });
  };
  switch (me.pc) {
    case "look":
      if (state.lock === 0) me.pc = "link";
      // An empty record tells nothing about its owner.
      else if (!state.written) return [];
      else if (!isStale(state.lock)) return [];
      else {
        me.target = state.lock;
        me.n = 0;
        me.pc = variant.scheme === "old" ? "unlinkStale" : "claim";
      }
      return step();
    case "link":
      if (state.lock !== 0) {
        me.pc = "look";
        return step();
      }
      state.lock = me.id;
      if (variant.scheme !== "old") return enter();
      state.written = false;
      me.pc = "write";
      return step();
    case "write":
      if (state.lock === me.id) state.written = true;
      return enter();
    case "hold":
      if (variant.lease) {
        me.target = me.id;
        me.n = 0;
        me.pc = "claim";
      } else me.pc = "unlinkOwn";
      return step();
    case "unlinkOwn": {
      // In the old scheme that comes later than the two owners.
      const wrong = state.lock !== me.id && variant.scheme !== "old";
      state.lock = 0;
      state.written = true;
      replace(state, index);
      return step(wrong ? { violation: "another's lock was removed" } : {});
    }
    case "unlinkStale":
      // By name, whatever it means by now.
      state.lock = 0;
      state.written = true;
      me.target = 0;
      me.pc = "link";
      return step();
    case "claim":
      if ((makers()[me.n] ?? 0) === 0) {
        makers()[me.n] = me.id;
        me.pc = variant.omitVerify ? "rename" : "verify";
      } else me.pc = "readClaim";
      return step();
    case "readClaim": {
      const maker = makers()[me.n] ?? 0;
      if (maker !== 0 && (isDead(maker) || variant.ignoreClaimLife)) {
        me.n++;
        me.pc = "claim";
      } else leave(state, index);
      return step();
    }
    case "verify":
      me.pc = state.lock === me.target ? "rename" : "unclaim";
      return step();
    case "rename": {
      // What the name was found to carry just before, or somebody else's.
      const wrong = state.lock !== me.target && state.lock !== 0;
      const missing = state.lock === 0;
      state.lock = 0;
      me.pc = "unclaim";
      return step(
        wrong
          ? { violation: "another's lock was removed" }
          : missing && !variant.omitVerify
          ? { violation: "a lock was removed twice" }
          : {},
      );
    }
    case "unclaim":
      makers()[me.n] = 0;
      me.pc = "lookAgain";
      return step();
    case "lookAgain":
      if (state.lock === me.target || me.n === 0) {
        leave(state, index);
      } else me.pc = "unclaimLower";
      return step();
    case "unclaimLower":
      makers()[--me.n] = 0;
      if (me.n === 0) leave(state, index);
      return step();
  }
}

/** Begins anew: after its own release as another process. */
function leave(state: State, index: number): void {
  const me = state.places[index]!;
  if (me.target === me.id) return replace(state, index);
  state.places[index] = newPlace(me.id);
}

/**
 * A text that leaves out how ids are numbered, and claims to a token that
 * nobody can come to any more.
 */
export function canonical(state: State): string {
  const names = new Map<number, string>();
  const nameOf = (id: number): string => {
    if (id === 0) return "-";
    let name = names.get(id);
    if (name === undefined) {
      name = `${names.size}${"ab"[id % 2]}`;
      names.set(id, name);
    }
    return name;
  };
  const places = state.places.map(({ pc, id, target, n }) =>
    `${pc} ${nameOf(id)} ${nameOf(target)} ${n}`
  );
  const lock = nameOf(state.lock);
  const claims = state.claims
    .filter(([token]) => names.has(token))
    .map(([token, makers]) => {
      const text = makers.map((id) => nameOf(id ?? 0)).join(" ")
        .replace(/( ?-)+$/, "");
      return text === "" ? "" : `${nameOf(token)}:${text}`;
    }).filter((text) => text !== "").sort();
  const expired = state.expired.filter((id) => names.has(id)).map(nameOf);
  return [
    lock,
    state.written,
    places,
    claims.join(),
    expired.sort().join(),
    state.failures,
  ].join("|");
}
