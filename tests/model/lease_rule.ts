/**
 * A lease between a holder and a server whose clocks have nothing in common:
 * renewals are delayed, lost and overtaken, and the holder's clock falls behind.
 *
 * The decisions are those of lib/cluster/lease_rule.ts itself.
 */
import type { LeaseTimes } from "../../lib/cluster/lease_rule.ts";
import type { Step } from "./explore.ts";
import {
  holderClock,
  type HolderState,
  ruleOf,
  SECOND,
  secondPasses,
} from "./lease_holder.ts";

/** What the model is run with. */
export interface LeaseVariant {
  times: LeaseTimes;
  /** So many seconds the holder's clock may lose within one lease. */
  lostSeconds: number;
  /** A mistake: the lease is counted from the answer to the renewal. */
  countFromAnswer?: boolean;
}

interface Request {
  /** By the holder's clock. */
  sentAt: number;
  /** How far the holder's clock was behind when it was sent. */
  behind: number;
  /** What the server has made of it. */
  answer: "none" | "renewed" | "gone";
}

/** The holder and its server. */
export interface LeaseState extends HolderState {
  /** When the server gives the lock to somebody else. */
  expiresAt: number;
  requests: Request[];
}

/** The server has just granted a lease for a request sent a moment before. */
export function startLease({ times }: LeaseVariant): LeaseState {
  return {
    now: 0,
    behind: 0,
    expiresAt: times.ttlMs / SECOND,
    renewedAt: 0,
    renewedBehind: 0,
    lost: false,
    killed: false,
    requests: [],
  };
}

/** Every step that can be next. */
export function leaseSteps(
  state: LeaseState,
  variant: LeaseVariant,
): Step<LeaseState>[] {
  if (state.killed) return [];
  return [
    ...timeSteps(state, variant),
    ...sendSteps(state, variant),
    ...state.requests.flatMap((_, index) =>
      messageSteps(state, variant, index)
    ),
  ];
}

/** A second passes; the server gives a lease away that has run out. */
function timeSteps(
  state: LeaseState,
  variant: LeaseVariant,
): Step<LeaseState>[] {
  return secondPasses(state, variant, state.requests).map((step) => {
    const { now, expiresAt, killed } = step.state;
    const isShared = now >= expiresAt && !killed;
    return { ...step, ...(isShared ? { violation: "two holders" } : {}) };
  });
}

const MAX_REQUESTS = 2;

function sendSteps(
  state: LeaseState,
  variant: LeaseVariant,
): Step<LeaseState>[] {
  const sentAt = holderClock(state);
  const isDue = ruleOf(state, variant).state(sentAt * SECOND) === "renew";
  const isSent = state.requests.some((request) => request.sentAt === sentAt);
  if (!isDue || isSent || state.requests.length === MAX_REQUESTS) return [];
  const request: Request = { sentAt, behind: state.behind, answer: "none" };
  return [{
    state: { ...state, requests: [...state.requests, request] },
    label: `renewal sent at ${sentAt}`,
  }];
}

function messageSteps(
  state: LeaseState,
  variant: LeaseVariant,
  index: number,
): Step<LeaseState>[] {
  const request = state.requests[index]!;
  const others = state.requests.toSpliced(index, 1);
  const dropped = { ...state, requests: others };
  const what = `renewal of ${request.sentAt}`;
  const steps: Step<LeaseState>[] = [
    { state: dropped, label: `${what} is lost`, isFailure: true },
  ];
  if (request.answer === "none") {
    const isAlive = state.now < state.expiresAt;
    const answered: Request = {
      ...request,
      answer: isAlive ? "renewed" : "gone",
    };
    steps.push({
      state: {
        ...state,
        expiresAt: isAlive
          ? state.now + variant.times.ttlMs / SECOND
          : state.expiresAt,
        requests: state.requests.with(index, answered),
      },
      label: `${what} reaches the server`,
    });
    return steps;
  }
  steps.push({
    state: receive(dropped, variant, request),
    label: `${what} is answered: ${request.answer}`,
    isProgress: request.answer === "renewed",
  });
  return steps;
}

function receive(
  state: LeaseState,
  variant: LeaseVariant,
  { sentAt, behind, answer }: Request,
): LeaseState {
  if (answer === "gone") return { ...state, lost: true };
  const now = holderClock(state);
  const rule = ruleOf(state, variant);
  const from = variant.countFromAnswer ? now : sentAt;
  const { endsAt } = rule.moments;
  rule.renewed(from * SECOND, now * SECOND);
  if (rule.moments.endsAt === endsAt) return state;
  return {
    ...state,
    renewedAt: from,
    renewedBehind: variant.countFromAnswer ? state.behind : behind,
  };
}

/**
 * Times count from now: how long it has gone on makes no difference, nor does
 * the age of a request from before the last renewal that has succeeded.
 */
export function canonicalLease(
  state: LeaseState,
  { times }: LeaseVariant,
): string {
  const now = holderClock(state);
  const oldest = (times.ttlMs - times.marginMs) / SECOND;
  const requests = state.requests
    .map(({ sentAt, behind, answer }) =>
      `${Math.min(now - sentAt, oldest)}/${state.behind - behind}/${answer}`
    ).sort();
  return [
    state.expiresAt - state.now,
    now - state.renewedAt,
    state.behind - state.renewedBehind,
    state.lost,
    state.killed,
    ...requests,
  ].join();
}
