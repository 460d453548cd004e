import type { Schema } from "./build.ts";
import { REPORT_SCHEMA, RUN_SCHEMA, TRACE_SCHEMA } from "./in_time.ts";
import {
  CHANGE_SCHEMA,
  DEADLOCKS_SCHEMA,
  LOCKS_SCHEMA,
  LSLOCKS_SCHEMA,
} from "./locks.ts";
import {
  DOCTOR_SCHEMA,
  GC_SCHEMA,
  LINK_SCHEMA,
  SCHEMAS_SCHEMA,
  SLOTS_SCHEMA,
  TEST_SCHEMA,
  WHO_SCHEMA,
} from "./others.ts";

/** A schema, and what is of that form. */
export interface PublishedSchema {
  /** What prints it. */
  of: string;
  /** Whether that is a stream of lines, each of which is of this form. */
  lines: boolean;
  /** The schema. */
  schema: Schema;
}

const document = (of: string, schema: Schema): PublishedSchema => ({
  of,
  lines: false,
  schema,
});
const stream = (of: string, schema: Schema): PublishedSchema => ({
  of,
  lines: true,
  schema,
});

/** Every JSON that the tool prints, by name. */
export const SCHEMAS: Readonly<Record<string, PublishedSchema>> = {
  locks: document("holdfast locks --json", LOCKS_SCHEMA),
  "locks-watch": stream("holdfast locks --json --watch", CHANGE_SCHEMA),
  deadlocks: document("holdfast locks --json --deadlocks", DEADLOCKS_SCHEMA),
  lslocks: document("holdfast locks --lslocks-json", LSLOCKS_SCHEMA),
  trace: stream("holdfast trace --json", TRACE_SCHEMA),
  report: document("holdfast report --json", REPORT_SCHEMA),
  "run-events": stream("holdfast run --json-events", RUN_SCHEMA),
  who: document("holdfast who --json", WHO_SCHEMA),
  test: document("holdfast test --json", TEST_SCHEMA),
  doctor: document("holdfast doctor --json", DOCTOR_SCHEMA),
  link: document("holdfast link --json", LINK_SCHEMA),
  slots: document("holdfast slots --json", SLOTS_SCHEMA),
  gc: document("holdfast gc --json", GC_SCHEMA),
  schemas: document("holdfast schema --json", SCHEMAS_SCHEMA),
};
