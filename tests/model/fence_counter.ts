/**
 * The fencing counter of link locks, one step for each system call that others
 * can see, as `lib/lock/link/fence.ts` makes them. Who has the lock's name is
 * taken for granted here: `link_protocol.ts` is about that.
 *
 * A rename over a file that the same client has open is two calls on NFS. A
 * process may be killed between any two.
 */
import type { Step } from "./explore.ts";

/** Which counter. */
export interface FenceVariant {
  /** One file, renamed over at each taking, as it once was. */
  files: 1 | 2;
  /** A rename takes its target away first. */
  brokenRename: boolean;
  /** How many processes there are at a time. */
  processes: number;
  /** How many takings there are in all. */
  takings: number;
}

type Pc =
  | "read"
  | "link"
  | "readAgain"
  | "takeAway"
  | "rename"
  | "hold";

interface Place {
  pc: Pc;
  id: number;
  /** What it is about to take the lock with. */
  fence: number;
  /** The file that gives way. */
  target: number;
}

/** Everything that can be seen by somebody. */
export interface FenceState {
  /** Who has the lock's name, and what its record says; 0: nobody. */
  owner: number;
  ownerFence: number;
  /** The counters in the files; 0: no such file. */
  files: number[];
  places: Place[];
  /** The greatest counter that a holder was given. */
  given: number;
  takings: number;
  nextId: number;
}

/** Nobody has done anything. */
export function startFenceState(variant: FenceVariant): FenceState {
  return {
    owner: 0,
    ownerFence: 0,
    files: Array(variant.files).fill(0),
    places: Array.from(
      { length: variant.processes },
      (_, index) => newPlace(index + 1),
    ),
    given: 0,
    takings: 0,
    nextId: variant.processes + 1,
  };
}

function newPlace(id: number): Place {
  return { pc: "read", id, fence: 0, target: 0 };
}

/** All that can happen next. */
export function nextFenceSteps(
  state: FenceState,
  variant: FenceVariant,
): Step<FenceState>[] {
  return state.places.flatMap((place, index) => {
    const steps = move(state, index, variant);
    if (place.pc !== "read") {
      const killed = copy(state);
      killed.places[index] = newPlace(killed.nextId++);
      const label = `${index} is killed before ${place.pc}`;
      steps.push({ state: killed, label, isFailure: true });
    }
    return steps;
  });
}

function copy(state: FenceState): FenceState {
  return {
    ...state,
    files: [...state.files],
    places: state.places.map((place) => ({ ...place })),
  };
}

function move(
  before: FenceState,
  index: number,
  variant: FenceVariant,
): Step<FenceState>[] {
  const state = copy(before);
  const me = state.places[index]!;
  const label = `${index} ${me.pc}`;
  const step = (more: Partial<Step<FenceState>> = {}) => [
    { state, label, ...more },
  ];
  const last = () => Math.max(...state.files);
  switch (me.pc) {
    case "read": {
      const isHeld = state.owner !== 0;
      const lives = state.places.some(({ id }) => id === state.owner);
      if (isHeld && lives) return [];
      // A dead owner's lock goes, and what its record said is remembered.
      me.fence = Math.max(last(), isHeld ? state.ownerFence : 0) + 1;
      state.owner = 0;
      me.pc = "link";
      return step();
    }
    case "link":
      if (state.owner !== 0) {
        state.places[index] = newPlace(me.id);
        return step();
      }
      if (state.takings === variant.takings) return [];
      state.takings++;
      state.owner = me.id;
      state.ownerFence = me.fence;
      me.pc = "readAgain";
      return step();
    case "readAgain":
      if (last() >= me.fence) {
        state.owner = 0;
        state.places[index] = newPlace(me.id);
        return step();
      }
      me.target = state.files.indexOf(Math.min(...state.files));
      me.pc = variant.brokenRename ? "takeAway" : "rename";
      return step();
    case "takeAway":
      state.files[me.target] = 0;
      me.pc = "rename";
      return step();
    case "rename": {
      state.files[me.target] = me.fence;
      me.pc = "hold";
      const wentBack = me.fence <= state.given;
      state.given = Math.max(state.given, me.fence);
      return step({
        isProgress: true,
        ...(wentBack ? { violation: "the counter went back" } : {}),
      });
    }
    case "hold":
      state.owner = 0;
      state.places[index] = newPlace(me.id);
      return step();
  }
}

/** A text that leaves out how processes are numbered. */
export function canonicalFence(state: FenceState): string {
  const names = new Map<number, number>([[0, 0]]);
  const places = state.places.map(({ pc, id, fence, target }) => {
    names.set(id, names.size);
    return `${pc} ${fence} ${target}`;
  }).join();
  return [
    names.get(state.owner) ?? "dead",
    state.ownerFence,
    state.files,
    places,
    state.given,
    state.takings,
  ].join("|");
}
