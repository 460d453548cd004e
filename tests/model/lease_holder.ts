/**
 * The holder of a lease in a model: its clock, and what the rule of
 * lib/cluster/lease_rule.ts has it do.
 */
import { LeaseRule, type LeaseTimes } from "../../lib/cluster/lease_rule.ts";

/** A second is the unit of a model; the holder acts once in each. */
export const SECOND = 1000;

/** What is the same of every holder. All clocks count seconds. */
export interface HolderState {
  /** True time, which is the server's. */
  now: number;
  /** How far the holder's clock is behind. */
  behind: number;
  /** What the holder counts from, and how far its clock was behind then. */
  renewedAt: number;
  renewedBehind: number;
  lost: boolean;
  killed: boolean;
}

/** The time by the holder's clock. */
export function holderClock({ now, behind }: HolderState): number {
  return now - behind;
}

/** The holder's rule as it stands. */
export function ruleOf(
  state: HolderState,
  { times }: { times: LeaseTimes },
): LeaseRule {
  const rule = new LeaseRule(state.renewedAt * SECOND, times);
  if (state.lost) rule.lose();
  return rule;
}

/**
 * A second passes; the holder's clock may not notice.
 *
 * @param sentBehind How far that clock was behind when it sent what is on its
 * way.
 */
export function secondPasses<State extends HolderState>(
  state: State,
  variant: { times: LeaseTimes; lostSeconds: number },
  sentBehind: readonly { behind: number }[],
): { state: State; label: string }[] {
  const oldest = Math.min(
    state.renewedBehind,
    ...sentBehind.map(({ behind }) => behind),
  );
  const mayLose = state.behind - oldest < variant.lostSeconds;
  return (mayLose ? [0, 1] : [0]).map((losing) => {
    const next = {
      ...state,
      now: state.now + 1,
      behind: state.behind + losing,
    };
    const verdict = ruleOf(next, variant).state(holderClock(next) * SECOND);
    next.lost = verdict === "lost" || verdict === "kill";
    next.killed ||= verdict === "kill";
    return {
      state: next,
      label: losing === 0 ? "a second" : "a second, unnoticed by the holder",
    };
  });
}
