/**
 * A lock that lives in a session of PostgreSQL: the server ends the session of
 * a holder that it doesn't hear for the length of a lease, and forgets all
 * sessions when it is restarted; who comes next outwaits what may have been
 * forgotten. Statements are delayed and lost, the end of the session is heard of
 * late or never, and the holder's clock falls behind.
 *
 * The holder's decisions are those of lib/cluster/lease_rule.ts itself.
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

const MAX_STATEMENTS = 2;
const MAX_RESTARTS = 2;

/** What the model is run with. */
export interface SessionVariant {
  times: LeaseTimes;
  /** So many seconds the holder's clock may lose within one lease. */
  lostSeconds: number;
  /** A mistake: the next one takes a server that has just started at its word. */
  trustsNewServer?: boolean;
  /** A mistake: `idle_session_timeout` is shorter than the lease, in seconds. */
  idleSeconds?: number;
  /** A mistake: a crash that ends all sessions counts as no start. */
  overlooksCrash?: boolean;
}

interface Statement {
  /** By the holder's clock. */
  sentAt: number;
  /** How far that clock was behind. */
  behind: number;
  isDone: boolean;
}

/** The holder and its server. */
export interface SessionState extends HolderState {
  /** When the server last heard the holder; `undefined` without a session. */
  heardAt: number | undefined;
  /** Since when the server remembers its sessions, as it says itself. */
  bootAt: number;
  restarts: number;
  hasNext: boolean;
  statements: Statement[];
}

function ttlSeconds({ times }: SessionVariant): number {
  return times.ttlMs / SECOND;
}

/** The holder has just got the lock at a server that has run for long. */
export function startSession(variant: SessionVariant): SessionState {
  return {
    now: 0,
    behind: 0,
    heardAt: 0,
    bootAt: -ttlSeconds(variant),
    restarts: 0,
    renewedAt: 0,
    renewedBehind: 0,
    lost: false,
    killed: false,
    hasNext: false,
    statements: [],
  };
}

/** Every step that can be next. */
export function sessionSteps(
  state: SessionState,
  variant: SessionVariant,
): Step<SessionState>[] {
  if (state.hasNext) return [{ state, label: "the end", isProgress: true }];
  return [
    ...secondPasses(state, variant, state.statements),
    ...holderSteps(state, variant),
    ...serverSteps(state, variant),
  ];
}

function holderSteps(
  state: SessionState,
  variant: SessionVariant,
): Step<SessionState>[] {
  if (state.killed) return [];
  const steps: Step<SessionState>[] = [];
  const sentAt = holderClock(state);
  const isDue = ruleOf(state, variant).state(sentAt * SECOND) === "renew";
  const isSent = state.statements.some((each) => each.sentAt === sentAt);
  if (isDue && !isSent && state.statements.length < MAX_STATEMENTS) {
    const statement = { sentAt, behind: state.behind, isDone: false };
    steps.push({
      state: { ...state, statements: [...state.statements, statement] },
      label: `statement sent at ${sentAt}`,
    });
  }
  if (state.heardAt === undefined && !state.lost) {
    steps.push({
      state: { ...state, lost: true },
      label: "the holder hears of the end of its session",
    });
  }
  for (const [index, statement] of state.statements.entries()) {
    const rest = {
      ...state,
      statements: state.statements.toSpliced(index, 1),
    };
    const label = `statement of ${statement.sentAt}`;
    steps.push({ state: rest, label: `${label} is lost`, isFailure: true });
    if (!statement.isDone) continue;
    steps.push({
      state: receive(rest, variant, statement),
      label: `${label} is answered`,
      isProgress: true,
    });
  }
  return steps;
}

function receive(
  state: SessionState,
  variant: SessionVariant,
  { sentAt, behind }: Statement,
): SessionState {
  const rule = ruleOf(state, variant);
  const { endsAt } = rule.moments;
  rule.renewed(sentAt * SECOND, holderClock(state) * SECOND);
  return rule.moments.endsAt === endsAt
    ? state
    : { ...state, renewedAt: sentAt, renewedBehind: behind };
}

function serverSteps(
  state: SessionState,
  variant: SessionVariant,
): Step<SessionState>[] {
  const { now, heardAt, restarts } = state;
  const ttl = ttlSeconds(variant);
  const steps: Step<SessionState>[] = [];
  const ended = { ...state, heardAt: undefined };
  if (heardAt !== undefined) {
    for (const [index, statement] of state.statements.entries()) {
      if (statement.isDone) continue;
      const done = { ...statement, isDone: true };
      steps.push({
        state: {
          ...state,
          heardAt: now,
          statements: state.statements.with(index, done),
        },
        label: `statement of ${statement.sentAt} reaches the server`,
      });
    }
    if (now - heardAt >= (variant.idleSeconds ?? ttl)) {
      steps.push({ state: ended, label: "the server ends an idle session" });
    }
  }
  if (restarts < MAX_RESTARTS) {
    steps.push({
      state: {
        ...ended,
        bootAt: variant.overlooksCrash ? state.bootAt : now,
        restarts: restarts + 1,
      },
      label: "the server forgets all sessions",
      isFailure: true,
    });
  }
  const isTrusted = variant.trustsNewServer || now - state.bootAt >= ttl;
  if (heardAt === undefined && isTrusted) {
    steps.push({
      state: { ...state, hasNext: true },
      label: "the next one starts",
      ...(state.killed ? {} : { violation: "two holders" }),
    });
  }
  return steps;
}

/** Times count from now; what is older than a lease is alike. */
export function canonicalSession(
  state: SessionState,
  variant: SessionVariant,
): string {
  const now = holderClock(state);
  const ttl = ttlSeconds(variant);
  const age = (at: number | undefined) =>
    at === undefined ? "none" : Math.min(state.now - at, ttl);
  const statements = state.statements
    .map(({ sentAt, behind, isDone }) =>
      `${Math.min(now - sentAt, ttl)}/${state.behind - behind}/${isDone}`
    ).sort();
  return [
    age(state.heardAt),
    age(state.bootAt),
    state.restarts,
    state.killed ? "killed" : now - state.renewedAt,
    state.killed ? 0 : state.behind - state.renewedBehind,
    state.lost,
    state.hasNext,
    ...statements,
  ].join();
}
