/** Exhaustive exploration of small protocols. */

/** What a state can become, and what is wrong or good about the step. */
export interface Step<S> {
  /** The next state. */
  state: S;
  /** What happens, for a trace. */
  label: string;
  /** A broken promise. */
  violation?: string;
  /** Whether a lock is taken by this step. */
  isProgress?: boolean;
  /** Whether it is a failure, on which progress must not depend. */
  isFailure?: boolean;
}

/** What an exploration has found. */
export interface Exploration {
  states: number;
  steps: number;
  /** The first violation, with the steps to it; it ends the exploration. */
  violation?: { what: string; trace: string[] };
  /** The steps to a state from which no lock is ever taken again. */
  stuck?: string[];
}

/**
 * Visits every state that can be reached, breadth first, so that traces are
 * the shortest.
 *
 * @param canonical Equal texts for states that differ in nothing but names.
 */
export function explore<S>(
  start: S,
  next: (state: S) => Step<S>[],
  canonical: (state: S) => string,
): Exploration {
  const index = new Map<string, number>([[canonical(start), 0]]);
  const states: (S | undefined)[] = [start];
  const cameFrom: number[] = [-1];
  const labels: string[] = ["start"];
  /** For each state, the states it is reached from without a failure. */
  const origins: number[][] = [[]];
  const live: number[] = [];
  let steps = 0;
  const trace = (at: number): string[] => {
    const found: string[] = [];
    for (let i = at; i > 0; i = cameFrom[i]!) found.push(labels[i]!);
    return found.reverse();
  };
  for (let at = 0; at < states.length; at++) {
    let progresses = false;
    for (const step of next(states[at]!)) {
      steps++;
      if (step.violation !== undefined) {
        const violation = {
          what: step.violation,
          trace: [...trace(at), step.label],
        };
        return { states: states.length, steps, violation };
      }
      const key = canonical(step.state);
      let to = index.get(key);
      if (to === undefined) {
        to = states.length;
        index.set(key, to);
        states.push(step.state);
        cameFrom.push(at);
        labels.push(step.label);
        origins.push([]);
      }
      if (!step.isFailure) origins[to]!.push(at);
      if (step.isProgress) progresses = true;
    }
    if (progresses) live.push(at);
    states[at] = undefined;
  }
  const canProgress = new Uint8Array(states.length);
  for (const at of live) canProgress[at] = 1;
  for (let at = live.pop(); at !== undefined; at = live.pop()) {
    for (const origin of origins[at]!) {
      if (canProgress[origin]) continue;
      canProgress[origin] = 1;
      live.push(origin);
    }
  }
  const stuck = canProgress.indexOf(0);
  return {
    states: states.length,
    steps,
    ...(stuck < 0 ? {} : { stuck: trace(stuck) }),
  };
}
